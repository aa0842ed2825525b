//! The main job without any data: a simulated participant and a small random backbone.

use std::path::{Path, PathBuf};

use braintune_backbone::{
    CheckpointBackbone, PretrainedModel, WhisperConfig, WhisperEncoder, Windows,
};
use braintune_fmri::Ds003020;
use braintune_simulation::{SimulationConfig, simulate};
use burn::tensor::Device;

use crate::encode::{self, EncodeConfig, ModelFeatures, Outcome, Regions};
use crate::error::{BraintuneError, Result};
use crate::event::{Event, OnEvent};

/// What the demo made and found.
#[derive(Debug)]
pub struct Demo {
    /// The simulated dataset.
    pub dataset: PathBuf,
    /// The backbone.
    pub model: PathBuf,
    /// The folder with `alignment.csv`.
    pub results: PathBuf,
    /// What the encoding gave.
    pub outcome: Outcome,
}

/// Simulates a participant into `out/dataset`, writes a random-weight Whisper encoder into
/// `out/model` and runs the main job into `out/results`. Noise ceilings come from the repeats of the
/// test story, as they would for a real participant.
///
/// # Errors
/// What the file system says; being stopped.
pub fn run(
    out: &Path,
    seed: u64,
    device: Device,
    command: Vec<String>,
    on: &mut OnEvent<'_>,
) -> Result<Demo> {
    let (dataset, model, results) = (out.join("dataset"), out.join("model"), out.join("results"));
    let stage = |on: &mut OnEvent<'_>, name| match on(Event::Stage(name)) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(BraintuneError::Cancelled),
    };
    stage(on, "simulating a participant")?;
    let participant = simulate(
        &SimulationConfig::default().with_seed(seed),
        &dataset,
        &mut |_| on(Event::Stage("simulating a participant")),
    )?;
    stage(on, "writing a random-weight backbone")?;
    WhisperEncoder::random(&WhisperConfig::new(2, 64, 2, 80), seed, &device)?.save(&model)?;
    let test = vec![participant.test_story().to_owned()];
    let config = EncodeConfig {
        train_stories: Some(participant.train_stories().to_vec()),
        alphas: "logspace:-1:4:16".parse()?,
        regions: Regions::read(&participant.rois_path())?,
        seed,
        ..EncodeConfig::new(participant.subject(), test)?
    };
    let loaded = PretrainedModel::load(&model, device)?;
    let outcome = encode::run(
        &Ds003020::open(&dataset)?,
        ModelFeatures::windowed("random-whisper", loaded, Windows::new(4.0, 1.0)?)?,
        &config,
        (&out.join("cache"), &results),
        command,
        on,
    )?;
    Ok(Demo {
        dataset,
        model,
        results,
        outcome,
    })
}
