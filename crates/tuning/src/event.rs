//! What a run tells while it goes; whoever listens can stop it at each.
//!
//! Held by `tests/it/resume.rs`.

use std::path::PathBuf;

use crate::evaluate::Evaluation;

/// What a run tells while it goes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TuningEvent {
    /// It goes on from a checkpoint.
    Resumed {
        /// Steps made before.
        step: usize,
        /// Checkpoints that were damaged, and how.
        skipped: Vec<(PathBuf, String)>,
    },
    /// Responses, and then validation data, are read once before the first step.
    Reading {
        /// Stories or batches that were read.
        n_done: usize,
        /// Stories, or batches of an evaluation; of stories this rank's share where there are several.
        n_batches: usize,
    },
    /// Some clips of a step went through the model. To stop here drops what of this step was done, and
    /// keeps all steps before.
    Working {
        /// The step, from 1.
        step: usize,
        /// Clips that went through.
        n_done: usize,
        /// Clips of the step; of this rank's share where there are several.
        n_clips: usize,
    },
    /// A part of the validation clips is predicted. To stop here puts the evaluation off to when the run
    /// goes on.
    Evaluating {
        /// Steps made.
        step: usize,
        /// Batches that were predicted.
        n_done: usize,
        /// Batches of the evaluation; of this rank's share where there are several.
        n_batches: usize,
    },
    /// A step was made.
    Step(TuningStep),
    /// Validation stories were predicted.
    Evaluated {
        /// Steps made.
        step: usize,
        /// Epoch, from 0.
        epoch: usize,
        /// Mean training loss since the last evaluation.
        train_loss: f64,
        /// On the validation stories.
        validation: Evaluation,
        /// Whether no evaluation had a lower loss.
        is_best: bool,
    },
}

/// One optimiser step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TuningStep {
    /// From 1.
    pub step: usize,
    /// Of the whole run.
    pub n_steps: usize,
    /// Epoch, from 0.
    pub epoch: usize,
    /// Loss before the step.
    pub loss: f64,
    /// Norm of all gradients, before it was bounded.
    pub gradient_norm: f64,
    /// Learning rates of backbone and heads.
    pub rates: (f64, f64),
    /// Clips per second of this step, reading included.
    pub clips_per_s: f64,
}
