//! Finished layers of an unfinished run, `OUT/.encode-state/layer-<i>.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layers::{Fits, LayerResult};
use crate::error::{Result, file_error};
use crate::files::{create_folder, write_atomically};

/// Holds finished layers while the job runs; a name that nothing else uses.
const STATE: &str = ".encode-state";

/// A finished layer on disk, with the key of the run that it belongs to.
#[derive(Serialize, Deserialize)]
struct SavedLayer {
    key: String,
    result: LayerResult,
}

/// Whether a run that was stopped left its state.
pub(super) fn is_there(out: &Path) -> bool {
    out.join(STATE).is_dir()
}

/// Makes the folder for finished layers and the one around it.
pub(super) fn create(out: &Path) -> Result<()> {
    create_folder(&out.join(STATE))
}

pub(super) fn write_layer(out: &Path, layer: usize, key: &str, result: &LayerResult) -> Result<()> {
    let path = layer_path(out, layer);
    let saved = SavedLayer {
        key: key.to_owned(),
        result: result.clone(),
    };
    let bytes = serde_json::to_vec(&saved).map_err(|e| file_error(&path, e))?;
    write_atomically(&path, &bytes)
}

/// A layer that an earlier run of the same key finished.
pub(super) fn read_layer(
    out: &Path,
    layer: usize,
    key: &str,
    fits: &Fits<'_>,
) -> Option<LayerResult> {
    let bytes = std::fs::read(layer_path(out, layer)).ok()?;
    let SavedLayer { key: of, result } = serde_json::from_slice(&bytes).ok()?;
    let n_voxels = fits.inputs.n_voxels;
    let fits = of == key
        && result.r.len() == n_voxels
        && result.best_alpha.len() == n_voxels
        && result.regions.len() == fits.n_regions()
        && result.stories.len() == fits.test_rows().len()
        && result.stories.iter().all(|r| r.len() == n_voxels);
    fits.then_some(result)
}

/// Removes what was kept: only clutter once the result is there.
pub(super) fn clear(out: &Path, n_layers: usize) {
    for layer in 0..n_layers {
        let _ = std::fs::remove_file(layer_path(out, layer));
    }
    let _ = std::fs::remove_dir(out.join(STATE));
}

fn layer_path(out: &Path, layer: usize) -> PathBuf {
    out.join(STATE).join(format!("layer-{layer:03}.json"))
}
