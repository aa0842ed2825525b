//! Mel filter banks on the Slaney scale.
//!
//! `[n_mels, n_fft / 2 + 1]` triangles of equal area from 0 Hz to Nyquist: linear below 1 kHz,
//! logarithmic above. Equal to `librosa.filters.mel` (0.11, its defaults) and to `transformers`'
//! `mel_filter_bank(norm="slaney", mel_scale="slaney")` (5.23). Held by `tests/it/spectra.rs`.

use std::ops::Range;

use ndarray::Array2;

use crate::{AudioError, Result, SampleRate};

/// Hz per mel below [`BREAK_HZ`].
const LINEAR_HZ_PER_MEL: f64 = 200.0 / 3.0;
/// Where the scale turns logarithmic.
const BREAK_HZ: f64 = 1000.0;
const BREAK_MEL: f64 = BREAK_HZ / LINEAR_HZ_PER_MEL;

/// Mel filters `[n_mels, n_fft / 2 + 1]` for power spectra of `n_fft` samples at `rate`.
///
/// # Errors
/// [`AudioError::InvalidMel`] for no filters, or more filters than frequency bins.
pub fn mel_filters(n_mels: usize, n_fft: usize, rate: SampleRate) -> Result<Array2<f32>> {
    let nyquist = f64::from(rate.as_hz()) / 2.0;
    mel_filters_between(n_mels, n_fft, rate, &(0.0..nyquist))
}

/// Filters as [`mel_filters`] makes them, over a part of the frequencies in Hz.
///
/// # Errors
/// [`AudioError::InvalidMel`] also for a range that is empty or reaches beyond 0 to Nyquist.
pub(crate) fn mel_filters_between(
    n_mels: usize,
    n_fft: usize,
    rate: SampleRate,
    band_hz: &Range<f64>,
) -> Result<Array2<f32>> {
    let n_bins = n_fft / 2 + 1;
    if n_mels == 0 || n_mels > n_bins {
        return Err(AudioError::InvalidMel {
            reason: format!("expected 1 to {n_bins} of them for n_fft {n_fft}, got {n_mels}"),
        });
    }
    let nyquist = f64::from(rate.as_hz()) / 2.0;
    let Range { start, end } = *band_hz;
    // Not by their negations, which NaN would pass.
    if !(start >= 0.0 && start < end && end <= nyquist) {
        return Err(AudioError::InvalidMel {
            reason: format!("expected a part of 0 to {nyquist} Hz, got {start} to {end}"),
        });
    }
    let (bottom, top) = (hz_to_mel(start), hz_to_mel(end));
    let edges: Vec<f64> = (0..n_mels + 2)
        .map(|i| mel_to_hz(bottom + (top - bottom) * i as f64 / (n_mels + 1) as f64))
        .collect();
    Ok(Array2::from_shape_fn((n_mels, n_bins), |(m, k)| {
        let hz = nyquist * k as f64 / (n_bins - 1).max(1) as f64;
        let (low, centre, high) = (edges[m], edges[m + 1], edges[m + 2]);
        let height = ((hz - low) / (centre - low))
            .min((high - hz) / (high - centre))
            .max(0.0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "filters are f32, as in transformers"
        )]
        let weight = (height * 2.0 / (high - low)) as f32;
        weight
    }))
}

fn hz_to_mel(hz: f64) -> f64 {
    if hz < BREAK_HZ {
        hz / LINEAR_HZ_PER_MEL
    } else {
        BREAK_MEL + (hz / BREAK_HZ).ln() / log_step()
    }
}

fn mel_to_hz(mel: f64) -> f64 {
    if mel < BREAK_MEL {
        mel * LINEAR_HZ_PER_MEL
    } else {
        BREAK_HZ * ((mel - BREAK_MEL) * log_step()).exp()
    }
}

/// Mels above the break are this far apart in ln(Hz): 27 of them to 6.4 kHz.
fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

/// The same filters without their zeros.
#[derive(Debug, Clone)]
pub(crate) struct SparseFilters {
    /// Per filter: its first bin and its weights from there on.
    rows: Vec<(usize, Vec<f64>)>,
}

impl SparseFilters {
    pub(crate) fn from_dense(filters: &Array2<f32>) -> Self {
        let rows = filters.rows().into_iter().map(|row| {
            let start = row.iter().position(|&w| w != 0.0).unwrap_or(0);
            let end = row
                .iter()
                .rposition(|&w| w != 0.0)
                .map_or(start, |last| last + 1);
            (
                start,
                row.iter()
                    .take(end)
                    .skip(start)
                    .map(|&w| f64::from(w))
                    .collect(),
            )
        });
        Self {
            rows: rows.collect(),
        }
    }

    pub(crate) fn n_mels(&self) -> usize {
        self.rows.len()
    }

    /// Energies of one power spectrum `[n_bins]`, one per filter.
    pub(crate) fn energies<'a>(&'a self, power: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.rows.iter().map(move |(start, weights)| {
            weights
                .iter()
                .zip(&power[*start..])
                .map(|(w, p)| w * p)
                .sum()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{hz_to_mel, mel_to_hz};

    #[test]
    fn the_scale_inverts() {
        for hz in [0.0, 440.0, 999.9, 1000.0, 4000.0, 8000.0] {
            assert!((mel_to_hz(hz_to_mel(hz)) - hz).abs() < 1e-9);
        }
        // librosa.hz_to_mel(4000.0)
        assert!((hz_to_mel(4000.0) - 35.163_760_314_616_65).abs() < 1e-9);
    }
}
