//! Everything that a study needs, found, checked and hashed before its first step.
//!
//! A study whose inputs do not fit together starts nothing. Held by `tests/it/study.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use braintune_backbone::{Checkpoint, FrozenPart, PretrainedModel};
use braintune_fmri::{DatasetFiles, FmriError, Regions, Trim, open_dataset};
use burn::tensor::Device;
use serde_json::Value;

use super::file::{ControlName, ModelPart, PerParticipant, Study};
use super::participant::{Participant, ceiling};
use super::results::{Condition, ConditionKind, Excluded};
use crate::encode::CrossValidation;
use crate::error::{BraintuneError, Result, with_sources};
use crate::lowlevel::LowLevelSpace;
use crate::model;
use crate::names::repeated;
use crate::presets::expand;
use crate::provenance::file_sha256;
use crate::tune::StoryRoles;

/// What a study works on.
pub(super) struct Inputs {
    pub(super) dataset: Box<dyn DatasetFiles>,
    pub(super) participants: Vec<Participant>,
    pub(super) models: Vec<Model>,
    /// `pretrained` first.
    pub(super) conditions: Vec<Condition>,
    /// Roles of stories, whoever heard them.
    pub(super) roles: StoryRoles,
    /// Hash of the sound and the timing of each story that is used.
    pub(super) stories: BTreeMap<String, Value>,
    /// SHA-256 of files that were read: sounds, and corpora of probes.
    pub(super) digests: BTreeMap<PathBuf, String>,
    /// Feature spaces that models are compared with.
    pub(super) baselines: Vec<LowLevelSpace>,
    /// Feature spaces that are taken out of layers.
    pub(super) low_level: Vec<LowLevelSpace>,
    pub(super) excluded: Vec<Excluded>,
    pub(super) warnings: Vec<String>,
}

/// One pretrained model.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) sha256: String,
    pub(super) family: String,
    pub(super) n_states: usize,
    pub(super) width: usize,
    /// Seconds from one frame to the next.
    pub(super) frame_s: f64,
}

impl Inputs {
    /// Opens and checks what `study` names, as far as that reads no sound and no responses.
    pub(super) fn open(study: &Study, device: &Device) -> Result<Self> {
        let part = &study.file.dataset;
        let dataset = open_dataset(&study.resolve(&part.path))?;
        let names = part.participants.clone();
        let names = names.unwrap_or_else(|| dataset.subjects().to_vec());
        if names.is_empty() {
            return Err(
                study.wrong("no participant: participants is empty, or the dataset has none")
            );
        }
        let mut inputs = Self {
            roles: roles(study, &*dataset, &names)?,
            models: Vec::new(),
            participants: Vec::new(),
            conditions: conditions(study),
            stories: BTreeMap::new(),
            digests: BTreeMap::new(),
            baselines: Vec::new(),
            low_level: study.low_level()?,
            excluded: left_out(&*dataset),
            warnings: Vec::new(),
            dataset,
        };
        for part in &study.file.models {
            inputs.models.push(Model::check(study, part, device)?);
        }
        let encoding = inputs.encoding_stories(study, &names)?;
        for name in &names {
            let participant = inputs.participant(study, name, &encoding)?;
            inputs.participants.push(participant);
        }
        inputs.check_roi_names(study)?;
        inputs.find_spaces(study)?;
        Ok(inputs)
    }

    /// SHA-256 of a file, which may have been read already.
    pub(super) fn sha256(&self, path: &Path) -> Result<String> {
        let known = self.digests.get(path).cloned();
        known.map_or_else(|| file_sha256(path), Ok)
    }

    /// Kept rows of encoding and of test stories.
    pub(super) fn trims(&self, study: &Study) -> (Trim, Trim) {
        study.file.encoding.trims(self.dataset.default_trims())
    }

