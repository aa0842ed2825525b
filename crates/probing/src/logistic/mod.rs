//! Logistic regression with an L2 penalty: several classes, or several labels at once.
//!
//! Minimises `C Σ loss + ½ ‖W‖²` over `x` `[n_samples, n_features]`, intercepts not penalised, as
//! scikit-learn's `LogisticRegression`: softmax cross-entropy for three classes and more, one sigmoid
//! for two, and `OneVsRestClassifier`'s sigmoid per label (same C) for labels. Differs: L-BFGS works on
//! centred features and on variables scaled by the curvature of their column and class, which changes
//! the way and not the minimum; labels are fitted together; the tolerance is on the gradient's norm in
//! those variables, relative to that of zero weights; products are in f32 down to 1e-6 of it and in f64
//! beyond, or where f32 can go no further. Standardising is a penalty per feature: features are never rewritten. Held by
//! `tests/it/logistic.rs` (scikit-learn).

mod problem;
mod select;

use linfa::{ParamGuard, dataset::DatasetBase, traits::Fit};
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix1, Ix2};
use tracing::{instrument, warn};

use self::problem::{Problem, Solution};
pub use self::select::{BestFit, Criterion};
use crate::{
    Classes, Labels, LinearProbe, OnProgress, ProbingError, Result, check, linear::fit_labels,
    progress,
};

/// Where logistic probes begin: [`Logistic::params`].
#[derive(Debug, Clone, Copy)]
pub struct Logistic;

impl Logistic {
    /// Parameters with the inverse penalty `c`: no standardising, tolerance 1e-6, at most 1,000 steps.
    #[must_use]
    pub fn params(c: f64) -> LogisticParams {
        LogisticParams(LogisticValidParams {
            c,
            standardise: false,
            tolerance: 1e-6,
            max_steps: 1_000,
        })
    }
}

/// Parameters of a logistic probe, not checked yet: [`check`](ParamGuard::check) makes them
/// [`LogisticValidParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticParams(LogisticValidParams);

impl LogisticParams {
    /// Whether weights are penalised as if each feature had mean 0 and variance 1 over the training
    /// rows (population variance, as scikit-learn's `StandardScaler`; constant features stay as they
    /// are). Coefficients are still those of the features as given.
    #[must_use]
    pub fn standardise(mut self, standardise: bool) -> Self {
        self.0.standardise = standardise;
        self
    }

    /// Norm of the gradient, relative to that of zero weights, at which a fit is done.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.0.tolerance = tolerance;
        self
    }

    /// Steps after which a fit ends, with a warning, where it is.
    #[must_use]
    pub fn max_steps(mut self, max_steps: usize) -> Self {
        self.0.max_steps = max_steps;
        self
    }
}

impl ParamGuard for LogisticParams {
    type Checked = LogisticValidParams;
    type Error = ProbingError;

    fn check_ref(&self) -> Result<&LogisticValidParams> {
        check::positive("C", self.0.c)?;
        check::positive("the tolerance", self.0.tolerance)?;
        check::at_least_one("the number of steps", self.0.max_steps)?;
        Ok(&self.0)
    }

    fn check(self) -> Result<LogisticValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Checked parameters of a logistic probe.
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticValidParams {
    c: f64,
    standardise: bool,
    tolerance: f64,
    max_steps: usize,
}

impl LogisticValidParams {
    /// Fits `x` `[n_samples, n_features]` to [`Classes`] or labels (`ArrayView2<bool>`,
    /// `[n_samples, n_labels]`).
    ///
    /// # Errors
    /// Shapes that do not match, values that are not finite, [`ProbingError::OneClass`],
    /// [`ProbingError::EmptyClass`], [`ProbingError::ConstantLabel`].
    pub fn fit<L: Labels>(
        &self,
        x: ArrayView2<'_, f32>,
        labels: L,
    ) -> Result<LinearProbe<L::Predicted>> {
        self.fit_observed(x, labels, &mut progress::silent)
    }

    /// As [`fit`](LogisticValidParams::fit), telling `on` about each step.
    ///
    /// # Errors
    /// As [`fit`](LogisticValidParams::fit), and [`ProbingError::Cancelled`].
    #[instrument(skip_all, fields(n_samples = x.nrows(), n_features = x.ncols(), c = self.c))]
    pub fn fit_observed<L: Labels>(
        &self,
        x: ArrayView2<'_, f32>,
        labels: L,
        on: &mut OnProgress<'_>,
    ) -> Result<LinearProbe<L::Predicted>> {
        let problem = Problem::new(self, x.reborrow(), labels.truth())?;
        let solution = problem.solve(self.c, None, on)?;
        warn_if_unfinished(&solution, self.c);
        Ok(problem.probe(&solution))
    }
}

fn warn_if_unfinished(solution: &Solution, c: f64) {
    let report = solution.report;
    if !report.converged {
        warn!(
            c,
            n_steps = report.n_steps,
            gradient = report.gradient,
            "the fit did not converge: allow more steps, standardise, or lower C"
        );
    }
}

fit_labels!(LogisticValidParams);
