//! The loop: batches read ahead, steps, evaluations, checkpoints, and a run that goes on where it was; by one
//! process or by several, which meet in [`Team`].

use std::error::Error;
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

use braintune_backbone::SpeechBackbone;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{BrainTuner, Tuned, TuningEnd};
use crate::batch::{TuningBatch, TuningData};
use crate::checkpoint::{Checkpoints, Progress};
use crate::error::{Result, TuningError};
use crate::evaluate::{Evaluating, evaluate_on, row};
use crate::event::{TuningEvent, TuningStep};
use crate::learning::{BatchPart, Learning};
use crate::model::TuningModel;
use crate::schedule::learning_rate_factor;
use crate::step::{
    Dropout, Gradients, Optimisers, add_up, loss_and_gradients, micro_batches, parts_of,
};
use crate::team::Team;

/// A training loss this many times that of the first step is one that diverges.
const DIVERGED: f64 = 100.0;
/// Batches in memory beside the one in work.
const READ_AHEAD: usize = 2;

/// A run in progress.
pub(super) struct Run<'a, B: Module, O> {
    pub(super) tuner: &'a BrainTuner<O>,
    pub(super) team: Team<'a>,
    pub(super) model: TuningModel<B>,
    /// Where there are no checkpoints, or another rank writes them.
    pub(super) best_model: Option<TuningModel<B>>,
    pub(super) optimisers: Optimisers,
    pub(super) progress: Progress,
    pub(super) checkpoints: Option<Checkpoints<'a>>,
    pub(super) validation: Option<&'a dyn TuningData>,
    pub(super) device: &'a Device,
    pub(super) n_batches: usize,
    /// The step after which the weights of all ranks were compared last.
    pub(super) compared: usize,
}

