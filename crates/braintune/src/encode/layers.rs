//! One ridge per layer: delays, folds, voxel tiles, correlation on the test stories.
//!
//! `[n_trs, d_model]` per story → design `[n_train_trs, d_model · n_delays]` → `r` and best alpha
//! per voxel. A finished layer is kept on disk until the whole job is done.

use std::ops::Range;
use std::path::Path;

use braintune_encoding::{
    FirDesign, FittedRidge, OnProgress, ResponseSource, Ridge, RidgeSolver, pearson_r,
    suggest_block_length,
};
use braintune_fmri::StoryDataset;
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use serde::{Deserialize, Serialize};

use super::config::EncodeConfig;
use super::features::TrFeatures;
use super::inputs::Inputs;
use super::removed::Removal;
use super::responses::StackedResponses;
use super::state;
use super::statistics::{RegionStatistics, Statistics};
use crate::error::{BraintuneError, Result};
use crate::event::OnEvent;
use crate::fit::{event, fit_voxels, read};

/// Result of one layer: one value per voxel, and what holds for regions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct LayerResult {
    /// Pearson r on the test rows.
    pub(super) r: Vec<f32>,
    /// The alpha that was chosen.
    pub(super) best_alpha: Vec<f64>,
    /// Interval and p value of mean r, in the order of [`Regions::with_all`](super::Regions).
    pub(super) regions: Vec<RegionStatistics>,
    /// Pearson r on the rows of each test story alone, `[n_test_stories][n_voxels]`; empty where there is one story.
    #[serde(default)]
    pub(super) stories: Vec<Vec<f32>>,
}

/// What all layers share.
pub(super) struct Fits<'a> {
    dataset: &'a dyn StoryDataset,
    pub(super) inputs: &'a Inputs,
    pub(super) config: &'a EncodeConfig,
    train: StackedResponses<'a>,
    test: StackedResponses<'a>,
}

impl<'a> Fits<'a> {
    pub(super) fn new(
        dataset: &'a dyn StoryDataset,
        inputs: &'a Inputs,
        config: &'a EncodeConfig,
    ) -> Self {
        let stacked = |stories| StackedResponses {
            dataset,
            subject: &config.subject,
            stories,
            n_voxels: inputs.n_voxels,
        };
        Self {
            dataset,
            inputs,
            config,
            train: stacked(&inputs.train),
            test: stacked(&inputs.test),
        }
    }

    /// Fits every layer that `out` does not hold already under `key`.
    pub(super) fn run(
        &self,
        features: &TrFeatures,
        (out, key): (&Path, &str),
        on: &mut OnEvent<'_>,
    ) -> Result<Vec<LayerResult>> {
        let params = Ridge::params(self.config.alphas.clone())
            .folds(self.inputs.folds(self.config)?)
            .score(self.config.score)
            .check()?;
        let n_layers = features.train.first().map_or(0, Vec::len);
        let mut results = Vec::with_capacity(n_layers);
        let mut removal = None;
        for layer in 0..n_layers {
            if let Some(result) = state::read_layer(out, layer, key, self) {
                results.push(result);
                continue;
            }
            if removal.is_none() {
                removal = self.removal(on)?;
            }
            let (x, x_test) = self.designs(features, layer, removal.as_ref())?;
            let mut progress = |progress| on(event(progress, layer, n_layers));
            let solver = params.prepare_fir(&x, &mut progress)?;
            let result = self.fit(&solver, x_test.to_design().view(), &mut progress)?;
            state::write_layer(out, layer, key, &result)?;
            results.push(result);
        }
        Ok(results)
    }

    fn removal(&self, on: &mut OnEvent<'_>) -> Result<Option<Removal>> {
        let prepare = |space| Removal::prepare(self.dataset, self.inputs, space, on);
        self.config.remove.as_ref().map(prepare).transpose()
    }

    /// Training and test design of a layer, or of what is left of it.
    fn designs(
        &self,
        features: &TrFeatures,
        layer: usize,
        removal: Option<&Removal>,
    ) -> Result<(FirDesign, FirDesign)> {
        let of_layer = |stories| views(stories, |story: &Vec<Array2<f32>>| story[layer].view());
        let (train, test) = (of_layer(&features.train), of_layer(&features.test));
        let Some(removal) = removal else {
            return Ok((design(&train, self.config)?, design(&test, self.config)?));
        };
        let left = removal.residuals(&train, &test)?;
        let (train, test) = (
            views(&left.train, Array2::view),
            views(&left.test, Array2::view),
        );
        Ok((design(&train, self.config)?, design(&test, self.config)?))
    }

