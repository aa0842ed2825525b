//! One feature per causal window: the last frame that saw audio, of every layer, in one pass.
//!
//! Recording → windows `[batch, n_samples]` → hidden states → `[n_windows, d_model]` per layer at
//! window ends. Follows method of Moussa & Toneva 2025 (their feature extraction from `HuthLab`);
//! held by `tests/it/windowed.rs`.

use std::ops::Range;

use braintune_audio::Waveform;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;

use crate::backbone::{BackboneSpec, SpeechBackbone};
use crate::error::{BackboneError, Result};
use crate::extractor::{FeatureExtractor, check_audio};
use crate::windows::Windows;

/// Windows that go through the backbone together. Fixed, so that features never depend on the
/// machine's memory or on where an interrupted run stopped.
const BATCH_SIZE: usize = 4;

/// Runs a frozen backbone over causal windows of a recording.
#[derive(Debug)]
pub struct WindowedExtractor<B> {
    backbone: B,
    windows: Windows,
    device: Device,
}

impl<B: SpeechBackbone> WindowedExtractor<B> {
    /// `device` is where `backbone` lives.
    #[must_use]
    pub fn new(backbone: B, windows: Windows, device: Device) -> Self {
        Self {
            backbone,
            windows,
            device,
        }
    }

    /// The windows of a recording that the backbone takes.
    fn windows_over(&self, audio: &Waveform) -> Result<Vec<(f64, Range<usize>)>> {
        let spec = self.backbone.spec();
        check_audio(audio, spec)?;
        let windows = self
            .windows
            .over(audio.samples().len(), spec.sample_rate.as_hz());
        let longest = windows.iter().map(|(_, samples)| samples.len()).max();
        match (longest, spec.max_samples) {
            (None, _) => Err(BackboneError::Audio(format!(
                "audio of {:.3} s is shorter than one stride of {} s",
                audio.duration_s(),
                self.windows.stride_s()
            ))),
            (Some(n), Some(most)) if n > most => Err(BackboneError::Windows(format!(
                "windows of {} s are longer than the {} s that {} takes",
                self.windows.length_s(),
                most as f64 / f64::from(spec.sample_rate.as_hz()),
                spec.model_type
            ))),
            _ => Ok(windows),
        }
    }

    /// Features of one batch of windows, each `[n_windows, d_model]`.
    fn batch(&self, samples: &[f32], windows: &[(f64, Range<usize>)]) -> Vec<Array2<f32>> {
        let lengths: Vec<usize> = windows.iter().map(|(_, range)| range.len()).collect();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let mut clips = vec![0.0_f32; windows.len() * longest];
        for (clip, (_, range)) in clips.chunks_exact_mut(longest).zip(windows) {
            clip[..range.len()].copy_from_slice(&samples[range.clone()]);
        }
        let clips = TensorData::new(clips, [windows.len(), longest]);
        let states = self
            .backbone
            .hidden_states(Tensor::from_data(clips, &self.device), &lengths);
        let last: Vec<usize> = lengths
            .iter()
            .map(|&n| self.backbone.n_audio_frames(n) - 1)
            .collect();
        states
            .into_layers()
            .into_iter()
            .map(|layer| frames(layer, &last))
            .collect()
    }
}

/// Row `picked[i]` of clip `i`: `[batch, n_frames, d_model]` → `[batch, d_model]`.
fn frames(layer: Tensor<3>, picked: &[usize]) -> Array2<f32> {
    let d_model = layer.dims()[2];
    let rows: Vec<Tensor<3>> = picked
        .iter()
        .enumerate()
        .map(|(clip, &frame)| layer.clone().slice([clip..clip + 1, frame..frame + 1]))
        .collect();
    to_array(Tensor::cat(rows, 0).reshape([picked.len(), d_model]))
}

/// A tensor as an ndarray matrix on the host.
pub(crate) fn to_array(matrix: Tensor<2>) -> Array2<f32> {
    let shape = matrix.dims();
    let values = matrix.into_data_as::<f32>().try_into_vec::<f32>();
    let values = values.unwrap_or_else(|e| unreachable!("just converted to f32: {e:?}"));
    Array2::from_shape_vec(shape, values).unwrap_or_else(|e| unreachable!("its own shape: {e}"))
}

impl<B: SpeechBackbone> FeatureExtractor for WindowedExtractor<B> {
    fn spec(&self) -> &BackboneSpec {
        self.backbone.spec()
    }

    fn settings(&self) -> String {
        format!(
            "last frame of windows of {} s every {} s, batches of {BATCH_SIZE}",
            self.windows.length_s(),
            self.windows.stride_s()
        )
    }

    fn times(&self, audio: &Waveform) -> Result<Vec<f64>> {
        Ok(self
            .windows_over(audio)?
            .into_iter()
            .map(|(end_s, _)| end_s)
            .collect())
    }

    fn extract_rows(&self, audio: &Waveform, rows: Range<usize>) -> Result<Vec<Array2<f32>>> {
        let windows = self.windows_over(audio)?;
        let windows = windows.get(rows.clone()).ok_or_else(|| {
            BackboneError::Windows(format!("rows {rows:?} of {} windows", windows.len()))
        })?;
        let spec = self.backbone.spec();
        let mut layers = vec![Array2::zeros((0, spec.d_model)); spec.n_hidden_states()];
        for batch in windows.chunks(BATCH_SIZE) {
            for (layer, rows) in layers.iter_mut().zip(self.batch(audio.samples(), batch)) {
                layer
                    .append(ndarray::Axis(0), rows.view())
                    .unwrap_or_else(|e| unreachable!("every batch has d_model columns: {e}"));
            }
        }
        Ok(layers)
    }

    fn batch_size(&self) -> usize {
        BATCH_SIZE
    }
}
