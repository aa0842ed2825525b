//! One ridge per layer: delays, folds, voxel tiles, correlation on the test stories.
//!
//! `[n_trs, d_model]` per story → design `[n_train_trs, d_model · n_delays]` → `r` and best alpha
//! per voxel, piece by piece (`units.rs`). A finished piece is kept on disk until all are put together.

use std::ops::Range;
use std::path::Path;

use braintune_encoding::{
    FirDesign, OnProgress, Ridge, RidgeSolver, RidgeValidParams, suggest_block_length,
};
use braintune_fmri::StoryDataset;
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::config::EncodeConfig;
use super::features::TrFeatures;
use super::inputs::Inputs;
use super::removed::Removal;
use super::responses::StackedResponses;
use super::state;
use super::statistics::{RegionStatistics, Statistics};
use super::unit_fit::UnitFit;
use super::units::{Unit, UnitResult};
use crate::error::{BraintuneError, Result, file_error};
use crate::event::OnEvent;
use crate::fit::{event, read};

/// Result of one layer: one value per voxel, and what holds for regions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerResult {
    /// Pearson r on the test rows.
    pub(super) r: Vec<f32>,
    /// The alpha that was chosen.
    pub(super) best_alpha: Vec<f64>,
    /// Interval and p value of mean r, in the order of [`Regions::with_all`](super::Regions).
    pub(super) regions: Vec<RegionStatistics>,
    /// Pearson r on the rows of each test story alone, `[n_test_stories][n_voxels]`; empty where there is one story.
    pub(super) stories: Vec<Vec<f32>>,
}

/// What all layers share.
pub(super) struct Fits<'a> {
    dataset: &'a dyn StoryDataset,
    pub(super) inputs: &'a Inputs,
    pub(super) config: &'a EncodeConfig,
    pub(super) train: StackedResponses<'a>,
    pub(super) test: StackedResponses<'a>,
}

/// Where finished pieces are, and of which run.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    pub(super) out: &'a Path,
    pub(super) key: &'a str,
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

    /// Fits those of `units` that are not finished.
    pub(super) fn run(
        &self,
        features: &TrFeatures,
        units: &[Unit],
        state: State<'_>,
        on: &mut OnEvent<'_>,
    ) -> Result<()> {
        let params = Ridge::params(self.config.alphas.clone())
            .folds(self.inputs.folds(self.config)?)
            .score(self.config.score)
            .check()?;
        let n_layers = features.n_layers();
        let mut removal = None;
        for of_layer in units.chunk_by(|a, b| a.layer == b.layer) {
            let is_open = |unit: &&Unit| state::read(state, unit, self).is_none();
            let open: Vec<&Unit> = of_layer.iter().filter(is_open).collect();
            let Some(first) = open.first() else { continue };
            if removal.is_none() {
                removal = self.removal(on)?;
            }
            let designs = self.designs(features, first.layer, removal.as_ref())?;
            let mut progress = |progress| on(event(progress, first.layer, n_layers));
            self.fit_layer(&params, &designs, &open, state, &mut progress)?;
        }
        Ok(())
    }

    /// Fits pieces of one layer, neighbours together.
    fn fit_layer(
        &self,
        params: &RidgeValidParams,
        (x, x_test): &(FirDesign, FirDesign),
        units: &[&Unit],
        state: State<'_>,
        on: &mut OnProgress<'_>,
    ) -> Result<()> {
        let solver = params.prepare_fir(x, on)?;
        let x_test = x_test.to_design();
        let block_len = self.block_len(&solver, x_test.view())?;
        let fit = UnitFit {
            fits: self,
            solver: &solver,
            x_test: x_test.view(),
            statistics: self.statistics(block_len)?,
            block_len,
            state,
        };
        let total = units.iter().map(|unit| unit.voxels.len()).sum();
        let mut before = 0;
        for run in units.chunk_by(|a, b| a.voxels.end == b.voxels.start) {
            fit.run(run, (before, total), on)?;
            before += run.iter().map(|unit| unit.voxels.len()).sum::<usize>();
        }
        Ok(())
    }

    /// How many pieces are finished.
    pub(super) fn n_done(&self, units: &[Unit], state: State<'_>) -> usize {
        let is_done = |unit: &&Unit| state::read(state, unit, self).is_some();
        units.iter().filter(is_done).count()
    }

    /// Puts the pieces of all layers together.
    pub(super) fn collect(&self, units: &[Unit], state: State<'_>) -> Result<Vec<LayerResult>> {
        let of_layers = units.chunk_by(|a, b| a.layer == b.layer);
        of_layers
            .map(|of_layer| self.collect_layer(of_layer, units, state))
            .collect()
    }

    /// Says which pieces of the job are not there.
    fn missing(&self, units: &[Unit], state: State<'_>) -> BraintuneError {
        let is_missing = |unit: &&Unit| state::read(state, unit, self).is_none();
        let missing: Vec<&Unit> = units.iter().filter(is_missing).collect();
        let first = missing.first().map_or(String::new(), |unit| {
            let (first, last) = (unit.voxels.start, unit.voxels.end - 1);
            format!(" layer {}, voxels {first} to {last}", unit.layer)
        });
        file_error(
            state.out,
            format!(
                "{} of {} pieces of the job are missing, the first is{first}: run the shares (--shard i/n) that have not ended well, or the command without --shard, which does what is missing",
                missing.len(),
                units.len(),
            ),
        )
    }

    fn collect_layer(&self, units: &[Unit], all: &[Unit], state: State<'_>) -> Result<LayerResult> {
        let mut statistics: Option<Statistics> = None;
        let mut layer = LayerResult {
            r: Vec::with_capacity(self.inputs.n_voxels),
            best_alpha: Vec::with_capacity(self.inputs.n_voxels),
            regions: Vec::new(),
            stories: vec![Vec::new(); self.test_rows().len()],
        };
        for unit in units {
            let piece = state::read(state, unit, self);
            let piece = piece.ok_or_else(|| self.missing(all, state))?;
            let of_layer = match &mut statistics {
                Some(statistics) => statistics,
                none => none.insert(self.statistics(piece.block_len)?),
            };
            of_layer.add(unit.voxels.clone(), &piece)?;
            let UnitResult {
                r,
                best_alpha,
                stories,
                ..
            } = piece;
            layer.r.extend(r);
            layer.best_alpha.extend(best_alpha);
            for (all, more) in layer.stories.iter_mut().zip(stories) {
                all.extend(more);
            }
        }
        let regions = statistics.map(Statistics::finish).transpose()?;
        layer.regions = regions.unwrap_or_default();
        Ok(layer)
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

    fn story_lengths(&self) -> Vec<usize> {
        self.inputs.test.iter().map(|s| s.rows.len()).collect()
    }

    fn statistics(&self, block_len: usize) -> Result<Statistics> {
        Statistics::new(
            self.config,
            self.inputs.n_voxels,
            &self.story_lengths(),
            block_len,
        )
    }

    /// TRs of a block in tests and intervals of this layer: as long as predictions of a few voxels ask for.
    fn block_len(&self, solver: &RidgeSolver, x_test: ArrayView2<'_, f32>) -> Result<usize> {
        if self.config.n_permutations == 0 && self.config.n_bootstraps == 0 {
            return Ok(1);
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
        let longest = self.story_lengths().into_iter().max().unwrap_or(0);
        // Few blocks have few orders: at least five in the longest story.
        Ok(suggested.min(longest / 5).max(1))
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