    fn encoding_stories(&self, study: &Study, names: &[String]) -> Result<Vec<String>> {
        let roles = &self.roles;
        let Some(given) = &study.file.dataset.encoding_stories else {
            return Ok([roles.train.clone(), roles.validation.clone()].concat());
        };
        let stories = expand(&*self.dataset, names, given, &roles.test)?.stories;
        for story in &stories {
            self.dataset.story(story)?;
            if roles.test.contains(story) {
                return Err(study.wrong(format!(
                    "story {story} is both an encoding and a test story: it can be one only"
                )));
            }
        }
        match repeated(stories.iter().map(String::as_str)) {
            Some(story) => Err(study.wrong(format!("encoding story {story} is named twice"))),
            None => Ok(stories),
        }
    }

    fn participant(
        &mut self,
        study: &Study,
        name: &str,
        encoding: &[String],
    ) -> Result<Participant> {
        let dataset = &*self.dataset;
        let has = |story: &String| dataset.has_responses(name, story);
        if let Some(story) = self.roles.test.iter().find(|story| !has(story)) {
            return Err(study.wrong(format!(
                "{name} has no responses to test story {story}: leave the participant or the story out"
            )));
        }
        let mut missing = Vec::new();
        let mut heard = |stories: &[String]| -> Vec<String> {
            let (heard, not): (Vec<_>, Vec<_>) = stories.iter().cloned().partition(has);
            missing.extend(not);
            heard
        };
        let roles = StoryRoles {
            train: heard(&self.roles.train),
            validation: heard(&self.roles.validation),
            test: self.roles.test.clone(),
        };
        let encoding = heard(encoding);
        missing.sort();
        missing.dedup();
        if !missing.is_empty() {
            self.excluded.push(Excluded {
                what: format!("{name}: {}", missing.join(", ")),
                why: "no responses to these stories".to_owned(),
            });
        }
        check_counts(study, name, &roles, &encoding)?;
        let (_, n_voxels) = dataset.response_shape(name, &roles.test[0])?;
        let file = study.file_of(name, study.file.dataset.noise_ceiling.as_ref());
        let ceiling = file.map(|path| ceiling(&path, name, n_voxels));
        Ok(Participant {
            name: name.to_owned(),
            roles,
            encoding,
            regions: study.regions(name, n_voxels)?,
            ceiling: ceiling.transpose()?,
            n_voxels,
            responses: BTreeMap::new(),
            n_trs: BTreeMap::new(),
            n_nan: 0,
            n_constant: 0,
        })
    }

    /// Tables of files name participants that there are; the same region of two participants is one region.
    fn check_roi_names(&self, study: &Study) -> Result<()> {
        let part = &study.file.dataset;
        for (key, given) in [("rois", &part.rois), ("noise_ceiling", &part.noise_ceiling)] {
            let Some(PerParticipant::Each(files)) = given else {
                continue;
            };
            let is_known = |name: &&String| self.participants.iter().any(|p| p.name == **name);
            if let Some(name) = files.keys().find(|name| !is_known(name)) {
                return Err(study.wrong(format!("{key}: {name} is no participant of the study")));
            }
        }
        Ok(())
    }

    /// Baselines: those named, else `acoustic` and, where every story has labels, `word-rate`.
    fn find_spaces(&mut self, study: &Study) -> Result<()> {
        let encoded = self.participants.iter().flat_map(|who| who.encoding.iter());
        let has_none = |story: &&String| {
            let found = self.dataset.story(story);
            found.is_ok_and(|found| found.textgrid().is_none())
        };
        let unlabelled = encoded.chain(&self.roles.test).find(has_none).cloned();
        self.baselines = match study.baselines()? {
            Some(named) => named,
            None if unlabelled.is_some() => vec![LowLevelSpace::acoustic()],
            None => LowLevelSpace::baselines(),
        };
        let layers = study
            .file
            .low_level
            .as_ref()
            .and_then(|part| part.layers.as_ref());
        let n_states = self
            .models
            .iter()
            .map(|model| model.n_states)
            .max()
            .unwrap_or(0);
        if let Some(layer) = layers
            .into_iter()
            .flatten()
            .find(|layer| **layer >= n_states)
        {
            return Err(study.wrong(format!(
                "[low_level]: layer {layer}: the models have hidden states 0 to {}",
                n_states.saturating_sub(1)
            )));
        }
        let Some(story) = unlabelled else {
            return Ok(());
        };
        let needs_labels =
            |space: &&LowLevelSpace| space.features().iter().any(|f| !f.is_acoustic());
        match self.baselines.iter().chain(&self.low_level).find(needs_labels) {
            None => Ok(()),
            Some(space) => Err(study.wrong(format!(
                "{space} is made of labels, story {story} has no TextGrid: leave it out of [baselines] and [low_level]"
            ))),
        }
    }

