//! What a fit tells its caller while it works.

use std::ops::ControlFlow;

use crate::{ProbingError, Result};

/// Called as a fit goes on; [`ControlFlow::Break`] stops it with [`ProbingError::Cancelled`].
pub type OnProgress<'a> = dyn FnMut(FitProgress) -> ControlFlow<()> + 'a;

/// How far a fit is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FitProgress {
    /// A step of L-BFGS is done.
    Step {
        /// Steps done.
        step: usize,
        /// Mean loss over the training rows, penalty included.
        loss: f64,
        /// Norm of the gradient relative to that of zero weights: what the tolerance bounds.
        gradient: f64,
    },
    /// An epoch of Adam is done.
    Epoch {
        /// Epochs done.
        epoch: usize,
        /// Mean loss over the training rows before the epoch's last step.
        loss: f64,
        /// Mean loss over the validation rows after it, where there are some.
        validation_loss: Option<f64>,
    },
    /// One candidate of a setting has been fitted and judged.
    Candidate {
        /// Place in what was given.
        index: usize,
        /// Its criterion on the validation rows.
        value: f64,
    },
}

pub(crate) fn tell(on: &mut OnProgress<'_>, progress: FitProgress) -> Result<()> {
    match on(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(ProbingError::Cancelled),
    }
}

pub(crate) fn silent(_: FitProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
