//! Ridge regression of numbers, several targets at once, by `braintune-encoding`.
//!
//! Features `[n_samples, n_features]`, targets `[n_samples, n_targets]`, with an intercept. The penalty is
//! alpha **squared**, as in that crate: scikit-learn's `Ridge(alpha=a * a)`. Several alphas are chosen per
//! target on validation rows as the single fold, after which training and validation rows are fitted
//! together, as `RidgeCV` with a `PredefinedSplit`. Held by `tests/it/regression.rs` (scikit-learn).

use braintune_encoding::{
    Alphas, CvScore, DesignMatrix, EncodingModel, FittedRidge, Folds, Precision, Ridge, RidgeParams,
};
use linfa::{ParamGuard, dataset::DatasetBase, traits::Fit};
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Axis, Data, Ix2, concatenate};
use tracing::instrument;

use crate::{ProbingError, Result, check};

/// Where ridge probes begin: [`RidgeProbe::params`].
///
/// ```
/// use braintune_encoding::Alphas;
/// use braintune_probing::{RidgeProbe, linfa::ParamGuard};
/// use ndarray::{Array2, array, s};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let x = Array2::from_shape_fn((40, 3), |(i, j)| ((i * (2 * j + 3)) as f32 * 0.7).sin());
/// let y = x.dot(&array![[1.0], [-2.0], [0.5]]);
/// let part = |from: usize, to: usize| (x.slice(s![from..to, ..]), y.slice(s![from..to, ..]));
/// let params = RidgeProbe::params(Alphas::from_values(vec![0.01, 10.0])?).check()?;
/// let probe = params.fit_best(part(0, 20), part(20, 30))?; // train, validation
/// assert_eq!(probe.best_alphas(), [0.01]);
/// let (x, y) = part(30, 40);
/// assert!(probe.score(x, y)?.r2[0] > 0.99);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RidgeProbe;

impl RidgeProbe {
    /// Parameters of a ridge over a grid of alphas (penalty alpha²), chosen by R².
    #[must_use]
    pub fn params(alphas: Alphas) -> RidgeProbeParams {
        RidgeProbeParams(RidgeProbeValidParams {
            n_alphas: alphas.as_slice().len(),
            ridge: Ridge::params(alphas).intercept(true),
        })
    }
}

/// Parameters of a ridge probe, not checked yet: [`check`](ParamGuard::check) makes them
/// [`RidgeProbeValidParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeProbeParams(RidgeProbeValidParams);

impl RidgeProbeParams {
    /// What to rank alphas by on the validation rows.
    #[must_use]
    pub fn score(mut self, score: CvScore) -> Self {
        self.0.ridge = self.0.ridge.score(score);
        self
    }

    /// Precision to work in, in place of the one chosen from the data.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.0.ridge = self.0.ridge.precision(precision);
        self
    }
}

impl ParamGuard for RidgeProbeParams {
    type Checked = RidgeProbeValidParams;
    type Error = ProbingError;

    /// Always good: alphas, score and precision are checked types, and whether several alphas have rows to be chosen on
    /// is known to [`fit`](RidgeProbeValidParams::fit) and [`fit_best`](RidgeProbeValidParams::fit_best).
    fn check_ref(&self) -> Result<&RidgeProbeValidParams> {
        Ok(&self.0)
    }

    fn check(self) -> Result<RidgeProbeValidParams> {
        Ok(self.0)
    }
}

/// Checked parameters of a ridge probe.
#[derive(Debug, Clone, PartialEq)]
pub struct RidgeProbeValidParams {
    n_alphas: usize,
    ridge: RidgeParams,
}

