//! `braintune check`: what is wrong or missing in a dataset, before a day of compute.

mod table;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use braintune::BraintuneError;
use braintune::files::write_atomically;
use braintune::fmri::{
    CheckEntry, CheckEvent, CheckReport, CheckStatus, DatasetFiles, Fix, check_dataset,
    fix_dataset, open_dataset,
};

use super::{check_output, check_replaceable};
use crate::interrupt;
use crate::progress::Progress;

/// What is wrong or missing in a dataset, file by file.
///
/// The quick check reads headers, sizes and the ends of files: presence, pointers in place of data,
/// truncation, rows against timing, audio and TextGrids against timing. --deep also reads every
/// value and decodes every sample: NaN and constant voxels, damaged audio. Exit code 2 if anything
/// is wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dataset: the layout of OpenNeuro ds003020, a folder with a dataset.toml, or BIDS
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Participant whose responses are checked [default: all]
    #[arg(long)]
    subject: Option<String>,
    /// Read every value and decode every sample
    #[arg(long)]
    deep: bool,
    /// Repair what cannot lose data first: names that differ from the expected one in case or in
    /// another extension of the format, parts of writes that were interrupted over an hour ago
    #[arg(long)]
    fix: bool,
    /// Where the report goes
    #[arg(long, value_name = "FILE", default_value = "check.json")]
    out: PathBuf,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    check_output(&args.out, &[])?;
    check_replaceable(&args.out, "report of check", |file| {
        let text = File::open(file).map(BufReader::new).ok();
        text.is_some_and(|text| serde_json::from_reader::<_, CheckReport>(text).is_ok())
    })?;
    let mut dataset = open_dataset(&args.dataset)?;
    let subjects = match &args.subject {
        Some(subject) => {
            dataset.check_subject(subject)?;
            vec![subject.clone()]
        }
        None => dataset.subjects().to_vec(),
    };
    let mut fixed = Vec::new();
    if args.fix {
        fixed = fix_dataset(&*dataset, &subjects)?;
        fixed.iter().for_each(say_fix);
        dataset = open_dataset(&args.dataset)?;
    }
    let mut report = checked(&*dataset, &subjects, args.deep)?;
    report.fixed = fixed;
    write(&args.out, &report)?;
    table::say(&report);
    let mut n_problems = summarise(&report, &args.out);
    if subjects.is_empty() {
        say!(
            "error   {} has no participant: no responses are there to encode or to tune on",
            args.dataset.display()
        );
        n_problems += 1;
    }
    Ok(ExitCode::from(if n_problems > 0 { 2 } else { 0 }))
}

fn say_fix(fix: &Fix) {
    match fix {
        Fix::Renamed { from, to } => say!("renamed {} to {}", from.display(), to.display()),
        Fix::Removed { path } => say!("removed {}, a write that never ended", path.display()),
        _ => {}
    }
}

/// The check with its progress.
fn checked(
    dataset: &dyn DatasetFiles,
    subjects: &[String],
    deep: bool,
) -> anyhow::Result<CheckReport> {
    let mut progress = Progress::new();
    let mut n_files = 0;
    let report = check_dataset(dataset, subjects, deep, &mut |event| {
        match event {
            CheckEvent::Started { n_files: n } => n_files = n,
            CheckEvent::Checked { n_checked, .. } => {
                progress.show("checking", "files", n_checked, n_files);
            }
            _ => {}
        }
        interrupt::poll()
    });
    if !report.complete {
        return Err(BraintuneError::Cancelled.into());
    }
    Ok(report)
}

fn write(path: &Path, report: &CheckReport) -> anyhow::Result<()> {
    let text = format!("{:#}\n", serde_json::to_value(report)?);
    Ok(write_atomically(path, text.as_bytes())?)
}

/// Which file an entry is about, as far as its message does not say it.
fn place(entry: &CheckEntry) -> String {
    let names = entry.subject.iter().chain(&entry.story);
    let mut place: Vec<_> = names.map(String::as_str).collect();
    let path = entry.path.to_string_lossy();
    if !entry.message.contains(&*path) {
        place.push(&path);
    }
    place.join(" ") + ": "
}

/// Everything that is not as it should be, a line each, and the count; returns the number of errors.
fn summarise(report: &CheckReport, out: &Path) -> usize {
    let line = |entry: &CheckEntry| {
        let what = match entry.status {
            CheckStatus::Error => "error  ",
            CheckStatus::Warning => "warning",
            CheckStatus::Ok => "ok     ",
        };
        say!("{what} {}{}", place(entry), entry.message);
    };
    report.warnings().for_each(line);
    report.problems().for_each(line);
    let (n_problems, n_warnings) = (report.problems().count(), report.warnings().count());
    say!(
        "{} files of {} subject(s) checked: {n_problems} wrong, {n_warnings} warning(s); wrote {}",
        report.entries.len(),
        report.subjects.len(),
        out.display()
    );
    n_problems
}