    pub(super) fn n_regions(&self) -> usize {
        self.config.regions.with_all(0).len()
    }

    /// Rows of each test story among those of all; empty where there is one story.
    pub(super) fn test_rows(&self) -> Vec<Range<usize>> {
        if self.inputs.test.len() < 2 {
            return Vec::new();
        }
        let mut end = 0;
        let rows = self.inputs.test.iter().map(|story| {
            let start = end;
            end += story.rows.len();
            start..end
        });
        rows.collect()
    }

    fn fit(
        &self,
        solver: &RidgeSolver,
        x_test: ArrayView2<'_, f32>,
        on: &mut OnProgress<'_>,
    ) -> Result<LayerResult> {
        let n_voxels = self.train.n_voxels();
        let mut statistics = self.statistics(solver, x_test)?;
        let mut result = LayerResult {
            r: Vec::with_capacity(n_voxels),
            best_alpha: Vec::with_capacity(n_voxels),
            regions: Vec::new(),
            stories: Vec::new(),
        };
        let test_rows = self.test_rows();
        result
            .stories
            .resize_with(test_rows.len(), || Vec::with_capacity(n_voxels));
        let add = |voxels: Range<usize>, fitted: &FittedRidge| -> Result<()> {
            let y = read(&self.test, voxels.clone())?;
            let predicted = fitted.predict(x_test)?;
            result.r.extend(pearson_r(predicted.view(), y.view())?);
            result.best_alpha.extend(fitted.best_alphas());
            for (rows, r) in test_rows.iter().zip(&mut result.stories) {
                let of = |x: &Array2<f32>| x.slice(s![rows.clone(), ..]).to_owned();
                r.extend(pearson_r(of(&predicted).view(), of(&y).view())?);
            }
            statistics.add(voxels, y.view(), predicted.view())
        };
        fit_voxels(solver, &self.train, self.config.memory_budget, on, add)?;
        result.regions = statistics.finish()?;
        Ok(result)
    }

    /// Tests and intervals for this layer, their blocks as long as predictions of a few voxels ask for.
    fn statistics(&self, solver: &RidgeSolver, x_test: ArrayView2<'_, f32>) -> Result<Statistics> {
        let story_lengths: Vec<usize> = self.inputs.test.iter().map(|s| s.rows.len()).collect();
        if self.config.n_permutations == 0 && self.config.n_bootstraps == 0 {
            return Statistics::new(self.config, self.inputs.n_voxels, &story_lengths, 1);
        }
        let some = |source: &StackedResponses<'_>| -> Result<Array2<f32>> {
            let parts = sample(self.inputs.n_voxels).into_iter();
            let parts: Vec<_> = parts
                .map(|voxels| read(source, voxels))
                .collect::<Result<_>>()?;
            let views: Vec<_> = parts.iter().map(Array2::view).collect();
            concatenate(Axis(1), &views).map_err(|e| BraintuneError::Input(e.to_string()))
        };
        let predicted = solver
            .fit_voxels(some(&self.train)?.view())?
            .predict(x_test)?;
        let suggested = suggest_block_length(some(&self.test)?.view(), predicted.view())?;
        let longest = story_lengths.iter().copied().max().unwrap_or(0);
        // Few blocks have few orders: at least five in the longest story.
        let block_len = suggested.min(longest / 5).max(1);
        Statistics::new(self.config, self.inputs.n_voxels, &story_lengths, block_len)
    }
}

/// Up to 256 voxels in runs spread over all of them.
fn sample(n_voxels: usize) -> Vec<Range<usize>> {
    const RUNS: usize = 8;
    const RUN: usize = 32;
    if n_voxels <= RUNS * RUN {
        return std::iter::once(0..n_voxels).collect();
    }
    let starts = (0..RUNS).map(|run| run * (n_voxels - RUN) / (RUNS - 1));
    starts.map(|start| start..start + RUN).collect()
}

fn views<'s, S>(
    stories: &'s [S],
    view: impl Fn(&'s S) -> ArrayView2<'s, f32>,
) -> Vec<ArrayView2<'s, f32>> {
    stories.iter().map(view).collect()
}

/// Features of all stories under their delays.
fn design(stories: &[ArrayView2<'_, f32>], config: &EncodeConfig) -> Result<FirDesign> {
    let delays = config.delays.clone();
    if config.delays_cross_stories {
        let stacked =
            concatenate(Axis(0), stories).map_err(|e| BraintuneError::Input(e.to_string()))?;
        return Ok(FirDesign::new(&[stacked.view()], delays)?);
    }
    Ok(FirDesign::new(stories, delays)?)
}
