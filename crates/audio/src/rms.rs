//! Loudness: the root mean square of frames.
//!
//! `[n_samples]` → `[n_frames]`, full scale being 1, or dB of it. Equal to `librosa.feature.rms(y)`
//! and to `librosa.amplitude_to_db(rms, top_db=None)` (0.11). Held by `tests/it/acoustic.rs`.

use std::fmt;

use ndarray::Array1;

use crate::{Frames, Result};

/// Amplitudes below are taken for it, librosa's `amin`.
const FLOOR: f64 = 1e-5;

/// The root mean square of each frame. No window is applied.
///
/// ```
/// use braintune_audio::{Frames, Rms};
///
/// let rms = Rms::new(Frames::SPEECH);
/// assert_eq!(rms.compute(&[0.5; 16_000])?[0], 0.5);
/// assert_eq!(rms.compute_db(&[0.0; 16_000])?[97], -100.0);
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Rms {
    frames: Frames,
}

impl Rms {
    /// The root mean square of these frames.
    #[must_use]
    pub fn new(frames: Frames) -> Self {
        Self { frames }
    }

    /// The frames, which give [times](Frames::times).
    #[must_use]
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// The amplitude of each frame `[n_frames]`, full scale being 1.
    ///
    /// # Errors
    /// [`AudioError::TooShortForFrame`](crate::AudioError::TooShortForFrame) for less than a frame
    /// [inside](crate::Framing::Inside) the recording,
    /// [`AudioError::EmptyWaveform`](crate::AudioError::EmptyWaveform) and
    /// [`AudioError::NonFiniteSample`](crate::AudioError::NonFiniteSample).
    pub fn compute(&self, samples: &[f32]) -> Result<Array1<f32>> {
        self.each(samples, |rms| rms)
    }

    /// The logarithm of each frame's amplitude `[n_frames]` in dB: `20 log10(rms)`, at least -100.
    ///
    /// # Errors
    /// Those of [`compute`](Self::compute).
    pub fn compute_db(&self, samples: &[f32]) -> Result<Array1<f32>> {
        self.each(samples, |rms| 20.0 * rms.max(FLOOR).log10())
    }

    fn each(&self, samples: &[f32], scale: impl Fn(f64) -> f64) -> Result<Array1<f32>> {
        let mut values = Vec::with_capacity(self.frames.n_frames(samples.len()));
        self.frames.for_each(samples, |_, frame| {
            let squares = frame.iter().map(|&x| f64::from(x).powi(2));
            let rms = (squares.sum::<f64>() / frame.len() as f64).sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
            values.push(scale(rms) as f32);
        })?;
        Ok(values.into())
    }
}

impl fmt::Display for Rms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RMS: {}, dB re 1 from {FLOOR:e}", self.frames)
    }
}
