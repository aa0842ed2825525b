//! The steps of a study as a dependency graph, each with a key of everything that its result depends on.
//!
//! Steps stand in an order in which each comes after those that it needs. A step's key is the SHA-256 of its settings,
//! the hashes of its inputs and the keys of the steps that it needs: a changed setting changes the keys of what depends
//! on it, and of nothing else. Held by `tests/it/study.rs`.

use std::path::PathBuf;

use braintune_probing::WordClasses;
use serde_json::{Value, json};

use super::file::{ControlName, Study};
use super::inputs::{Inputs, Model};
use super::participant::Participant;
use super::results::{Condition, ConditionKind};
use crate::error::Result;
use crate::probe::Question;
use crate::provenance::{file_sha256, sha256_hex};

/// A step of a study.
#[derive(Debug, Clone)]
pub struct Step {
    /// What it is called, e.g. `encode tiny brain-tuned SIM01`.
    pub name: String,
    /// Folder of its result, relative to the study's.
    pub folder: PathBuf,
    /// SHA-256 of everything that its result depends on.
    pub key: String,
    /// Places of the steps that it needs.
    pub needs: Vec<usize>,
    pub(super) work: Work,
}

/// What a step does; numbers are places in the lists of [`Inputs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A checkpoint of random weights.
    Random { model: usize },
    /// A tuned checkpoint.
    Tune(Case),
    /// Encoding models on every layer of a checkpoint.
    Encode(Case),
    /// Probes on every layer of a checkpoint; the participant matters for tuned ones only.
    Probe(Case),
    /// Encoding models on a baseline; both are places.
    Baseline { space: usize, participant: usize },
    /// Encoding models on what is left of every layer without low-level features.
    LowLevel { space: usize, case: Case },
}

/// A state of a model, for a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) model: usize,
    pub(super) condition: usize,
    pub(super) participant: usize,
}

/// Steps, added one after another.
pub(super) struct Graph<'a> {
    study: &'a Study,
    inputs: &'a Inputs,
    steps: Vec<Step>,
}

/// All steps of a study.
pub(super) fn steps(study: &Study, inputs: &Inputs) -> Result<Vec<Step>> {
    let mut graph = Graph {
        study,
        inputs,
        steps: Vec::new(),
    };
    let probed = graph.probed()?;
    for model in 0..inputs.models.len() {
        graph.add_model(model, probed.as_ref())?;
    }
    for participant in 0..inputs.participants.len() {
        for space in 0..inputs.baselines.len() {
            graph.add_baseline(space, participant)?;
        }
    }
    Ok(graph.steps)
}

