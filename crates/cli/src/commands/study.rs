//! `braintune study`: a whole study from one file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use braintune::device::Device;
use braintune::fetch::human_size;
use braintune::ranks::Shard;
use braintune::study::{
    self, DryRun, ShardOutcome, StepRecord, StepState, StepStatus, Study, StudyOutcome,
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
    /// Say what would be done, what is done already, and roughly how long the rest takes; nothing is written
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    cache: CacheArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

pub(crate) fn run(args: &Args, split: Split<'_>) -> anyhow::Result<ExitCode> {
    let study = Study::read(&args.study)?;
    let out = args.out.clone().unwrap_or_else(|| study.default_out());
    let (split, command) = args.shard.split(split, &out)?;
    let device = args.device.get()?;
    let cache = args.cache.folder()?;
    let mut progress = Progress::new();
    if args.dry_run {
        if ranks::is_first() {
            dry_run(args, (&study, &out, &device), progress)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
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
    let mut found = study.dry_run(out, device, &mut on)?;
    if let Some(shard) = args.shard.shard {
        let plan = study.plan(out, device, &mut on)?;
        let owners = plan.owners(study, shard.count())?;
        let mut owners = owners.into_iter();
        found.steps.retain(|_| owners.next() == Some(shard.index()));
    }
    drop(progress);
    describe(&found);
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
        "{:<52} {:<9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "step",
        "state",
        "TRs",
        "voxels",
        "windows",
        "cache",
        "results",
        "about"
    );
    for step in &found.steps {
        let state = match step.state {
            StepState::Done => "done",
            StepState::Begun => "begun",
            StepState::Outdated => "outdated",
            _ => "to do",
        };
        say!(
            "{:<52} {state:<9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9}",
            step.name,
            step.n_trs,
            step.n_voxels,
            step.n_windows,
            human_size(step.cache_bytes),
            human_size(step.result_bytes),
            duration(step.seconds)
        );
    }
    let (cache, results) = found.bytes();
    let rest = match found.seconds() {
        s if s > 0.0 => format!(
            "about {} for what is not done, on this machine with nothing else on it",
            duration(s)
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

fn duration(seconds: f64) -> String {
    match seconds {
        s if s <= 0.0 => "-".to_owned(),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