    /// Tuning has voxels to learn of every participant.
    pub(super) fn check_voxels(&self, study: &Study) -> Result<()> {
        let part = &study.file.conditions;
        let is_learnt = |control: &ControlName| *control != ControlName::Stimulus;
        if !part.tuned && !part.controls.iter().any(is_learnt) {
            return Ok(());
        }
        for who in &self.participants {
            let voxels = who.voxels(&study.tuning);
            let names = std::slice::from_ref(&who.name);
            let config = &study.tuning.config;
            let checked = voxels.check(&*self.dataset, names, &who.roles.test, config);
            checked.map_err(|e| study.wrong(format!("[tuning]: {}", with_sources(&e))))?;
        }
        Ok(())
    }
}

impl Study {
    /// The file of a participant.
    fn file_of(&self, name: &str, given: Option<&PerParticipant>) -> Option<PathBuf> {
        let path = match given? {
            PerParticipant::All(path) => path,
            PerParticipant::Each(files) => files.get(name)?,
        };
        Some(self.resolve(path))
    }

    /// Regions of a participant; none where there is no file of them.
    fn regions(&self, name: &str, n_voxels: usize) -> Result<Regions> {
        let Some(path) = self.file_of(name, self.file.dataset.rois.as_ref()) else {
            return Ok(Regions::default());
        };
        let regions = Regions::read(&path)?;
        let in_file = |e: FmriError| self.wrong(format!("rois of {name}: {e}"));
        regions.check(n_voxels).map_err(in_file)?;
        Ok(regions)
    }
}

impl Model {
    fn check(study: &Study, part: &ModelPart, device: &Device) -> Result<Self> {
        let beside = study.resolve(Path::new(&part.path));
        let folder = if beside.is_dir() {
            beside
        } else {
            model::resolve(&part.path)
                .map_err(|e| study.wrong(format!("model {}: {}", part.name, with_sources(&e))))?
        };
        let checkpoint = Checkpoint::open(&folder)?;
        let model_type = checkpoint.model_type()?.to_owned();
        let controls = &study.file.conditions.controls;
        if controls.contains(&ControlName::Stimulus) && model_type != "wav2vec2" {
            return Err(study.wrong(format!(
                "model {}: the stimulus control needs a wav2vec 2.0 model, this is {model_type}; leave the control or the model out",
                part.name
            )));
        }
        // Weights that do not fit are found before hours of work, not behind them.
        let loaded = PretrainedModel::load(&folder, device.clone())?;
        let spec = loaded.spec();
        let window_s = study.windows()?.length_s();
        if let Some(most_s) = spec.max_s().filter(|&most| window_s > most) {
            return Err(study.wrong(format!(
                "[encoding]: window_s = {window_s} is longer than the {most_s} s that {} takes",
                part.name
            )));
        }
        let tunes = study.file.conditions.tuned || !controls.is_empty();
        if tunes {
            check_layers(study, &part.name, spec.n_layers)?;
        }
        Ok(Self {
            name: part.name.clone(),
            sha256: loaded.weights_sha256().to_owned(),
            n_states: spec.n_hidden_states(),
            width: spec.d_model,
            frame_s: spec.frame_time_s(1) - spec.frame_time_s(0),
            family: model_type,
            folder,
        })
    }
}

