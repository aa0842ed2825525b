//! The `braintune` command. What people read goes to stderr, results are files.
//!
//! Exit code 0: done; 1: stopped before the end; 2: wrong usage, bad input or another failure.

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

use std::process::ExitCode;

use braintune::BraintuneError;
use clap::{Parser, Subcommand};

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
            | Self::Cache(_) => None,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    progress::init_log();
    let goes_on = cli.command.goes_on();
    let run = || -> anyhow::Result<ExitCode> {
        interrupt::install()?;
        if let Some(threads) = cli.threads {
            rayon::ThreadPoolBuilder::new()
                .num_threads(usize::from(threads))
                .build_global()?;
        }
        match cli.command {
            Command::Extract(args) => commands::extract::run(&args, &braintune::ranks::Alone),
            Command::Encode(args) => commands::encode::run(&args),
            Command::Tune(args) => commands::tune::run(&args),
            Command::Probe(args) => commands::probe::run(&args),
            Command::Study(args) => commands::study::run(&args, &braintune::ranks::Alone),
            Command::Ridge(args) => commands::ridge::run(*args),
            Command::Check(args) => commands::check::run(&args),
            Command::Regions(args) => commands::regions::run(&args),
            Command::Simulate(args) => commands::simulate::run(&args),
            Command::Demo(args) => commands::demo::run(&args),
            Command::Fetch(args) => commands::fetch::run(&args),
            Command::Report(args) => commands::report::run(&args),
            Command::Cache(args) => commands::cache::run(&args),
        }
    };
    run().unwrap_or_else(|error| {
        let stopped = matches!(error.downcast_ref(), Some(BraintuneError::Cancelled));
        let advice = goes_on.filter(|_| stopped).unwrap_or_default();
        say!("error: {}{advice}", message(&error));
        ExitCode::from(if stopped { 1 } else { 2 })
    })
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
