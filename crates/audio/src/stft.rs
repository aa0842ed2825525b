//! Short-time power spectra.
//!
//! `[n_samples]` → `[1 + n_samples / hop, n_fft / 2 + 1]`: squared magnitudes of the Fourier
//! transform of frames centred on every `hop`-th sample, under a periodic Hann window, the signal
//! reflected at both ends. The same as `torch.stft(center=True, pad_mode="reflect")` squared, and as
//! `librosa.stft(pad_mode="reflect")`. Computed in f64. Held by `tests/it/spectra.rs`.

use std::f64::consts::TAU;
use std::fmt;
use std::sync::Arc;

use ndarray::Array2;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

use crate::waveform::check_samples;
use crate::{AudioError, Result};

/// A plan for power spectra of `n_fft` samples, `hop` samples apart.
///
/// ```
/// use braintune_audio::{SampleRate, Stft, mel_filters};
///
/// // 80-band mel energies of a 400 Hz tone every 10 ms.
/// let tone: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.05 * std::f32::consts::PI).sin()).collect();
/// let power = Stft::new(400, 160)?.power(&tone)?;
/// assert_eq!(power.dim(), (101, 201));
/// let loudest = (0..201).max_by(|&a, &b| power[[50, a]].total_cmp(&power[[50, b]]));
/// assert_eq!(loudest, Some(10)); // bins are 40 Hz apart
/// let mel = power.dot(&mel_filters(80, 400, SampleRate::SPEECH)?.t());
/// assert_eq!(mel.dim(), (101, 80));
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Clone)]
pub struct Stft {
    hop: usize,
    window: Vec<f64>,
    fft: Arc<dyn RealToComplex<f64>>,
}

impl fmt::Debug for Stft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stft")
            .field("n_fft", &self.n_fft())
            .field("hop", &self.hop)
            .finish_non_exhaustive()
    }
}

impl Stft {
    /// Plans transforms of `n_fft` samples every `hop` samples.
    ///
    /// # Errors
    /// [`AudioError::InvalidStft`] for an odd `n_fft`, one outside 2 to 1048576, or a hop of 0.
    pub fn new(n_fft: usize, hop: usize) -> Result<Self> {
        if !(2..=1 << 20).contains(&n_fft) || !n_fft.is_multiple_of(2) || hop == 0 {
            return Err(AudioError::InvalidStft { n_fft, hop });
        }
        let window = (0..n_fft)
            .map(|i| 0.5 - 0.5 * (TAU * i as f64 / n_fft as f64).cos())
            .collect();
        Ok(Self {
            hop,
            window,
            fft: RealFftPlanner::new().plan_fft_forward(n_fft),
        })
    }

    /// Samples per transform.
    #[must_use]
    pub fn n_fft(&self) -> usize {
        self.window.len()
    }

    /// Samples between the centres of neighbouring frames.
    #[must_use]
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Frequency bins per frame; bin `k` is at `k * sample_rate / n_fft` Hz.
    #[must_use]
    pub fn n_bins(&self) -> usize {
        self.n_fft() / 2 + 1
    }

    /// Frames that [`power`](Self::power) makes of `n_samples`; frame `t` is centred on sample
    /// `t * hop`.
    #[must_use]
    pub fn n_frames(&self, n_samples: usize) -> usize {
        1 + n_samples / self.hop
    }

    /// Power spectra of `samples`: `[n_frames, n_bins]`.
    ///
    /// # Errors
    /// [`AudioError::TooShortForStft`] for `n_fft / 2` samples or fewer, which cannot be reflected;
    /// [`AudioError::EmptyWaveform`] and [`AudioError::NonFiniteSample`].
    pub fn power(&self, samples: &[f32]) -> Result<Array2<f32>> {
        check_samples(samples)?;
        let pad = self.n_fft() / 2;
        if samples.len() <= pad {
            let (n_samples, n_fft) = (samples.len(), self.n_fft());
            return Err(AudioError::TooShortForStft {
                n_samples,
                n_fft,
                min: pad + 1,
            });
        }
        let mut padded = Vec::with_capacity(samples.len() + 2 * pad);
        padded.extend(samples[1..=pad].iter().rev());
        padded.extend(samples);
        padded.extend(
            samples[samples.len() - pad - 1..samples.len() - 1]
                .iter()
                .rev(),
        );

        let mut spectra = Array2::zeros((self.n_frames(samples.len()), self.n_bins()));
        let mut scratch = self.scratch();
        for (t, mut row) in spectra.rows_mut().into_iter().enumerate() {
            let frame = &padded[t * self.hop..][..self.n_fft()];
            for (out, &power) in row.iter_mut().zip(self.frame_power(frame, &mut scratch)) {
                #[expect(clippy::cast_possible_truncation, reason = "the spectra are f32")]
                let power = power as f32;
                *out = power;
            }
        }
        Ok(spectra)
    }

    /// Buffers for [`frame_power`](Self::frame_power).
    pub(crate) fn scratch(&self) -> StftScratch {
        StftScratch {
            frame: self.fft.make_input_vec(),
            spectrum: self.fft.make_output_vec(),
            fft: self.fft.make_scratch_vec(),
            power: vec![0.0; self.n_bins()],
        }
    }

    /// The power spectrum `[n_bins]` of one frame of `n_fft` samples.
    pub(crate) fn frame_power<'s>(&self, frame: &[f32], scratch: &'s mut StftScratch) -> &'s [f64] {
        for ((out, &x), w) in scratch.frame.iter_mut().zip(frame).zip(&self.window) {
            *out = f64::from(x) * w;
        }
        self.fft
            .process_with_scratch(&mut scratch.frame, &mut scratch.spectrum, &mut scratch.fft)
            .expect("the buffers come from the plan");
        for (out, c) in scratch.power.iter_mut().zip(&scratch.spectrum) {
            *out = c.norm_sqr();
        }
        &scratch.power
    }
}

/// Buffers that frames share.
pub(crate) struct StftScratch {
    frame: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    fft: Vec<Complex<f64>>,
    power: Vec<f64>,
}
