//! Mel-band energies and loudness of a story, ten times a second.
//!
//! `[n_samples]` at 16 kHz → `[n_steps, 17]`: `log10(1 + E / floor)` of 16 mel bands and of their
//! sum. Energies `E` are means over five frames of a power spectrum (512 samples, 20 ms apart), so
//! silence is 0 and 1 is ten times the floor.

use braintune_audio::{SampleRate, Stft, Waveform, mel_filters};
use ndarray::{Array2, Axis};

use crate::Result;

/// Mel bands.
pub(crate) const N_BANDS: usize = 16;
/// The bands and loudness.
const N_FEATURES: usize = N_BANDS + 1;
/// Samples of a power spectrum.
pub(crate) const N_FFT: usize = 512;
/// Samples from one power spectrum to the next.
pub(crate) const HOP: usize = 320;
/// Power spectra that make a step.
pub(crate) const N_POOLED: usize = 5;
/// Energy of a band below which everything counts as silence.
pub(crate) const FLOOR: f64 = 1e-5;
/// Seconds from one step to the next.
pub(crate) const STEP_S: f64 = 0.1;
/// Time of the first step, the mean of its frames' centres, in seconds.
pub(crate) const FIRST_STEP_S: f64 = 0.04;

/// The features of a story, `[n_steps, 17]`: 16 bands, then loudness.
pub(crate) fn features(waveform: &Waveform) -> Result<Array2<f64>> {
    let power = Stft::new(N_FFT, HOP)?.power(waveform.samples())?;
    let filters = mel_filters(N_BANDS, N_FFT, SampleRate::SPEECH)?;
    let energies = power.dot(&filters.t()).mapv(f64::from);
    let n_steps = energies.nrows() / N_POOLED;
    let mut features = Array2::zeros((n_steps, N_FEATURES));
    for (pooled, mut out) in energies
        .axis_chunks_iter(Axis(0), N_POOLED)
        .zip(features.rows_mut())
    {
        let bands = pooled.sum_axis(Axis(0)) / N_POOLED as f64;
        for (out, &energy) in out.iter_mut().zip(&bands) {
            *out = level(energy);
        }
        out[N_BANDS] = level(bands.sum());
    }
    Ok(features)
}

fn level(energy: f64) -> f64 {
    (1.0 + energy / FLOOR).log10()
}
