//! The search over weights of feature spaces, and the refit with those that were chosen.
//!
//! Per candidate: columns scaled, folds decomposed, all voxels scored over the grid of alphas; a voxel
//! keeps the best score so far, the first of equals. Per chosen candidate: all rows decomposed once, its
//! voxels fitted. One candidate's decompositions are held at a time.

use std::ops::ControlFlow;

use ndarray::{Array2, ArrayView2, Axis};

use super::{fitted::FittedBandedRidge, weights::scales};
use crate::{
    DesignMatrix, FeatureSpace, FirDesign, FitProgress, GridEdges, OnProgress, ResponseSource,
    Result, RidgeSolver, RidgeValidParams,
    design::scaled_columns,
    ridge::{Source, Work},
};

/// Features with their spaces.
#[derive(Clone, Copy)]
pub(super) enum BandedSource<'a> {
    Matrix(&'a DesignMatrix),
    Fir(&'a FirDesign),
}

impl BandedSource<'_> {
    pub(super) fn spaces(&self) -> &[FeatureSpace] {
        match self {
            Self::Matrix(x) => x.feature_spaces(),
            Self::Fir(x) => x.feature_spaces(),
        }
    }

    /// The space of each column of the fit, delays included.
    pub(super) fn space_of_column(&self) -> Vec<usize> {
        let spaces = self.spaces().iter().enumerate();
        let base: Vec<usize> = spaces
            .flat_map(|(space, s)| s.columns.clone().map(move |_| space))
            .collect();
        match self {
            Self::Matrix(_) => base,
            Self::Fir(x) => base.repeat(x.delays().as_slice().len()),
        }
    }

    /// `ridge` prepared on columns scaled by the roots of `weights`.
    fn prepare(
        &self,
        ridge: &RidgeValidParams,
        weights: &[f64],
        work: Work,
        on: &mut OnProgress<'_>,
    ) -> Result<RidgeSolver> {
        let factors = scales(weights, &self.space_of_column());
        match self {
            Self::Fir(x) if !ridge.has_intercept() => {
                let x = x.scaled(&factors[..x.undelayed().ncols()]);
                RidgeSolver::new(ridge, Source::Fir(&x), work, on)
            }
            Self::Fir(x) => {
                let x = scaled_columns(x.to_design().view(), &factors);
                RidgeSolver::new(ridge, Source::Matrix(x.view()), work, on)
            }
            Self::Matrix(x) => {
                let x = scaled_columns(x.view(), &factors);
                RidgeSolver::new(ridge, Source::Matrix(x.view()), work, on)
            }
        }
    }
}

/// What the search found, `[n_voxels]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct BandSelection {
    /// The candidates, `[n_candidates, n_spaces]`.
    pub candidates: Array2<f64>,
    /// The candidate that each voxel chose.
    pub best_candidates: Vec<usize>,
    /// The alpha that each voxel chose, as its place in the grid.
    pub(super) best: Vec<usize>,
    /// The alpha that each voxel chose, a value of the grid.
    pub best_alphas: Vec<f64>,
    /// Score of each candidate with its best alpha, mean over folds, `[n_candidates, n_voxels]`
    /// (himalaya's `cv_scores_`); no rows without folds.
    pub cv_scores: Array2<f32>,
    /// Voxels at an end of the grid of alphas.
    pub edges: GridEdges,
}

pub(super) struct Search<'a> {
    pub(super) ridge: &'a RidgeValidParams,
    pub(super) x: BandedSource<'a>,
    pub(super) source: &'a dyn ResponseSource,
    pub(super) memory_budget: usize,
    pub(super) candidates: ArrayView2<'a, f64>,
}

