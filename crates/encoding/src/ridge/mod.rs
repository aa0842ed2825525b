//! Ridge regression with one alpha per voxel, chosen by cross-validation.
//!
//! `w = (X'X + alpha² I)^-1 X'y`: the penalty is alpha **squared**, as in `ridge_corr`
//! (`HuthLab/deep-fMRI-dataset:encoding/ridge_utils/ridge.py`, eaaa5cd); himalaya and scikit-learn
//! call the penalty itself alpha. Selection as himalaya's `RidgeCV` with `local_alpha`: a score per
//! fold and voxel, unweighted mean over folds, the best alpha of each voxel, a refit on all rows.
//! Differs: one eigendecomposition per fold in place of a singular value decomposition, or one for
//! all folds where their spectra are flat (`downdate.rs`), primal or dual by size, double precision where single is not safe. Held by `tests/it/ridge.rs` (dense
//! normal equations) and `tests/it/reference.rs` (himalaya, scikit-learn, `ridge_corr`).

mod accuracy;
mod combination;
mod downdate;
mod edges;
mod estimate;
mod features;
mod filter;
mod fitted;
mod holdout;
mod matrix;
mod panels;
mod prepared;
mod real;
mod settings;
mod sharing;
mod shifted;
mod solver;
mod tile;

use std::ops::ControlFlow;

use linfa::{ParamGuard, dataset::DatasetBase, traits::Fit};
use ndarray::{ArrayBase, ArrayView2, Axis, Data, Ix1, Ix2};
use tracing::instrument;

pub use self::{
    accuracy::NumericalError,
    edges::GridEdges,
    estimate::{FitEstimate, measure_flops_per_s},
    fitted::FittedRidge,
    real::Precision,
    sharing::AlphaSharing,
    solver::RidgeSolver,
};
use crate::{
    Alphas, CvScore, DesignMatrix, EncodingError, EncodingModel, FirDesign, Folds, OnProgress,
    Result,
};
pub(crate) use features::Source;
use settings::Settings;
pub(crate) use {matrix::product_of, settings::Work};

/// Which normal equations to solve.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Solver {
    /// The smaller of the two, over folds and all rows.
    #[default]
    Auto,
    /// `X'X`, `[n_features, n_features]`.
    Primal,
    /// `XX'`, `[n_samples, n_samples]`.
    Dual,
}

/// Where ridge models begin: [`Ridge::params`].
#[derive(Debug, Clone, Copy)]
pub struct Ridge;

impl Ridge {
    /// Parameters of a ridge over a grid of alphas (penalty alpha²): no folds, [`CvScore::R2`],
    /// [`Solver::Auto`], no intercept.
    #[must_use]
    pub fn params(alphas: Alphas) -> RidgeParams {
        RidgeParams(RidgeValidParams {
            alphas,
            folds: None,
            score: CvScore::default(),
            solver: Solver::default(),
            sharing: AlphaSharing::default(),
            precision: None,
            intercept: false,
        })
    }
}

/// Parameters of a ridge, not checked yet: [`check`](ParamGuard::check) makes them
/// [`RidgeValidParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeParams(RidgeValidParams);

impl RidgeParams {
    /// Folds to choose alphas by. Needed for more than one alpha.
    #[must_use]
    pub fn folds(mut self, folds: Folds) -> Self {
        self.0.folds = Some(folds);
        self
    }

    /// What to rank alphas by.
    #[must_use]
    pub fn score(mut self, score: CvScore) -> Self {
        self.0.score = score;
        self
    }

    /// Primal or dual.
    #[must_use]
    pub fn solver(mut self, solver: Solver) -> Self {
        self.0.solver = solver;
        self
    }

    /// Which voxels share an alpha: none by default.
    #[must_use]
    pub fn alpha_sharing(mut self, sharing: AlphaSharing) -> Self {
        self.0.sharing = sharing;
        self
    }

    /// Precision to work in, in place of the one that [`RidgeSolver::precision`] says is chosen
    /// from the data.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.0.precision = Some(precision);
        self
    }

    /// Whether to fit an intercept: features and responses are centred on the training rows, in
    /// each fold and in the refit, as in himalaya and scikit-learn.
    #[must_use]
    pub fn intercept(mut self, intercept: bool) -> Self {
        self.0.intercept = intercept;
        self
    }

    /// As they are, for a model made of ridges that has checks of its own.
    pub(crate) fn unchecked(self) -> RidgeValidParams {
        self.0
    }
}

impl ParamGuard for RidgeParams {
    type Checked = RidgeValidParams;
    type Error = EncodingError;

    fn check_ref(&self) -> Result<&RidgeValidParams> {
        self.0.check_folds(self.0.alphas.as_slice().len())?;
        Ok(&self.0)
    }

