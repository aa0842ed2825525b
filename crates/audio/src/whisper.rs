//! The log-mel spectrogram that Whisper models take.
//!
//! Up to 30 s at 16 kHz → `[n_mels, 3000]`: zero-padded to 30 s, power spectra of 400 samples every
//! 160, mel filters, log10 with a floor of 1e-10, everything more than 8 below the maximum raised to
//! it, then `(x + 4) / 4`. Follows `WhisperFeatureExtractor` (transformers 5.23), and
//! `log_mel_spectrogram` (openai/whisper `whisper/audio.py`) before it. Differs: frames that lie in
//! the padding are not transformed, and sums are f64. Held by `tests/it/spectra.rs`.

use ndarray::{Array2, Axis};

use crate::mel::SparseFilters;
use crate::waveform::check_samples;
use crate::{AudioError, Result, SampleRate, Stft, mel_filters};

const N_FFT: usize = 400;
const HOP: usize = 160;
/// Frames computed together, so that the mel-major output is written a run at a time.
const BLOCK: usize = 64;

/// Whisper's log-mel spectrogram, for 80 bins (up to `large-v2`) or 128 (`large-v3`).
///
/// ```
/// use braintune_audio::WhisperLogMel;
///
/// let log_mel = WhisperLogMel::new(80)?;
/// let silence = log_mel.compute(&[0.0; 16_000])?;
/// assert_eq!(silence.dim(), (80, 3000));
/// assert!(silence.iter().all(|&x| x == -1.5));
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Debug, Clone)]
pub struct WhisperLogMel {
    stft: Stft,
    filters: SparseFilters,
}

impl WhisperLogMel {
    /// Samples in 30 s at 16 kHz, the most [`compute`](Self::compute) takes.
    pub const N_SAMPLES: usize = 480_000;
    /// Frames in the spectrogram, 10 ms each.
    pub const N_FRAMES: usize = Self::N_SAMPLES / HOP;

    /// Plans spectrograms of `n_mels` bins: 80 or 128 for the published models, any of 1 to 201
    /// besides.
    ///
    /// # Errors
    /// [`AudioError::InvalidMel`] outside 1 to 201.
    pub fn new(n_mels: usize) -> Result<Self> {
        let filters = SparseFilters::from_dense(&mel_filters(n_mels, N_FFT, SampleRate::SPEECH)?);
        Ok(Self {
            stft: Stft::new(N_FFT, HOP)?,
            filters,
        })
    }

    /// Mel bins.
    #[must_use]
    pub fn n_mels(&self) -> usize {
        self.filters.n_mels()
    }

    /// The log-mel spectrogram `[n_mels, 3000]` of up to 30 s of mono audio at 16 kHz.
    ///
    /// # Errors
    /// [`AudioError::TooLongForWhisper`], [`AudioError::EmptyWaveform`] or
    /// [`AudioError::NonFiniteSample`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        check_samples(samples)?;
        if samples.len() > Self::N_SAMPLES {
            let (n_samples, max) = (samples.len(), Self::N_SAMPLES);
            return Err(AudioError::TooLongForWhisper { n_samples, max });
        }
        // Later frames hold only padding: their log energy is that of the floor.
        let n_live = (samples.len() + N_FFT / 2)
            .div_ceil(HOP)
            .min(Self::N_FRAMES);
        let padded = reflected(samples, (n_live - 1) * HOP + N_FFT);

        let mut log_mel = Array2::from_elem((self.n_mels(), Self::N_FRAMES), FLOOR_LOG10);
        let mut scratch = self.stft.scratch();
        let mut block = Array2::zeros((BLOCK, self.n_mels()));
        for (start, mut out) in (0..n_live)
            .step_by(BLOCK)
            .zip(log_mel.axis_chunks_iter_mut(Axis(1), BLOCK))
        {
            let n = BLOCK.min(n_live - start);
            for (t, mut row) in block.rows_mut().into_iter().take(n).enumerate() {
                let frame = &padded[(start + t) * HOP..][..N_FFT];
                let power = self.stft.frame_power(frame, &mut scratch);
                for (out, energy) in row.iter_mut().zip(self.filters.energies(power)) {
                    #[expect(clippy::cast_possible_truncation, reason = "the spectrogram is f32")]
                    let energy = energy.max(FLOOR) as f32;
                    *out = energy.log10();
                }
            }
            for (mut out, bin) in out.rows_mut().into_iter().zip(block.columns()) {
                out.iter_mut()
                    .zip(bin)
                    .take(n)
                    .for_each(|(out, &x)| *out = x);
            }
        }
        let floor = log_mel.fold(f32::NEG_INFINITY, |max, &x| max.max(x)) - 8.0;
        log_mel.mapv_inplace(|x| (x.max(floor) + 4.0) / 4.0);
        Ok(log_mel)
    }
}

const FLOOR: f64 = 1e-10;
const FLOOR_LOG10: f32 = -10.0;

/// The first `len` samples of the audio zero-padded to 30 s and reflected by half a frame at both
/// ends.
fn reflected(samples: &[f32], len: usize) -> Vec<f32> {
    let last = WhisperLogMel::N_SAMPLES - 1;
    (0..len)
        .map(|i| {
            let i = i.abs_diff(N_FFT / 2);
            let i = if i > last { 2 * last - i } else { i };
            samples.get(i).copied().unwrap_or(0.0)
        })
        .collect()
}
