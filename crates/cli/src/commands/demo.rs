//! `braintune demo`: the main job without any data, and what to do next.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::{command_line, report};
use crate::progress::Progress;

/// The main job on a simulated participant and a small random backbone; needs no data.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for dataset, model and results
    #[arg(long, value_name = "DIR", default_value = "braintune-demo")]
    out: PathBuf,
    /// Same seed, same machine, same results
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

const NEXT: &str = "\
This participant is simulated and the backbone is random: it hears acoustics and knows nothing.
Voxels driven by sound are predicted, the `noise` region is not. On real data:

  1. a participant of OpenNeuro ds003020, or data of your own (BIDS, or arrays with a dataset.toml: docs/data.md):
       braintune fetch dataset ds003020 --out DIR --subject UTS03 --stories first-27
       braintune check --dataset DIR --subject UTS03
  2. a model, here OpenAI's smallest:
       braintune fetch model openai/whisper-tiny.en
  3. how well each layer predicts each voxel:
       braintune encode --dataset DIR --subject UTS03 --model openai/whisper-tiny.en --out RESULTS
     (start with --stride-s 2 for a first look: twenty times fewer windows)";

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let name = braintune::device::available()
        .first()
        .copied()
        .unwrap_or_default();
    let device = braintune::device::by_name(name)
        .context("this build has no compute device; build it with --features flex")?;
    let mut progress = Progress::new();
    let demo = braintune::demo::run(&args.out, args.seed, device, command_line(), &mut |event| {
        progress.on(event)
    });
    drop(progress);
    let demo = demo?;
    say!("simulated participant: {}", demo.dataset.display());
    say!("random backbone:       {}", demo.model.display());
    report(&demo.outcome, &demo.results);
    say!("\n{NEXT}");
    Ok(ExitCode::SUCCESS)
}