impl RidgeProbeValidParams {
    /// Fits a single alpha to `x` `[n_samples, n_features]` and `y` `[n_samples, n_targets]`.
    ///
    /// # Errors
    /// [`ProbingError::Ridge`]: shapes that do not match, values that are not finite, several alphas.
    #[instrument(skip_all, fields(n_samples = x.nrows(), n_features = x.ncols(), n_targets = y.ncols()))]
    pub fn fit(&self, x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> Result<FittedRidgeProbe> {
        let ridge = self.ridge.clone().check()?;
        let fitted = EncodingModel::fit(&ridge, &DesignMatrix::from(x.to_owned()), y)?;
        Ok(FittedRidgeProbe(fitted))
    }

    /// Chooses an alpha per target on the validation rows and fits it to training and validation rows
    /// together; features `[n_samples, n_features]` and targets `[n_samples, n_targets]` for each.
    ///
    /// # Errors
    /// [`ProbingError::Ridge`], [`ProbingError::Columns`].
    #[instrument(skip_all, fields(n_samples = train.0.nrows(), n_features = train.0.ncols(), n_targets = train.1.ncols()))]
    pub fn fit_best(
        &self,
        train: (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
        validation: (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
    ) -> Result<FittedRidgeProbe> {
        check::columns(
            "x of the validation rows",
            validation.0.ncols(),
            train.0.ncols(),
        )?;
        check::columns(
            "y of the validation rows",
            validation.1.ncols(),
            train.1.ncols(),
        )?;
        check::same_rows("x", train.0.nrows(), "y", train.1.nrows())?;
        let x = stacked(train.0, validation.0);
        let y = stacked(train.1, validation.1);
        let rows = (train.0.nrows()..x.nrows()).collect();
        let mut ridge = self.ridge.clone();
        if self.n_alphas > 1 {
            ridge = ridge.folds(Folds::from_validation_rows(vec![rows], x.nrows())?);
        }
        let fitted = EncodingModel::fit(&ridge.check()?, &DesignMatrix::from(x), y.view())?;
        Ok(FittedRidgeProbe(fitted))
    }
}

fn stacked(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Array2<f32> {
    concatenate(Axis(0), &[a.reborrow(), b.reborrow()]).expect("columns are as many")
}

impl<D: Data<Elem = f32>, D2: Data<Elem = f32>>
    Fit<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>, ProbingError> for RidgeProbeValidParams
{
    type Object = FittedRidgeProbe;

    fn fit(
        &self,
        dataset: &DatasetBase<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>>,
    ) -> Result<FittedRidgeProbe> {
        Self::fit(self, dataset.records.view(), dataset.targets.view())
    }
}

/// A fitted ridge probe.
#[derive(Debug)]
pub struct FittedRidgeProbe(FittedRidge);

/// How well numbers are predicted, `[n_targets]` each.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RegressionScores {
    /// R²; 0 for a constant target.
    pub r2: Array1<f32>,
    /// Pearson r; 0 for a constant target or prediction.
    pub r: Array1<f32>,
}

impl FittedRidgeProbe {
    /// The alpha of each target; the penalty is its square.
    #[must_use]
    pub fn best_alphas(&self) -> &[f64] {
        self.0.best_alphas()
    }

    /// Scores of the alphas on the validation rows, `[n_alphas, n_targets]`; no rows after
    /// [`fit`](RidgeProbeValidParams::fit).
    #[must_use]
    pub fn validation_scores(&self) -> ArrayView2<'_, f64> {
        self.0.cv_scores()
    }

    /// Coefficients, `[n_features, n_targets]`.
    #[must_use]
    pub fn coef(&self) -> Array2<f32> {
        self.0.coef()
    }

    /// Intercepts, `[n_targets]`.
    #[must_use]
    pub fn intercept(&self) -> Array1<f32> {
        let none = || Array1::zeros(self.0.n_voxels());
        self.0.intercept().unwrap_or_else(none)
    }

    /// Predictions for `x` `[n_samples, n_features]`: `[n_samples, n_targets]`.
    ///
    /// # Errors
    /// [`ProbingError::Ridge`]: another number of columns, no rows, values that are not finite.
    pub fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        Ok(self.0.predict(x)?)
    }

    /// R² and r of each target on rows of `x` `[n_samples, n_features]` and `y` `[n_samples, n_targets]`.
    ///
    /// # Errors
    /// As [`predict`](FittedRidgeProbe::predict); `y` of another shape.
    pub fn score(
        &self,
        x: ArrayView2<'_, f32>,
        y: ArrayView2<'_, f32>,
    ) -> Result<RegressionScores> {
        let (r, r2) = self.0.score(x, y)?;
        Ok(RegressionScores { r2, r })
    }
}

impl<D: Data<Elem = f32>> linfa::traits::PredictInplace<ArrayBase<D, Ix2>, Array2<f32>>
    for FittedRidgeProbe
{
    /// # Panics
    /// If [`FittedRidgeProbe::predict`] errs on `x`: linfa's trait has no errors.
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array2<f32>) {
        *y = self.predict(x.view()).expect("x must suit the fit");
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array2<f32> {
        Array2::zeros((x.nrows(), self.0.n_voxels()))
    }
}
