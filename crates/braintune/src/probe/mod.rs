//! `braintune probe`: what can be read from every layer of one or several models.
//!
//! A task's recordings go through each model once, all layers at a time, features kept in the cache; then a probe per
//! layer. `probes.csv`, `paired.csv` where there are several models, per task predictions and a figure (SVG and PNG),
//! and `provenance.json`. Held by `crates/cli/tests/it/probe.rs`.

mod figure;
mod question;
mod table;

use std::ops::ControlFlow;
use std::path::Path;

use braintune_audio::Waveform;
use braintune_backbone::{CachedExtractor, FeatureExtractor, PretrainedModel};
use braintune_probing::{
    FrameFeatures, ProbeProgress, ProbeSettings, ProbeTask, Probed, ProbingError, probe_layers,
};
use serde_json::json;

pub use question::{Question, QuestionSettings};
pub(crate) use table::{ProbeLine, read as read_probes};

use crate::error::{BraintuneError, Result, file_error};
use crate::event::{Event, OnEvent};
use crate::files::create_folder;
use crate::names::repeated;
use crate::provenance::Provenance;

/// A model that is probed.
pub struct ProbedModel {
    name: String,
    weights_sha256: String,
    extractor: CachedExtractor<Box<dyn FeatureExtractor>>,
}

impl std::fmt::Debug for ProbedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProbedModel")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ProbedModel {
    /// A pretrained model with its name in tables; features are kept in `cache`.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(name: String, model: PretrainedModel, cache: &Path) -> Result<Self> {
        let weights_sha256 = model.weights_sha256().to_owned();
        let extractor =
            CachedExtractor::new(model.into_whole_clip(), weights_sha256.clone(), cache)?;
        Ok(Self {
            name,
            weights_sha256,
            extractor,
        })
    }

    fn features(&self, audio: &Waveform) -> Result<FrameFeatures> {
        let (layers, times) = self.extractor.extract(audio)?.into_parts();
        Ok(FrameFeatures::new(layers, times)?)
    }
}

/// What one model gave on one task.
#[derive(Debug)]
#[non_exhaustive]
pub struct ModelProbed {
    /// The model's name in tables.
    pub model: String,
    /// Its layers.
    pub found: Probed,
}

/// Probes models on tasks into folder `out`; the first model is what others are compared with.
///
/// # Errors
/// No models, two of one name; what [`probe_layers`] and writing can cause. Being stopped is
/// [`BraintuneError::Cancelled`]; features that were made are in the cache.
pub fn run(
    tasks: &[Box<dyn ProbeTask>],
    models: &[ProbedModel],
    settings: &ProbeSettings,
    out: &Path,
    command: &[String],
    on: &mut OnEvent<'_>,
) -> Result<Vec<Vec<ModelProbed>>> {
    check(tasks, models)?;
    check_folder(out)?;
    create_folder(out)?;
    let mut results = Vec::with_capacity(tasks.len());
    let mut tables = table::Tables::default();
    for task in tasks {
        let of_task = models
            .iter()
            .map(|model| one(task.as_ref(), model, settings, out, on));
        let of_task = of_task.collect::<Result<Vec<_>>>()?;
        table::write_predictions(task.labels().names(), &of_task, out)?;
        tables.add(&of_task, settings)?;
        results.push(of_task);
        // After each task, so that what is done stays if a later one fails.
        tables.write(out)?;
        figure::write(results.last().map_or(&[], Vec::as_slice), out)?;
        let inputs = record(tasks, &results, models, settings);
        Provenance::new(command.to_vec(), inputs).write(&out.join("provenance.json"))?;
    }
    Ok(results)
}

/// What went into the results so far.
fn record(
    tasks: &[Box<dyn ProbeTask>],
    results: &[Vec<ModelProbed>],
    models: &[ProbedModel],
    settings: &ProbeSettings,
) -> serde_json::Value {
    let of_task = |(task, of_task): (&dyn ProbeTask, &Vec<ModelProbed>)| {
        let groups = of_task.first().map(|model| &model.found.groups);
        let [train, validation, test] = groups.cloned().unwrap_or_default();
        json!({
            "name": task.name(),
            "settings": task.settings(),
            "groups": { "train": train, "validation": validation, "test": test },
        })
    };
    let of_model = |model: &ProbedModel| {
        json!({
            "name": model.name,
            "weights_sha256": model.weights_sha256,
            "features": model.extractor.settings(),
        })
    };
    json!({
        "tasks": tasks.iter().map(AsRef::as_ref).zip(results).map(of_task).collect::<Vec<_>>(),
        "models": models.iter().map(of_model).collect::<Vec<_>>(),
        "probe": format!("{:?}", settings.kind),
        "cs": settings.cs,
        "draws": settings.bootstrap.n_draws,
        "level": settings.bootstrap.level,
        "control": settings.control,
        "seed": settings.seed,
    })
}

/// A record of another command stays: what it says may be heeded later.
fn check_folder(out: &Path) -> Result<()> {
    let path = out.join("provenance.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(());
    };
    match serde_json::from_str::<Provenance>(&text) {
        Ok(found) if found.inputs["tasks"].is_array() => Ok(()),
        _ => Err(file_error(
            &path,
            "is no record of probe and would be replaced; give another --out, or remove it",
        )),
    }
}

fn check(tasks: &[Box<dyn ProbeTask>], models: &[ProbedModel]) -> Result<()> {
    if models.is_empty() || tasks.is_empty() {
        return Err(BraintuneError::Input(
            "nothing to probe: a task and a model are needed".to_owned(),
        ));
    }
    if let Some(name) = repeated(models.iter().map(|model| model.name.as_str())) {
        return Err(BraintuneError::Input(format!(
            "two models are called {name}: tables could not tell them apart; rename a folder"
        )));
    }
    if let Some(name) = repeated(tasks.iter().map(|task| task.name())) {
        return Err(BraintuneError::Input(format!(
            "task {name} is named twice: once is enough"
        )));
    }
    Ok(())
}

fn one(
    task: &dyn ProbeTask,
    model: &ProbedModel,
    settings: &ProbeSettings,
    out: &Path,
    on: &mut OnEvent<'_>,
) -> Result<ModelProbed> {
    let mut told = |progress| tell(task.name(), &model.name, progress, on);
    let features = |_: &_, audio: &_| model.features(audio);
    let found = match probe_layers(task, features, settings, out, &mut told) {
        Err(ProbingError::Cancelled) => return Err(BraintuneError::Cancelled),
        other => other?,
    };
    Ok(ModelProbed {
        model: model.name.clone(),
        found,
    })
}

fn tell(task: &str, model: &str, progress: ProbeProgress, on: &mut OnEvent<'_>) -> ControlFlow<()> {
    match progress {
        ProbeProgress::Reading { done, total } => on(Event::Counted {
            stage: task,
            what: &format!("features of {model}"),
            done,
            total,
        }),
        ProbeProgress::Probing { done, total } => on(Event::Counted {
            stage: task,
            what: &format!("layers of {model}"),
            done,
            total,
        }),
        _ => ControlFlow::Continue(()),
    }
}