/// Layers that `[tuning]` names are there.
fn check_layers(study: &Study, model: &str, n_layers: usize) -> Result<()> {
    let config = &study.tuning.config;
    if let Some(layer) = config.layer.filter(|&layer| layer > n_layers) {
        return Err(study.wrong(format!(
            "[tuning]: layer = {layer}: {model} has hidden states 0 to {n_layers}"
        )));
    }
    let parts = config.frozen_parts()?;
    let beyond = |part: &&FrozenPart| matches!(part, FrozenPart::Layers(layers) if *layers.end() >= n_layers);
    match parts.iter().find(beyond) {
        None => Ok(()),
        Some(part) => Err(study.wrong(format!(
            "[tuning]: freeze = [\"{part}\"]: {model} has layers 0 to {}",
            n_layers.saturating_sub(1)
        ))),
    }
}

fn conditions(study: &Study) -> Vec<Condition> {
    let part = &study.file.conditions;
    let condition = |name: &str, kind| Condition {
        name: name.to_owned(),
        kind,
    };
    let mut conditions = vec![condition("pretrained", ConditionKind::Pretrained)];
    if part.tuned {
        conditions.push(condition("brain-tuned", ConditionKind::Tuned));
    }
    let controls = part.controls.iter();
    conditions.extend(controls.map(|control| condition(control.name(), ConditionKind::Control)));
    if part.random_weights {
        conditions.push(condition("random-weights", ConditionKind::Random));
    }
    conditions
}

fn left_out(dataset: &dyn DatasetFiles) -> Vec<Excluded> {
    let stories = dataset.left_out().iter();
    stories
        .map(|(story, why)| Excluded {
            what: format!("story {story}"),
            why: why.clone(),
        })
        .collect()
}

/// What a published list of training stories has of the others is not trained on.
fn roles(study: &Study, dataset: &dyn DatasetFiles, names: &[String]) -> Result<StoryRoles> {
    let part = &study.file.dataset;
    for name in names {
        dataset.check_subject(name)?;
    }
    let given = |list: &Option<Vec<String>>, taken: &[String]| {
        let expanded = list
            .as_ref()
            .map(|list| expand(dataset, names, list, taken));
        Ok::<_, BraintuneError>(expanded.transpose()?.map(|expanded| expanded.stories))
    };
    let test = given(&part.test_stories, &[])?;
    let mut taken = test.clone().unwrap_or_default();
    let validation = given(&part.validation_stories, &taken)?;
    taken.extend(validation.clone().unwrap_or_default());
    let train = given(&part.train_stories, &taken)?;
    let roles = StoryRoles::choose(dataset, names, train, validation, test)?;
    if roles.test.is_empty() {
        return Err(study.wrong(
            "zero test stories: name at least one in test_stories that nothing is tuned or fitted on",
        ));
    }
    Ok(roles)
}

fn check_counts(study: &Study, name: &str, roles: &StoryRoles, encoding: &[String]) -> Result<()> {
    let conditions = &study.file.conditions;
    let is_tuned = conditions.tuned || !conditions.controls.is_empty();
    let needed = if conditions.controls.contains(&ControlName::OtherStory) {
        2
    } else {
        usize::from(is_tuned)
    };
    if roles.train.len() < needed {
        return Err(study.wrong(format!(
            "{name} has responses to {} training stor{}, {needed} are needed to tune on (2 with the control other-story)",
            roles.train.len(),
            ending(roles.train.len())
        )));
    }
    let needed = match study.file.encoding.cv() {
        CrossValidation::Story => 2,
        _ => 1,
    };
    if encoding.len() < needed {
        return Err(study.wrong(format!(
            "{name} has responses to {} encoding stor{}, {needed} are needed (2 to leave one out at a time)",
            encoding.len(),
            ending(encoding.len())
        )));
    }
    Ok(())
}

/// Of `story`.
fn ending(n: usize) -> &'static str {
    if n == 1 { "y" } else { "ies" }
}
