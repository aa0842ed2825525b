//! The frozen side of a backbone: audio in, one matrix per layer out, no burn in the signature.

use std::ops::ControlFlow;

use braintune_audio::Waveform;
use ndarray::Array2;

use crate::backbone::BackboneSpec;
use crate::error::{BackboneError, Result};

/// Hidden states of one recording at known times.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerFeatures {
    layers: Vec<Array2<f32>>,
    times: Vec<f64>,
}

impl LayerFeatures {
    /// `layers`: state 0 to `n_layers`, each `[n_times, d_model]`; `times`: seconds from the
    /// start of the recording.
    ///
    /// # Panics
    /// If a layer has another number of rows than there are times.
    #[must_use]
    pub fn new(layers: Vec<Array2<f32>>, times: Vec<f64>) -> Self {
        assert!(
            layers.iter().all(|layer| layer.nrows() == times.len()),
            "one row for each time"
        );
        Self { layers, times }
    }

    /// Hidden states 0 to `n_layers`, each `[n_times, d_model]`.
    #[must_use]
    pub fn layers(&self) -> &[Array2<f32>] {
        &self.layers
    }

    /// The layers and their times.
    #[must_use]
    pub fn into_parts(self) -> (Vec<Array2<f32>>, Vec<f64>) {
        (self.layers, self.times)
    }

    /// Time of each row, seconds from the start of the recording.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }
}

/// How far an extraction has come.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ExtractionProgress {
    /// Rows (windows or clips) that are done, those read from a cache included.
    pub done: usize,
    /// Rows in all.
    pub total: usize,
}

/// Called after every step; `Break` stops the extraction.
pub type OnExtraction<'a> = dyn FnMut(ExtractionProgress) -> ControlFlow<()> + 'a;

/// Anything that turns a recording into per-layer features.
pub trait FeatureExtractor: Send + Sync {
    /// Facts about the backbone behind it.
    fn spec(&self) -> &BackboneSpec;

    /// Everything besides weights and audio that the features depend on, as text: part of the
    /// key under which they are cached.
    fn settings(&self) -> String;

    /// Rows that [`extract`](Self::extract) gives for this recording, in order, and the time of each.
    ///
    /// # Errors
    /// Audio of another sample rate, too short or too long.
    fn times(&self, audio: &Waveform) -> Result<Vec<f64>>;

    /// Rows `rows` of the features: one `[rows.len(), d_model]` matrix for each hidden state.
    ///
    /// Ranges that start at a multiple of [`rows_per_step`](Self::rows_per_step) give the same bits as
    /// one range over everything.
    ///
    /// # Errors
    /// As [`times`](Self::times).
    fn extract_rows(
        &self,
        audio: &Waveform,
        rows: std::ops::Range<usize>,
    ) -> Result<Vec<Array2<f32>>>;

    /// Rows that are extracted between two reports of progress.
    fn rows_per_step(&self) -> usize;

    /// All features of a recording, reporting after every step.
    ///
    /// # Errors
    /// As [`times`](Self::times), or [`BackboneError::Cancelled`] when `on` breaks.
    fn extract_observed(
        &self,
        audio: &Waveform,
        on: &mut OnExtraction<'_>,
    ) -> Result<LayerFeatures> {
        let times = self.times(audio)?;
        let (total, d_model) = (times.len(), self.spec().d_model);
        let mut layers = vec![Array2::zeros((total, d_model)); self.spec().n_hidden_states()];
        let mut done = 0;
        while done < total {
            let end = done.saturating_add(self.rows_per_step()).min(total);
            for (layer, rows) in layers.iter_mut().zip(self.extract_rows(audio, done..end)?) {
                layer.slice_mut(ndarray::s![done..end, ..]).assign(&rows);
            }
            done = end;
            if on(ExtractionProgress { done, total }).is_break() {
                return Err(BackboneError::Cancelled);
            }
        }
        Ok(LayerFeatures::new(layers, times))
    }

    /// All features of a recording.
    ///
    /// # Errors
    /// As [`times`](Self::times).
    fn extract(&self, audio: &Waveform) -> Result<LayerFeatures> {
        self.extract_observed(audio, &mut |_| ControlFlow::Continue(()))
    }
}

const _: fn(&dyn FeatureExtractor) = |_| {};

/// # Errors
/// The recording is at another rate than the backbone takes, or shorter than it takes.
pub(crate) fn check_audio(audio: &Waveform, spec: &BackboneSpec) -> Result<()> {
    if audio.sample_rate() != spec.sample_rate {
        return Err(BackboneError::Audio(format!(
            "audio is at {} Hz, the {} backbone takes {} Hz; resample it first",
            audio.sample_rate().as_hz(),
            spec.model_type,
            spec.sample_rate.as_hz()
        )));
    }
    if audio.samples().len() < spec.min_samples {
        return Err(BackboneError::Audio(format!(
            "audio has {} samples, the {} backbone takes at least {}",
            audio.samples().len(),
            spec.model_type,
            spec.min_samples
        )));
    }
    Ok(())
}

impl<E: FeatureExtractor + ?Sized> FeatureExtractor for Box<E> {
    fn spec(&self) -> &BackboneSpec {
        (**self).spec()
    }

    fn settings(&self) -> String {
        (**self).settings()
    }

    fn times(&self, audio: &Waveform) -> Result<Vec<f64>> {
        (**self).times(audio)
    }

    fn extract_rows(
        &self,
        audio: &Waveform,
        rows: std::ops::Range<usize>,
    ) -> Result<Vec<Array2<f32>>> {
        (**self).extract_rows(audio, rows)
    }

    fn rows_per_step(&self) -> usize {
        (**self).rows_per_step()
    }

    fn extract_observed(
        &self,
        audio: &Waveform,
        on: &mut OnExtraction<'_>,
    ) -> Result<LayerFeatures> {
        (**self).extract_observed(audio, on)
    }

    fn extract(&self, audio: &Waveform) -> Result<LayerFeatures> {
        (**self).extract(audio)
    }
}

/// # Errors
/// A hidden state that is NaN or infinite: damaged weights, or samples far outside -1 to 1.
pub(crate) fn check_finite(layers: &[Array2<f32>]) -> Result<()> {
    let damaged = |layer: &Array2<f32>| layer.iter().any(|x| !x.is_finite());
    match layers.iter().position(damaged) {
        None => Ok(()),
        Some(state) => Err(BackboneError::NonFinite { state }),
    }
}

/// Stacks row ranges of every layer: `ranges[range][layer]` → `[n_rows, d_model]` per layer.
pub(crate) fn stack_rows(ranges: &[Vec<Array2<f32>>]) -> Result<Vec<Array2<f32>>> {
    let n_layers = ranges.first().map_or(0, Vec::len);
    (0..n_layers)
        .map(|layer| {
            let views: Vec<_> = ranges.iter().map(|range| range[layer].view()).collect();
            ndarray::concatenate(ndarray::Axis(0), &views)
                .map_err(|e| BackboneError::FeatureShapes(e.to_string()))
        })
        .collect()
}
