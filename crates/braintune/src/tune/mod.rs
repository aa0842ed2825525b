//! `braintune tune`: from a dataset and a checkpoint to a brain-tuned checkpoint.
//!
//! Stories and voxel masks are chosen, [`BrainTuner`] does the work, and the best weights become a
//! HuggingFace folder with `head.safetensors`, `training.csv`, `training.svg` and `provenance.json`
//! beside it; what a run needs to go on is in `state/`. Held by `tests/it/tune.rs`.

mod each;
mod log;
mod masks;
mod stories;
mod targets;
mod together;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_audio::SampleRate;
use braintune_backbone::{
    BackboneSpec, Checkpoint, CheckpointBackbone, FrozenPart, SpeechBackbone, Wav2Vec2Model,
    WhisperEncoder,
};
use braintune_fmri::StoryDataset;
use braintune_ranks::Ranks;
use braintune_tuning::{
    BrainTuner, Control, ControlDataset, Digests, HeadSharing, Learning, OwnHead, OwnObjective,
    StoryBatches, StoryUnits, Tuned, TunedSubject, TuningConfig, TuningData, TuningEnd,
    TuningEvent, TuningModel,
};
use burn::tensor::Device;
use ndarray::Array1;
use ndarray_npy::WriteNpyExt;
use serde_json::json;

pub use masks::VoxelChoice;
pub use stories::StoryRoles;
pub use targets::targets_from_folder;
pub use together::{Compute, run_on, run_on_devices};

use crate::error::{BraintuneError, Result};
use crate::provenance::Provenance;
use log::TrainingLog;

/// What is tuned on what.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TuneSettings {
    /// Subjects, each with its own voxels.
    pub subjects: Vec<String>,
    /// Which stories are for what.
    pub stories: StoryRoles,
    /// Which voxels are learnt.
    pub voxels: VoxelChoice,
    /// A control: other responses in place of the subject's own, or the model's own objective.
    pub control: Option<Control>,
    /// Everything else.
    pub config: TuningConfig,
    /// Go on from `state/`, if there is one.
    pub resume: bool,
    /// Folder in which the outputs of frozen parts are kept, for later epochs and runs.
    pub cache: Option<PathBuf>,
}

impl TuneSettings {
    /// Tunes on these subjects and stories with the paper's settings.
    #[must_use]
    pub fn new(subjects: Vec<String>, stories: StoryRoles) -> Self {
        Self {
            subjects,
            stories,
            voxels: VoxelChoice::default(),
            control: None,
            config: TuningConfig::default(),
            resume: false,
            cache: None,
        }
    }
}

