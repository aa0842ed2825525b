//! `--dry-run`: the steps of a study, what is done of them, and roughly what the rest will take.
//!
//! Time comes from a simple model of cost that is calibrated on the machine and the models at hand: a forward pass of
//! each model and a matrix product are timed for about a second. It knows nothing of reading files and of other work on the
//! machine: take it for the right order of magnitude.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use braintune_audio::{SampleRate, Waveform};
use braintune_backbone::PretrainedModel;
use burn::tensor::Device;
use ndarray::Array2;

use super::file::Study;
use super::inputs::{Inputs, Model};
use super::marker::StepState;
use super::steps::{Case, Step, Work};
use crate::error::{BraintuneError, Result, file_error, io_error};
use crate::event::{Event, OnEvent};

/// What a study will take.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DryRun {
    /// Every step.
    pub steps: Vec<StepEstimate>,
}

/// What a step will take.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StepEstimate {
    /// Its name.
    pub name: String,
    /// How far it is.
    pub state: StepState,
    /// TRs that it reads.
    pub n_trs: usize,
    /// Voxels that it predicts.
    pub n_voxels: usize,
    /// Windows, or clips, that go through the model, those of every epoch included.
    pub n_windows: usize,
    /// Bytes of the cache.
    pub cache_bytes: u64,
    /// Bytes of its results.
    pub result_bytes: u64,
    /// Seconds; 0 if it is done.
    pub seconds: f64,
}

impl DryRun {
    /// Seconds of the steps that are not done.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.steps.iter().map(|step| step.seconds).sum()
    }

    /// Bytes of cache and results of all steps.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let sum = |of: fn(&StepEstimate) -> u64| self.steps.iter().map(of).sum();
        (sum(|step| step.cache_bytes), sum(|step| step.result_bytes))
    }
}

impl Study {
    /// Says what [`super::run`] would do and roughly how long it would take; nothing is written.
    ///
    /// # Errors
    /// As [`Study::plan`].
    pub fn dry_run(&self, out: &Path, device: &Device, on: &mut OnEvent<'_>) -> Result<DryRun> {
        let plan = self.plan(out, device, on)?;
        let speed = Speed::measure(self, &plan.inputs, device, on)?;
        let mut costs = Costs {
            study: self,
            inputs: &plan.inputs,
            speed,
            extracted: BTreeSet::new(),
        };
        let steps = plan.steps().map(|(step, state)| costs.of(step, state));
        Ok(DryRun {
            steps: steps.collect::<Result<_>>()?,
        })
    }
}

/// How fast this machine is.
struct Speed {
    /// Of each model: seconds of a forward pass for each second of audio, in windows of the study's length.
    forward: Vec<f64>,
    /// Floating point operations per second of all threads in products of matrices.
    flops: f64,
}

impl Speed {
    fn measure(
        study: &Study,
        inputs: &Inputs,
        device: &Device,
        on: &mut OnEvent<'_>,
    ) -> Result<Self> {
        let mut forward = Vec::with_capacity(inputs.models.len());
        for model in &inputs.models {
            if on(Event::Stage("timing the models")).is_break() {
                return Err(BraintuneError::Cancelled);
            }
            forward.push(forward_s(model, study.windows()?.length_s(), device)?);
        }
        Ok(Self {
            forward,
            flops: flops(),
        })
    }
}

/// Seconds that are measured at most, and passes at most.
const MEASURED_S: f64 = 1.0;
const PASSES: usize = 20;

/// Seconds of a forward pass for each second of audio.
fn forward_s(model: &Model, window_s: f64, device: &Device) -> Result<f64> {
    let extractor = PretrainedModel::load(&model.folder, device.clone())?.into_whole_clip();
    let rate = SampleRate::SPEECH;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "samples of a window"
    )]
    let n_samples = (window_s * f64::from(rate.as_hz())) as usize;
    let sound: Vec<f32> = (0..n_samples)
        .map(|i| 0.1 * (i as f32 * 0.37).sin())
        .collect();
    let sound = Waveform::from_samples(sound, rate)?;
    extractor.extract(&sound)?; // what is compiled or allocated once
    let (begun, mut n) = (Instant::now(), 0);
    while n < PASSES && (n == 0 || begun.elapsed().as_secs_f64() < MEASURED_S) {
        extractor.extract(&sound)?;
        n += 1;
    }
    Ok(begun.elapsed().as_secs_f64() / n as f64 / window_s)
}

