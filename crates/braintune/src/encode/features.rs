//! Per-layer features of every story on its TR grid.
//!
//! Recording → `[n_windows, d_model]` per layer (cached) → Lanczos to TR midpoints → kept rows →
//! z-score over them: `[n_kept_trs, d_model]`. One story's windows are in memory at a time.

use std::ops::ControlFlow;

use braintune_audio::load_audio;
use braintune_backbone::{ExtractionProgress, FeatureExtractor};
use braintune_encoding::zscore;
use braintune_fmri::Lanczos;
use braintune_ranks::{Ranks, Shard};
use ndarray::{Array2, s};

use super::inputs::{Inputs, StoryInput};
use crate::error::{BraintuneError, Result, naming};
use crate::event::{Event, OnEvent};
use crate::split::Split;

/// Features of every story: `train[story][layer]` and `test[story][layer]`, `[n_kept_trs, d_model]`.
pub(super) struct TrFeatures {
    pub(super) train: Vec<Vec<Array2<f32>>>,
    pub(super) test: Vec<Vec<Array2<f32>>>,
}

impl TrFeatures {
    pub(super) fn n_layers(&self) -> usize {
        self.train.first().map_or(0, Vec::len)
    }
}

/// Features of every story. Processes that work together extract a share of the stories each and pass them on; shares of
/// array jobs begin with their own, and take from the cache what others have finished meanwhile.
pub(super) fn on_tr_grid(
    inputs: &Inputs,
    extractor: &dyn FeatureExtractor,
    split: Split<'_>,
    on: &mut OnEvent<'_>,
) -> Result<TrFeatures> {
    let stories: Vec<&StoryInput> = inputs.stories().collect();
    let end_s = |story: &&StoryInput| story.tr_times.last().copied().unwrap_or_default();
    let lengths: Vec<f64> = stories.iter().map(end_s).collect();
    let shard = split.shard().unwrap_or(Shard::WHOLE);
    let owners = Shard::owners(&lengths, shard.count());
    let is_own = |story: &usize| owners[*story] == shard.index();
    let (own, others): (Vec<usize>, Vec<usize>) = (0..stories.len()).partition(is_own);
    let order = match split.fellows() {
        Some(_) => own,
        None => [own, others].concat(),
    };
    let n_stories = order.len();
    let mut found: Vec<Option<Vec<Array2<f32>>>> = vec![None; stories.len()];
    for (stories_done, place) in order.into_iter().enumerate() {
        let story = stories[place];
        let layers = of_story(story, extractor, &mut |progress| {
            on(Event::Extracting {
                story: &story.name,
                done: progress.done,
                total: progress.total,
                stories_done,
                n_stories,
            })
        })?;
        found[place] = Some(layers);
    }
    if let Some(ranks) = split.fellows() {
        pass_on(ranks, &owners, &mut found)?;
    }
    let mut all: Vec<_> = found.into_iter().flatten().collect();
    let test = all.split_off(inputs.train.len());
    Ok(TrFeatures { train: all, test })
}

/// Gives every rank the features of all stories, one story at a time.
fn pass_on(
    ranks: &dyn Ranks,
    owners: &[usize],
    found: &mut [Option<Vec<Array2<f32>>>],
) -> Result<()> {
    for (layers, &owner) in found.iter_mut().zip(owners) {
        let mine = layers.as_deref().map(to_bytes).unwrap_or_default();
        let mut all = ranks.all_gather(&mine)?;
        if layers.is_none() {
            *layers = Some(from_bytes(&std::mem::take(&mut all[owner]))?);
        }
    }
    Ok(())
}

/// Layers, rows, columns as u64, then the values layer by layer, little endian.
fn to_bytes(layers: &[Array2<f32>]) -> Vec<u8> {
    let (rows, columns) = layers.first().map_or((0, 0), Array2::dim);
    let mut bytes = Vec::new();
    for n in [layers.len(), rows, columns] {
        bytes.extend((n as u64).to_le_bytes());
    }
    let values = layers.iter().flatten();
    bytes.extend(values.flat_map(|value| value.to_le_bytes()));
    bytes
}

fn from_bytes(bytes: &[u8]) -> Result<Vec<Array2<f32>>> {
    let other = || {
        BraintuneError::Input(
            "features that another rank sent have another shape: do all ranks run the same version of braintune?".to_owned(),
        )
    };
    let (sizes, values) = bytes
        .split_at_checked(3 * size_of::<u64>())
        .ok_or_else(other)?;
    let (sizes, _) = sizes.as_chunks();
    let size = |i: usize| usize::try_from(u64::from_le_bytes(sizes[i])).map_err(|_| other());
    let (n_layers, rows, columns) = (size(0)?, size(1)?, size(2)?);
    let (values, _) = values.as_chunks();
    let values: Vec<f32> = values
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    if rows
        .checked_mul(columns)
        .and_then(|n| n.checked_mul(n_layers))
        != Some(values.len())
    {
        return Err(other());
    }
    let layers = values.chunks((rows * columns).max(1)).map(<[f32]>::to_vec);
    let layers = layers.map(|values| Array2::from_shape_vec((rows, columns), values));
    layers.collect::<Result<_, _>>().map_err(|_| other())
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

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn features_come_back_from_bytes_and_others_are_refused() {
        let layers = vec![
            array![[1.0, -0.0], [f32::MIN_POSITIVE, 3.5]],
            array![[4.0, 5.0], [6.0, 7.0]],
        ];
        let bytes = to_bytes(&layers);
        assert_eq!(from_bytes(&bytes).expect("its own"), layers);
        for cut in [0, 5, 24, bytes.len() - 4] {
            let error = from_bytes(&bytes[..cut]).expect_err("cut").to_string();
            assert!(error.contains("same version"), "{error}");
        }
    }
}
