//! One module per command: its flags, and what it calls in the `braintune` crate.

pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod encode;
pub(crate) mod extract;
pub(crate) mod fetch;
pub(crate) mod merge;
pub(crate) mod model;
pub(crate) mod probe;
pub(crate) mod regions;
pub(crate) mod report;
pub(crate) mod ridge;
pub(crate) mod simulate;
mod stories;
pub(crate) mod study;
pub(crate) mod tune;

use std::path::{Path, PathBuf};

use anyhow::bail;
use braintune::Split;
use braintune::encode::{AlignmentRow, Outcome};
use braintune::files::create_folder;
use braintune::fmri::{DatasetFiles, open_dataset};
use braintune::ranks::{Ranks, Shard};
use braintune::shard_command;

/// Opens a dataset of any kind, and says which of its stories cannot be used.
fn open(dir: &Path) -> anyhow::Result<Box<dyn DatasetFiles>> {
    let dataset = open_dataset(dir)?;
    for (story, reason) in dataset.left_out() {
        say!("warning: no story can be made of {story}: {reason}");
    }
    Ok(dataset)
}

/// This process's command line, for provenance.
fn command_line() -> Vec<String> {
    std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect()
}

#[derive(Debug, clap::Args)]
struct ShardArgs {
    /// Do share i of n only, i from 1 to n, for array jobs of SLURM, PBS, SGE; braintune merge puts shares together
    #[arg(long, value_name = "i/n")]
    shard: Option<Shard>,
}

impl ShardArgs {
    /// The part of the job that is this process's, and the command that the whole of it is recorded under.
    fn split<'a>(&self, split: Split<'a>, out: &Path) -> anyhow::Result<(Split<'a>, Vec<String>)> {
        match (self.shard, split) {
            (Some(shard), Split::Ranks(ranks)) => {
                check_alone(Some(shard), ranks)?;
                if may_be_of_shares(out) {
                    self.keep(out)?; // a share that is killed is one that `merge` should know of
                }
                Ok((Split::Shard(shard), command_line()))
            }
            // As the shares would have been started as one.
            (_, Split::Merge) => Ok((split, shard_command::read(out)?.0)),
            (_, split) => Ok((split, command_line())),
        }
    }

    /// Keeps the command of a share that has done its part, for `merge`.
    fn keep(&self, out: &Path) -> anyhow::Result<()> {
        if self.shard.is_some() {
            shard_command::keep(out, &command_line(), &std::env::current_dir()?)?;
        }
        Ok(())
    }
}

/// Whether a folder is new, or one in which a share has begun and not said what it does.
fn may_be_of_shares(out: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(out) else {
        return !out.exists();
    };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let is_ours = |name: &std::ffi::OsString| name == ".encode-state" || name == ".study";
    names.is_empty() || (names.iter().any(is_ours) && !shard_command::is_there(out))
}

/// Before any work: a share of an array job is the work of one process.
fn check_alone(shard: Option<Shard>, ranks: &dyn Ranks) -> anyhow::Result<()> {
    match shard {
        Some(shard) if ranks.n_ranks() > 1 => bail!(
            "--shard {shard} is for jobs that never meet, and this one has {} ranks: leave it out, or start without mpirun",
            ranks.n_ranks()
        ),
        _ => Ok(()),
    }
}

/// Before any work: `file` can be a new file or replace a plain one that is no input, and its
/// folder is there.
fn check_output(file: &Path, inputs: &[&PathBuf]) -> anyhow::Result<()> {
    if std::fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        bail!(
            "--out {} is a folder or a special file; give the name of a file",
            file.display()
        );
    }
    let same = |input: &&&PathBuf| matches!((input.canonicalize(), file.canonicalize()), (Ok(a), Ok(b)) if a == b);
    if inputs.iter().find(same).is_some() {
        bail!(
            "--out {} is one of the inputs, it would be lost; give another name",
            file.display()
        );
    }
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Some(folder) = folder else { return Ok(()) };
    Ok(create_folder(folder)?)
}

/// Before any work: a file that is there is replaced only where it `is_ours`, or empty.
fn check_replaceable(
    file: &Path,
    what: &str,
    is_ours: impl FnOnce(&Path) -> bool,
) -> anyhow::Result<()> {
    let holds_something = std::fs::metadata(file).is_ok_and(|found| found.len() > 0);
    if holds_something && !is_ours(file) {
        bail!(
            "--out {} is there and holds no {what}: it would be lost; give another name, or remove it",
            file.display()
        );
    }
    Ok(())
}

/// Before any work: results do not go among the files of an input, of which they could replace some.
fn check_out_folder<'a>(
    out: &Path,
    inputs: impl IntoIterator<Item = (&'static str, &'a Path)>,
) -> anyhow::Result<()> {
    let Ok(real) = out.canonicalize() else {
        return Ok(());
    };
    let same = |(_, input): &(_, &Path)| input.canonicalize().is_ok_and(|input| input == real);
    match inputs.into_iter().find(same) {
        None => Ok(()),
        Some((what, _)) => bail!(
            "--out {} is the folder of {what}, some of whose files would be replaced; give another place",
            out.display()
        ),
    }
}

/// Says where the result is and shows the alignment per layer.
fn report(outcome: &Outcome, out: &Path) {
    match outcome {
        Outcome::AlreadyDone => {
            say!(
                "{} already holds the result of the same inputs; nothing to do",
                out.display()
            );
        }
        Outcome::Computed(rows) => {
            table(rows);
            say!(
                "wrote {}",
                out.join("{alignment.csv,voxels.npz,provenance.json}")
                    .display()
            );
        }
        Outcome::Shared { n_done, n_pieces } => say!(
            "{n_done} of {n_pieces} pieces of the job are done{}",
            if n_done == n_pieces {
                format!(": braintune merge {} writes the result", out.display())
            } else {
                String::new()
            }
        ),
        _ => {}
    }
}

fn table(rows: &[AlignmentRow]) {
    say!(
        "{:>5}  {:<16} {:>8}  {:>8}  {:>17}  {:>7}  {:>12}",
        "layer",
        "roi",
        "n_voxels",
        "mean r",
        "95 % interval",
        "q",
        "r / ceiling"
    );
    let cell = |text: Option<String>| text.unwrap_or_else(|| String::from("-"));
    for row in rows {
        let interval = row
            .interval
            .map(|(low, high)| format!("{low:.4} to {high:.4}"));
        say!(
            "{:>5}  {:<16} {:>8}  {:>8.4}  {:>17}  {:>7}  {:>12}",
            row.layer,
            row.roi,
            row.n_voxels,
            row.mean_r,
            cell(interval),
            cell(row.q_value.map(|q| format!("{q:.4}"))),
            cell(row.mean_r_normalized.map(|r| format!("{r:.4}")))
        );
    }
}
