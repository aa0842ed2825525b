//! Every frame of one short clip that saw audio, `[n_frames, d_model]` per layer at frame centres.

use std::ops::Range;

use braintune_audio::Waveform;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;

use crate::backbone::{BackboneSpec, SpeechBackbone};
use crate::error::{BackboneError, Result};
use crate::extractor::{FeatureExtractor, check_audio, check_finite};
use crate::windowed::to_array;

/// Longest clip of a backbone that sets no limit, seconds: its first convolution alone gives 6.5 MB
/// for each.
const LONGEST_CLIP_S: usize = 60;

/// Runs a frozen backbone once over a whole clip.
#[derive(Debug)]
pub struct WholeClipExtractor<B> {
    backbone: B,
    device: Device,
}

impl<B: SpeechBackbone> WholeClipExtractor<B> {
    /// `device` is where `backbone` lives.
    #[must_use]
    pub fn new(backbone: B, device: Device) -> Self {
        Self { backbone, device }
    }
}

impl<B: SpeechBackbone> FeatureExtractor for WholeClipExtractor<B> {
    fn spec(&self) -> &BackboneSpec {
        self.backbone.spec()
    }

    fn settings(&self) -> String {
        let device = self.device.as_dispatch();
        format!("every frame of the whole clip, on {device:?}")
    }

    fn times(&self, audio: &Waveform) -> Result<Vec<f64>> {
        let spec = self.backbone.spec();
        check_audio(audio, spec)?;
        let n_samples = audio.samples().len();
        let rate = spec.sample_rate.as_hz() as usize;
        match spec.max_samples.unwrap_or(LONGEST_CLIP_S * rate) {
            most if n_samples > most => Err(BackboneError::Audio(format!(
                "audio of {:.1} s is longer than the {} s that {} takes at once; use windows (--window-s, --stride-s) instead of the whole clip",
                audio.duration_s(),
                most as f64 / f64::from(spec.sample_rate.as_hz()),
                spec.model_type
            ))),
            _ => Ok((0..self.backbone.n_audio_frames(n_samples))
                .map(|frame| spec.frame_time_s(frame))
                .collect()),
        }
    }

    fn extract_rows(&self, audio: &Waveform, rows: Range<usize>) -> Result<Vec<Array2<f32>>> {
        let n_frames = self.times(audio)?.len();
        if rows.start > rows.end || rows.end > n_frames {
            let n_rows = n_frames;
            return Err(BackboneError::Rows { rows, n_rows });
        }
        let n_samples = audio.samples().len();
        let data = TensorData::new(audio.samples().to_vec(), [1, n_samples]);
        let states = self
            .backbone
            .hidden_states(Tensor::from_data(data, &self.device), &[n_samples]);
        let d_model = self.spec().d_model;
        let part = |layer: Tensor<3>| {
            let frames = layer.slice([0..1, rows.clone()]);
            to_array(frames.reshape([rows.len(), d_model]))
        };
        let layers: Vec<_> = states.into_layers().into_iter().map(part).collect();
        check_finite(&layers)?;
        Ok(layers)
    }

    fn rows_per_step(&self) -> usize {
        usize::MAX // the clip is one forward pass
    }
}
