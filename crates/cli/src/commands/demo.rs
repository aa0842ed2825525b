//! `braintune demo`: a whole study without any data, and what to do next.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::command_line;
use crate::progress::Progress;

/// A whole study on two simulated participants and a small backbone, ending in a report; needs no data.
///
/// The participants' responses follow known features of synthetic speech, some of them the meaning of words, which its
/// sound does not give; the backbone has learnt sounds and word forms, not meaning. It is tuned to each participant, and to
/// permuted responses as a control; alignment and probes per layer say what that did. Interrupt it with Ctrl-C as you
/// like: the same command goes on from what is done.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for dataset, model and results
    #[arg(long, value_name = "DIR", default_value = "braintune-demo")]
    out: PathBuf,
    /// Same seed, same machine, same results; another seed is another language with other participants
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

const NEXT: &str = "\
On real data:

  1. a participant of OpenNeuro ds003020, or data of your own (BIDS, or arrays with a dataset.toml: docs/data.md):
       braintune fetch dataset ds003020 --out DIR --subject UTS03 --stories first-27
       braintune check --dataset DIR --subject UTS03
  2. a model, here OpenAI's smallest:
       braintune fetch model openai/whisper-tiny.en
  3. how well each layer predicts each voxel:
       braintune encode --dataset DIR --subject UTS03 --model openai/whisper-tiny.en --out RESULTS
     (start with --stride-s 2 --window-feature stride-mean for a first look: twenty times fewer windows)
  4. or all of this in one go, from a study file like the demo's (docs/study.md):
       braintune study STUDY.toml --dry-run";

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let name = braintune::device::available()
        .first()
        .copied()
        .unwrap_or_default();
    let device = braintune::device::by_name(name)
        .context("this build has no compute device; build it with --features flex")?;
    let mut progress = Progress::new();
    let demo = braintune::demo::run(
        &args.out,
        args.seed,
        &device,
        &command_line(),
        &mut |event| progress.on(event),
    );
    drop(progress);
    let demo = demo?;
    super::study::report(&demo.outcome);
    say!("study: {}\n\n{NEXT}\n", demo.study.display());
    for line in braintune::demo::finding(&demo.outcome.results) {
        say!("{line}");
    }
    say!("report: {}", demo.results.join("report.html").display());
    Ok(ExitCode::from(u8::from(demo.outcome.n_failed > 0)))
}
