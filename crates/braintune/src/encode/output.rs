//! What the main job leaves: `alignment.csv`, `voxels.npz`, `provenance.json`, in that order.
//!
//! While it runs, `.encode-state/layer-<i>.json` keeps finished layers. The provenance is written last: a
//! folder that has it is complete.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::AlignmentRow;
use super::config::EncodeConfig;
use super::layers::LayerResult;
use crate::arrays::write_atomically;
use crate::error::{Result, file_error, io_error};
use crate::npz::Npz;
use crate::provenance::{Provenance, remove_if_there};

/// Holds finished layers while the job runs; a name that nothing else uses.
const STATE: &str = ".encode-state";
const OUTPUTS: [&str; 2] = ["alignment.csv", "voxels.npz"];

/// A finished layer on disk, with the key of the run that it belongs to.
#[derive(Serialize, Deserialize)]
struct SavedLayer {
    key: String,
    r: Vec<f32>,
    best_alpha: Vec<f64>,
}

pub(super) fn is_complete(out: &Path, provenance: &Provenance) -> bool {
    OUTPUTS.iter().all(|name| out.join(name).is_file())
        && provenance.matches(&out.join("provenance.json"))
}

/// Makes the folder and the one for finished layers.
pub(super) fn create(out: &Path) -> Result<()> {
    let state = out.join(STATE);
    std::fs::create_dir_all(&state).map_err(io_error("create", &state))
}

pub(super) fn write_layer(out: &Path, layer: usize, key: &str, result: &LayerResult) -> Result<()> {
    let path = layer_path(out, layer);
    let saved = SavedLayer {
        key: key.to_owned(),
        r: result.r.clone(),
        best_alpha: result.best_alpha.clone(),
    };
    let bytes = serde_json::to_vec(&saved).map_err(|e| file_error(&path, e))?;
    write_atomically(&path, &bytes)
}

/// A layer that an earlier run of the same key finished.
pub(super) fn read_layer(
    out: &Path,
    layer: usize,
    key: &str,
    n_voxels: usize,
) -> Option<LayerResult> {
    let bytes = std::fs::read(layer_path(out, layer)).ok()?;
    let saved: SavedLayer = serde_json::from_slice(&bytes).ok()?;
    let fits = saved.key == key && saved.r.len() == n_voxels && saved.best_alpha.len() == n_voxels;
    fits.then_some(LayerResult {
        r: saved.r,
        best_alpha: saved.best_alpha,
    })
}

fn layer_path(out: &Path, layer: usize) -> PathBuf {
    out.join(STATE).join(format!("layer-{layer:03}.json"))
}

pub(super) fn write(
    out: &Path,
    results: &[LayerResult],
    config: &EncodeConfig,
    model_name: &str,
    provenance: &Provenance,
) -> Result<Vec<AlignmentRow>> {
    let rows = alignment_rows(results, config);
    // From here until the new one is written the folder is not a complete result.
    let record = out.join("provenance.json");
    remove_if_there(&record)?;
    write_csv(
        &out.join("alignment.csv"),
        &rows,
        &config.subject,
        model_name,
    )?;
    write_voxels(&out.join("voxels.npz"), results, config)?;
    provenance.write(&record)?;
    // Only clutter once the result is there.
    for layer in 0..results.len() {
        let _ = std::fs::remove_file(layer_path(out, layer));
    }
    let _ = std::fs::remove_dir(out.join(STATE));
    Ok(rows)
}

fn alignment_rows(results: &[LayerResult], config: &EncodeConfig) -> Vec<AlignmentRow> {
    let n_voxels = results.first().map_or(0, |result| result.r.len());
    let regions = config.regions.with_all(n_voxels);
    let of_layer = |(layer, result): (usize, &LayerResult)| {
        let row = |(roi, voxels): &(&str, Vec<usize>)| AlignmentRow {
            layer,
            roi: (*roi).to_owned(),
            n_voxels: voxels.len(),
            mean_r: mean(voxels.iter().map(|&voxel| f64::from(result.r[voxel])))
                .unwrap_or_default(),
            mean_r_normalized: normalized(&result.r, voxels, config),
        };
        regions.iter().map(row).collect::<Vec<_>>()
    };
    results.iter().enumerate().flat_map(of_layer).collect()
}

/// Mean of r / ceiling over voxels above the threshold; low-ceiling voxels are left out, never
/// counted as zeros.
fn normalized(r: &[f32], voxels: &[usize], config: &EncodeConfig) -> Option<f64> {
    let ceiling = config.noise_ceiling.as_ref()?;
    let reliable = voxels
        .iter()
        .filter(|&&voxel| ceiling[voxel] > config.ceiling_threshold);
    mean(reliable.map(|&voxel| f64::from(r[voxel]) / f64::from(ceiling[voxel])))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / n as f64)
}

fn write_csv(path: &Path, rows: &[AlignmentRow], subject: &str, model: &str) -> Result<()> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let header = [
        "subject",
        "model",
        "layer",
        "roi",
        "n_voxels",
        "mean_r",
        "mean_r_normalized",
        "ci_low",
        "ci_high",
        "q_value",
    ];
    csv.write_record(header).map_err(|e| file_error(path, e))?;
    for row in rows {
        let normalized = row
            .mean_r_normalized
            .map_or(String::new(), |r| format!("{r:.6}"));
        // Intervals and q values are not computed by this command: their cells stay empty.
        csv.write_record([
            subject,
            model,
            &row.layer.to_string(),
            &row.roi,
            &row.n_voxels.to_string(),
            &format!("{:.6}", row.mean_r),
            &normalized,
            "",
            "",
            "",
        ])
        .map_err(|e| file_error(path, e))?;
    }
    let bytes = csv.into_inner().map_err(|e| file_error(path, e))?;
    write_atomically(path, &bytes)
}

fn write_voxels(path: &Path, results: &[LayerResult], config: &EncodeConfig) -> Result<()> {
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
    if let Some(ceiling) = &config.noise_ceiling {
        npz.add("noise_ceiling", ceiling)?;
    }
    npz.finish()
}
