//! Doing one step, through the functions that the commands of the same names call.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_backbone::{
    Checkpoint, CheckpointBackbone, PretrainedModel, Wav2Vec2Model, WhisperEncoder,
};
use braintune_probing::{ProbeSettings, ProbeTask, TimitSplit};
use braintune_tuning::{BLOCK_TRS, Control, TuningEvent};
use burn::tensor::Device;
use serde_json::{Value, json};

use super::file::{ControlName, SplitName, Study};
use super::inputs::{Inputs, Model};
use super::steps::{Case, Work};
use crate::encode::{self, EncodeConfig, ModelFeatures, TunedOn};
use crate::error::{Result, with_sources};
use crate::event::{Event, OnEvent};
use crate::files::copy_file;
use crate::folders::Folders;
use crate::lowlevel::grid_features;
use crate::probe::{self, ProbedModel, QuestionSettings};
use crate::tune::{self, StoryRoles, TuneSettings};

/// What steps share.
pub(super) struct Workshop<'a> {
    pub(super) study: &'a Study,
    pub(super) inputs: &'a Inputs,
    pub(super) out: &'a Path,
    pub(super) cache: &'a Path,
    pub(super) device: &'a Device,
    pub(super) command: &'a [String],
}

impl Workshop<'_> {
    /// Does a step into `folder`.
    pub(super) fn run(&self, work: Work, folder: &Path, on: &mut OnEvent<'_>) -> Result<()> {
        match work {
            Work::Random { model } => self.random(&self.inputs.models[model], folder),
            Work::Tune(case) => self.tune(case, folder, on),
            Work::Encode(case) => self.encode((case, None), folder, on),
            Work::LowLevel { space, case } => self.encode((case, Some(space)), folder, on),
            Work::Baseline { space, participant } => self.baseline(space, participant, folder, on),
            Work::Probe(case) => self.probe(case, folder, on),
        }
    }

    /// The architecture and preprocessing of the model with random weights.
    fn random(&self, model: &Model, folder: &Path) -> Result<()> {
        let (checkpoint, seed) = (Checkpoint::open(&model.folder)?, self.study.file.seed);
        if model.family == "whisper" {
            let config = WhisperEncoder::from_checkpoint(&checkpoint, self.device)?;
            WhisperEncoder::random(config.config(), seed, self.device)?.save(folder)?;
        } else {
            let config = Wav2Vec2Model::from_checkpoint(&checkpoint, self.device)?;
            Wav2Vec2Model::random(config.config(), seed, self.device)?.save(folder)?;
        }
        let preprocessor = checkpoint.preprocessor()?;
        copy_file(
            preprocessor.path(),
            &folder.join("preprocessor_config.json"),
        )
    }

    fn tune(&self, case: Case, folder: &Path, on: &mut OnEvent<'_>) -> Result<()> {
        let who = &self.inputs.participants[case.participant];
        let tuning = &self.study.tuning;
        let mut settings = TuneSettings::new(vec![who.name.clone()], who.roles.clone());
        settings.voxels = who.voxels(tuning);
        let control = self.inputs.control(self.study, case);
        settings.control = control.map(|control| match control {
            ControlName::BlockPermuted => Control::BlockPermuted { block: BLOCK_TRS },
            ControlName::OtherStory => Control::OtherStory {
                stories: who.roles.train.clone(),
            },
            ControlName::Stimulus => Control::Stimulus { units: None },
        });
        settings.config = tuning.config.clone();
        settings.resume = true;
        let keeps = tuning.keep_frozen && control != Some(ControlName::Stimulus);
        settings.cache = keeps.then(|| self.cache.to_path_buf());
        let mut steps = (0, 0);
        let mut told = |event: &TuningEvent| tell(event, &mut steps, on);
        tune::run(
            &*self.inputs.dataset,
            &self.inputs.models[case.model].folder,
            &settings,
            self.device,
            folder,
            self.command,
            &mut told,
        )?;
        Ok(())
    }

    /// Every layer of a checkpoint, or what is left of it without low-level features.
    fn encode(
        &self,
        (case, removed): (Case, Option<usize>),
        folder: &Path,
        on: &mut OnEvent<'_>,
    ) -> Result<()> {
        let checkpoint = self.checkpoint(case);
        let [name, ..] = self.inputs.names(case);
        let model = ModelFeatures::windowed(name, self.load(&checkpoint)?, self.study.windows()?)?;
        let model = model.tuned_on(TunedOn::read(&checkpoint)?);
        let config = EncodeConfig {
            remove: removed.map(|space| self.inputs.low_level[space].clone()),
            ..self.study.encode_config(self.inputs, case.participant)?
        };
        encode::run(
            &*self.inputs.dataset,
            model,
            &config,
            Folders {
                cache: self.cache,
                out: folder,
            },
            self.command,
            on,
        )?;
        Ok(())
    }

    fn baseline(
        &self,
        space: usize,
        participant: usize,
        folder: &Path,
        on: &mut OnEvent<'_>,
    ) -> Result<()> {
        encode::run_on_grid(
            &*self.inputs.dataset,
            grid_features(vec![self.inputs.baselines[space].clone()])?,
            &self.study.encode_config(self.inputs, participant)?,
            folder,
            self.command,
            on,
        )?;
        Ok(())
    }

    fn probe(&self, case: Case, folder: &Path, on: &mut OnEvent<'_>) -> Result<()> {
        let name = self.inputs.state_of(case).join(" ");
        let loaded = PretrainedModel::load(&self.checkpoint(case), self.device.clone())?;
        let probed = ProbedModel::new(name, loaded, self.cache)?;
        let tasks = self.study.probe_tasks(self.inputs)?;
        let settings = self.study.probe_settings();
        probe::run(&tasks, &[probed], &settings, folder, self.command, on)?;
        Ok(())
    }

    /// The checkpoint of a state of a model.
    fn checkpoint(&self, case: Case) -> PathBuf {
        match self.inputs.checkpoint(case) {
            None => self.inputs.models[case.model].folder.clone(),
            Some(folder) => self.out.join(folder),
        }
    }

    fn load(&self, checkpoint: &Path) -> Result<PretrainedModel> {
        let model = PretrainedModel::load(checkpoint, self.device.clone())?;
        if self.study.file.encoding.share_convolutions {
            return Ok(model.with_shared_convolutions()?);
        }
        Ok(model)
    }
}

