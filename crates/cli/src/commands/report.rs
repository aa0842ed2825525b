//! `braintune report`: a results folder as one page.

use std::path::PathBuf;
use std::process::ExitCode;

/// What a folder of results holds, as one page that opens from disk.
///
/// Reads study.json (of braintune study) or, where there is none, alignment.csv (of encode) and probes.csv (of probe).
/// Writes into the same folder: report.html, which needs nothing beside it and no network; figures/, each figure as SVG
/// and PNG; tables/, each table as CSV. The same results give the same bytes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let results = braintune::report::read(&args.dir)?;
    let page = braintune::report::write(&results, &args.dir)?;
    say!("wrote {}", page.display());
    Ok(ExitCode::SUCCESS)
}
