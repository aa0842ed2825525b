//! One module per command: its flags, and what it calls in the `braintune` crate.

pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod encode;
pub(crate) mod extract;
pub(crate) mod model;
pub(crate) mod ridge;
pub(crate) mod simulate;

use std::path::Path;

use anyhow::Context;
use braintune::encode::{AlignmentRow, Outcome};

/// This process's command line, for provenance.
fn command_line() -> Vec<String> {
    std::env::args_os()
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect()
}

/// Makes the folder in which `file` will be written.
fn create_parent(file: &Path) -> anyhow::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Some(folder) = folder else { return Ok(()) };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Says where the result is and shows the alignment per layer.
fn report(outcome: &Outcome, out: &Path) {
    match outcome {
        Outcome::AlreadyDone => {
            eprintln!(
                "{} already holds the result of the same inputs; nothing to do",
                out.display()
            );
        }
        Outcome::Computed(rows) => {
            table(rows);
            eprintln!(
                "wrote {}",
                out.join("{alignment.csv,voxels.npz,provenance.json}")
                    .display()
            );
        }
    }
}

fn table(rows: &[AlignmentRow]) {
    eprintln!(
        "{:>5}  {:<16} {:>8}  {:>8}  {:>12}",
        "layer", "roi", "n_voxels", "mean r", "r / ceiling"
    );
    for row in rows {
        let normalized = row
            .mean_r_normalized
            .map_or(String::from("-"), |r| format!("{r:.4}"));
        eprintln!(
            "{:>5}  {:<16} {:>8}  {:>8.4}  {normalized:>12}",
            row.layer, row.roi, row.n_voxels, row.mean_r
        );
    }
}