/// Steps of a run as events of a pipeline.
fn tell(event: &TuningEvent, steps: &mut (usize, usize), on: &mut OnEvent<'_>) -> ControlFlow<()> {
    match event {
        TuningEvent::Step(step) => *steps = (step.step, step.n_steps),
        TuningEvent::Resumed { skipped, .. } => {
            for (path, problem) in skipped {
                tracing::warn!(
                    "{} is damaged ({problem}), taking the checkpoint before it",
                    path.display()
                );
            }
        }
        _ => {}
    }
    let (done, total) = *steps;
    on(Event::Counted {
        stage: "tuning",
        what: "steps",
        done,
        total,
    })
}

impl Study {
    /// Settings of encoding a participant.
    pub(super) fn encode_config(
        &self,
        inputs: &Inputs,
        participant: usize,
    ) -> Result<EncodeConfig> {
        let (who, part) = (&inputs.participants[participant], &self.file.encoding);
        let (trim, test_trim) = inputs.trims(self);
        Ok(EncodeConfig {
            train_stories: Some(who.encoding.clone()),
            delays: part.delays()?,
            alphas: part.alphas()?,
            cv: part.cv(),
            score: part.score(),
            trim,
            test_trim,
            bad_voxels: part.bad_voxels(),
            noise_ceiling: who.ceiling.clone(),
            ceiling_threshold: part.ceiling_threshold,
            n_permutations: part.permutations,
            n_bootstraps: part.bootstraps,
            regions: who.regions.clone(),
            seed: self.file.seed,
            ..EncodeConfig::new(&who.name, who.roles.test.clone())?
        })
    }

    /// Settings of encoding that its results depend on.
    pub(super) fn encoding_record(&self) -> Value {
        json!(format!("{:?}", self.file.encoding))
    }

    /// Tasks of `[probes]`.
    pub(super) fn probe_tasks(&self, inputs: &Inputs) -> Result<Vec<Box<dyn ProbeTask>>> {
        let Some(part) = &self.file.probes else {
            return Ok(Vec::new());
        };
        let settings = QuestionSettings {
            split: match part.split {
                SplitName::Official => TimitSplit::Official,
                SplitName::Paper => TimitSplit::Paper,
                SplitName::TextDisjoint => TimitSplit::TextDisjoint,
            },
            n_words: part.n_words,
            paper: false,
            classes: None,
            seed: self.file.seed,
        };
        let roles = inputs.probe_roles();
        let questions = self.questions()?.into_iter();
        let task = |question: probe::Question| {
            let folder = self.resolve(part.data.as_deref().unwrap_or(&self.file.dataset.path));
            let task = if part.data.is_none() && question.is_about_stories() {
                question.on_stories((&*inputs.dataset, &folder), &roles, &settings)
            } else {
                question.task(&folder, &settings)
            };
            task.map_err(|e| self.wrong(format!("[probes]: {question}: {}", with_sources(&e))))
        };
        questions.map(task).collect()
    }

    /// Settings of probes.
    pub(super) fn probe_settings(&self) -> ProbeSettings {
        let mut settings = ProbeSettings {
            seed: self.file.seed,
            ..ProbeSettings::default()
        };
        settings.bootstrap.seed = self.file.seed;
        if let Some(part) = &self.file.probes {
            settings.control = part.control;
            settings.bootstrap.n_draws = part.draws;
        }
        settings
    }
}

impl Inputs {
    /// Roles of stories for probes: of those to train on, the ones that have a sound and a `TextGrid`.
    pub(super) fn probe_roles(&self) -> StoryRoles {
        let is_told = |story: &&String| {
            let found = self.dataset.story(story);
            found.is_ok_and(|found| found.audio().is_some() && found.textgrid().is_some())
        };
        let train = self.roles.train.iter().filter(is_told).cloned();
        StoryRoles {
            train: train.collect(),
            ..self.roles.clone()
        }
    }
}
