//! What the main job leaves: `alignment.csv`, `voxels.npz`, with several test stories `stories.csv`, and
//! `provenance.json`, in that order.
//!
//! The provenance is written last: a folder that has it is complete.

use std::path::Path;

use ndarray::{Array2, ArrayView1};

use super::Names;
use super::config::EncodeConfig;
use super::layers::LayerResult;
use super::stories::write_stories;
use super::table::{AlignmentRow, alignment_rows, write_csv};
use crate::error::{Result, file_error};
use crate::files::remove_if_there;
use crate::npz::Npz;
use crate::provenance::Provenance;

pub(super) const OUTPUTS: [&str; 2] = ["alignment.csv", "voxels.npz"];

/// Only of runs on several test stories.
pub(super) const STORIES: &str = "stories.csv";

pub(super) const RECORD: &str = "provenance.json";

pub(super) fn write(
    out: &Path,
    results: &[LayerResult],
    ceiling: Option<ArrayView1<'_, f32>>,
    config: &EncodeConfig,
    names: &Names,
    provenance: Provenance,
) -> Result<Vec<AlignmentRow>> {
    let rows = alignment_rows(results, ceiling, config)?;
    // From here until the new one is written the folder is not a complete result.
    let record = out.join(RECORD);
    remove_if_there(&record)?;
    let [table, voxels] = OUTPUTS.map(|name| out.join(name));
    write_csv(&table, &rows, &config.subject, names)?;
    write_voxels(&voxels, results, ceiling)?;
    let stories = out.join(STORIES);
    let mut written = OUTPUTS.to_vec();
    if config.test_stories.len() < 2 {
        remove_if_there(&stories)?; // that of an earlier run
    } else {
        write_stories(&stories, results, ceiling, config)?;
        written.push(STORIES);
    }
    provenance.with_outputs(out, &written)?.write(&record)?;
    Ok(rows)
}

fn write_voxels(
    path: &Path,
    results: &[LayerResult],
    ceiling: Option<ArrayView1<'_, f32>>,
) -> Result<()> {
    let shape = (
        results.len(),
        results.first().map_or(0, |result| result.r.len()),
    );
    let r: Vec<f32> = results
        .iter()
        .flat_map(|result| result.r.iter().copied())
        .collect();
    let alphas: Vec<f64> = results
        .iter()
        .flat_map(|result| result.best_alpha.iter().copied())
        .collect();
    let mut npz = Npz::create(path)?;
    npz.add(
        "r",
        &Array2::from_shape_vec(shape, r).map_err(|e| file_error(path, e))?,
    )?;
    npz.add(
        "best_alpha",
        &Array2::from_shape_vec(shape, alphas).map_err(|e| file_error(path, e))?,
    )?;
    if let Some(ceiling) = &ceiling {
        npz.add("noise_ceiling", ceiling)?;
    }
    npz.finish()
}
