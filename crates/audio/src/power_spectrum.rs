//! The power spectrum of frames in bands of equal width.
//!
//! `[n_samples]` → `[n_frames, n_bands]` dB: the mean of the short-time power (periodic Hann window)
//! over the bins of each band, `10 log10` with a floor of 1e-10. Bands divide a range of frequencies
//! evenly and hold their upper edge, not their lower one. Unlike [`Fbank`](crate::Fbank) nothing
//! depends on the loudest value, so a frame has the same spectrum in any recording.
//!
//! [`PowerSpectrum::speech`] has the 448 bands that spectral feature spaces of story listening have
//! (de Heer et al. 2017), but over 0 to 8 kHz, which is all that audio at 16 kHz holds; another range
//! is `PowerSpectrum::new` on audio at its original rate. Held by `tests/it/acoustic.rs`.

use std::fmt;
use std::ops::Range;

use ndarray::Array2;

use crate::{AudioError, Frames, Framing, Result, SampleRate, Stft};

const FLOOR: f64 = 1e-10;

/// Power in bands of equal width, in dB.
///
/// ```
/// use braintune_audio::PowerSpectrum;
///
/// let spectrum = PowerSpectrum::speech()?;
/// let tone: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.125 * std::f32::consts::PI).sin()).collect();
/// let bands = spectrum.compute(&tone)?;
/// assert_eq!(bands.ncols(), 448);
/// // 1000 Hz is the upper edge of band 55.
/// assert_eq!(spectrum.edges_hz(55), Some((55.0 * 8000.0 / 448.0, 1000.0)));
/// let loudest = (0..448).max_by(|&a, &b| bands[[9, a]].total_cmp(&bands[[9, b]]));
/// assert_eq!(loudest, Some(55));
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct PowerSpectrum {
    frames: Frames,
    band_hz: Range<f64>,
    stft: Stft,
    /// The bins of each band.
    bins: Vec<Range<usize>>,
}

impl PowerSpectrum {
    /// 448 bands of 0 to 8 kHz at 16 kHz: bins 1 to 448 of frames of 896 samples (56 ms), half of
    /// which overlaps with the next.
    ///
    /// # Errors
    /// None: these settings are valid.
    pub fn speech() -> Result<Self> {
        let frames = Frames::new(896, 448, SampleRate::SPEECH, Framing::Inside)?;
        Self::new(frames, 448, 0.0..8000.0)
    }

    /// Plans spectra in `n_bands` of equal width between two frequencies in Hz.
    ///
    /// # Errors
    /// [`AudioError::InvalidBands`] for no bands, a range that is empty or reaches beyond 0 to half
    /// the sample rate, and for bands so narrow that one holds no bin of the frames' spectra.
    pub fn new(frames: Frames, n_bands: usize, band_hz: Range<f64>) -> Result<Self> {
        let invalid = |reason| Err(AudioError::InvalidBands { reason });
        let rate = f64::from(frames.sample_rate().as_hz());
        let Range { start, end } = band_hz;
        // Not by their negations, which NaN would pass.
        if !(start >= 0.0 && start < end && end <= rate / 2.0) {
            return invalid(format!(
                "expected a part of 0 to {} Hz, got {start} to {end}",
                rate / 2.0
            ));
        }
        let n_bins = frames.length() / 2 + 1;
        if n_bands == 0 || n_bands > n_bins {
            return invalid(format!(
                "expected 1 to {n_bins} of them for frames of {} samples, got {n_bands}",
                frames.length()
            ));
        }
        let width = (end - start) / n_bands as f64;
        // A bin belongs below the edge it lies on, whatever the last digit of either is.
        let bins_up_to = |hz: f64| (hz * frames.length() as f64 / rate + 1e-9).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative, at most half the frame"
        )]
        let edge = |band: usize| bins_up_to(start + band as f64 * width) as usize + 1;
        let bins: Vec<_> = (0..n_bands)
            .map(|band| edge(band)..edge(band + 1))
            .collect();
        if let Some(band) = bins.iter().position(Range::is_empty) {
            return invalid(format!(
                "band {band} of {width:.2} Hz holds no bin of frames of {} samples, which are {:.2} \
                 Hz apart: take longer frames or fewer bands",
                frames.length(),
                rate / frames.length() as f64
            ));
        }
        Ok(Self {
            stft: Stft::new(frames.length(), frames.hop())?,
            frames,
            band_hz,
            bins,
        })
    }

    /// The frames, which give [times](Frames::times).
    #[must_use]
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// Bands per frame.
    #[must_use]
    pub fn n_bands(&self) -> usize {
        self.bins.len()
    }

    /// Lower and upper edge of a band in Hz; `None` past the last.
    #[must_use]
    pub fn edges_hz(&self, band: usize) -> Option<(f64, f64)> {
        let Range { start, end } = self.band_hz;
        let width = end - start;
        let edge = |band: usize| start + band as f64 * width / self.n_bands() as f64;
        (band < self.n_bands()).then(|| (edge(band), edge(band + 1)))
    }

    /// The power `[n_frames, n_bands]` in dB of mono audio at the frames' rate.
    ///
    /// # Errors
    /// [`AudioError::TooShortForFrame`] for less than a frame [inside](Framing::Inside) the
    /// recording, [`AudioError::EmptyWaveform`] and [`AudioError::NonFiniteSample`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        let shape = (self.frames.n_frames(samples.len()), self.n_bands());
        let mut decibels = Array2::zeros(shape);
        let mut scratch = self.stft.scratch();
        self.frames.for_each(samples, |t, frame| {
            let power = self.stft.frame_power(frame, &mut scratch);
            for (out, bins) in decibels.row_mut(t).iter_mut().zip(&self.bins) {
                let mean = power[bins.clone()].iter().sum::<f64>() / bins.len() as f64;
                #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
                let single = (10.0 * mean.max(FLOOR).log10()) as f32;
                *out = single;
            }
        })?;
        Ok(decibels)
    }
}

impl fmt::Display for PowerSpectrum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "power spectrum: {} bands of {} to {} Hz, dB re 1 from {FLOOR:e}; {}, Hann",
            self.n_bands(),
            self.band_hz.start,
            self.band_hz.end,
            self.frames
        )
    }
}
