//! Low-level features taken out of a layer before it is encoded: the residual analysis of Oota et al. and of Moussa,
//! Klakow & Toneva 2025.
//!
//! `[n_kept_trs, n_low]` and a layer `[n_kept_trs, d_model]` per story → what a ridge from the first to the second
//! leaves of the layer, in the same shapes. Low-level features are z-scored over all training rows, and over all test
//! rows; the layer was z-scored per story before, and is not again after. One ridge for all training rows, one penalty
//! per column of the layer ([`residual_ridge`]). Held by `tests/it/residual.rs`.

use std::ops::Range;

use braintune_encoding::{DesignMatrix, RidgeSolver, residual_ridge, residuals, zscore};
use braintune_fmri::{Story, StoryDataset};
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use super::inputs::{Inputs, StoryInput};
use crate::error::{BraintuneError, Result};
use crate::event::{Event, OnEvent, tell};
use crate::lowlevel::{FittedSpace, LowLevelSpace};

/// The ridge from low-level features, prepared for every layer.
pub(super) struct Removal {
    solver: RidgeSolver,
    train: Array2<f32>,
    test: Array2<f32>,
}

/// What is left of one layer, story by story, `[n_kept_trs, d_model]`.
pub(super) struct Residuals {
    pub(super) train: Vec<Array2<f32>>,
    pub(super) test: Vec<Array2<f32>>,
}

impl Removal {
    pub(super) fn prepare(
        dataset: &dyn StoryDataset,
        inputs: &Inputs,
        space: &LowLevelSpace,
        on: &mut OnEvent<'_>,
    ) -> Result<Self> {
        let training = inputs.train.iter().map(|story| dataset.story(&story.name));
        let training: Vec<&Story> = training.collect::<Result<_, _>>()?;
        let fitted = space.fit(&training)?;
        let mut kept = |stories: &[StoryInput]| kept(dataset, &fitted, stories, on);
        let (train, test) = (kept(&inputs.train)?, kept(&inputs.test)?);
        let x = DesignMatrix::from(train.clone());
        let params = residual_ridge(train.nrows())?.check()?;
        let solver = params.prepare_observed(&x, &mut |_| on(Event::Stage("low-level ridge")))?;
        Ok(Self {
            solver,
            train,
            test,
        })
    }

    /// `train` and `test`: the layer, story by story, in the order of the inputs.
    pub(super) fn residuals(
        &self,
        train: &[ArrayView2<'_, f32>],
        test: &[ArrayView2<'_, f32>],
    ) -> Result<Residuals> {
        let (of_train, of_test) = (stacked(train)?, stacked(test)?);
        let fitted = self.solver.fit_voxels(of_train.view())?;
        let left = |low: &Array2<f32>, layer: &Array2<f32>, stories: &[ArrayView2<'_, f32>]| {
            let left = residuals(&fitted, low.view(), layer.view())?;
            let parts = rows(stories).into_iter();
            Ok::<_, BraintuneError>(
                parts
                    .map(|rows| left.slice(s![rows, ..]).to_owned())
                    .collect(),
            )
        };
        Ok(Residuals {
            train: left(&self.train, &of_train, train)?,
            test: left(&self.test, &of_test, test)?,
        })
    }
}

/// Low-level features of the kept rows of `stories`, stacked and z-scored.
fn kept(
    dataset: &dyn StoryDataset,
    space: &FittedSpace,
    stories: &[StoryInput],
    on: &mut OnEvent<'_>,
) -> Result<Array2<f32>> {
    let mut parts = Vec::with_capacity(stories.len());
    for story in stories {
        tell(on, Event::Stage("low-level features"))?;
        let low = space.transform(dataset.story(&story.name)?, &dataset.timing(&story.name)?)?;
        parts.push(low.slice(s![story.rows.clone(), ..]).to_owned());
    }
    let views: Vec<_> = parts.iter().map(Array2::view).collect();
    Ok(zscore(stacked(&views)?.view()))
}

fn stacked(stories: &[ArrayView2<'_, f32>]) -> Result<Array2<f32>> {
    concatenate(Axis(0), stories).map_err(|e| BraintuneError::Input(e.to_string()))
}

/// Rows of each story in the stack of all.
fn rows(stories: &[ArrayView2<'_, f32>]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut next = |story: &ArrayView2<'_, f32>| {
        start += story.nrows();
        start - story.nrows()..start
    };
    stories.iter().map(&mut next).collect()
}
