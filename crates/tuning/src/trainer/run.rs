//! The loop: batches read ahead, steps, evaluations, checkpoints, and a run that goes on where it was.

use std::error::Error;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Instant;

use braintune_backbone::SpeechBackbone;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{BrainTuner, Tuned, TuningEnd};
use crate::batch::{TuningBatch, TuningData};
use crate::checkpoint::{Checkpoints, Progress};
use crate::error::{Result, TuningError};
use crate::evaluate::row;
use crate::event::{TuningEvent, TuningStep};
use crate::learning::{BatchPart, Learning};
use crate::model::TuningModel;
use crate::schedule::learning_rate_factor;
use crate::step::{Gradients, Optimisers, loss_and_gradients};

/// A training loss this many times that of the first step is one that diverges.
const DIVERGED: f64 = 100.0;
/// Batches in memory beside the one in work.
const READ_AHEAD: usize = 2;

/// A run in progress.
pub(super) struct Run<'a, B: Module, O> {
    pub(super) tuner: &'a BrainTuner<O>,
    pub(super) model: TuningModel<B>,
    /// Where there are no checkpoints.
    pub(super) best_model: Option<TuningModel<B>>,
    pub(super) optimisers: Optimisers,
    pub(super) progress: Progress,
    pub(super) checkpoints: Option<Checkpoints<'a>>,
    pub(super) validation: Option<&'a dyn TuningData>,
    pub(super) device: &'a Device,
    pub(super) n_batches: usize,
}

impl<B: SpeechBackbone, O: Learning<B>> Run<'_, B, O> {
    fn n_steps(&self) -> usize {
        self.n_batches * self.tuner.config.epochs
    }

    pub(super) fn begin(
        &mut self,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (Some(checkpoints), Some((_, resume))) = (&self.checkpoints, &self.tuner.state) else {
            return Ok(ControlFlow::Continue(()));
        };
        checkpoints.sweep()?;
        if !resume {
            checkpoints.clear()?;
            return Ok(ControlFlow::Continue(()));
        }
        let config = &self.tuner.config;
        let Some(resumed) = checkpoints.resume(&self.model, || Optimisers::new(config))? else {
            return Ok(ControlFlow::Continue(()));
        };
        self.model = resumed.model;
        self.optimisers = resumed.optimisers;
        self.progress = resumed.progress;
        let flow = on(TuningEvent::Resumed {
            step: self.progress.step,
            skipped: resumed.skipped,
        });
        if flow.is_break() || self.progress.done {
            return Ok(flow);
        }
        // An evaluation that the run was stopped before is made now.
        self.after_step(on)
    }

    /// Reads what chooses among the states once, so that what is wrong with it is said before anything long begins.
    pub(super) fn read_validation(
        &self,
        on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let Some(validation) = self.validation else {
            return Ok(ControlFlow::Continue(()));
        };
        let n_batches = validation.n_batches();
        for n_done in 0..n_batches {
            if on(TuningEvent::Reading { n_done, n_batches }).is_break() {
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
                let batch = match self.checked(batch) {
                    Ok(batch) => batch,
                    Err(error) => {
                        self.save()?;
                        return Err(error);
                    }
                };
                let ControlFlow::Continue(mut step) = self.step(&batch, on)? else {
                    self.save()?;
                    return Ok(ControlFlow::Break(()));
                };
                step.clips_per_s = batch.samples.nrows() as f64 / began.elapsed().as_secs_f64();
                let flow = on(TuningEvent::Step(step));
                let flow = if flow.is_continue() {
                    self.after_step(on)?
                } else {
                    flow
                };
                if flow.is_break() || self.progress.done {
                    self.save()?;
                    return Ok(flow);
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
        let _alone = self.seed_dropout();
        let weights = self.tuner.weights.get(batch.head).and_then(Option::as_ref);
        let weights: Option<Tensor<2>> = weights.map(|weights| row(weights, self.device));
        let whole = BatchPart::whole(batch, weights.as_ref(), step as u64, self.device);
        let n_clips = batch.samples.nrows();
        let (objective, n) = (&self.tuner.objective, config.micro_batch);
        let found = loss_and_gradients(&self.model, objective, &whole, n, &mut |n_done| {
            on(TuningEvent::Working {
                step: step + 1,
                n_done,
                n_clips,
            })
        });
        let ControlFlow::Continue((loss, gradients)) = found? else {
            return Ok(ControlFlow::Break(()));
        };
        let gradient_norm = gradients.norm(&self.model);
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

    /// Dropout draws from the device's generator, which all threads of the process share: what it draws
    /// shall depend on the step alone, whatever other tuners do meanwhile.
    fn seed_dropout(&self) -> Option<MutexGuard<'static, ()>> {
        static DRAWING: Mutex<()> = Mutex::new(());
        let config = &self.tuner.config;
        config.lora.as_ref().filter(|lora| lora.dropout > 0.0)?;
        let alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        let step = self.progress.step as u64;
        self.device
            .seed(config.seed ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        Some(alone)
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
                    self.save()?;
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
        let (step, n_batches) = (self.progress.step, validation.n_batches());
        let found = self.tuner.objective.evaluate(
            &plain,
            validation,
            &self.tuner.weights,
            config.micro_batch,
            &self.device.clone().inner(),
            &mut |n_done| {
                on(TuningEvent::Evaluating {
                    step,
                    n_done,
                    n_batches,
                })
            },
        )?;
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
        Ok(on(TuningEvent::Evaluated {
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
            match &self.checkpoints {
                Some(checkpoints) => checkpoints.save_best(&self.model, &self.progress)?,
                None => self.best_model = Some(self.model.clone()),
            }
        } else {
            self.progress.n_worse += 1;
            self.progress.done |= self.progress.n_worse >= config.patience && !config.keep_last;
        }
        Ok(is_best)
    }

    /// Writes a checkpoint of this step, if its weights are worth keeping.
    fn save(&self) -> Result<()> {
        let Some(checkpoints) = &self.checkpoints else {
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
            (Some(checkpoints), _, Some((step, _))) => checkpoints.load_best(self.model, step)?,
            (None, Some(model), Some(_)) => model,
            _ => self.model,
        };
        Ok(Tuned {
            model: model.valid(),
            end,
            n_steps: step,
            best: wanted,
        })
    }
}
