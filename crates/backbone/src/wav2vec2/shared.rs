//! Windows that share their convolutions: an approximation, several times cheaper where windows
//! overlap much.
//!
//! The samples that a step's windows span go through the feature encoder once; each window then
//! takes its frames from there. What differs from one window at a time: samples are brought to
//! mean 0 and variance 1 over the span and not over the window, and a feature encoder that is
//! normalised over time (group norm) takes the statistics of the window length before each 0.1 s.
//! docs/benchmarks.md has the error that this makes. Held by `tests/it/windowed.rs`.

use std::ops::Range;

use braintune_audio::Waveform;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array1, Array2, Axis, s};

use super::Wav2Vec2Model;
use crate::backbone::{BackboneSpec, SpeechBackbone};
use crate::error::{BackboneError, Result};
use crate::extractor::{FeatureExtractor, check_finite, stack_rows};
use crate::windowed::{in_threads, to_array, windows_over};
use crate::windows::Windows;

/// New audio in one step, seconds: bounds the memory that its frames take.
const STEP_S: f64 = 8.0;
/// Statistics of a group norm are taken anew this often, seconds.
const BLOCK_S: f64 = 0.1;

/// [`crate::WindowedExtractor`] for the wav2vec 2.0 family with convolutions shared by windows.
#[derive(Debug)]
pub struct SharedConvExtractor {
    model: Wav2Vec2Model,
    windows: Windows,
    device: Device,
}

impl SharedConvExtractor {
    /// `device` is where `model` lives.
    #[must_use]
    pub fn new(model: Wav2Vec2Model, windows: Windows, device: Device) -> Self {
        Self {
            model,
            windows,
            device,
        }
    }

    /// Frames `[n_frames, conv_dim]` of a stretch of audio.
    fn frames(&self, samples: &[f32]) -> Tensor<2> {
        let n = samples.len();
        let data = TensorData::new(samples.to_vec(), [1, n]);
        let samples = self
            .model
            .normalize(Tensor::from_data(data, &self.device), &[n]);
        let encoder = self.model.feature_encoder();
        let frames = encoder.forward_with(samples, |first| self.norm_by_block(first));
        frames.squeeze_dim(0)
    }

    /// Each block of the first convolution's output `[1, n, channels]` by mean and standard
    /// deviation of the window length before its end.
    fn norm_by_block(&self, first: Tensor<3>) -> Tensor<3> {
        let step_s = self.model.config().conv_stride[0] as f64
            / f64::from(self.model.spec().sample_rate.as_hz());
        let block = at_least_one(BLOCK_S / step_s);
        let n_window = at_least_one(self.windows.length_s() / BLOCK_S);
        let mut values = to_array(first.squeeze_dim(0));
        let totals = running_totals(&values, block);
        let n_blocks = totals.len() - 1;
        for b in 0..n_blocks {
            let end = (b + 1).max(n_window.min(n_blocks));
            let (a, z) = (&totals[end - n_window.min(end)], &totals[end]);
            let count = z.count - a.count;
            let mean = (&z.sum - &a.sum) / count;
            let variance = (&z.squares - &a.squares) / count - &mean * &mean;
            let scale = variance.mapv(|v| 1.0 / (v.max(0.0) + super::convolutions::EPSILON).sqrt());
            let rows = b * block..values.nrows().min((b + 1) * block);
            for mut row in values.slice_mut(s![rows, ..]).rows_mut() {
                for ((x, mean), scale) in row.iter_mut().zip(&mean).zip(&scale) {
                    *x = as_f32((f64::from(*x) - mean) * scale);
                }
            }
        }
        let shape = [1, values.nrows(), values.ncols()];
        let (values, _) = values.into_raw_vec_and_offset();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// Frames of the stretch that a window takes.
    fn frames_of(&self, window: &Range<usize>, origin: usize) -> Range<usize> {
        let config = self.model.config();
        let (stride, start) = (config.stride(), window.start - origin);
        let first = start.div_ceil(stride);
        let n = config.n_frames(window.end - origin - first * stride);
        first..first + n
    }
}

/// Sums over the rows before a point.
struct Totals {
    sum: Array1<f64>,
    squares: Array1<f64>,
    count: f64,
}

/// Totals at the start and after every block of rows.
fn running_totals(values: &Array2<f32>, block: usize) -> Vec<Totals> {
    let zeros = || Array1::<f64>::zeros(values.ncols());
    let (mut sum, mut squares, mut count) = (zeros(), zeros(), 0.0);
    let mut totals = vec![Totals {
        sum: zeros(),
        squares: zeros(),
        count,
    }];
    for rows in values.axis_chunks_iter(Axis(0), block) {
        for row in rows.rows() {
            sum.zip_mut_with(&row, |sum, x| *sum += f64::from(*x));
            squares.zip_mut_with(&row, |sum, x| *sum += f64::from(*x) * f64::from(*x));
        }
        count += rows.nrows() as f64;
        totals.push(Totals {
            sum: sum.clone(),
            squares: squares.clone(),
            count,
        });
    }
    totals
}

#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
fn as_f32(x: f64) -> f32 {
    x as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive by construction; saturates"
)]
fn at_least_one(x: f64) -> usize {
    (x.round() as usize).max(1)
}

impl FeatureExtractor for SharedConvExtractor {
    fn spec(&self) -> &BackboneSpec {
        self.model.spec()
    }

    fn settings(&self) -> String {
        format!(
            "last frame of windows of {} s every {} s, convolutions shared (approximate)",
            self.windows.length_s(),
            self.windows.stride_s()
        )
    }

    fn times(&self, audio: &Waveform) -> Result<Vec<f64>> {
        let windows = windows_over(self.model.spec(), self.windows, audio)?;
        Ok(windows.into_iter().map(|(end_s, _)| end_s).collect())
    }

    fn extract_rows(&self, audio: &Waveform, rows: Range<usize>) -> Result<Vec<Array2<f32>>> {
        let windows = windows_over(self.model.spec(), self.windows, audio)?;
        let windows = windows.get(rows.clone()).ok_or_else(|| {
            BackboneError::Windows(format!("rows {rows:?} of {} windows", windows.len()))
        })?;
        let (Some((_, first)), Some((_, last))) = (windows.first(), windows.last()) else {
            return Ok(Vec::new());
        };
        let frames = self.frames(&audio.samples()[first.start..last.end]);
        let d = frames.dims()[1];
        let features = in_threads(windows, |(_, window)| {
            let rows = self.frames_of(window, first.start);
            let newest = rows.len() - 1;
            let frames = frames.clone().slice([rows, 0..d]).unsqueeze();
            let states = self.model.states_from_frames_at(frames, newest);
            states.into_iter().map(to_array).collect()
        });
        let layers = stack_rows(&features)?;
        check_finite(&layers)?;
        Ok(layers)
    }

    fn rows_per_step(&self) -> usize {
        at_least_one(STEP_S / self.windows.stride_s()).min(128)
    }
}
