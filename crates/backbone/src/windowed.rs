//! One feature per causal window, of every layer, in one pass: the last frame that saw audio, or the mean of the frames
//! of the newest stride.
//!
//! Recording → windows `[batch, n_samples]` → hidden states → `[n_windows, d_model]` per layer at
//! window ends (means: at the middle of the stride). Follows method of Moussa & Toneva 2025 (their feature extraction from `HuthLab`);
//! held by `tests/it/windowed.rs`.

use std::ops::Range;
use std::panic::resume_unwind;

use braintune_audio::Waveform;
use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use rayon::ThreadPoolBuilder;

use crate::activations::n_at_once;
use crate::backbone::{BackboneSpec, SpeechBackbone, WindowPasses, clips_of};
use crate::error::{BackboneError, Result};
use crate::extractor::{FeatureExtractor, check_audio, check_finite, stack_rows};
use crate::kernels::to_values;
use crate::windows::{WindowFeature, Windows, to_samples};

/// Windows per step: enough batches of one to keep some threads busy, few enough for Ctrl-C to be
/// heard soon. Fixed, so that features never depend on the machine.
const ROWS_PER_STEP: usize = 8;

/// Runs a frozen backbone over causal windows of a recording.
#[derive(Debug)]
pub struct WindowedExtractor<B> {
    backbone: B,
    windows: Windows,
    device: Device,
    batch_size: usize,
}

impl<B: SpeechBackbone> WindowedExtractor<B> {
    /// `device` is where `backbone` lives. Each window is a forward pass of its own, several at a
    /// time in threads: the fastest way on a CPU. How many depends on the memory that they take
    /// ([`SpeechBackbone::activation_bytes`]), so that all stay below 1.5 GB together.
    #[must_use]
    pub fn new(backbone: B, windows: Windows, device: Device) -> Self {
        Self {
            backbone,
            windows,
            device,
            batch_size: 1,
        }
    }

    /// Puts `batch_size` windows (at least one) into each forward pass, as a GPU wants it.
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size.max(1);
        self
    }

    /// As [`SpeechBackbone::window_passes`], but means over the frames of the newest stride.
    fn stride_means<'a>(
        &'a self,
        recording: &'a [f32],
        windows: &'a [Range<usize>],
    ) -> WindowPasses<'a> {
        let rate = f64::from(self.spec().sample_rate.as_hz());
        let n_new = to_samples(self.windows.stride_s() * rate);
        Box::new(move |batch| {
            let (clips, lengths) = clips_of(recording, &windows[batch], &self.device);
            let states = self.backbone.hidden_states(clips, &lengths).into_layers();
            let spans: Vec<_> = lengths.iter().map(|&n| self.newest(n, n_new)).collect();
            let means = |layer| means_over(&layer, &spans);
            states.into_iter().map(means).collect()
        })
    }

    /// Frames of a clip of `n_samples` that saw any of its last `n_new` samples and not only what is before them.
    fn newest(&self, n_samples: usize, n_new: usize) -> Range<usize> {
        let end = self.backbone.n_audio_frames(n_samples);
        let before = n_samples.saturating_sub(n_new);
        let start = if before < self.spec().min_samples {
            0
        } else {
            self.backbone.n_audio_frames(before)
        };
        start.min(end - 1)..end
    }
}

/// Means of clip `i` over frames `spans[i]`: `[batch, n_frames, d_model]` → `[batch, d_model]`.
fn means_over(layer: &Tensor<3>, spans: &[Range<usize>]) -> Tensor<2> {
    let one = |(clip, span): (usize, &Range<usize>)| {
        let frames = layer.clone().slice([clip..clip + 1, span.clone()]);
        frames.mean_dim(1).squeeze_dim(1)
    };
    Tensor::cat(spans.iter().enumerate().map(one).collect(), 0)
}

/// The windows of a recording that the backbone takes.
pub(crate) fn windows_over(
    spec: &BackboneSpec,
    windows: Windows,
    audio: &Waveform,
) -> Result<Vec<(f64, Range<usize>)>> {
    check_audio(audio, spec)?;
    let settings = windows;
    let mut windows = settings.over(audio.samples().len(), spec.sample_rate.as_hz());
    windows.retain(|(_, samples)| samples.len() >= spec.min_samples);
    let longest = windows.iter().map(|(_, samples)| samples.len()).max();
    let rate = f64::from(spec.sample_rate.as_hz());
    match (longest, spec.max_samples) {
        (None, _) if settings.length_s() * rate < spec.min_samples as f64 => {
            Err(BackboneError::Windows(format!(
                "windows of {} s are shorter than one frame of the {} backbone, {} samples",
                settings.length_s(),
                spec.model_type,
                spec.min_samples
            )))
        }
        (None, _) => Err(BackboneError::Audio(format!(
            "audio of {:.3} s is shorter than one stride of {} s",
            audio.duration_s(),
            settings.stride_s()
        ))),
        (Some(n), Some(most)) if n > most => Err(BackboneError::Windows(format!(
            "windows of {} s are longer than the {} s that {} takes",
            settings.length_s(),
            most as f64 / f64::from(spec.sample_rate.as_hz()),
            spec.model_type
        ))),
        _ => Ok(windows),
    }
}

