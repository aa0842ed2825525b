//! Does the method find what was put in? Simulated participants with fixed seeds, and a table for each question.
//!
//! ```sh
//! cargo run --release -p braintune --example recovery OUT [regions|ceilings|tuning|noise]
//! ```
//!
//! Tables go to the screen, as they stand in `docs/recovery.md`; what was computed stays in `OUT`, so that an
//! interrupted run goes on where it was.
#![allow(clippy::print_stdout)]

mod ceilings;
mod noise;
mod regions;
mod tuning;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::simulation::{SimulatedDataset, SimulationConfig, simulate};

pub(crate) type AnyError = Box<dyn std::error::Error>;
type Part = fn(&Path) -> Result<(), AnyError>;

const PARTS: [(&str, Part); 4] = [
    ("regions", regions::table),
    ("ceilings", ceilings::table),
    ("tuning", tuning::table),
    ("noise", noise::table),
];

fn main() -> Result<(), AnyError> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: recovery OUT [regions|ceilings|tuning|noise]";
    let out = PathBuf::from(arguments.next().ok_or(usage)?);
    let asked: Vec<String> = arguments.collect();
    for (name, table) in PARTS {
        if asked.is_empty() || asked.iter().any(|part| part == name) {
            table(&out.join(name))?;
        }
    }
    Ok(())
}

/// The simulation of a seed, in a folder of its own.
pub(crate) fn dataset(
    config: &SimulationConfig,
    folder: &Path,
) -> Result<SimulatedDataset, AnyError> {
    Ok(simulate(
        config,
        folder,
        &mut |_| ControlFlow::Continue(()),
    )?)
}

/// A line of a Markdown table.
pub(crate) fn line(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Its first two lines.
pub(crate) fn header(cells: &[&str]) {
    println!(
        "\n| {} |\n|{}",
        cells.join(" | "),
        "---|".repeat(cells.len())
    );
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