impl Graph<'_> {
    fn add_model(&mut self, model: usize, probed: Option<&Value>) -> Result<()> {
        let conditions = self.inputs.conditions.clone();
        for (condition, Condition { kind, .. }) in conditions.iter().enumerate() {
            let case = |participant| Case {
                model,
                condition,
                participant,
            };
            let belongs_to_all = match kind {
                ConditionKind::Pretrained => Some(Vec::new()),
                ConditionKind::Random => Some(vec![self.add_random(model)]),
                ConditionKind::Tuned | ConditionKind::Control => None,
            };
            for participant in 0..self.inputs.participants.len() {
                let case = case(participant);
                let tune = || vec![self.steps.len()];
                let needs = belongs_to_all.clone().unwrap_or_else(tune);
                if belongs_to_all.is_none() {
                    self.add_tune(case);
                }
                self.add_encode(case, needs.clone());
                for space in 0..self.inputs.low_level.len() {
                    self.add_low_level(space, case, needs.clone())?;
                }
                if let Some(probed) = probed.filter(|_| belongs_to_all.is_none()) {
                    self.add_probe(case, probed, needs);
                }
            }
            if let (Some(probed), Some(needs)) = (probed, belongs_to_all) {
                self.add_probe(case(0), probed, needs);
            }
        }
        Ok(())
    }

    /// Adds a step; its place.
    fn add(&mut self, work: Work, parts: &[&str], mut settings: Value, needs: Vec<usize>) -> usize {
        let keys: Vec<&str> = needs
            .iter()
            .map(|&need| self.steps[need].key.as_str())
            .collect();
        settings["step"] = json!(parts[0]);
        settings["braintune"] = json!(env!("CARGO_PKG_VERSION"));
        settings["needs"] = json!(keys);
        self.steps.push(Step {
            name: parts.join(" "),
            folder: parts.iter().collect(),
            key: sha256_hex(settings.to_string().as_bytes()),
            needs,
            work,
        });
        self.steps.len() - 1
    }

    fn add_random(&mut self, model: usize) -> usize {
        let Model { name, sha256, .. } = &self.inputs.models[model];
        let settings = json!({ "model_sha256": sha256, "seed": self.study.file.seed });
        let parts = ["random", name.as_str(), "random-weights"];
        self.add(Work::Random { model }, &parts, settings, Vec::new())
    }

    fn add_tune(&mut self, case: Case) {
        let (inputs, tuning) = (self.inputs, &self.study.tuning);
        let [model, condition, participant] = inputs.names(case);
        let who = &inputs.participants[case.participant];
        let roles = &who.roles;
        let settings = json!({
            "model_sha256": inputs.models[case.model].sha256,
            "condition": condition,
            "participant": participant,
            "config": tuning.config,
            "ceiling_threshold": tuning.ceiling_threshold,
            "ceiling": who.ceiling_sha256(),
            "train": prints(inputs, who, &roles.train),
            "validation": prints(inputs, who, &roles.validation),
            // Ceilings come from their repeats; they are not learnt.
            "test": prints(inputs, who, &roles.test),
        });
        let parts = ["tune", model, condition, participant];
        self.add(Work::Tune(case), &parts, settings, Vec::new());
    }

    fn add_encode(&mut self, case: Case, needs: Vec<usize>) {
        let [model, condition, participant] = self.inputs.names(case);
        let settings = self.encode_settings(case);
        let parts = ["encode", model, condition, participant];
        self.add(Work::Encode(case), &parts, settings, needs);
    }

    fn encode_settings(&self, case: Case) -> Value {
        let mut settings = self.data_settings(case.participant);
        settings["model"] = json!(self.inputs.models[case.model].name);
        settings["model_sha256"] = json!(self.inputs.models[case.model].sha256);
        settings
    }

    fn add_low_level(&mut self, space: usize, case: Case, needs: Vec<usize>) -> Result<()> {
        let [model, condition, participant] = self.inputs.names(case);
        let removed = &self.inputs.low_level[space];
        let mut settings = self.encode_settings(case);
        settings["removed"] = json!(removed.definition());
        settings["labels"] = self.inputs.labels(case.participant)?;
        let parts = ["low-level", removed.name(), model, condition, participant];
        self.add(Work::LowLevel { space, case }, &parts, settings, needs);
        Ok(())
    }

    fn add_baseline(&mut self, space: usize, participant: usize) -> Result<()> {
        let baseline = &self.inputs.baselines[space];
        let mut settings = self.data_settings(participant);
        settings["baseline"] = json!(baseline.definition());
        settings["labels"] = self.inputs.labels(participant)?;
        let who = &self.inputs.participants[participant].name;
        let parts = ["baseline", baseline.name(), who];
        let work = Work::Baseline { space, participant };
        self.add(work, &parts, settings, Vec::new());
        Ok(())
    }

    /// What all encoding of a participant depends on.
    fn data_settings(&self, participant: usize) -> Value {
        let inputs = self.inputs;
        let who = &inputs.participants[participant];
        let (trim, test_trim) = inputs.trims(self.study);
        json!({
            "participant": who.name,
            "encoding": self.study.encoding_record(),
            "trims": [trim.to_string(), test_trim.to_string()],
            "train": prints(inputs, who, &who.encoding),
            "test": prints(inputs, who, &who.roles.test),
            "regions": who.regions,
            "ceiling": who.ceiling_sha256(),
            "seed": self.study.file.seed,
        })
    }

    fn add_probe(&mut self, case: Case, probed: &Value, needs: Vec<usize>) {
        let settings = json!({
            "model_sha256": self.inputs.models[case.model].sha256,
            "condition": self.inputs.conditions[case.condition].name,
            "probes": probed,
        });
        let parts = [vec!["probe"], self.inputs.state_of(case)].concat();
        self.add(Work::Probe(case), &parts, settings, needs);
    }

    /// Settings of probes and hashes of what they read; none if there are no probes.
    fn probed(&self) -> Result<Option<Value>> {
        let Some(part) = &self.study.file.probes else {
            return Ok(None);
        };
        let questions = self.study.questions()?;
        if questions.is_empty() {
            return Ok(None);
        }
        let mut files = Vec::new();
        if let Some(data) = &part.data {
            for path in files_in(&self.study.resolve(data))? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                files.push(json!([name, self.inputs.sha256(&path)?]));
            }
        } else {
            let roles = self.inputs.probe_roles();
            for story in [&roles.train, &roles.validation, &roles.test]
                .into_iter()
                .flatten()
            {
                let found = self.inputs.dataset.story(story)?;
                for path in found.audio().into_iter().chain(found.textgrid()) {
                    files.push(json!([story, self.inputs.sha256(path)?]));
                }
            }
            files.push(json!([roles.train, roles.validation, roles.test]));
            let classes = self
                .study
                .resolve(&self.study.file.dataset.path)
                .join(WordClasses::FILE);
            if classes.exists() {
                files.push(json!(["classes", file_sha256(&classes)?]));
            }
        }
        let tasks: Vec<&str> = questions
            .iter()
            .map(|question| Question::name(*question))
            .collect();
        Ok(Some(json!({
            "tasks": tasks,
            "split": format!("{:?}", part.split),
            "n_words": part.n_words,
            "draws": part.draws,
            "control": part.control,
            "seed": self.study.file.seed,
            "files": files,
        })))
    }
}

