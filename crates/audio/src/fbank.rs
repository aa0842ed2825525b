//! Log-mel filterbank energies.
//!
//! `[n_samples]` → `[n_frames, n_mels]` dB: power spectra of frames under a periodic Hann window,
//! Slaney's mel filters, `10 log10` with a floor of 1e-10, everything more than 80 dB below the
//! recording's maximum raised to it. Equal to `librosa.power_to_db(librosa.feature.melspectrogram(y))`
//! (0.11). Differs: sums are f64, and frequencies above Nyquist are refused. Held by
//! `tests/it/acoustic.rs`.

use std::fmt;
use std::ops::Range;

use ndarray::Array2;
use tracing::warn;

use crate::mel::{SparseFilters, mel_filters_between};
use crate::{Frames, Result, Stft};

const FLOOR: f64 = 1e-10;
const TOP_DB: f64 = 80.0;

/// Log-mel filterbank energies in dB.
///
/// Their floor is relative to the loudest value of the samples given: the same frame can come out
/// differently in a longer recording. [`Display`](fmt::Display) names the settings.
///
/// ```
/// use braintune_audio::{Fbank, Frames};
///
/// let fbank = Fbank::new(Frames::SPEECH, 40, 0.0..8000.0)?;
/// let tone: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.4).sin()).collect();
/// assert_eq!(fbank.compute(&tone)?.dim(), (98, 40));
/// assert!(fbank.to_string().starts_with("log-mel energies: 40 bands of 0 to 8000 Hz (Slaney)"));
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fbank {
    frames: Frames,
    band_hz: Range<f64>,
    stft: Stft,
    filters: SparseFilters,
}

impl Fbank {
    /// Plans energies of `n_mels` bands that lie between two frequencies in Hz.
    ///
    /// Where bands are narrower than the spectrum's bins, some hold none and stay at the floor; a
    /// warning says so, as librosa does.
    ///
    /// # Errors
    /// [`AudioError::InvalidMel`](crate::AudioError::InvalidMel) for no bands, for more bands than
    /// frequency bins, and for a range that is empty or reaches beyond 0 to half the sample rate.
    pub fn new(frames: Frames, n_mels: usize, band_hz: Range<f64>) -> Result<Self> {
        let dense = mel_filters_between(n_mels, frames.length(), frames.sample_rate(), &band_hz)?;
        let is_empty = |row: &ndarray::ArrayView1<'_, f32>| row.iter().all(|&w| w == 0.0);
        let n_empty = dense.rows().into_iter().filter(is_empty).count();
        if n_empty > 0 {
            warn!(
                n_empty,
                n_mels, "mel bands without a frequency bin: use fewer bands or longer frames"
            );
        }
        Ok(Self {
            stft: Stft::new(frames.length(), frames.hop())?,
            filters: SparseFilters::from_dense(&dense),
            frames,
            band_hz,
        })
    }

    /// The frames, which give [times](Frames::times).
    #[must_use]
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// Mel bands.
    #[must_use]
    pub fn n_mels(&self) -> usize {
        self.filters.n_mels()
    }

    /// The energies `[n_frames, n_mels]` in dB of mono audio at the frames' rate.
    ///
    /// # Errors
    /// [`AudioError::TooShortForFrame`](crate::AudioError::TooShortForFrame) for less than a frame
    /// [inside](crate::Framing::Inside) the recording,
    /// [`AudioError::EmptyWaveform`](crate::AudioError::EmptyWaveform) and
    /// [`AudioError::NonFiniteSample`](crate::AudioError::NonFiniteSample).
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
        let single = |x: f64| x as f32;
        Ok(self.decibels(samples)?.mapv(single))
    }

    /// [`compute`](Self::compute) before it is rounded.
    pub(crate) fn decibels(&self, samples: &[f32]) -> Result<Array2<f64>> {
        let shape = (self.frames.n_frames(samples.len()), self.n_mels());
        let mut decibels = Array2::zeros(shape);
        let mut scratch = self.stft.scratch();
        self.frames.for_each(samples, |t, frame| {
            let power = self.stft.frame_power(frame, &mut scratch);
            for (out, energy) in decibels
                .row_mut(t)
                .iter_mut()
                .zip(self.filters.energies(power))
            {
                *out = 10.0 * energy.max(FLOOR).log10();
            }
        })?;
        let floor = decibels.fold(f64::NEG_INFINITY, |max, &x| x.max(max)) - TOP_DB;
        decibels.mapv_inplace(|x| x.max(floor));
        Ok(decibels)
    }
}

impl fmt::Display for Fbank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "log-mel energies: {} bands of {} to {} Hz (Slaney), power, dB re 1 from {FLOOR:e} and \
             from {TOP_DB} below the maximum; {}, Hann",
            self.n_mels(),
            self.band_hz.start,
            self.band_hz.end,
            self.frames
        )
    }
}
