//! A whole study without any data: two simulated participants and the small backbone that comes with them.
//!
//! `out/dataset`, `out/model` and `out/study.toml` are written, then the study runs into `out/results`, where the report
//! is. Held by `tests/it/demo.rs`.

use std::path::{Path, PathBuf};

use braintune_simulation::{SimulationConfig, simulate, write_tiny_hubert};
use burn::tensor::Device;

use crate::error::{Result, file_error};
use crate::event::{Event, OnEvent, tell};
use crate::files::{create_folder, write_atomically};
use crate::folders::Folders;
use crate::study::{self, Estimate, Study, StudyOutcome, StudyResults};

/// The study that [`run`] does.
const STUDY: &str = include_str!("demo.toml");

/// What the demo made and found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Demo {
    /// The simulated dataset.
    pub dataset: PathBuf,
    /// The study file.
    pub study: PathBuf,
    /// The folder with `report.html` and `study.json`.
    pub results: PathBuf,
    /// How the study ended.
    pub outcome: StudyOutcome,
}

/// The participants of the demo.
#[must_use]
pub fn participants(seed: u64) -> SimulationConfig {
    SimulationConfig::default()
        .with_seed(seed)
        .with_n_participants(2)
        .with_n_train_stories(7)
        .with_n_test_stories(2)
        .with_story_s(120.0)
        .with_test_story_s(120.0)
        .with_n_voxels(100)
}

/// Writes participants, backbone and study file into folder `out`; the path of the study file.
///
/// # Errors
/// What the file system says; a folder that holds another simulation; being stopped.
pub fn prepare(config: &SimulationConfig, out: &Path, on: &mut OnEvent<'_>) -> Result<PathBuf> {
    const STAGE: &str = "simulating participants";
    tell(on, Event::Stage(STAGE))?;
    let file = out.join("study.toml");
    if std::fs::read(&file).is_ok_and(|found| found != STUDY.as_bytes()) {
        let problem = "is not the demo's and would be replaced: give another --out, or remove it; to run a study of your own, braintune study";
        return Err(file_error(&file, problem));
    }
    create_folder(out)?;
    write_tiny_hubert(&out.join("model"))?;
    simulate(config, &out.join("dataset"), &mut |_| {
        on(Event::Stage(STAGE))
    })?;
    write_atomically(&file, STUDY.as_bytes())?;
    Ok(file)
}

/// Simulates two participants and studies how brain-tuning changes a small backbone, all in folder `out`. A run that was
/// stopped goes on.
///
/// # Errors
/// As [`prepare`] and [`study::run`].
pub fn run(
    out: &Path,
    seed: u64,
    device: &Device,
    command: &[String],
    on: &mut OnEvent<'_>,
) -> Result<Demo> {
    let file = prepare(&participants(seed), out, on)?;
    let (cache, results) = (out.join("cache"), out.join("results"));
    let outcome = study::run(
        &Study::read(&file)?,
        Folders {
            cache: &cache,
            out: &results,
        },
        device,
        command,
        on,
    )?;
    Ok(Demo {
        dataset: out.join("dataset"),
        study: file,
        results,
        outcome,
    })
}

/// What the demo's study found, in two lines: alignment of the last layer, and where probes of meaning are best.
#[must_use]
pub fn finding(results: &StudyResults) -> [String; 2] {
    let conditions = ["pretrained", "brain-tuned", "block-permuted"];
    let of = |roi: &str| {
        let means = conditions.map(|condition| words(last_layer(results, condition, roi)));
        format!(
            "{roi} {} before, {} after, {} tuned to permuted responses",
            means[0], means[1], means[2]
        )
    };
    let peaks = conditions.map(|condition| words(best_layer(results, condition)));
    [
        format!(
            "r / ceiling of the last layer on held-out stories: {}; {}; {}.",
            of("auditory"),
            of("phonetic"),
            of("semantic")
        ),
        format!(
            "The probe of meaning is best in layer {} before, {} after, {} tuned to permuted responses.",
            peaks[0], peaks[1], peaks[2]
        ),
    ]
}

/// Mean over participants of r / ceiling in the last layer.
fn last_layer(results: &StudyResults, condition: &str, roi: &str) -> Option<f64> {
    let curves = results.curves.iter();
    let of = curves.filter(|curve| curve.condition == condition && curve.roi == roi);
    mean(of.filter_map(|curve| *curve.normalized.last()?))
}

/// Mean over probed models of the layer where meaning is read best.
fn best_layer(results: &StudyResults, condition: &str) -> Option<f64> {
    let probes = results.probes.iter();
    let of = probes.filter(|probe| probe.condition == condition && probe.task == "story-meaning");
    mean(of.filter_map(|probe| probe.peak.as_ref().and_then(|peak: &Estimate| peak.value)))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn words(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
}