fn flops() -> f64 {
    const SIDE: usize = 384;
    let a = Array2::from_shape_fn((SIDE, SIDE), |(i, j)| ((i * 7 + j) % 13) as f32);
    let (begun, mut n) = (Instant::now(), 0_usize);
    let mut sum = 0.0;
    while n < 2 || begun.elapsed().as_secs_f64() < 0.2 {
        sum += a.dot(&a)[[n % SIDE, 0]];
        n += 1;
    }
    let one = (2 * SIDE.pow(3) * n) as f64 / begun.elapsed().as_secs_f64();
    let n_threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if sum.is_nan() {
        one
    } else {
        one * n_threads as f64
    }
}

struct Costs<'a> {
    study: &'a Study,
    inputs: &'a Inputs,
    speed: Speed,
    /// Checkpoints and stories whose windows an earlier step has put into the cache.
    extracted: BTreeSet<(String, String)>,
}

/// Forward, and backward at twice the cost.
const TRAINING: f64 = 3.0;
/// The weights, two states of the best of them, and two checkpoints with two moments each.
const COPIES_OF_WEIGHTS: u64 = 9;

impl Costs<'_> {
    fn of(&mut self, step: &Step, state: StepState) -> Result<StepEstimate> {
        let mut estimate = StepEstimate {
            name: step.name.clone(),
            state,
            n_trs: 0,
            n_voxels: 0,
            n_windows: 0,
            cache_bytes: 0,
            result_bytes: 0,
            seconds: 0.0,
        };
        match step.work {
            Work::Random { model } => estimate.result_bytes = self.weights_bytes(model)?,
            Work::Tune(case) => self.tune(case, &mut estimate)?,
            Work::Encode(case) => {
                let model = &self.inputs.models[case.model];
                self.windows(case, &mut estimate)?;
                self.ridge(
                    case.participant,
                    (model.n_states, model.width),
                    &mut estimate,
                )?;
            }
            Work::LowLevel { case, .. } => {
                let model = &self.inputs.models[case.model];
                self.ridge(
                    case.participant,
                    (model.n_states, model.width),
                    &mut estimate,
                )?;
            }
            Work::Baseline { participant, .. } => {
                self.ridge(participant, (1, 500), &mut estimate)?;
            }
            Work::Probe(case) => self.probe(case, &mut estimate)?,
        }
        if state == StepState::Done {
            estimate.seconds = 0.0;
        }
        Ok(estimate)
    }

    fn tune(&self, case: Case, estimate: &mut StepEstimate) -> Result<()> {
        let who = &self.inputs.participants[case.participant];
        let n_trs = |stories: &[String]| -> usize {
            stories
                .iter()
                .filter_map(|story| who.n_trs.get(story))
                .sum()
        };
        let config = &self.study.tuning.config;
        let (train, validation) = (n_trs(&who.roles.train), n_trs(&who.roles.validation));
        estimate.n_trs = train + validation;
        estimate.n_voxels = who.n_voxels;
        estimate.n_windows = estimate.n_trs * config.epochs;
        estimate.result_bytes = COPIES_OF_WEIGHTS * self.weights_bytes(case.model)?;
        let per_clip = self.speed.forward[case.model] * config.clip_s;
        let passes = (TRAINING * train as f64 + validation as f64) * config.epochs as f64;
        estimate.seconds = passes * per_clip;
        Ok(())
    }

    /// Windows of stories that no earlier step extracts.
    fn windows(&mut self, case: Case, estimate: &mut StepEstimate) -> Result<()> {
        let who = &self.inputs.participants[case.participant];
        let model = &self.inputs.models[case.model];
        let windows = self.study.windows()?;
        let checkpoint = self.inputs.checkpoint(case).unwrap_or_default();
        let checkpoint = format!("{} {}", model.name, checkpoint.display());
        for story in who.encoding.iter().chain(&who.roles.test) {
            if !self.extracted.insert((checkpoint.clone(), story.clone())) {
                continue;
            }
            let n = self.inputs.dataset.timing(story)?.end_s() / windows.stride_s();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a number of windows"
            )]
            let n = n.max(0.0) as usize;
            estimate.n_windows += n;
        }
        let bytes = estimate.n_windows * model.n_states * model.width * size_of::<f32>();
        estimate.cache_bytes = bytes as u64;
        let forward = self.speed.forward[case.model] * windows.length_s();
        estimate.seconds += estimate.n_windows as f64 * forward;
        Ok(())
    }

    /// Ridge of `n_layers` designs of so many columns: decompositions of every fold, predictions for every alpha.
    fn ridge(
        &self,
        participant: usize,
        (n_layers, d_model): (usize, usize),
        estimate: &mut StepEstimate,
    ) -> Result<()> {
        let who = &self.inputs.participants[participant];
        let part = &self.study.file.encoding;
        let n_trs = |stories: &[String]| -> usize {
            stories
                .iter()
                .filter_map(|story| who.n_trs.get(story))
                .sum()
        };
        let (train, test) = (n_trs(&who.encoding), n_trs(&who.roles.test));
        estimate.n_trs = train + test;
        estimate.n_voxels = who.n_voxels;
        let bytes = n_layers * who.n_voxels * (size_of::<f32>() + size_of::<f64>());
        estimate.result_bytes = bytes as u64;
        let (n, v) = (train as f64, who.n_voxels as f64);
        let p = (d_model * part.delays()?.as_slice().len()) as f64;
        let rank = n.min(p);
        let n_folds = who.encoding.len() as f64;
        let n_alphas = part.alphas()?.as_slice().len() as f64;
        let decompositions = (n_folds + 1.0) * (10.0 * rank.powi(3) + 2.0 * n * p * rank);
        let fits = n_folds * 2.0 * n * rank * v + n_alphas * 2.0 * n * rank * v;
        let tests = 2.0 * (part.permutations + part.bootstraps) as f64 * test as f64 * v;
        estimate.seconds += n_layers as f64 * (decompositions + fits + tests) / self.speed.flops;
        Ok(())
    }

    /// Recordings once through the model; what fitting takes depends on the task and is left out.
    fn probe(&self, case: Case, estimate: &mut StepEstimate) -> Result<()> {
        let roles = self.inputs.probe_roles();
        let mut seconds = 0.0;
        for story in [&roles.train, &roles.validation, &roles.test]
            .into_iter()
            .flatten()
        {
            seconds += self.inputs.dataset.timing(story)?.end_s();
        }
        let model = &self.inputs.models[case.model];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of frames"
        )]
        let n_frames = (seconds / model.frame_s).max(0.0) as usize;
        let bytes = n_frames * model.n_states * model.width * size_of::<f32>();
        estimate.cache_bytes = bytes as u64;
        estimate.seconds = seconds * self.speed.forward[case.model];
        Ok(())
    }

    /// Bytes of the weights in f32, as they are written.
    fn weights_bytes(&self, model: usize) -> Result<u64> {
        let folder = &self.inputs.models[model].folder;
        let mut bytes = 0;
        for entry in std::fs::read_dir(folder).map_err(io_error("list", folder))? {
            let path = entry.map_err(io_error("list", folder))?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("safetensors") => bytes += f32_bytes(&path)?,
                // Links of the hub cache are followed.
                Some("bin") => bytes += std::fs::metadata(&path).map_or(0, |found| found.len()),
                _ => {}
            }
        }
        Ok(bytes)
    }
}

/// Bytes that all tensors of a file take as f32, from its header.
fn f32_bytes(path: &Path) -> Result<u64> {
    let mut file = File::open(path).map_err(io_error("read", path))?;
    let n_bytes = file.metadata().map_err(io_error("read", path))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)
        .map_err(io_error("read", path))?;
    let mut header = Vec::new();
    let n_header = u64::from_le_bytes(length).min(n_bytes);
    file.take(n_header)
        .read_to_end(&mut header)
        .map_err(io_error("read", path))?;
    let tensors: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&header).map_err(|e| file_error(path, e))?;
    let n_values = |tensor: &serde_json::Value| -> u64 {
        let shape = tensor["shape"].as_array();
        shape.map_or(0, |shape| {
            shape.iter().filter_map(serde_json::Value::as_u64).product()
        })
    };
    Ok(4 * tensors.values().map(n_values).sum::<u64>())
}