impl TuneSettings {
    /// Whether there is another story of which each subject has responses, where a control takes them.
    fn check_control(&self, dataset: &dyn StoryDataset) -> Result<()> {
        let Some(Control::OtherStory { stories }) = &self.control else {
            return Ok(());
        };
        for subject in &self.subjects {
            let heard = stories
                .iter()
                .filter(|story| dataset.has_responses(subject, story))
                .count();
            if heard < 2 {
                return Err(BraintuneError::Input(format!(
                    "control other-story: {subject} has responses to {heard} of the training stories {}, at least two are needed",
                    stories.join(", ")
                )));
            }
        }
        Ok(())
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TuneOutcome {
    /// All epochs, or earlier.
    pub end: TuningEnd,
    /// Optimiser steps.
    pub n_steps: usize,
    /// Step and validation loss of the weights that were written.
    pub best: Option<(usize, f64)>,
}

/// Tunes the checkpoint in `model` on `device` into folder `out`.
///
/// # Errors
/// Before anything long begins: stories, voxels, settings, files that do not fit. Later: what reading and writing
/// can cause, a loss that diverges. Being stopped is [`BraintuneError::Cancelled`]; nothing is lost.
pub fn run(
    dataset: &dyn StoryDataset,
    model: &Path,
    settings: &TuneSettings,
    device: &Device,
    out: &Path,
    command: &[String],
    on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
) -> Result<TuneOutcome> {
    let compute = Compute::alone(device);
    run_on(dataset, model, settings, compute, out, command, on)
}

fn run_on_rank(
    dataset: &dyn StoryDataset,
    model: &Path,
    settings: &TuneSettings,
    compute: Compute<'_>,
    (out, command): (&Path, &[String]),
    on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
) -> Result<TuneOutcome> {
    settings.check_control(dataset)?;
    let checkpoint = Checkpoint::open(model)?;
    let device = compute.device.clone().autodiff();
    let job = Job {
        dataset,
        settings,
        device: &device,
        ranks: compute.ranks,
        out,
        command,
        weights: checkpoint.sha256()?,
    };
    match (checkpoint.model_type()?, &settings.control) {
        ("whisper", Some(Control::Stimulus { .. })) => Err(BraintuneError::Input(
            "--control stimulus: whisper was not pretrained on audio alone, it has no such objective; wav2vec2 and hubert have one".to_owned(),
        )),
        ("whisper", _) => job.run(WhisperEncoder::from_checkpoint(&checkpoint, &device)?, on),
        (_, Some(Control::Stimulus { units })) => {
            let backbone = Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?;
            job.run_stimulus(backbone, &checkpoint, units.as_deref(), on)
        }
        _ => job.run(Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?, on),
    }
}

struct Job<'a> {
    dataset: &'a dyn StoryDataset,
    settings: &'a TuneSettings,
    device: &'a Device,
    ranks: &'a dyn Ranks,
    out: &'a Path,
    command: &'a [String],
    weights: String,
}

impl Job<'_> {
    fn run<B: CheckpointBackbone>(
        self,
        backbone: B,
        on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
    ) -> Result<TuneOutcome> {
        let TuneSettings {
            config, stories, ..
        } = self.settings;
        let rate = backbone.spec().sample_rate;
        check_clips(backbone.spec(), config)?;
        let backbone = prepared(backbone, config)?;
        let names = &self.settings.subjects;
        let voxels = &self.settings.voxels;
        let chosen = voxels.choose(self.dataset, names, &stories.test, config)?;
        let control = self.settings.control.clone();
        let control =
            control.map(|control| ControlDataset::new(self.dataset, control, config.seed));
        let training: &dyn StoryDataset = control.as_ref().map_or(self.dataset, |control| control);
        let train = self.batches(training, &chosen.subjects, &stories.train, rate)?;
        let validation = self.validation(training, &chosen.subjects, &train, rate)?;
        let mut model = TuningModel::new(backbone, train.n_voxels(), config, self.device)?;
        if let Some(folder) = &self.settings.cache {
            model = model.with_frozen_cache(folder, self.weights.clone())?;
        }
        let tuner = BrainTuner::new(config.clone(), config.objective)?;
        let tuner = tuner.with_voxel_weights(chosen.weights);
        let data = (&train, validation.as_ref());
        self.tune(model, tuner, data, &chosen.subjects, on)
    }

    /// The run itself, every event into the log first, and what it leaves.
    fn tune<B: CheckpointBackbone, O: Learning<B>>(
        &self,
        model: TuningModel<B>,
        tuner: BrainTuner<O>,
        (train, validation): (&StoryBatches<'_>, Option<&StoryBatches<'_>>),
        subjects: &[TunedSubject],
        on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
    ) -> Result<TuneOutcome> {
        // What is written is written by the first rank.
        let mut log = None;
        let is_new = self.ranks.is_first() && !self.out.exists();
        if self.ranks.is_first() {
            crate::files::create_folder(self.out)?;
            log = Some(TrainingLog::new(self.out, self.settings.resume));
        }
        let tuner = tuner
            .with_origin(json!({ "weights_sha256": self.weights }))
            .with_state(&self.out.join("state"), self.settings.resume);
        let mut failure = None;
        let mut told = |event| {
            if let Some(Err(error)) = log.as_mut().map(|log| log.add(&event)) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            on(&event)
        };
        let for_choice = validation.map(|data| data as _);
        let result = tuner.fit_on(self.ranks, model, train, for_choice, self.device, &mut told);
        let result = result.inspect_err(|_| {
            if is_new {
                leave_nothing(self.out);
            }
        })?;
        if result.end == TuningEnd::Cancelled {
            return Err(failure.unwrap_or(BraintuneError::Cancelled));
        }
        let outcome = TuneOutcome {
            end: result.end,
            n_steps: result.n_steps,
            best: result.best,
        };
        let write = |log: TrainingLog| {
            log.finish()?;
            let mut read = train.digests();
            read.extend(validation.map(StoryBatches::digests).unwrap_or_default());
            self.write(&result, subjects, (&read, &outcome))
        };
        let written = failure.map_or_else(|| log.map_or(Ok(()), write), Err);
        together::all_wrote(self.ranks, written)?;
        Ok(outcome)
    }

