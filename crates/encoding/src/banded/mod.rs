//! Banded ridge: several feature spaces, a penalty for each of them, chosen voxel by voxel.
//!
//! A ridge on columns scaled by the root of their space's weight (gamma) is a ridge with penalty
//! `alpha² / gamma` on that space: `K = Σ gamma_i X_i X_i'`. Candidates of weights come from Dirichlet
//! distributions; each is a cross-validated ridge over the grid of alphas, and every voxel keeps the
//! best pair of both (random search of Dupré la Tour et al. 2022, "Feature-space selection with
//! banded ridge regression", as himalaya's `GroupRidgeCV` and `MultipleKernelRidgeCV`, whose alpha
//! is our alpha²). Responses are read once per candidate, never held. Held by `tests/it/banded.rs`.

mod fitted;
mod partition;
mod search;
mod split;
mod weights;

use std::ops::ControlFlow;

use linfa::{ParamGuard, dataset::DatasetBase, traits::Fit};
use ndarray::{ArrayBase, ArrayView2, Data, Ix2};
use tracing::instrument;

pub use self::{
    fitted::FittedBandedRidge,
    partition::{FeatureSet, VariancePartition, partition_variance, variance_partition},
    search::BandSelection,
    split::{correlation_split, r2_split},
    weights::SpaceWeights,
};
use crate::{
    AlphaSharing, DesignMatrix, EncodingError, EncodingModel, FirDesign, OnProgress,
    ResponseSource, Result, RidgeParams, RidgeValidParams, check,
};
use search::{BandedSource, Search};

/// Where banded ridge models begin: [`BandedRidge::params`].
///
/// ```
/// use braintune_encoding::{
///     BandedRidge, DesignMatrix, EncodingModel, FeatureSpace, Folds, Ridge, SpaceWeights,
/// };
/// use linfa::ParamGuard;
/// use ndarray::Array2;
///
/// // Responses depend on the first of two feature spaces.
/// let x = Array2::from_shape_fn((90, 6), |(i, j)| ((i * i * (j + 2)) as f32 * 0.3).sin());
/// let y = x.slice(ndarray::s![.., ..3]).sum_axis(ndarray::Axis(1));
/// let y = y.insert_axis(ndarray::Axis(1));
/// let space = |name: &str, columns| FeatureSpace { name: name.to_owned(), columns };
/// let x = DesignMatrix::new(x, vec![space("sound", 0..3), space("meaning", 3..6)])?;
/// let stories: Vec<i64> = (0..90).map(|row| row / 30).collect();
/// let ridge = Ridge::params("logspace:-1:1:3".parse()?).folds(Folds::leave_one_group_out(&stories)?);
/// let model = BandedRidge::params(ridge, SpaceWeights::random(20, 0)).check()?;
/// let fitted = model.fit(&x, y.view())?;
/// let gammas = fitted.space_weights(); // [n_spaces, n_voxels]
/// assert!(gammas[(0, 0)] > gammas[(1, 0)]);
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct BandedRidge;

impl BandedRidge {
    /// Parameters: `ridge` brings the grid of alphas, folds, score, solver and intercept, `weights`
    /// the candidates of weights of feature spaces.
    #[must_use]
    pub fn params(ridge: RidgeParams, weights: SpaceWeights) -> BandedRidgeParams {
        BandedRidgeParams(BandedRidgeValidParams {
            ridge: ridge.unchecked(),
            weights,
        })
    }
}

/// Parameters of a banded ridge, not checked yet: [`check`](ParamGuard::check) makes them
/// [`BandedRidgeValidParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct BandedRidgeParams(BandedRidgeValidParams);

impl ParamGuard for BandedRidgeParams {
    type Checked = BandedRidgeValidParams;
    type Error = EncodingError;

    fn check_ref(&self) -> Result<&BandedRidgeValidParams> {
        let BandedRidgeValidParams { ridge, weights } = &self.0;
        let n_alphas = ridge.alphas().as_slice().len();
        ridge.check_folds(n_alphas.saturating_mul(weights.n_candidates()))?;
        if *ridge.alpha_sharing() != AlphaSharing::PerVoxel {
            return Err(EncodingError::BandedSharing);
        }
        weights.check()?;
        Ok(&self.0)
    }

