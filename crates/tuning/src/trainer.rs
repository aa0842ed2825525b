//! What a run is made of: settings, an objective, weights of voxels, a folder of checkpoints.
//!
//! Held by `tests/it/training.rs`, `tests/it/resume.rs` and `tests/it/ranks.rs`.

mod run;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_backbone::SpeechBackbone;
use braintune_ranks::{Alone, Ranks};
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
use crate::team::Team;

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
        self.fit_on(&Alone, model, train, validation, device, on)
    }

    /// As [`fit`](Self::fit), by several processes together, or by threads with a device each: each calls it with the
    /// same settings, data and model, and each gets the same result.
    ///
    /// The clips of every batch and the batches of every evaluation are shared out; gradients are added up, and all make
    /// the same step. The first rank writes the checkpoints; to go on, all read what it wrote. Events are told to each
    /// rank, those between two steps of its own share; a rank that stops stops all.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use braintune_ranks::ThreadRanks;
    /// # use braintune_backbone::{Wav2Vec2Config, Wav2Vec2Model, CheckpointBackbone};
    /// # use braintune_tuning::{BrainTuner, MeanSquaredError, TuningBatch, TuningConfig, TuningModel, Result};
    /// # use burn::tensor::Device;
    /// # use ndarray::Array2;
    /// # let samples = Array2::from_shape_fn((4, 1_600), |(i, j)| ((i + 1) as f32 * j as f32 * 0.01).sin());
    /// # let bold = Array2::from_shape_fn((4, 3), |(i, j)| (i as f32 - 1.5) * (j as f32 - 1.0));
    /// # let data = vec![TuningBatch::new(0, "S1/tale".to_owned(), samples, bold)];
    /// # let mut config = TuningConfig::default();
    /// # config.epochs = 1;
    /// # let model = |config: &TuningConfig, device: &Device| {
    /// #     let small = Wav2Vec2Config { conv_dim: vec![4; 7], hidden_size: 8, num_attention_heads: 2,
    /// #         intermediate_size: 8, num_hidden_layers: 1, num_conv_pos_embeddings: 4,
    /// #         num_conv_pos_embedding_groups: 2, ..Wav2Vec2Config::default() };
    /// #     let backbone = Wav2Vec2Model::random(&small, 1, device).unwrap().freeze_parts(&config.frozen_parts().unwrap()).unwrap();
    /// #     TuningModel::new(backbone, &[3], config, device).unwrap()
    /// # };
    /// // `data`, `config` and `model` as in the example of the crate; here both ranks compute on the same device.
    /// let tuner = BrainTuner::new(config.clone(), MeanSquaredError)?;
    /// let on_rank = |rank: ThreadRanks| {
    ///     let device = Device::flex().autodiff();
    ///     let go_on = &mut |_| ControlFlow::Continue(());
    ///     tuner.fit_on(&rank, model(&config, &device), &data, None, &device, go_on)
    /// };
    /// let tuned = std::thread::scope(|scope| {
    ///     let ranks = ThreadRanks::group(2).into_iter();
    ///     let threads: Vec<_> = ranks.map(|rank| scope.spawn(|| on_rank(rank))).collect();
    ///     let tuned = threads.into_iter().map(|thread| thread.join().expect("it runs"));
    ///     tuned.collect::<Result<Vec<_>>>()
    /// })?;
    /// assert_eq!((tuned[0].n_steps, tuned[1].n_steps), (1, 1));
    /// # Ok::<(), braintune_tuning::TuningError>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit). [`TuningError::OtherRunOfRank`], [`TuningError::OtherWeights`] and
    /// [`TuningError::CheckpointOfRank`] where ranks do not fit together; [`TuningError::OtherRank`] on all ranks but
    /// the one that failed; what meetings can cause. A rank that ends without an error of its own (a panic) has to end
    /// the others: [`ThreadRanks`](braintune_ranks::ThreadRanks) do when they are dropped, MPI does.
    #[instrument(skip_all, fields(n_batches = train.n_batches(), rank = ranks.rank(), n_ranks = ranks.n_ranks()))]
    pub fn fit_on<B: SpeechBackbone>(
        &self,
        ranks: &dyn Ranks,
        model: TuningModel<B>,
        train: &dyn TuningData,
        validation: Option<&dyn TuningData>,
        device: &Device,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<Tuned<B>>
    where
        O: Learning<B>,
    {
        let team = Team(ranks);
        let tuned = self.run(team, model, (train, validation), device, on);
        if let Err(error) = &tuned {
            team.leave(error);
        }
        tuned
    }

    fn run<B: SpeechBackbone>(
        &self,
        team: Team<'_>,
        model: TuningModel<B>,
        (train, validation): (&dyn TuningData, Option<&dyn TuningData>),
        device: &Device,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<Tuned<B>>
    where
        O: Learning<B>,
    {
        self.objective.check(&model)?;
        self.check_weights(&model.n_voxels())?;
        let run = self.fingerprint(&model, train, validation);
        let resume = self.state.as_ref().map(|(_, resume)| resume);
        team.same_run(&json!({ "settings": run, "resume": resume }))?;
        let checkpoints = self.state.as_ref().map(|(dir, _)| {
            Checkpoints::new(dir, run, [Some(train), validation].into_iter().flatten())
        });
        // Until the end of the run.
        let written = checkpoints.as_ref().filter(|_| team.0.is_first());
        let _alone = written.map(Checkpoints::lock).transpose()?;
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
            team,
            model,
            best_model: None,
            optimisers: Optimisers::new(&self.config),
            progress: Progress::default(),
            checkpoints,
            validation,
            device,
            n_batches,
            compared: 0,
        };
        let mut flow = run.begin(on)?;
        if !run.progress.done && flow.is_continue() {
            flow = run.read_first(train, on)?;
        }
        if !run.progress.done && flow.is_continue() {
            flow = run.all_steps(train, on)?;
        }
        run.finish(flow)
    }
}
