//! What of a ridge's parameters a decomposition depends on.

use super::{
    prepared::Unfit,
    real::{Precision, Real},
};
use crate::{Folds, Solver};

/// Single precision is safe while the rounding of the largest eigenvalue stays below this part of
/// the smallest penalty.
const SAFE_ROUNDING: f64 = 1e-2;

/// What to decompose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Folds, to score, and all rows, to fit.
    All,
    /// Folds only: scores are all that is wanted.
    Folds,
}

/// What a preparation needs to know besides the features.
pub(crate) struct Settings<'a> {
    /// alpha², smallest first.
    pub(crate) penalties: &'a [f64],
    pub(crate) work: Work,
    pub(crate) folds: Option<&'a Folds>,
    pub(crate) solver: Solver,
    pub(crate) precision: Option<Precision>,
    pub(crate) intercept: bool,
}

impl Settings<'_> {
    pub(super) fn n_folds(&self) -> usize {
        self.folds.map_or(0, Folds::n_folds)
    }

    /// Whether the precision bears the largest eigenvalue; only warned of where it was asked for.
    pub(super) fn check_precision<T: Real>(&self, largest: f64) -> Result<(), Unfit> {
        let rounding = f64::from(f32::EPSILON) * largest;
        // Written so that a largest eigenvalue that overflowed is unsafe too.
        let safe = rounding <= SAFE_ROUNDING * self.penalties[0];
        if T::PRECISION == Precision::Single && !safe {
            if self.precision != Some(Precision::Single) {
                return Err(Unfit::Imprecise);
            }
            tracing::warn!(
                largest_eigenvalue = largest,
                smallest_penalty = self.penalties[0],
                "single precision was asked for and rounds away more than the smallest penalty bears: weights may be wrong"
            );
        }
        Ok(())
    }

    /// The form with the smaller matrices to decompose, over folds and all rows.
    pub(crate) fn is_primal(&self, n_samples: usize, n_features: usize) -> bool {
        let cube = |n: usize| (n as f64).powi(3);
        match self.solver {
            Solver::Primal => true,
            Solver::Dual => false,
            Solver::Auto => {
                let dual: f64 = (0..self.n_folds())
                    .filter_map(|fold| self.folds.map(|folds| folds.validation(fold).len()))
                    .map(|n_validation| cube(n_samples - n_validation))
                    .sum();
                cube(n_features) * (self.n_folds() + 1) as f64 <= dual + cube(n_samples)
            }
        }
    }
}