impl<B: SpeechBackbone, O: Learning<B>> Run<'_, B, O> {
    fn n_steps(&self) -> usize {
        self.n_batches * self.tuner.config.epochs
    }

    pub(super) fn begin(
        &mut self,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let resumed = self.resume()?;
        let is_resumed = resumed.is_some();
        self.team.same_weights(&self.model, || {
            let what = if is_resumed {
                "in the checkpoint: is its folder on storage that all ranks share?"
            } else {
                "at the beginning: give all ranks the same model"
            };
            what.to_owned()
        })?;
        let Some(skipped) = resumed else {
            return Ok(ControlFlow::Continue(()));
        };
        let step = self.progress.step;
        self.compared = step;
        let flow = self
            .team
            .agree(on(TuningEvent::Resumed { step, skipped }))?;
        if flow.is_break() || self.progress.done {
            return Ok(flow);
        }
        // An evaluation that the run was stopped before is made now.
        self.after_step(on)
    }

    /// Goes on from a checkpoint if there is one and it is wanted: the newest that the first rank can read. Gives those
    /// that were damaged.
    fn resume(&mut self) -> Result<Option<Vec<(PathBuf, String)>>> {
        let (Some(checkpoints), Some((_, resume))) = (&self.checkpoints, &self.tuner.state) else {
            return Ok(None);
        };
        let new = || Optimisers::new(&self.tuner.config);
        let mut resumed = None;
        if self.team.0.is_first() {
            checkpoints.sweep()?;
            if *resume {
                resumed = checkpoints.resume(&self.model, new)?;
            } else {
                checkpoints.clear()?;
            }
        }
        let step = resumed
            .as_ref()
            .map(|found| found.progress.step.to_string());
        let all = self.team.gather(step.unwrap_or_default().as_bytes())?;
        let step = str::from_utf8(&all[0])
            .ok()
            .and_then(|step| step.parse().ok());
        if let Some(step) = step.filter(|_| !self.team.0.is_first()) {
            let place = (step, self.team.0.rank());
            let found = checkpoints.follow(place, &self.model, new())?;
            if let Some((best, _)) = found.progress.best {
                self.best_model = Some(checkpoints.load_best(self.model.clone(), best)?);
            }
            resumed = Some(found);
        }
        Ok(resumed.map(|found| {
            self.model = found.model;
            self.optimisers = found.optimisers;
            self.progress = found.progress;
            found.skipped
        }))
    }

    /// Looks through all that is learnt, a share on each rank, and reads what chooses among the states once, so that
    /// what is wrong with them is said before anything long begins.
    pub(super) fn read_first(
        &self,
        train: &dyn TuningData,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let mut reading = |n_done, n_batches| on(TuningEvent::Reading { n_done, n_batches });
        let flow = train.check(self.team.0.shard(), &mut reading);
        let mut flow = flow.map_err(|error| match error.downcast() {
            Ok(known) => *known,
            Err(error) => TuningError::Batch(error),
        })?;
        if let Some(validation) = self.validation.filter(|_| flow.is_continue()) {
            flow = self.read_validation(validation, &mut reading)?;
        }
        self.team.agree(flow)
    }

    fn read_validation(
        &self,
        validation: &dyn TuningData,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let n_batches = validation.n_batches();
        for n_done in 0..n_batches {
            if on(n_done, n_batches).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let batch = validation.batch(0, n_done).map_err(TuningError::Batch)?;
            self.model.check_batch(&batch)?;
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Steps from where the run stands, batches read ahead in a thread.
    pub(super) fn all_steps(
        &mut self,
        train: &dyn TuningData,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (first, n_steps, n_batches) = (self.progress.step, self.n_steps(), self.n_batches);
        std::thread::scope(|scope| {
            let (sender, batches) = mpsc::sync_channel(READ_AHEAD);
            scope.spawn(move || {
                for step in first..n_steps {
                    let batch = train.batch(step / n_batches, step % n_batches);
                    // Nobody listens any more once the run has ended.
                    if sender.send(batch).is_err() {
                        return;
                    }
                }
            });
            let mut began = Instant::now();
            for batch in batches {
                let batch = self.checked(batch);
                match batch.and_then(|batch| self.step_and_after(&batch, began, on)) {
                    Ok(flow) if flow.is_continue() && !self.progress.done => {}
                    Ok(flow) => {
                        self.save()?;
                        return Ok(flow);
                    }
                    Err(error) => {
                        // All steps before are good.
                        if !matches!(error, TuningError::Diverged { .. } | TuningError::Io { .. }) {
                            self.write()?;
                        }
                        return Err(error);
                    }
                }
                began = Instant::now();
            }
            // The last step ends the loop above.
            Err(TuningError::NoBatch {
                step: self.progress.step + 1,
                n_steps,
            })
        })
    }

    /// A step on a batch that was begun to be waited for at `began`, and what is due after it.
    fn step_and_after(
        &mut self,
        batch: &TuningBatch,
        began: Instant,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let ControlFlow::Continue(mut step) = self.step(batch, on)? else {
            return Ok(ControlFlow::Break(()));
        };
        step.clips_per_s = batch.samples.nrows() as f64 / began.elapsed().as_secs_f64();
        let flow = self.team.agree(on(TuningEvent::Step(step)))?;
        if flow.is_break() {
            return Ok(flow);
        }
        self.after_step(on)
    }

    fn checked(
        &self,
        batch: Result<TuningBatch, Box<dyn Error + Send + Sync>>,
    ) -> Result<TuningBatch> {
        let batch = batch.map_err(TuningError::Batch)?;
        self.model.check_batch(&batch)?;
        Ok(batch)
    }

    /// One step; nothing is changed if it is stopped.
    fn step(
        &mut self,
        batch: &TuningBatch,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), TuningStep>> {
        let config = &self.tuner.config;
        let step = self.progress.step;
        let weights = self.tuner.weights.get(batch.head).and_then(Option::as_ref);
        let weights: Option<Tensor<2>> = weights.map(|weights| row(weights, self.device));
        let whole = BatchPart::whole(batch, weights.as_ref(), step as u64, self.device);
        let parts = self.parts(&whole);
        let n_clips = parts.0.iter().map(ExactSizeIterator::len).sum();
        let (model, objective) = (&self.model, &self.tuner.objective);
        let working = &mut |n_done| {
            on(TuningEvent::Working {
                step: step + 1,
                n_done,
                n_clips,
            })
        };
        let found = loss_and_gradients(model, objective, &whole, (&parts.0, parts.1), working)?;
        let plain = self.device.clone().inner();
        let found = add_up(self.team, model, found, &plain)?;
        let ControlFlow::Continue((loss, gradients)) = found else {
            return Ok(ControlFlow::Break(()));
        };
        let gradient_norm = self.team.of_first(gradients.norm(&self.model))?;
        self.check(loss, gradient_norm)?;
        let gradients = self.bounded(gradients, gradient_norm);
        let factor = learning_rate_factor(step, self.n_steps(), config.warmup);
        let rates = (config.lr_backbone * factor, config.lr_head * factor);
        // The old weights stay until the new ones are made.
        let model = self.model.clone();
        self.model = self.optimisers.step(model, gradients, rates);
        self.progress.step += 1;
        self.progress.losses.0 += loss;
        self.progress.losses.1 += 1;
        Ok(ControlFlow::Continue(TuningStep {
            step: step + 1,
            n_steps: self.n_steps(),
            epoch: step / self.n_batches,
            loss,
            gradient_norm,
            rates,
            clips_per_s: 0.0,
        }))
    }

    /// What of a batch goes through the model here, and what it draws.
    fn parts(&self, whole: &BatchPart<'_>) -> (Vec<Range<usize>>, Dropout) {
        let config = &self.tuner.config;
        let dropout = Dropout::new(config);
        let keeps = dropout.draws() || self.tuner.objective.depends_on_parts(&self.model);
        let (n, n_ranks) = (whole.rows.len(), self.team.0.n_ranks());
        let all = micro_batches(n, config.micro_batch, n_ranks, keeps);
        (parts_of(self.team.0.shard(), &all), dropout)
    }

    /// Stops before weights become useless.
    fn check(&mut self, loss: f64, gradient_norm: f64) -> Result<()> {
        let first = *self.progress.first_loss.get_or_insert(loss);
        let what = if !loss.is_finite() {
            format!("the loss is {loss}")
        } else if !gradient_norm.is_finite() {
            format!("the norm of the gradients is {gradient_norm}")
        } else if loss > DIVERGED * first.max(f64::MIN_POSITIVE) {
            format!("the loss is {loss:.4}, it was {first:.4} at the first step")
        } else {
            return Ok(());
        };
        Err(TuningError::Diverged {
            step: self.progress.step + 1,
            what,
            kept: self.checkpoints.as_ref().map_or(0, Checkpoints::last_step),
        })
    }

    fn bounded(&self, gradients: Gradients, norm: f64) -> Gradients {
        match self.tuner.config.max_grad_norm {
            // As PyTorch's clip_grad_norm_.
            Some(most) if norm > most => gradients.scale(&self.model, most / (norm + 1e-6)),
            _ => gradients,
        }
    }

    /// Evaluations and checkpoints that are due.
    fn after_step(
        &mut self,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let config = &self.tuner.config;
        let every = config.evaluate_every.unwrap_or(self.n_batches);
        let step = self.progress.step;
        let last = step == self.n_steps();
        let mut flow = ControlFlow::Continue(());
        let evaluates = step.is_multiple_of(every) || last;
        // Losses since the last evaluation: none if the one that is due was made before a run went on.
        let is_open = |run: &Self| run.progress.losses.1 > 0;
        if let Some(validation) = self.validation.filter(|_| evaluates && is_open(self)) {
            flow = match self.evaluate(validation, on) {
                // The steps are good; the evaluation is made when the run goes on.
                Err(error) if !matches!(error, TuningError::Diverged { .. }) => {
                    self.write()?;
                    return Err(error);
                }
                other => other?,
            };
            if is_open(self) {
                return Ok(flow); // stopped before its end
            }
        }
        if last {
            self.progress.done = true;
        }
        if evaluates || step.is_multiple_of(config.checkpoint_every) {
            self.save()?;
        }
        Ok(flow)
    }

    fn evaluate(
        &mut self,
        validation: &dyn TuningData,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let config = &self.tuner.config;
        let plain = self.model.valid();
        let step = self.progress.step;
        let settings = Evaluating {
            weights: &self.tuner.weights,
            micro_batch: config.micro_batch,
            device: &self.device.clone().inner(),
        };
        let model = (&plain, &self.tuner.objective);
        let found = evaluate_on(self.team, model, validation, &settings, &mut |n_done, n| {
            on(TuningEvent::Evaluating {
                step,
                n_done,
                n_batches: n,
            })
        })?;
        let ControlFlow::Continue(found) = found else {
            return Ok(ControlFlow::Break(()));
        };
        if !found.loss.is_finite() {
            return Err(TuningError::Diverged {
                step: self.progress.step,
                what: format!("the validation loss is {}", found.loss),
                kept: self.checkpoints.as_ref().map_or(0, Checkpoints::last_step),
            });
        }
        let is_best = self.keep_if_best(found.loss)?;
        let (sum, n) = std::mem::take(&mut self.progress.losses);
        self.team.agree(on(TuningEvent::Evaluated {
            step,
            epoch: (step - 1) / self.n_batches,
            train_loss: sum / n.max(1) as f64,
            validation: found,
            is_best,
        }))
    }

    /// Whether the model of this step is the best so far by its validation loss, and so is kept; counts those that are
    /// not.
    fn keep_if_best(&mut self, found: f64) -> Result<bool> {
        let config = &self.tuner.config;
        let is_best = self.progress.best.is_none_or(|(_, loss)| found < loss);
        if is_best {
            self.progress.best = Some((self.progress.step, found));
            self.progress.n_worse = 0;
            match self.written() {
                Some(checkpoints) => checkpoints.save_best(&self.model, &self.progress)?,
                None => self.best_model = Some(self.model.clone()),
            }
        } else {
            self.progress.n_worse += 1;
            self.progress.done |= self.progress.n_worse >= config.patience && !config.keep_last;
        }
        Ok(is_best)
    }

    /// The checkpoints, where they are this rank's to write.
    fn written(&self) -> Option<&Checkpoints<'_>> {
        let checkpoints = self.checkpoints.as_ref();
        checkpoints.filter(|_| self.team.0.is_first())
    }

    /// Compares the weights of all ranks, and writes a checkpoint; all ranks call it.
    fn save(&mut self) -> Result<()> {
        let step = self.progress.step;
        if self.compared != step {
            self.compared = step;
            let at = || {
                format!(
                    "after step {step}, though all made the same steps: use machines of one kind, and go on from the last checkpoint"
                )
            };
            self.team.same_weights(&self.model, at)?;
        }
        self.write()
    }

    /// Writes a checkpoint of this step, if its weights are worth keeping and this is the rank to write.
    fn write(&self) -> Result<()> {
        let Some(checkpoints) = self.written() else {
            return Ok(());
        };
        let kept = checkpoints.last_step();
        if self.progress.step == 0 || checkpoints.holds(&self.progress) {
            return Ok(());
        }
        if !self.model.is_finite() {
            return Err(TuningError::Diverged {
                step: self.progress.step,
                what: "weights are no numbers any more".to_owned(),
                kept,
            });
        }
        checkpoints.save(&self.model, &self.optimisers, &self.progress)
    }

    pub(super) fn finish(self, flow: ControlFlow<()>) -> Result<Tuned<B>> {
        let n_steps = self.n_steps();
        let Progress {
            step, best, done, ..
        } = self.progress;
        let end = match flow {
            ControlFlow::Break(()) if !done => TuningEnd::Cancelled,
            _ if step < n_steps => TuningEnd::EarlyStopped,
            _ => TuningEnd::Finished,
        };
        let wanted = best.filter(|_| !self.tuner.config.keep_last && end != TuningEnd::Cancelled);
        let model = match (self.checkpoints, self.best_model, wanted) {
            (_, Some(model), Some(_)) => model,
            (Some(checkpoints), None, Some((step, _))) => {
                checkpoints.load_best(self.model, step)?
            }
            _ => self.model,
        };
        // Whatever this rank has left to say, the others wait for.
        self.team.gather(&[])?;
        Ok(Tuned {
            model: model.valid(),
            end,
            n_steps: step,
            best: wanted,
        })
    }
}
