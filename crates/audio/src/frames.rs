//! Recordings cut into frames of equal length.
//!
//! `[n_samples]` → `n_frames` frames of `length` samples, `hop` samples apart, either only those that
//! lie inside the recording or one around every `hop`-th sample, zeros beyond the ends. The same as
//! librosa's features (0.11) cut with `center=False` and with `center=True, pad_mode="constant"`.
//! [`Stft`](crate::Stft) reflects at the ends in place of zeros. Held by `tests/it/acoustic.rs`.

use std::fmt;

use ndarray::Array1;

use crate::waveform::check_samples;
use crate::{AudioError, Result, SampleRate};

/// Where frames lie at the ends of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// Frame `t` begins at sample `t * hop`, and all frames lie inside the recording.
    Inside,
    /// Frame `t` is centred on sample `t * hop`; what reaches beyond the recording is zero.
    Centred,
}

/// The frames that a feature is computed on.
///
/// ```
/// use braintune_audio::{Frames, Framing, SampleRate};
///
/// let frames = Frames::SPEECH;
/// assert_eq!(frames.n_frames(4 * 16_000), 398);
/// assert_eq!(frames.times(4 * 16_000)[0], 0.0125);
/// let centred = Frames::new(400, 160, SampleRate::SPEECH, Framing::Centred)?;
/// assert_eq!(centred.n_frames(4 * 16_000), 401);
/// assert_eq!(centred.times(4 * 16_000)[1], 0.01);
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frames {
    length: usize,
    hop: usize,
    rate: SampleRate,
    framing: Framing,
}

impl Frames {
    /// 25 ms every 10 ms at 16 kHz, inside the recording: 398 of them in 4 s.
    pub const SPEECH: Self = Self {
        length: 400,
        hop: 160,
        rate: SampleRate::SPEECH,
        framing: Framing::Inside,
    };

    /// Frames of `length` samples every `hop` samples of audio at `rate`.
    ///
    /// # Errors
    /// [`AudioError::InvalidFrames`] for an odd length, one outside 2 to 1048576, or a hop of 0.
    pub fn new(length: usize, hop: usize, rate: SampleRate, framing: Framing) -> Result<Self> {
        if !(2..=1 << 20).contains(&length) || !length.is_multiple_of(2) || hop == 0 {
            return Err(AudioError::InvalidFrames { length, hop });
        }
        Ok(Self {
            length,
            hop,
            rate,
            framing,
        })
    }

    /// Samples per frame.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Samples between the beginnings of neighbouring frames.
    #[must_use]
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// The rate of the audio.
    #[must_use]
    pub fn sample_rate(&self) -> SampleRate {
        self.rate
    }

    /// Where frames lie at the ends.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Frames of a recording of `n_samples`.
    #[must_use]
    pub fn n_frames(&self, n_samples: usize) -> usize {
        match self.framing {
            Framing::Inside if n_samples < self.length => 0,
            Framing::Inside => 1 + (n_samples - self.length) / self.hop,
            Framing::Centred if n_samples == 0 => 0,
            Framing::Centred => 1 + n_samples / self.hop,
        }
    }

    /// The middle of each frame in seconds from the first sample, `[n_frames]`.
    #[must_use]
    pub fn times(&self, n_samples: usize) -> Array1<f64> {
        let middle = match self.framing {
            Framing::Inside => self.length / 2,
            Framing::Centred => 0,
        };
        (0..self.n_frames(n_samples))
            .map(|t| self.rate.seconds((t * self.hop + middle) as u64))
            .collect()
    }

    /// Hands each frame `[length]` to `each`, with its index.
    ///
    /// # Errors
    /// [`AudioError::TooShortForFrame`] where there is not one frame, [`AudioError::EmptyWaveform`]
    /// and [`AudioError::NonFiniteSample`].
    pub(crate) fn for_each(
        &self,
        samples: &[f32],
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<()> {
        check_samples(samples)?;
        let n_frames = self.n_frames(samples.len());
        if n_frames == 0 {
            return Err(AudioError::TooShortForFrame {
                n_samples: samples.len(),
                length: self.length,
            });
        }
        let before = match self.framing {
            Framing::Inside => 0,
            Framing::Centred => self.length / 2,
        };
        let mut edge = vec![0.0; self.length];
        for t in 0..n_frames {
            // Of the recording with the zeros before it.
            let first = t * self.hop;
            let whole = first
                .checked_sub(before)
                .and_then(|first| samples.get(first..first + self.length));
            if let Some(frame) = whole {
                each(t, frame);
                continue;
            }
            for (i, out) in edge.iter_mut().enumerate() {
                let sample = (first + i).checked_sub(before).and_then(|i| samples.get(i));
                *out = sample.copied().unwrap_or(0.0);
            }
            each(t, &edge);
        }
        Ok(())
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, hop, rate) = (self.length, self.hop, self.rate);
        write!(f, "frames of {length} samples every {hop} at {rate}, ")?;
        f.write_str(match self.framing {
            Framing::Inside => "inside the recording",
            Framing::Centred => "centred, zeros beyond the ends",
        })
    }
}
