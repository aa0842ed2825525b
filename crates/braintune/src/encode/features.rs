//! Per-layer features of every story on its TR grid.
//!
//! Recording → `[n_windows, d_model]` per layer (cached) → Lanczos to TR midpoints → kept rows →
//! z-score over them: `[n_kept_trs, d_model]`. One story's windows are in memory at a time.

use std::ops::ControlFlow;

use braintune_audio::load_audio;
use braintune_backbone::{ExtractionProgress, FeatureExtractor};
use braintune_encoding::zscore;
use braintune_fmri::Lanczos;
use ndarray::{Array2, s};

use super::inputs::{Inputs, StoryInput};
use crate::error::{BraintuneError, Result, naming};
use crate::event::{Event, OnEvent};

/// Features of every story: `train[story][layer]` and `test[story][layer]`, `[n_kept_trs, d_model]`.
pub(super) struct TrFeatures {
    pub(super) train: Vec<Vec<Array2<f32>>>,
    pub(super) test: Vec<Vec<Array2<f32>>>,
}

pub(super) fn on_tr_grid(
    inputs: &Inputs,
    extractor: &dyn FeatureExtractor,
    on: &mut OnEvent<'_>,
) -> Result<TrFeatures> {
    let n_stories = inputs.n_stories();
    let mut stories_done = 0;
    let mut each = |story: &StoryInput| -> Result<Vec<Array2<f32>>> {
        let layers = of_story(story, extractor, &mut |progress| {
            on(Event::Extracting {
                story: &story.name,
                done: progress.done,
                total: progress.total,
                stories_done,
                n_stories,
            })
        });
        stories_done += 1;
        layers
    };
    Ok(TrFeatures {
        train: inputs.train.iter().map(&mut each).collect::<Result<_>>()?,
        test: inputs.test.iter().map(&mut each).collect::<Result<_>>()?,
    })
}

fn of_story(
    story: &StoryInput,
    extractor: &dyn FeatureExtractor,
    on: &mut dyn FnMut(ExtractionProgress) -> ControlFlow<()>,
) -> Result<Vec<Array2<f32>>> {
    let audio = load_audio(&story.audio)?;
    if audio.samples().iter().all(|sample| *sample == 0.0) {
        tracing::warn!(
            "{} is silent from its beginning to its end: is it the sound of {}?",
            story.audio.display(),
            story.name
        );
    }
    let features = extractor.extract_observed(&audio, on);
    let features = features.map_err(|error| naming(&story.audio, error))?;
    let lanczos = Lanczos::between(features.times(), &story.tr_times).map_err(|e| {
        BraintuneError::Input(format!(
            "story {}: {e}: a shorter --stride-s (stride_s of a study) gives more windows",
            story.name
        ))
    })?;
    let mut layers = Vec::with_capacity(features.layers().len());
    for layer in features.layers() {
        let on_grid = lanczos.resample(layer.view(), features.times(), &story.tr_times)?;
        layers.push(zscore(on_grid.slice(s![story.rows.clone(), ..])));
    }
    Ok(layers)
}
