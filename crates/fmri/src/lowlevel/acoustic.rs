//! Features of the sound, brought onto the grid of TRs.
//!
//! Audio at 16 kHz, resampled where it is not; frames' values at the middles of frames, then Lanczos.
//! Held by `tests/it/lowlevel.rs`.

use std::borrow::Cow;

use braintune_audio::{Frames, Mfcc, PowerSpectrum, Rms, SampleRate, Waveform};
use ndarray::{Array2, Axis};

use crate::{Lanczos, Result};

/// What is computed of each frame.
#[derive(Clone, Debug)]
pub(super) enum Acoustic {
    Power(PowerSpectrum),
    Mfcc(Mfcc),
    Energy(Rms),
}

impl Acoustic {
    pub(super) fn columns(&self) -> Vec<String> {
        match self {
            Self::Power(power) => {
                let bands = (0..power.n_bands()).filter_map(|band| power.edges_hz(band));
                bands
                    .map(|(low, high)| format!("{low:.1}-{high:.1} Hz"))
                    .collect()
            }
            Self::Mfcc(mfcc) => (0..mfcc.n_mfcc()).map(|k| format!("mfcc {k}")).collect(),
            Self::Energy(_) => vec!["rms".into()],
        }
    }

    /// `[n_trs, n_columns]` at `tr_times`.
    pub(super) fn compute(&self, sound: &Waveform, tr_times: &[f64]) -> Result<Array2<f32>> {
        let sound = if sound.sample_rate() == SampleRate::SPEECH {
            Cow::Borrowed(sound)
        } else {
            Cow::Owned(sound.resampled(SampleRate::SPEECH)?)
        };
        let samples = sound.samples();
        let values = match self {
            Self::Power(power) => power.compute(samples)?,
            Self::Mfcc(mfcc) => mfcc.compute(samples)?,
            Self::Energy(rms) => rms.compute(samples)?.insert_axis(Axis(1)),
        };
        let frame_times = self.frames().times(samples.len()).to_vec();
        // A sound of one frame has no rate of its own.
        let lanczos = match frame_times.len() {
            0 | 1 => Lanczos::for_tr_times(tr_times)?,
            _ => Lanczos::between(&frame_times, tr_times)?,
        };
        lanczos.resample(values.view(), &frame_times, tr_times)
    }

    fn frames(&self) -> &Frames {
        match self {
            Self::Power(power) => power.frames(),
            Self::Mfcc(mfcc) => mfcc.frames(),
            Self::Energy(rms) => rms.frames(),
        }
    }
}
