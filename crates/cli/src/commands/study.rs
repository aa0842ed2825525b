//! `braintune study`: a whole study from one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use braintune::device::Device;
use braintune::fetch::human_size;
use braintune::ranks::Shard;
use braintune::study::{
    self, Cluster, DryRun, ShardOutcome, StepRecord, StepState, StepStatus, Study, StudyOutcome,
};
use braintune::{Event, Folders, Split};

use super::ShardArgs;
use super::model::{CacheArgs, DeviceArgs};
use crate::progress::Progress;
use crate::ranks;

/// Models, participants and conditions through every step of a study: tune, encode, probe, compare.
///
/// STUDY.toml names a dataset, models and settings (docs/study.md has every key). What is found goes into
/// study.json, from which the report is drawn; results of each step are folders beside it. Interrupt it with Ctrl-C
/// or kill it as you like: the same command goes on from what is done, and a changed setting redoes only what
/// depends on it. A step that fails is reported and the rest goes on; the exit code is 1 then.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The study
    #[arg(value_name = "STUDY.toml")]
    study: PathBuf,
    /// Folder for the results [default: STUDY-results beside the file]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what would be done, what is done already, and what time, memory and disk the rest takes; nothing is written
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What `--dry-run` reckons with beside this machine.
#[derive(Debug, clap::Args)]
struct ClusterArgs {
    /// With --dry-run: how long it would take on so many machines like this one
    #[arg(long, value_name = "N", requires = "dry_run", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    nodes: Option<u32>,
    /// With --dry-run: graphics cards in each machine
    #[arg(long, value_name = "G", requires = "dry_run", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    gpus: Option<u32>,
    /// With --gpus: how many times as fast as this processor a card makes forward and backward passes [default: as 6.5
    /// TFLOP/s, a third of what an A100's data sheet says]
    #[arg(long, value_name = "X", requires = "gpus", value_parser = speed)]
    gpu_speed: Option<f64>,
}