    /// Batches that choose among the states of the run, if there are such stories.
    fn validation<'d>(
        &self,
        dataset: &'d dyn StoryDataset,
        subjects: &[TunedSubject],
        train: &StoryBatches<'_>,
        rate: SampleRate,
    ) -> Result<Option<StoryBatches<'d>>> {
        let stories = &self.settings.stories.validation;
        if stories.is_empty() {
            return Ok(None);
        }
        let validation = self.batches(dataset, subjects, stories, rate)?.in_order();
        if validation.n_voxels() != train.n_voxels() {
            return Err(BraintuneError::Input(format!(
                "validation stories have {:?} voxels to learn, training stories {:?}: they must be the same",
                validation.n_voxels(),
                train.n_voxels()
            )));
        }
        Ok(Some(validation))
    }

    /// As [`run`](Self::run), on the model's own objective: the same clips, steps and parameters.
    fn run_stimulus(
        self,
        backbone: Wav2Vec2Model,
        checkpoint: &Checkpoint,
        units: Option<&Path>,
        on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
    ) -> Result<TuneOutcome> {
        let TuneSettings {
            config, stories, ..
        } = self.settings;
        if self.settings.cache.is_some() {
            return Err(BraintuneError::Input(
                "a cache of frozen outputs beside --control stimulus: nothing is kept there, leave it out".to_owned(),
            ));
        }
        let rate = backbone.spec().sample_rate;
        check_clips(backbone.spec(), config)?;
        let backbone = prepared(backbone, config)?;
        let read = |dir| {
            let all = [stories.train.clone(), stories.validation.clone()].concat();
            StoryUnits::from_folder(dir, &all, backbone.config())
        };
        let units = units.map(read).transpose()?;
        let n_units = units.as_ref().map(StoryUnits::n_units);
        let own =
            OwnHead::from_checkpoint(checkpoint, &backbone, n_units, config.seed, self.device)?;
        let subject = |name: &String| TunedSubject {
            name: name.clone(),
            mask: None,
        };
        let subjects: Vec<TunedSubject> = self.settings.subjects.iter().map(subject).collect();
        // Voxels do not matter, nor whether subjects have the same.
        let mut of_batches = config.clone();
        of_batches.heads = HeadSharing::PerSubject;
        let batches = |stories: &[String]| -> Result<StoryBatches<'_>> {
            let subjects = subjects.clone();
            let batches = StoryBatches::new(self.dataset, subjects, stories, rate, &of_batches)?;
            Ok(batches.stimulus_only(units.clone()))
        };
        let train = batches(&stories.train)?;
        let validation = if stories.validation.is_empty() {
            None
        } else {
            Some(batches(&stories.validation)?.in_order())
        };
        let model = TuningModel::with_own_head(backbone, own, config);
        let tuner = BrainTuner::new(config.clone(), OwnObjective::new(config))?;
        self.tune(model, tuner, (&train, validation.as_ref()), &subjects, on)
    }

    /// The tuned checkpoint and what belongs to it.
    fn write<B: CheckpointBackbone>(
        &self,
        result: &Tuned<B>,
        subjects: &[TunedSubject],
        (read, outcome): (&Digests, &TuneOutcome),
    ) -> Result<()> {
        result.model.save_head(&self.out.join("head.safetensors"))?;
        let backbone = result.model.backbone();
        if self.settings.config.lora.is_some() {
            backbone.save_adapter(&self.out.join("adapter"))?;
        }
        backbone.save(self.out)?;
        for TunedSubject { name, mask } in subjects {
            // Which voxel each output of the head is.
            if let Some(mask) = mask {
                let path = self.out.join(format!("mask-{name}.npy"));
                write_npy(&path, &Array1::from(mask.clone()))?;
            }
        }
        let record = self.provenance(subjects, read, outcome);
        record.write(&self.out.join("provenance.json"))
    }

    fn batches<'d>(
        &self,
        dataset: &'d dyn StoryDataset,
        subjects: &[TunedSubject],
        stories: &[String],
        rate: SampleRate,
    ) -> Result<StoryBatches<'d>> {
        let config = &self.settings.config;
        Ok(StoryBatches::new(
            dataset,
            subjects.to_vec(),
            stories,
            rate,
            config,
        )?)
    }

    fn provenance(
        &self,
        subjects: &[TunedSubject],
        read: &Digests,
        outcome: &TuneOutcome,
    ) -> Provenance {
        let n_kept = |subject: &TunedSubject| {
            let mask = subject.mask.as_ref();
            mask.map(|mask| mask.iter().filter(|kept| **kept).count())
        };
        let voxels: Vec<_> = subjects
            .iter()
            .map(|subject| json!({ "subject": subject.name, "n_learnt_voxels": n_kept(subject) }))
            .collect();
        let StoryRoles {
            train,
            validation,
            test,
        } = &self.settings.stories;
        let inputs = json!({
            "dataset": self.dataset.name(),
            "weights_sha256": self.weights,
            "sha256": read,
            "config": self.settings.config,
            "control": self.settings.control.as_ref().map(|control| format!("{control:?}")),
            "voxels": voxels,
            // Encoding models that are fitted on these are fitted on what the backbone was tuned on.
            "train_stories": train,
            "validation_stories": validation,
            "test_stories": test,
            "n_steps": outcome.n_steps,
            "best_step": outcome.best.map(|(step, _)| step),
            "best_validation_loss": outcome.best.map(|(_, loss)| loss),
        });
        Provenance::new(self.command.to_vec(), inputs)
    }
}

