//! `braintune simulate`: a simulated participant on disk.

use std::path::PathBuf;
use std::process::ExitCode;

use braintune::Event;
use braintune::simulation::{SimulationConfig, simulate};

use crate::progress::Progress;

/// A simulated participant with known ground truth, in the layout of ds003020.
///
/// Stories of synthetic speech with TextGrids, responses driven by known acoustic features through
/// a haemodynamic response plus noise, rois.json, noise_ceiling.npy and ground_truth.json.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for the dataset
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Same seed, same dataset
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = SimulationConfig::default().with_seed(args.seed);
    let mut progress = Progress::new();
    let participant = simulate(&config, &args.out, &mut |_| {
        progress.on(Event::Stage("simulating"))
    });
    drop(progress);
    let participant = participant.map_err(braintune::BraintuneError::from)?;
    say!(
        "wrote {}: subject {}, {} training stories, test story {}",
        args.out.display(),
        participant.subject(),
        participant.train_stories().len(),
        participant.test_story()
    );
    Ok(ExitCode::SUCCESS)
}