impl ClusterArgs {
    /// The machines that are asked for, if any are.
    fn cluster(&self, found: &DryRun) -> Option<Cluster> {
        let (nodes, gpus) = (self.nodes.unwrap_or(1), self.gpus.unwrap_or(0));
        let speed = self.gpu_speed.unwrap_or_else(|| found.default_gpu_speed());
        let cluster = Cluster::new(nodes as usize, gpus as usize, speed);
        (self.nodes.is_some() || self.gpus.is_some()).then_some(cluster)
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let found = text.parse().ok();
    let usable = found.filter(|speed: &f64| speed.is_finite() && *speed > 0.0);
    usable.ok_or_else(|| "expected a number above 0, as 20 for twenty times".to_owned())
}

pub(crate) fn run(args: &Args, split: Split<'_>) -> anyhow::Result<ExitCode> {
    let study = Study::read(&args.study)?;
    let out = args.out.clone().unwrap_or_else(|| study.default_out());
    let device = args.device.get()?;
    let mut progress = Progress::new();
    if args.dry_run {
        if ranks::is_first() {
            dry_run(args, (&study, &out, &device), progress)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (split, command) = args.shard.split(split, &out)?;
    let cache = args.cache.folder()?;
    let mut on = |event: Event<'_>| progress.on(event);
    let folders = Folders {
        cache: &cache,
        out: &out,
    };
    let outcome = match split {
        Split::Shard(shard) => {
            let outcome = study::run_shard(&study, folders, &device, &command, shard, &mut on)?;
            drop(progress);
            args.shard.keep(&out)?;
            report_share(&outcome, shard);
            return Ok(ExitCode::from(u8::from(outcome.n_failed > 0)));
        }
        Split::Merge => study::merge(&study, &out, &device, &command, &mut on)?,
        Split::Ranks(ranks) => study::run_on(&study, folders, &device, &command, ranks, &mut on)?,
    };
    drop(progress);
    if ranks::is_first() {
        report(&outcome);
        say!(
            "wrote {}",
            out.join("{report.html,study.json,figures,tables}")
                .display()
        );
    }
    Ok(ExitCode::from(u8::from(outcome.n_failed > 0)))
}

/// Of a share only its steps.
fn dry_run(
    args: &Args,
    (study, out, device): (&Study, &Path, &Device),
    mut progress: Progress,
) -> anyhow::Result<()> {
    let mut on = |event: Event<'_>| progress.on(event);
    let found = study.dry_run(out, device, args.shard.shard, &mut on)?;
    drop(progress);
    describe(&found);
    if let Some(cluster) = args.cluster.cluster(&found) {
        describe_cluster(&found, &cluster);
    }
    Ok(())
}

/// What failed of a share, and how far the study is.
fn report_share(outcome: &ShardOutcome, shard: Shard) {
    report_steps(&outcome.steps);
    let elsewhere = match outcome.n_elsewhere {
        0 => String::new(),
        n => format!(", {n} left to another process that is at them"),
    };
    say!(
        "share {shard}: {} steps done now, {} before, {} failed or skipped{elsewhere}",
        outcome.n_run,
        outcome.n_already,
        outcome.n_failed
    );
    let rest = match outcome.n_steps - outcome.n_done {
        0 => "braintune merge, or the same command without --shard, writes the report",
        _ => "the others are for other shares",
    };
    say!(
        "{} of {} steps of the study are done; {rest}",
        outcome.n_done,
        outcome.n_steps
    );
}

/// What failed, warnings, and how many steps there were.
pub(crate) fn report(outcome: &StudyOutcome) {
    report_steps(&outcome.results.steps);
    for warning in &outcome.results.warnings {
        say!("warning: {warning}");
    }
    say!(
        "{} steps done now, {} before, {} failed or skipped",
        outcome.n_run,
        outcome.n_already,
        outcome.n_failed
    );
}

fn report_steps(steps: &[StepRecord]) {
    for step in steps {
        let problem = step.problem.as_deref().unwrap_or_default();
        match step.status {
            StepStatus::Done => {}
            StepStatus::Failed => say!("failed:  {}: {problem}", step.name),
            _ => say!("skipped: {}: {problem}", step.name),
        }
    }
}

fn describe(found: &DryRun) {
    say!(
        "{:<52} {:<9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "step",
        "state",
        "TRs",
        "voxels",
        "windows",
        "memory",
        "cache",
        "results",
        "time"
    );
    for step in &found.steps {
        let state = match step.state {
            StepState::Done => "done",
            StepState::Begun => "begun",
            StepState::Outdated => "outdated",
            _ => "to do",
        };
        say!(
            "{:<52} {state:<9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}",
            step.name,
            step.n_trs,
            step.n_voxels,
            step.n_windows,
            human_size(step.memory_bytes),
            human_size(step.cache_bytes),
            human_size(step.result_bytes),
            duration(step.seconds)
        );
    }
    let (cache, results) = found.bytes();
    let rest = match found.seconds() {
        s if s > 0.0 => format!(
            "{} for what is not done, on this machine with nothing else on it, after {} of reading and checking; {} of memory",
            duration(s),
            duration(found.start_s),
            human_size(found.memory_bytes())
        ),
        _ => "all of it is done".to_owned(),
    };
    say!(
        "{} steps; {} of cache, {} of results; {rest}",
        found.steps.len(),
        human_size(cache),
        human_size(results)
    );
}

/// How long it takes there, and what that rests on.
fn describe_cluster(found: &DryRun, cluster: &Cluster) {
    let on = found.on_nodes(cluster);
    let cards = match cluster.gpus {
        0 => "no graphics card".to_owned(),
        1 => "a graphics card each".to_owned(),
        n => format!("{n} graphics cards each"),
    };
    let busy = on.rank_s.iter().filter(|seconds| **seconds > 0.0).count();
    say!(
        "{} nodes like this machine, {cards}: {}; {} of memory each; {busy} of {} ranks have work",
        cluster.nodes,
        duration(on.seconds),
        human_size(on.memory_bytes),
        on.rank_s.len()
    );
    if let Some((unit, seconds)) = &on.longest {
        say!(
            "longest: {unit}, {}, which no number of nodes makes shorter; the last to end has {}",
            duration(*seconds),
            on.last.join(", ")
        );
    }
    say!(
        "assumed: a rank per {}, all steps of one state of a model done by one rank, a file system that all share",
        if cluster.gpus > 0 { "card" } else { "node" }
    );
    if cluster.gpus > 0 {
        say!(
            "assumed: forward and backward passes {:.1} times as fast as here (--gpu-speed; time `braintune extract` on both to know), ridge and probes on the cores that the cards of a node share",
            cluster.gpu_speed
        );
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "-".to_owned(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
