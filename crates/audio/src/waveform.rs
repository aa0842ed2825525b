//! Mono audio in memory.

use std::fmt;

use crate::resample::resample;
use crate::{AudioError, Result};

/// A number of samples per second, in Hz.
///
/// ```
/// use braintune_audio::SampleRate;
///
/// assert_eq!(SampleRate::from_hz(44_100)?.as_hz(), 44_100);
/// assert!(SampleRate::from_hz(0).is_err());
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleRate(u32);

impl SampleRate {
    /// 16 kHz, the rate of every speech model here.
    pub const SPEECH: Self = Self(16_000);
    /// The lowest rate taken for audio.
    pub const MIN_HZ: u32 = 1_000;
    /// The highest rate taken for audio.
    pub const MAX_HZ: u32 = 768_000;

    /// Checks a rate in Hz.
    ///
    /// # Errors
    /// [`AudioError::InvalidSampleRate`] outside [`Self::MIN_HZ`] to [`Self::MAX_HZ`].
    pub fn from_hz(hz: u32) -> Result<Self> {
        if (Self::MIN_HZ..=Self::MAX_HZ).contains(&hz) {
            Ok(Self(hz))
        } else {
            Err(AudioError::InvalidSampleRate { hz })
        }
    }

    /// The rate in Hz.
    #[must_use]
    pub fn as_hz(self) -> u32 {
        self.0
    }

    /// How long `n_samples` last, in seconds.
    pub(crate) fn seconds(self, n_samples: u64) -> f64 {
        n_samples as f64 / f64::from(self.0)
    }
}

impl fmt::Display for SampleRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Hz", self.0)
    }
}

/// Mono audio: at least one sample, every sample finite, full scale at ±1.
///
/// ```
/// use braintune_audio::{SampleRate, Waveform};
///
/// let tone: Vec<f32> = (0..44_100).map(|i| (i as f32 * 0.05).sin()).collect();
/// let wave = Waveform::from_samples(tone, SampleRate::from_hz(44_100)?)?;
/// let speech = wave.resampled(SampleRate::SPEECH)?;
/// assert_eq!(speech.samples().len(), 16_000);
/// assert_eq!(speech.duration_s(), 1.0);
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    samples: Vec<f32>,
    rate: SampleRate,
}

impl Waveform {
    /// Takes samples at `rate`.
    ///
    /// # Errors
    /// [`AudioError::EmptyWaveform`] or [`AudioError::NonFiniteSample`].
    pub fn from_samples(samples: Vec<f32>, rate: SampleRate) -> Result<Self> {
        check_samples(&samples)?;
        Ok(Self { samples, rate })
    }

    /// The samples in order of time.
    #[must_use]
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// The samples in order of time, without a copy.
    ///
    /// ```
    /// use braintune_audio::{SampleRate, Waveform};
    ///
    /// let wave = Waveform::from_samples(vec![0.5, -0.5], SampleRate::SPEECH)?;
    /// assert_eq!(wave.into_samples(), [0.5, -0.5]);
    /// # Ok::<(), braintune_audio::AudioError>(())
    /// ```
    #[must_use]
    pub fn into_samples(self) -> Vec<f32> {
        self.samples
    }

    /// Samples per second.
    #[must_use]
    pub fn sample_rate(&self) -> SampleRate {
        self.rate
    }

    /// The length in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.rate.seconds(self.samples.len() as u64)
    }

    /// The same audio at another rate, with no shift in time.
    ///
    /// `n` samples become `ceil(n * to / from)`, as in librosa and torchaudio. Content above the
    /// new Nyquist frequency is removed; below 96% of it nothing changes.
    ///
    /// # Errors
    /// [`AudioError::Resample`] where the resampler refuses, which no rate this type can hold does.
    pub fn resampled(&self, to: SampleRate) -> Result<Self> {
        if to == self.rate {
            return Ok(self.clone());
        }
        Self::from_samples(resample(&self.samples, self.rate, to)?, to)
    }
}

/// Refuses an empty slice and samples that are not finite.
pub(crate) fn check_samples(samples: &[f32]) -> Result<()> {
    if samples.is_empty() {
        return Err(AudioError::EmptyWaveform);
    }
    match samples.iter().position(|x| !x.is_finite()) {
        Some(index) => Err(AudioError::NonFiniteSample {
            index,
            value: samples[index],
        }),
        None => Ok(()),
    }
}
