//! CPU time of optimiser steps, for `peers/tuning_step_vs_pytorch.py`.
//!
//! `tuning_step MODEL BATCH SECONDS VOXELS RUNS MICRO_BATCH [checkpointing] [cache=DIR] [ranks=N]` prints the CPU seconds
//! of each step and the loss before it, a line each, and the largest resident memory in MB on the last line; with gradient
//! checkpointing, or what is frozen kept in a folder, if asked for. With `ranks` the step is shared out over so many
//! threads, each with a thread for its products, and the seconds on the clock come third.
#![allow(clippy::print_stdout, clippy::cast_possible_truncation, missing_docs)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use benches::{cpu_s, peak_mb};
use braintune_backbone::{Checkpoint, CheckpointBackbone, Wav2Vec2Model, WhisperEncoder};
use braintune_tuning::braintune_ranks::{Alone, Ranks, ThreadRanks};
use braintune_tuning::{
    BrainTuner, MeanSquaredError, TuningBatch, TuningConfig, TuningEvent, TuningModel,
};
use burn::tensor::Device;
use ndarray::Array2;

struct Case {
    batch: usize,
    n_samples: usize,
    n_voxels: usize,
    runs: usize,
    micro_batch: usize,
    gradient_checkpointing: bool,
    cache: Option<PathBuf>,
    n_ranks: Option<usize>,
}

const USAGE: &str = "usage: tuning_step MODEL BATCH SECONDS VOXELS RUNS MICRO_BATCH [checkpointing] [cache=DIR] [ranks=N]";

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, rest @ ..] = args.as_slice() else {
        bail!(USAGE);
    };
    let (numbers, extra) = rest.split_at_checked(5).context(USAGE)?;
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|n| n.parse())
        .collect::<Result<_, _>>()?;
    let [batch, seconds, n_voxels, runs, micro_batch] = *numbers.as_slice() else {
        bail!(USAGE);
    };
    let case = Case {
        batch,
        n_samples: seconds * 16_000,
        n_voxels,
        runs,
        micro_batch,
        gradient_checkpointing: extra.iter().any(|arg| arg == "checkpointing"),
        cache: extra
            .iter()
            .find_map(|arg| Some(arg.strip_prefix("cache=")?.into())),
        n_ranks: extra
            .iter()
            .find_map(|arg| arg.strip_prefix("ranks=")?.parse().ok()),
    };
    let device = Device::flex().autodiff();
    let checkpoint = Checkpoint::open(Path::new(model))?;
    let Some(n_ranks) = case.n_ranks else {
        of_rank(&checkpoint, &case, &device, &Alone)?;
        println!("{:.0}", peak_mb()?);
        return Ok(());
    };
    let made: Vec<anyhow::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = ThreadRanks::group(n_ranks)
            .into_iter()
            .map(|rank| {
                let (checkpoint, case, device) = (&checkpoint, &case, &device);
                scope.spawn(move || {
                    // Products of each rank on a thread of its own.
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
                    pool.install(|| of_rank(checkpoint, case, device, &rank))
                })
            })
            .collect();
        let made = threads.into_iter().map(|thread| match thread.join() {
            Ok(made) => made,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        made.collect()
    });
    made.into_iter().collect::<anyhow::Result<()>>()?;
    println!("{:.0}", peak_mb()?);
    Ok(())
}

fn of_rank(
    checkpoint: &Checkpoint,
    case: &Case,
    device: &Device,
    ranks: &dyn Ranks,
) -> anyhow::Result<()> {
    if checkpoint.model_type()? == "whisper" {
        let backbone = WhisperEncoder::from_checkpoint(checkpoint, device)?;
        time(backbone, case, device, ranks)
    } else {
        let backbone = Wav2Vec2Model::from_checkpoint(checkpoint, device)?;
        time(backbone, case, device, ranks)
    }
}

fn time<B: CheckpointBackbone>(
    backbone: B,
    case: &Case,
    device: &Device,
    ranks: &dyn Ranks,
) -> anyhow::Result<()> {
    let mut config = TuningConfig::from_toml("optimiser = { kind = \"adamw\" }\nwarmup = 0.0")?;
    config.epochs = case.runs;
    config.micro_batch = case.micro_batch;
    config.keep_last = true;
    config.gradient_checkpointing = case.gradient_checkpointing;
    let backbone = backbone.freeze_parts(&config.frozen_parts()?)?;
    let wave = |rate: f64, (row, column): (usize, usize)| {
        ((row + 1) as f64 * rate * column as f64).sin() as f32
    };
    let samples = Array2::from_shape_fn((case.batch, case.n_samples), |at| wave(0.37, at));
    let bold = Array2::from_shape_fn((case.batch, case.n_voxels), |at| wave(0.11, at));
    let batch = TuningBatch::new(0, "waves".to_owned(), samples, bold);
    let mut model = TuningModel::new(backbone, &[case.n_voxels], &config, device)?;
    if let Some(folder) = &case.cache {
        model = model.with_frozen_cache(folder, "waves".to_owned())?;
    }
    let (mut before, mut began) = (cpu_s()?, Instant::now());
    let mut failed = None;
    BrainTuner::new(config, MeanSquaredError)?.fit_on(
        ranks,
        model,
        &vec![batch],
        None,
        device,
        &mut |event| {
            match (cpu_s(), event) {
                (Ok(now), TuningEvent::Step(step)) if ranks.is_first() => {
                    print!("{:.3} {:.6}", now - before, step.loss);
                    if case.n_ranks.is_some() {
                        print!(" {:.3}", began.elapsed().as_secs_f64());
                    }
                    println!();
                    (before, began) = (now, Instant::now());
                }
                (Err(error), _) => failed = Some(error),
                _ => {}
            }
            ControlFlow::Continue(())
        },
    )?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}