impl Search<'_> {
    pub(super) fn select(&self, on: &mut OnProgress<'_>) -> Result<BandSelection> {
        let (n_voxels, total) = (self.source.n_voxels(), self.candidates.nrows());
        let has_folds = self.ridge.has_folds();
        let mut scores = vec![f64::NEG_INFINITY; n_voxels];
        let mut selection = BandSelection {
            candidates: self.candidates.to_owned(),
            best_candidates: vec![0; n_voxels],
            best: vec![0; n_voxels],
            best_alphas: Vec::new(),
            cv_scores: Array2::zeros((if has_folds { total } else { 0 }, n_voxels)),
            edges: GridEdges::default(),
        };
        for (candidate, weights) in self.candidates.outer_iter().enumerate() {
            if !has_folds {
                break; // a single candidate and a single alpha
            }
            let weights = weights.to_vec();
            let mut quiet = |progress| quiet(on, progress);
            let solver = self
                .x
                .prepare(self.ridge, &weights, Work::Folds, &mut quiet)?;
            solver.fit_source(
                self.source,
                self.memory_budget,
                &mut quiet,
                |voxels, part| {
                    for (voxel, of_voxel) in voxels.zip(part.cv_scores().columns()) {
                        let (alpha, score) = best_of(of_voxel.iter().copied());
                        #[allow(clippy::cast_possible_truncation)] // for people
                        let shown = score as f32;
                        selection.cv_scores[(candidate, voxel)] = shown;
                        if score > scores[voxel] {
                            scores[voxel] = score;
                            selection.best[voxel] = alpha;
                            selection.best_candidates[voxel] = candidate;
                        }
                    }
                    ControlFlow::Continue(())
                },
            )?;
            let done = candidate + 1;
            if on(FitProgress::Searched { done, total }).is_break() {
                return Err(crate::EncodingError::Cancelled);
            }
        }
        let alphas = self.ridge.alphas().as_slice();
        selection.best_alphas = selection.best.iter().map(|&i| alphas[i]).collect();
        selection.edges = GridEdges::count(&selection.best, alphas.len());
        Ok(selection)
    }

    /// Fits every voxel with the weights and the alpha that it chose.
    pub(super) fn refit(
        &self,
        selection: &BandSelection,
        on: &mut OnProgress<'_>,
        each: &mut dyn FnMut(&[usize], FittedBandedRidge) -> ControlFlow<()>,
    ) -> Result<()> {
        let ridge = self.ridge.without_folds();
        let total = self.source.n_voxels();
        let mut done = 0;
        for (candidate, weights) in self.candidates.outer_iter().enumerate() {
            let chosen = |voxel: &usize| selection.best_candidates[*voxel] == candidate;
            if !(0..total).any(|voxel| chosen(&voxel)) {
                continue;
            }
            let weights = weights.to_vec();
            let mut quiet = |progress| quiet(on, progress);
            let solver = self.x.prepare(&ridge, &weights, Work::All, &mut quiet)?;
            for run in solver.parts(total, self.memory_budget) {
                let voxels: Vec<usize> = run.clone().filter(chosen).collect();
                if voxels.is_empty() {
                    continue;
                }
                let y = solver.read(self.source, run.clone())?;
                let local: Vec<usize> = voxels.iter().map(|voxel| voxel - run.start).collect();
                let y = y.select(Axis(1), &local);
                let best = voxels.iter().map(|&voxel| selection.best[voxel]).collect();
                let part = solver.fit_with(y.view(), best)?;
                done += voxels.len();
                let part = FittedBandedRidge::new(&part, &weights, self.x.space_of_column());
                let stop = on(FitProgress::Fitted { done, total }).is_break();
                if stop || each(&voxels, part).is_break() {
                    return Err(crate::EncodingError::Cancelled);
                }
            }
        }
        Ok(())
    }
}

/// Lets decompositions and tiles be stopped without counting them: candidates are what is counted.
fn quiet(on: &mut OnProgress<'_>, progress: FitProgress) -> ControlFlow<()> {
    match progress {
        FitProgress::Decomposed { .. } => on(progress),
        _ => ControlFlow::Continue(()),
    }
}

/// The first of the highest.
fn best_of(scores: impl Iterator<Item = f64>) -> (usize, f64) {
    scores
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (i, score)| {
            if score > best.1 { (i, score) } else { best }
        })
}