/// The windows `rows`.
pub(crate) fn some_rows<T>(windows: &[T], rows: Range<usize>) -> Result<&[T]> {
    windows.get(rows.clone()).ok_or(BackboneError::Rows {
        rows,
        n_rows: windows.len(),
    })
}

/// `f` of every item, in order, at most `at_once` of them at a time.
///
/// Each runs in a rayon pool of its own, so that the backend's matrix products do not wait for one
/// another; the threads that rayon would use here are shared out among the pools. Results do not
/// depend on either number: a product is split over rows and columns, never within a sum.
pub(crate) fn in_threads<T: Sync, R: Send>(
    items: &[T],
    at_once: usize,
    f: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let n_threads = rayon::current_num_threads();
    // No more than it takes to be done in as many rounds: eight windows, five at once, are two of four.
    let n_rounds = items.len().div_ceil(n_threads.min(at_once).max(1));
    let n_pools = items.len().div_ceil(n_rounds.max(1)).max(1);
    let work = |pool: usize| -> Vec<R> {
        let all = || items.iter().skip(pool).step_by(n_pools).map(&f).collect();
        // The first pools take the threads that are left over.
        let of_pool = (n_threads - pool).div_ceil(n_pools);
        match ThreadPoolBuilder::new().num_threads(of_pool).build() {
            Ok(pool) => pool.install(all),
            Err(error) => {
                tracing::debug!(%error, "no pool of its own, products may wait for one another");
                all()
            }
        }
    };
    let work = &work;
    std::thread::scope(|scope| {
        let pools: Vec<_> = (0..n_pools).map(|i| scope.spawn(move || work(i))).collect();
        let mut parts: Vec<_> = pools
            .into_iter()
            .map(|pool| {
                pool.join()
                    .unwrap_or_else(|panic| resume_unwind(panic))
                    .into_iter()
            })
            .collect();
        (0..items.len())
            .filter_map(|i| parts[i % n_pools].next())
            .collect()
    })
}

/// A tensor as an ndarray matrix on the host.
pub(crate) fn to_array(matrix: Tensor<2>) -> Array2<f32> {
    let shape = matrix.dims();
    Array2::from_shape_vec(shape, to_values(matrix))
        .unwrap_or_else(|e| unreachable!("its own shape: {e}"))
}

impl<B: SpeechBackbone> FeatureExtractor for WindowedExtractor<B> {
    fn spec(&self) -> &BackboneSpec {
        self.backbone.spec()
    }

    fn settings(&self) -> String {
        let feature = match self.windows.feature() {
            WindowFeature::LastFrame => "last frame",
            WindowFeature::StrideMean => "mean of the newest stride",
        };
        format!(
            "{feature} of windows of {} s every {} s, batches of {}, on {:?}",
            self.windows.length_s(),
            self.windows.stride_s(),
            self.batch_size,
            self.device.as_dispatch()
        )
    }

    fn times(&self, audio: &Waveform) -> Result<Vec<f64>> {
        let before_end_s = match self.windows.feature() {
            WindowFeature::LastFrame => 0.0,
            WindowFeature::StrideMean => self.windows.stride_s() / 2.0,
        };
        Ok(windows_over(self.spec(), self.windows, audio)?
            .into_iter()
            .map(|(end_s, _)| end_s - before_end_s)
            .collect())
    }

    fn extract_rows(&self, audio: &Waveform, rows: Range<usize>) -> Result<Vec<Array2<f32>>> {
        let windows = windows_over(self.spec(), self.windows, audio)?;
        let windows = some_rows(&windows, rows)?;
        let ranges: Vec<_> = windows.iter().map(|(_, window)| window.clone()).collect();
        let pass = match self.windows.feature() {
            WindowFeature::LastFrame => {
                let backbone = &self.backbone;
                backbone.window_passes(audio.samples(), &ranges, &self.device)
            }
            WindowFeature::StrideMean => self.stride_means(audio.samples(), &ranges),
        };
        let starts: Vec<usize> = (0..ranges.len()).step_by(self.batch_size).collect();
        let at_once = n_at_once(&self.backbone, &ranges, self.batch_size, &self.device);
        let features: Vec<Vec<_>> = in_threads(&starts, at_once, |&start| {
            let states = pass(start..ranges.len().min(start + self.batch_size));
            states.into_iter().map(to_array).collect()
        });
        let layers = stack_rows(&features)?;
        check_finite(&layers)?;
        Ok(layers)
    }

    fn rows_per_step(&self) -> usize {
        ROWS_PER_STEP.next_multiple_of(self.batch_size)
    }
}
