//! The `braintune` command. What people read goes to stderr, results are files.
//!
//! Exit code 0: done; 1: stopped before the end, or a step of a study failed; 2: wrong usage, bad input or another failure.

// Doc comments of flags are the text of --help, read on a terminal.
#![allow(clippy::doc_markdown)]

/// Writes a line to stderr; a reader that went away or a full disk behind it stops no work.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($arg)*);
    }};
}

mod commands;
mod interrupt;
mod progress;
mod ranks;

use std::process::ExitCode;
use std::time::Duration;

use braintune::ranks::{Alone, Ranks};
use braintune::{BraintuneError, Split};
use clap::{Parser, Subcommand};
use ranks::Group;

/// Layer-wise brain alignment of speech models: run a pretrained speech model over story audio,
/// fit voxel-wise encoding models to fMRI, one per layer, and say how well each layer predicts
/// each voxel.
#[derive(Debug, Parser)]
#[command(name = "braintune", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Threads to use at most (default: RAYON_NUM_THREADS, else all cores). Results do not depend
    /// on their number
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Extract(commands::extract::Args),
    Encode(Box<commands::encode::Args>),
    Tune(Box<commands::tune::Args>),
    Probe(Box<commands::probe::Args>),
    Study(commands::study::Args),
    Ridge(Box<commands::ridge::Args>),
    Check(commands::check::Args),
    Regions(commands::regions::Args),
    Simulate(commands::simulate::Args),
    Demo(commands::demo::Args),
    Fetch(commands::fetch::Args),
    Report(commands::report::Args),
    Merge(commands::merge::Args),
    Cache(commands::cache::Args),
}

impl Command {
    /// Whether a run that was stopped leaves something for the next.
    fn goes_on(&self) -> Option<&'static str> {
        const SAME: &str = "; the same command goes on from what is done";
        match self {
            Self::Extract(args) => args.keeps_features().then_some(SAME),
            Self::Encode(_) | Self::Probe(_) | Self::Study(_) | Self::Demo(_) | Self::Fetch(_) => {
                Some(SAME)
            }
            Self::Tune(args) if args.resumes() => Some(SAME),
            Self::Tune(_) => {
                Some("; what is done is kept, the same command with --resume goes on from it")
            }
            Self::Ridge(_)
            | Self::Check(_)
            | Self::Regions(_)
            | Self::Simulate(_)
            | Self::Report(_)
            | Self::Merge(_)
            | Self::Cache(_) => None,
        }
    }

    /// Whether several processes can do it together.
    fn shares_work(&self) -> bool {
        matches!(
            self,
            Self::Extract(_) | Self::Encode(_) | Self::Tune(_) | Self::Study(_)
        )
    }

    fn run(self, split: Split<'_>) -> anyhow::Result<ExitCode> {
        match self {
            Self::Extract(args) => commands::extract::run(&args, ranks_of(split)),
            Self::Encode(args) => commands::encode::run(&args, split),
            Self::Tune(args) => commands::tune::run(&args, ranks_of(split)),
            Self::Probe(args) => commands::probe::run(&args),
            Self::Study(args) => commands::study::run(&args, split),
            Self::Ridge(args) => commands::ridge::run(*args),
            Self::Check(args) => commands::check::run(&args),
            Self::Regions(args) => commands::regions::run(&args),
            Self::Simulate(args) => commands::simulate::run(&args),
            Self::Demo(args) => commands::demo::run(&args),
            Self::Fetch(args) => commands::fetch::run(&args),
            Self::Report(args) => commands::report::run(&args),
            Self::Merge(args) => merge(&args),
            Self::Cache(args) => commands::cache::run(&args),
        }
    }
}

/// Those that work together; of commands that have no pieces to put together.
fn ranks_of(split: Split<'_>) -> &dyn Ranks {
    match split {
        Split::Ranks(ranks) => ranks,
        _ => &Alone,
    }
}

/// Runs the command of shares again, which puts together and computes nothing.
fn merge(args: &commands::merge::Args) -> anyhow::Result<ExitCode> {
    let command = args.command()?;
    let cli = Cli::try_parse_from(command)?;
    cli.command.run(Split::Merge)
}

fn main() -> ExitCode {
    let cli = parse();
    progress::init_log();
    let goes_on = cli.command.goes_on();
    let begun = Group::begin(cli.command.shares_work());
    let group = match begun {
        Ok(group) => group,
        Err(error) => return failed(&error, None, None),
    };
    let run = || -> anyhow::Result<ExitCode> {
        interrupt::install()?;
        if let Some(threads) = cli.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()?;
        }
        cli.command.run(Split::Ranks(group.ranks()))
    };
    run().unwrap_or_else(|error| failed(&error, goes_on, Some(&group)))
}

/// Reads the command line; of several processes one says what is wrong with it.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| {
        say_after_the_first();
        error.exit()
    })
}

/// What is wrong for all ranks is said once: the first has ended the job by the time that the others would speak.
fn say_after_the_first() {
    if !ranks::is_first() {
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Says what went wrong, and ends the processes that would wait for this one.
fn failed(error: &anyhow::Error, goes_on: Option<&str>, group: Option<&Group>) -> ExitCode {
    let stopped = matches!(error.downcast_ref(), Some(BraintuneError::Cancelled));
    let advice = goes_on.filter(|_| stopped).unwrap_or_default();
    say_after_the_first();
    say!("error: {}{}{advice}", ranks::prefix(), message(error));
    let code = if stopped { 1 } else { 2 };
    if let Some(group) = group {
        group.abort(code);
    }
    ExitCode::from(code)
}

/// The error and its sources on one line, each said once: some libraries repeat their source.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for part in error.chain().map(ToString::to_string) {
        if !message.contains(&part) {
            message += if message.is_empty() { "" } else { ": " };
            message += &part;
        }
    }
    message
}