impl Inputs {
    /// Names of model, condition and participant.
    pub(super) fn names(&self, case: Case) -> [&str; 3] {
        [
            &self.models[case.model].name,
            &self.conditions[case.condition].name,
            &self.participants[case.participant].name,
        ]
    }

    /// Model and condition, and the participant where the state of the model belongs to one.
    pub(super) fn state_of(&self, case: Case) -> Vec<&str> {
        let n = if self.is_tuned(case) { 3 } else { 2 };
        self.names(case).into_iter().take(n).collect()
    }

    /// Whether the state of the model belongs to the participant.
    pub(super) fn is_tuned(&self, case: Case) -> bool {
        self.conditions[case.condition].kind.is_tuned()
    }

    /// Folder of the checkpoint, relative to the study's; none for the model as it came.
    pub(super) fn checkpoint(&self, case: Case) -> Option<PathBuf> {
        let [model, condition, participant] = self.names(case);
        match self.conditions[case.condition].kind {
            ConditionKind::Pretrained => None,
            ConditionKind::Random => Some(["random", model, condition].iter().collect()),
            ConditionKind::Tuned | ConditionKind::Control => {
                Some(["tune", model, condition, participant].iter().collect())
            }
        }
    }

    /// Hashes of the `TextGrid`s of the stories that a participant's encoding models read.
    fn labels(&self, participant: usize) -> Result<Value> {
        let who = &self.participants[participant];
        let mut labels = Vec::new();
        for story in who.encoding.iter().chain(&who.roles.test) {
            let path = self.dataset.story(story)?.textgrid();
            labels.push(json!([story, path.map(file_sha256).transpose()?]));
        }
        Ok(labels.into())
    }

    /// The control that a condition is, if it is one.
    pub(super) fn control(&self, study: &Study, case: Case) -> Option<ControlName> {
        let name = &self.conditions[case.condition].name;
        let mut controls = study.file.conditions.controls.iter().copied();
        controls.find(|control| control.name() == name)
    }
}

impl Participant {
    fn ceiling_sha256(&self) -> Option<String> {
        let bytes = |ceiling: &ndarray::Array1<f32>| -> Vec<u8> {
            ceiling.iter().flat_map(|c| c.to_le_bytes()).collect()
        };
        self.ceiling
            .as_ref()
            .map(|ceiling| sha256_hex(&bytes(ceiling)))
    }
}

/// Hashes of sound, timing and responses of each story.
fn prints(inputs: &Inputs, who: &Participant, stories: &[String]) -> Value {
    let of_story =
        |story: &String| json!([story, inputs.stories.get(story), who.responses.get(story)]);
    stories.iter().map(of_story).collect()
}

/// All files of a folder and of those in it, by name.
pub(super) fn files_in(folder: &std::path::Path) -> Result<Vec<PathBuf>> {
    let list = crate::error::io_error("list", folder);
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut paths: Vec<PathBuf> = entries
        .map_err(list)?
        .iter()
        .map(std::fs::DirEntry::path)
        .collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(files_in(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
