//! What a run is made of: settings, an objective, weights of voxels, a folder of checkpoints.
//!
//! Held by `tests/it/training.rs` and `tests/it/resume.rs`.

mod run;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_backbone::SpeechBackbone;
use burn::module::Module;
use burn::tensor::Device;
use serde_json::json;
use tracing::instrument;

use self::run::Run;
use crate::batch::TuningData;
use crate::checkpoint::{Checkpoints, Progress};
use crate::config::{TuningConfig, setting};
use crate::digests::of_values;
use crate::error::{Result, TuningError};
use crate::evaluate::check_n_weights;
use crate::event::TuningEvent;
use crate::learning::Learning;
use crate::model::TuningModel;
use crate::step::Optimisers;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TuningEnd {
    /// All epochs.
    Finished,
    /// The validation loss got no better.
    EarlyStopped,
    /// The caller stopped it.
    Cancelled,
}

/// A model after tuning, on the plain device: the best one that was evaluated, or the last one where
/// there was no validation, the settings say so, or the run was cancelled.
#[derive(Debug)]
#[non_exhaustive]
pub struct Tuned<B: Module> {
    /// The model.
    pub model: TuningModel<B>,
    /// How the run ended.
    pub end: TuningEnd,
    /// Steps made.
    pub n_steps: usize,
    /// Step and validation loss of `model`, if it was chosen by that.
    pub best: Option<(usize, f64)>,
}

/// Tunes a backbone, and heads, to predict responses.
#[derive(Debug, Clone)]
pub struct BrainTuner<O> {
    config: TuningConfig,
    objective: O,
    weights: Vec<Option<Vec<f32>>>,
    state: Option<(PathBuf, bool)>,
    origin: serde_json::Value,
}

impl<O> BrainTuner<O> {
    /// A tuner with these settings; what is made small is `objective`.
    ///
    /// # Errors
    /// Settings that cannot be.
    pub fn new(config: TuningConfig, objective: O) -> Result<Self> {
        config.check()?;
        Ok(Self {
            config,
            objective,
            weights: Vec::new(),
            state: None,
            origin: serde_json::Value::Null,
        })
    }

    /// How much each voxel of each head counts, `[n_voxels]` with mean 1; all alike unless given.
    #[must_use]
    pub fn with_voxel_weights(mut self, weights: Vec<Option<Vec<f32>>>) -> Self {
        self.weights = weights;
        self
    }

    /// What stands for the weights and files that a run begins with: one that goes on must have the same.
    #[must_use]
    pub fn with_origin(mut self, origin: serde_json::Value) -> Self {
        self.origin = origin;
        self
    }

    /// Keeps checkpoints in `dir`. With `resume` a run goes on from the newest, else what is there is removed.
    #[must_use]
    pub fn with_state(mut self, dir: &Path, resume: bool) -> Self {
        self.state = Some((dir.to_path_buf(), resume));
        self
    }

    fn check_weights(&self, n_voxels: &[usize]) -> Result<()> {
        for (head, weights) in self.weights.iter().enumerate() {
            let Some(weights) = weights else { continue };
            let expected = n_voxels.get(head).copied().unwrap_or(0);
            let fit = |w: &f32| w.is_finite() && *w >= 0.0;
            let mean = weights.iter().map(|w| f64::from(*w)).sum::<f64>() / weights.len() as f64;
            check_n_weights(head, weights.len(), expected)?;
            if !weights.iter().all(fit) || (mean - 1.0).abs() > 1e-3 {
                return Err(TuningError::VoxelWeights {
                    head,
                    problem: format!(
                        "expected numbers of at least 0 with mean 1, found mean {mean}"
                    ),
                });
            }
        }
        Ok(())
    }

    /// What a run that goes on must have the same of.
    fn fingerprint<B: SpeechBackbone>(
        &self,
        model: &TuningModel<B>,
        train: &dyn TuningData,
        validation: Option<&dyn TuningData>,
    ) -> serde_json::Value
    where
        O: Learning<B>,
    {
        let weights = self.weights.iter().map(|w| w.as_ref().map(of_values));
        json!({
            "config": self.config,
            "objective": self.objective.title(),
            "voxel_weights": weights.collect::<Vec<_>>(),
            "origin": self.origin,
            "train": train.fingerprint(),
            "validation": validation.map(TuningData::fingerprint),
            "model": { "n_voxels": model.n_voxels(), "n_parameters": model.num_params() },
        })
    }

    /// Tunes `model`, whose parameters live on the autodiff device `device`, on `train`; chooses among its
    /// states by the loss on `validation`.
    ///
    /// Frozen parameters keep their bits. With checkpoints, a run that was stopped at any moment and
    /// goes on ends with the bits of one that was not.
    ///
    /// # Errors
    /// [`TuningError::Diverged`], [`TuningError::OtherRun`], [`TuningError::BatchShape`] for a batch that does not
    /// fit the model, what reading batches and writing checkpoints can cause.
    #[instrument(skip_all, fields(n_batches = train.n_batches()))]
    pub fn fit<B: SpeechBackbone>(
        &self,
        model: TuningModel<B>,
        train: &dyn TuningData,
        validation: Option<&dyn TuningData>,
        device: &Device,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<Tuned<B>>
    where
        O: Learning<B>,
    {
        self.objective.check(&model)?;
        self.check_weights(&model.n_voxels())?;
        let run = self.fingerprint(&model, train, validation);
        let checkpoints = self.state.as_ref().map(|(dir, _)| {
            Checkpoints::new(dir, run, [Some(train), validation].into_iter().flatten())
        });
        // Until the end of the run.
        let _alone = checkpoints.as_ref().map(Checkpoints::lock).transpose()?;
        let n_batches = train.n_batches();
        let n_steps = n_batches.checked_mul(self.config.epochs);
        setting(
            n_steps.is_some(),
            "epochs",
            self.config.epochs,
            "fewer: their steps cannot be counted",
        )?;
        let mut run = Run {
            tuner: self,
            model,
            best_model: None,
            optimisers: Optimisers::new(&self.config),
            progress: Progress::default(),
            checkpoints,
            validation,
            device,
            n_batches,
        };
        let mut flow = run.begin(on)?;
        if !run.progress.done && flow.is_continue() {
            flow = run.read_validation(on)?;
        }
        if !run.progress.done && flow.is_continue() {
            flow = run.all_steps(train, on)?;
        }
        run.finish(flow)
    }
}