/// Removes a new folder in which nothing was made yet: responses that cannot be learnt are found by then.
fn leave_nothing(out: &Path) {
    let state = out.join("state");
    let entries = std::fs::read_dir(&state).into_iter().flatten().flatten();
    let names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
    if names.iter().all(|name| name == ".lock") {
        // Folders that hold anything else stay: only empty ones can be removed so.
        let _ = std::fs::remove_file(state.join(".lock"));
        let _ = std::fs::remove_dir(state);
        let _ = std::fs::remove_dir(out);
    }
}

fn write_npy(path: &Path, values: &Array1<bool>) -> Result<()> {
    let mut bytes = Vec::new();
    values
        .write_npy(&mut bytes)
        .map_err(|e| crate::error::file_error(path, e.to_string()))?;
    crate::files::write_atomically(path, &bytes)
}

/// Clips are of a length that the backbone takes.
fn check_clips(spec: &BackboneSpec, config: &TuningConfig) -> Result<()> {
    let least = spec.min_samples as f64 / f64::from(spec.sample_rate.as_hz());
    let most = spec.max_s().unwrap_or(f64::INFINITY);
    if (least..=most).contains(&config.clip_s) {
        return Ok(());
    }
    Err(BraintuneError::Input(format!(
        "clip_s = {}: {} takes clips of {least} to {most} s",
        config.clip_s, spec.model_type
    )))
}

/// Frozen where the settings say so, with low-rank updates if they ask for them.
pub(crate) fn prepared<B: CheckpointBackbone>(backbone: B, config: &TuningConfig) -> Result<B> {
    let parts = config.frozen_parts()?;
    let Some(lora) = config.lora_config() else {
        return Ok(backbone.freeze_parts(&parts)?);
    };
    let all = [FrozenPart::All];
    if parts != [FrozenPart::FeatureEncoder] && parts != all {
        return Err(BraintuneError::Input(format!(
            "freeze = {:?} beside [lora]: low-rank updates keep the whole backbone frozen and are made in every layer; leave freeze out",
            config.freeze
        )));
    }
    Ok(backbone.with_lora(&lora, config.seed)?.freeze_parts(&all)?)
}