    fn check(self) -> Result<BandedRidgeValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Checked parameters of a banded ridge.
#[derive(Debug, Clone, PartialEq)]
pub struct BandedRidgeValidParams {
    ridge: RidgeValidParams,
    weights: SpaceWeights,
}

impl BandedRidgeValidParams {
    /// Fits all voxels of a source, as many at a time as `memory_budget` bytes allow, and hands each
    /// part to `each` with the numbers of its voxels: voxels that chose the same weights come
    /// together. The source is read once per candidate of weights, and once more per chosen one.
    ///
    /// # Errors
    /// As [`RidgeSolver::fit_source`](crate::RidgeSolver::fit_source);
    /// [`EncodingError::SpaceWeightCount`] for candidates of another number of feature spaces.
    #[instrument(skip_all, fields(n_samples = source.n_samples(), n_features = x.n_features(), n_voxels = source.n_voxels()))]
    pub fn fit_source(
        &self,
        x: &DesignMatrix,
        source: &dyn ResponseSource,
        memory_budget: usize,
        on: &mut OnProgress<'_>,
        each: impl FnMut(&[usize], FittedBandedRidge) -> ControlFlow<()>,
    ) -> Result<BandSelection> {
        self.fit(BandedSource::Matrix(x), source, memory_budget, on, each)
    }

    /// As [`BandedRidgeValidParams::fit_source`], from features before their FIR delays; all delays
    /// of a feature have the weight of its space.
    ///
    /// # Errors
    /// As [`BandedRidgeValidParams::fit_source`].
    #[instrument(skip_all, fields(n_samples = source.n_samples(), n_features = x.n_features(), n_voxels = source.n_voxels()))]
    pub fn fit_fir_source(
        &self,
        x: &FirDesign,
        source: &dyn ResponseSource,
        memory_budget: usize,
        on: &mut OnProgress<'_>,
        each: impl FnMut(&[usize], FittedBandedRidge) -> ControlFlow<()>,
    ) -> Result<BandSelection> {
        self.fit(BandedSource::Fir(x), source, memory_budget, on, each)
    }

    fn fit(
        &self,
        x: BandedSource<'_>,
        source: &dyn ResponseSource,
        memory_budget: usize,
        on: &mut OnProgress<'_>,
        mut each: impl FnMut(&[usize], FittedBandedRidge) -> ControlFlow<()>,
    ) -> Result<BandSelection> {
        let candidates = self.weights.candidates(x.spaces().len())?;
        let search = Search {
            ridge: &self.ridge,
            x,
            source,
            memory_budget,
            candidates: candidates.view(),
        };
        let selection = search.select(on)?;
        search.refit(&selection, on, &mut each)?;
        selection.edges.warn_if_many();
        Ok(selection)
    }
}

impl EncodingModel for BandedRidgeValidParams {
    type Fitted = FittedBandedRidge;

    fn fit_observed(
        &self,
        x: &DesignMatrix,
        y: ArrayView2<'_, f32>,
        on: &mut OnProgress<'_>,
    ) -> Result<FittedBandedRidge> {
        check::same_rows("x", x.view(), "y", y)?;
        check::not_empty("y", y)?;
        let mut parts: Vec<(Vec<usize>, FittedBandedRidge)> = Vec::new();
        self.fit_source(x, &y, usize::MAX, on, |voxels, part| {
            parts.push((voxels.to_vec(), part));
            ControlFlow::Continue(())
        })?;
        Ok(FittedBandedRidge::joined(parts, y.ncols()))
    }
}

impl<D: Data<Elem = f32>, D2: Data<Elem = f32>>
    Fit<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>, EncodingError> for BandedRidgeValidParams
{
    type Object = FittedBandedRidge;

    /// One feature space: linfa's datasets do not name any. That is a ridge; for several spaces use
    /// [`EncodingModel::fit`].
    fn fit(
        &self,
        dataset: &DatasetBase<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>>,
    ) -> Result<FittedBandedRidge> {
        let x = DesignMatrix::from(dataset.records.to_owned());
        EncodingModel::fit(self, &x, dataset.targets.view())
    }
}
