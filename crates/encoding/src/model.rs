//! What every encoding model can do.

use std::ops::ControlFlow;

use ndarray::{Array2, ArrayView2};

use crate::{DesignMatrix, Result};

/// How far a fit has come.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FitProgress {
    /// Parts of the preparation done: eigendecompositions, one per fold and one of all rows, or what folds
    /// share instead.
    Decomposed {
        /// How many are done.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// Candidates of weights of feature spaces tried on all voxels, by a banded ridge.
    Searched {
        /// How many are done.
        done: usize,
        /// Of how many.
        total: usize,
    },
    /// Voxels fitted.
    Fitted {
        /// How many are done.
        done: usize,
        /// Of how many.
        total: usize,
    },
}

/// Told of progress; `Break` stops the fit, which then returns
/// [`Cancelled`](crate::EncodingError::Cancelled).
pub type OnProgress<'a> = dyn FnMut(FitProgress) -> ControlFlow<()> + 'a;

/// An encoding model before it has seen data.
pub trait EncodingModel {
    /// What a fit gives.
    type Fitted: FittedEncodingModel;

    /// Fits responses `y`, `[n_samples, n_voxels]`, and tells `on` how far it is.
    ///
    /// # Errors
    /// Arrays that do not match or hold values that are not finite; being stopped.
    fn fit_observed(
        &self,
        x: &DesignMatrix,
        y: ArrayView2<'_, f32>,
        on: &mut OnProgress<'_>,
    ) -> Result<Self::Fitted>;

    /// Fits responses `y`, `[n_samples, n_voxels]`.
    ///
    /// # Errors
    /// As [`EncodingModel::fit_observed`].
    fn fit(&self, x: &DesignMatrix, y: ArrayView2<'_, f32>) -> Result<Self::Fitted> {
        self.fit_observed(x, y, &mut |_| ControlFlow::Continue(()))
    }
}

/// An encoding model that has been fitted.
pub trait FittedEncodingModel {
    /// Number of columns it wants.
    fn n_features(&self) -> usize;

    /// Number of voxels it predicts.
    fn n_voxels(&self) -> usize;

    /// Predictions for `x`, `[n_samples, n_features]`: `[n_samples, n_voxels]`.
    ///
    /// # Errors
    /// `x` with another number of columns, without rows or with values that are not finite.
    fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>>;
}

const _: fn(&dyn FittedEncodingModel) = |_| {};
