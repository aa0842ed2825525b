//! The log-mel spectrogram that Whisper models take.
//!
//! Up to 30 s (or another chunk) at 16 kHz → `[n_mels, 3000]`: zero-padded to 30 s, power spectra of 400 samples every
//! 160, mel filters, log10 with a floor of 1e-10, everything more than 8 below the maximum raised to
//! it, then `(x + 4) / 4`. Follows `WhisperFeatureExtractor` (transformers 5.23), and
//! `log_mel_spectrogram` (openai/whisper `whisper/audio.py`) before it. Differs: frames that lie in
//! the padding are not transformed, and sums are f64. Held by `tests/it/spectra.rs`.

use std::collections::HashMap;
use std::ops::Range;

use ndarray::{Array2, Axis};

use crate::mel::SparseFilters;
use crate::stft::StftScratch;
use crate::waveform::check_samples;
use crate::{AudioError, Result, SampleRate, Stft, mel_filters};

const N_FFT: usize = 400;
const HOP: usize = 160;
/// Frames written together: a run of each mel bin at a time.
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
    n_frames: usize,
}

impl WhisperLogMel {
    /// Frames of the published models' 30 s, 10 ms each.
    pub const N_FRAMES: usize = 3000;

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
            n_frames: Self::N_FRAMES,
        })
    }

    /// Spectrograms of `n_frames` frames, 10 ms each, in place of 3000: `chunk_length` of
    /// `WhisperFeatureExtractor`, for models of fewer positions.
    ///
    /// # Errors
    /// [`AudioError::TooFewFrames`] below 2: half a frame is reflected at the end.
    pub fn with_n_frames(self, n_frames: usize) -> Result<Self> {
        let min = 2;
        if n_frames < min {
            return Err(AudioError::TooFewFrames { n_frames, min });
        }
        Ok(Self { n_frames, ..self })
    }

    /// Most samples that [`compute`](Self::compute) takes.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.n_frames * HOP
    }

    /// Mel bins.
    #[must_use]
    pub fn n_mels(&self) -> usize {
        self.filters.n_mels()
    }

    /// The log-mel spectrogram `[n_mels, n_frames]`, 3000 frames unless said otherwise, of up to as much mono
    /// audio at 16 kHz.
    ///
    /// # Errors
    /// [`AudioError::TooLongForWhisper`], [`AudioError::EmptyWaveform`] or
    /// [`AudioError::NonFiniteSample`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array2<f32>> {
        let mut frames = FrameLog::new(self);
        frames.window(samples, &(0..samples.len()))
    }

    /// The spectrogram of each window of a recording, the same bits as of the window by itself.
    /// Frames that several windows hold whole are computed once, which takes windows that begin a
    /// multiple of 160 samples apart.
    ///
    /// # Errors
    /// [`AudioError::WindowOutOfRange`] for a window that is no part of the recording, else as
    /// [`compute`](Self::compute) of each window's samples.
    pub fn compute_windows(
        &self,
        recording: &[f32],
        windows: &[Range<usize>],
    ) -> Result<Vec<Array2<f32>>> {
        let mut frames = FrameLog::new(self);
        let spectrogram = |window| frames.window(recording, window);
        windows.iter().map(spectrogram).collect()
    }
}

const FLOOR: f64 = 1e-10;
const FLOOR_LOG10: f32 = -10.0;

/// log10 mel energies of frames of a recording, each computed when it is first asked for.
struct FrameLog<'a> {
    log_mel: &'a WhisperLogMel,
    scratch: StftScratch,
    /// Frames one after the other, `n_mels` each.
    values: Vec<f32>,
    /// By first sample in the recording: the frame's place in `values`.
    places: HashMap<usize, usize>,
}

impl<'a> FrameLog<'a> {
    fn new(log_mel: &'a WhisperLogMel) -> Self {
        Self {
            scratch: log_mel.stft.scratch(),
            log_mel,
            values: Vec::new(),
            places: HashMap::new(),
        }
    }

    fn window(&mut self, recording: &[f32], window: &Range<usize>) -> Result<Array2<f32>> {
        let samples = recording.get(window.clone());
        let samples = samples.ok_or_else(|| AudioError::WindowOutOfRange {
            window: window.clone(),
            n_samples: recording.len(),
        })?;
        check_samples(samples)?;
        let max = self.log_mel.n_samples();
        if samples.len() > max {
            let n_samples = samples.len();
            return Err(AudioError::TooLongForWhisper { n_samples, max });
        }
        // Later frames hold only padding: their log energy is that of the floor.
        let n_live = (samples.len() + N_FFT / 2)
            .div_ceil(HOP)
            .min(self.log_mel.n_frames);
        let places: Vec<usize> = (0..n_live)
            .map(|t| match (t * HOP).checked_sub(N_FFT / 2) {
                Some(first) if first + N_FFT <= samples.len() => {
                    self.whole(recording, window.start + first)
                }
                _ => self.frame(&edge(samples, t, max)),
            })
            .collect();
        Ok(self.spectrogram(&places))
    }

    /// The place of the frame that begins at sample `first`.
    fn whole(&mut self, recording: &[f32], first: usize) -> usize {
        if let Some(&place) = self.places.get(&first) {
            return place;
        }
        let place = self.frame(&recording[first..first + N_FFT]);
        self.places.insert(first, place);
        place
    }

    fn frame(&mut self, frame: &[f32]) -> usize {
        let place = self.values.len();
        let power = self.log_mel.stft.frame_power(frame, &mut self.scratch);
        let energies = self.log_mel.filters.energies(power);
        #[expect(clippy::cast_possible_truncation, reason = "the spectrogram is f32")]
        self.values
            .extend(energies.map(|energy| (energy.max(FLOOR) as f32).log10()));
        place
    }

    /// `[n_mels, n_frames]` of frames at these places, raised to the window's own floor and scaled.
    fn spectrogram(&self, places: &[usize]) -> Array2<f32> {
        let n_mels = self.log_mel.n_mels();
        let mut log_mel = Array2::from_elem((n_mels, self.log_mel.n_frames), FLOOR_LOG10);
        for (places, mut block) in places
            .chunks(BLOCK)
            .zip(log_mel.axis_chunks_iter_mut(Axis(1), BLOCK))
        {
            for (mel, mut out) in block.rows_mut().into_iter().enumerate() {
                for (out, place) in out.iter_mut().zip(places) {
                    *out = self.values[place + mel];
                }
            }
        }
        let floor = log_mel.fold(f32::NEG_INFINITY, |max, &x| max.max(x)) - 8.0;
        log_mel.mapv_inplace(|x| (x.max(floor) + 4.0) / 4.0);
        log_mel
    }
}

/// Frame `t` where it reaches beyond the samples: they are zero-padded to `n_samples` and reflected by
/// half a frame at both ends.
fn edge(samples: &[f32], t: usize, n_samples: usize) -> Vec<f32> {
    let last = n_samples - 1;
    (t * HOP..t * HOP + N_FFT)
        .map(|i| {
            let i = i.abs_diff(N_FFT / 2);
            let i = if i > last { 2 * last - i } else { i };
            samples.get(i).copied().unwrap_or(0.0)
        })
        .collect()
}
