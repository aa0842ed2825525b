//! Windows that share their convolutions: an approximation, much cheaper where windows overlap.
//!
//! The samples that the windows of one step span go through the feature encoder once; each window
//! takes its frames from there. Windows share where they begin a whole number of frames apart (20 ms
//! in the published models); others are computed by themselves. What differs from one window at a time: mean and variance are
//! those of the span, at most [`STEP_S`] longer than a window, both of the samples and in a feature
//! encoder that is normalised over time. Ramp-up windows are computed one by one.
//! docs/benchmarks.md has the error that this makes. Held by `tests/it/windowed.rs`.

use std::ops::Range;

use braintune_audio::Waveform;
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;

use super::Wav2Vec2Model;
use crate::activations::n_at_once;
use crate::backbone::{BackboneSpec, SpeechBackbone};
use crate::error::Result;
use crate::extractor::{FeatureExtractor, check_finite, stack_rows};
use crate::windowed::{in_threads, some_rows, to_array, windows_over};
use crate::windows::Windows;

/// New audio in one step, seconds: little against a window, so that the span's statistics are
/// nearly each window's own.
const STEP_S: f64 = 1.0;

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
        let rate = f64::from(model.spec().sample_rate.as_hz());
        let n_frames = windows.stride_s() * rate / model.config().stride() as f64;
        if (n_frames - n_frames.round()).abs() > 1e-6 {
            tracing::warn!(
                stride_s = windows.stride_s(),
                "windows do not begin whole frames apart, few or none can share convolutions"
            );
        }
        Self {
            model,
            windows,
            device,
        }
    }

    fn clip(&self, samples: &[f32]) -> Tensor<2> {
        let data = TensorData::new(samples.to_vec(), [1, samples.len()]);
        Tensor::from_data(data, &self.device)
    }

    /// States at the last frame of every window, `[window][layer]`.
    fn together(&self, samples: &[f32], windows: &[Range<usize>]) -> Vec<Vec<Array2<f32>>> {
        let stride = self.model.config().stride();
        let mut features = vec![Vec::new(); windows.len()];
        let mut phases: Vec<usize> = windows.iter().map(|window| window.start % stride).collect();
        phases.sort_unstable();
        phases.dedup();
        for phase in phases {
            let in_phase = |i: &usize| windows[*i].start % stride == phase;
            let group: Vec<usize> = (0..windows.len()).filter(in_phase).collect();
            let of_group: Vec<_> = group.iter().map(|&i| windows[i].clone()).collect();
            for (i, states) in group.into_iter().zip(self.in_phase(samples, &of_group)) {
                features[i] = states;
            }
        }
        features
    }

    /// As [`together`](Self::together), for windows that begin whole frames apart.
    fn in_phase(&self, samples: &[f32], windows: &[Range<usize>]) -> Vec<Vec<Array2<f32>>> {
        let (Some(first), Some(last)) = (windows.first(), windows.last()) else {
            return Vec::new();
        };
        let frames = self
            .model
            .frames(self.clip(&samples[first.start..last.end]));
        let [_, _, d] = frames.dims();
        let at_once = n_at_once(&self.model, windows, 1, &self.device);
        in_threads(windows, at_once, |window| {
            let start = (window.start - first.start) / self.model.config().stride();
            let n = self.model.n_audio_frames(window.len());
            let frames = frames.clone().slice([0..1, start..start + n, 0..d]);
            let states = self.model.states_from_frames_at(frames, n - 1);
            states.into_iter().map(to_array).collect()
        })
    }
}

impl FeatureExtractor for SharedConvExtractor {
    fn spec(&self) -> &BackboneSpec {
        self.model.spec()
    }

    fn settings(&self) -> String {
        format!(
            "last frame of windows of {} s every {} s, convolutions shared (approximate), on {:?}",
            self.windows.length_s(),
            self.windows.stride_s(),
            self.device.as_dispatch()
        )
    }

    fn times(&self, audio: &Waveform) -> Result<Vec<f64>> {
        let windows = windows_over(self.model.spec(), self.windows, audio)?;
        Ok(windows.into_iter().map(|(end_s, _)| end_s).collect())
    }

    fn extract_rows(&self, audio: &Waveform, rows: Range<usize>) -> Result<Vec<Array2<f32>>> {
        let windows = windows_over(self.model.spec(), self.windows, audio)?;
        let windows = some_rows(&windows, rows)?;
        let samples = audio.samples();
        let ranges: Vec<_> = windows.iter().map(|(_, window)| window.clone()).collect();
        // Windows that still grow begin at the first sample.
        let n_growing = ranges.iter().take_while(|window| window.start == 0).count();
        let (growing, full) = ranges.split_at(n_growing);
        let alone = self.model.window_passes(samples, growing, &self.device);
        let starts: Vec<usize> = (0..growing.len()).collect();
        let at_once = n_at_once(&self.model, growing, 1, &self.device);
        let mut features: Vec<Vec<_>> = in_threads(&starts, at_once, |&start| {
            alone(start..start + 1).into_iter().map(to_array).collect()
        });
        features.extend(self.together(samples, full));
        let layers = stack_rows(&features)?;
        check_finite(&layers)?;
        Ok(layers)
    }

    fn rows_per_step(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a stride is at least 1 ms"
        )]
        let rows = (STEP_S / self.windows.stride_s()) as usize;
        rows.clamp(1, 128)
    }
}