    fn check(self) -> Result<RidgeValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Checked parameters of a ridge.
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeValidParams {
    alphas: Alphas,
    folds: Option<Folds>,
    score: CvScore,
    solver: Solver,
    sharing: AlphaSharing,
    precision: Option<Precision>,
    intercept: bool,
}

impl RidgeValidParams {
    /// Decomposes the design, each fold and the whole, once; the solver fits any number of voxels.
    ///
    /// # Errors
    /// [`EncodingError::Empty`], [`EncodingError::NonFinite`], [`EncodingError::FoldRows`] for folds
    /// made for another number of rows, [`EncodingError::Decomposition`].
    pub fn prepare(&self, x: &DesignMatrix) -> Result<RidgeSolver> {
        self.prepare_observed(x, &mut |_| ControlFlow::Continue(()))
    }

    /// As [`RidgeValidParams::prepare`], telling `on` about each decomposition.
    ///
    /// # Errors
    /// As [`RidgeValidParams::prepare`], and [`EncodingError::Cancelled`].
    #[instrument(skip_all, fields(n_samples = x.n_samples(), n_features = x.n_features()))]
    pub fn prepare_observed(
        &self,
        x: &DesignMatrix,
        on: &mut OnProgress<'_>,
    ) -> Result<RidgeSolver> {
        RidgeSolver::new(self, Source::Matrix(x.view()), Work::All, on)
    }

    /// As [`RidgeValidParams::prepare`], from features before their delays: the Gram matrix and
    /// every product with the delayed features are sums over shifted rows. With an intercept the
    /// delayed matrix is made after all, because its padding is not centred like the rest.
    ///
    /// # Errors
    /// As [`RidgeValidParams::prepare_observed`].
    #[instrument(skip_all, fields(n_samples = x.n_samples(), n_features = x.n_features()))]
    pub fn prepare_fir(&self, x: &FirDesign, on: &mut OnProgress<'_>) -> Result<RidgeSolver> {
        if self.intercept {
            return self.prepare_observed(&x.to_design(), on);
        }
        RidgeSolver::new(self, Source::Fir(x), Work::All, on)
    }

    /// The grid of alphas; penalties are their squares.
    #[must_use]
    pub fn alphas(&self) -> &Alphas {
        &self.alphas
    }

    /// Whether there are folds that can tell `n_choices` settings of a model apart: its alphas, or
    /// these times what else it searches over.
    pub(crate) fn check_folds(&self, n_choices: usize) -> Result<()> {
        if n_choices < 2 {
            return Ok(());
        }
        let Some(folds) = &self.folds else {
            let n_alphas = self.alphas.as_slice().len();
            return Err(EncodingError::NeedsFolds { n_alphas });
        };
        // One row has no variance: each of these scores is 0, and the first choice would win.
        let relative = self.score != CvScore::NegMse;
        if relative && (0..folds.n_folds()).all(|fold| folds.validation(fold).len() < 2) {
            return Err(EncodingError::SingleRows);
        }
        Ok(())
    }

    pub(crate) fn has_folds(&self) -> bool {
        self.folds.is_some()
    }

    pub(crate) fn has_intercept(&self) -> bool {
        self.intercept
    }

    pub(crate) fn alpha_sharing(&self) -> &AlphaSharing {
        &self.sharing
    }

    /// To fit with alphas that are known.
    pub(crate) fn without_folds(&self) -> Self {
        Self {
            folds: None,
            ..self.clone()
        }
    }

    fn settings<'a>(&'a self, penalties: &'a [f64], work: Work) -> Settings<'a> {
        Settings {
            work,
            penalties,
            folds: self.folds.as_ref(),
            solver: self.solver,
            precision: self.precision,
            intercept: self.intercept,
        }
    }

    fn penalties(&self) -> Vec<f64> {
        let alphas = self.alphas.as_slice().iter();
        alphas.map(|alpha| alpha * alpha).collect()
    }
}

impl EncodingModel for RidgeValidParams {
    type Fitted = FittedRidge;

    fn fit_observed(
        &self,
        x: &DesignMatrix,
        y: ArrayView2<'_, f32>,
        on: &mut OnProgress<'_>,
    ) -> Result<FittedRidge> {
        crate::check::same_rows("x", x.view(), "y", y)?;
        let solver = self.prepare_observed(x, on)?;
        let fitted = solver.fit_observed(y, on)?;
        fitted.grid_edges().warn_if_many();
        Ok(fitted)
    }
}

impl<D: Data<Elem = f32>, D2: Data<Elem = f32>>
    Fit<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>, EncodingError> for RidgeValidParams
{
    type Object = FittedRidge;

    fn fit(
        &self,
        dataset: &DatasetBase<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>>,
    ) -> Result<FittedRidge> {
        let x = DesignMatrix::from(dataset.records.to_owned());
        EncodingModel::fit(self, &x, dataset.targets.view())
    }
}

/// One response as a vector.
impl<D: Data<Elem = f32>, D2: Data<Elem = f32>>
    Fit<ArrayBase<D, Ix2>, ArrayBase<D2, Ix1>, EncodingError> for RidgeValidParams
{
    type Object = FittedRidge;

    fn fit(
        &self,
        dataset: &DatasetBase<ArrayBase<D, Ix2>, ArrayBase<D2, Ix1>>,
    ) -> Result<FittedRidge> {
        let x = DesignMatrix::from(dataset.records.to_owned());
        EncodingModel::fit(self, &x, dataset.targets.view().insert_axis(Axis(1)))
    }
}
