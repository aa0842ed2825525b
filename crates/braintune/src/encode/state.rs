//! Finished pieces of an unfinished run, `OUT/.encode-state/layer-<i>-<first voxel>.json`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::layers::{Fits, State};
use super::units::{Unit, UnitResult};
use crate::error::{Result, file_error};
use crate::files::{create_folder, write_atomically};

/// Holds finished pieces while the job runs; a name that nothing else uses.
const STATE: &str = ".encode-state";
/// In it: the key of the job that shares do.
const JOB: &str = "job-of-shares";

/// A finished piece on disk, with the key of the run that it belongs to.
#[derive(Serialize, Deserialize)]
struct Saved<R> {
    key: String,
    result: R,
}

/// Whether a run that was stopped left its state.
pub(super) fn is_there(out: &Path) -> bool {
    out.join(STATE).is_dir()
}

/// Makes the folder for finished pieces and the one around it.
pub(super) fn create(out: &Path) -> Result<()> {
    create_folder(&out.join(STATE))
}

/// Says whose pieces the folder is for: shares of jobs with other settings or inputs would take each other's away.
///
/// # Errors
/// Shares of another job have worked here.
pub(super) fn claim_for_shares(state: State<'_>) -> Result<()> {
    create(state.out)?;
    let path = state.out.join(STATE).join(JOB);
    match std::fs::read_to_string(&path) {
        Ok(key) if key != state.key => Err(file_error(
            state.out,
            format!(
                "shares of a job with other settings or inputs have left pieces here: give another --out, or remove {}",
                state.out.join(STATE).display()
            ),
        )),
        Ok(_) => Ok(()),
        Err(_) => write_atomically(&path, state.key.as_bytes()),
    }
}

pub(super) fn write(state: State<'_>, unit: &Unit, result: &UnitResult) -> Result<()> {
    let path = path_of(state.out, unit);
    let saved = Saved {
        key: state.key.to_owned(),
        result,
    };
    let bytes = serde_json::to_vec(&saved).map_err(|e| file_error(&path, e))?;
    write_atomically(&path, &bytes)
}

/// A piece that this run or an earlier one of the same key finished.
pub(super) fn read(state: State<'_>, unit: &Unit, fits: &Fits<'_>) -> Option<UnitResult> {
    let bytes = std::fs::read(path_of(state.out, unit)).ok()?;
    let Saved { key: of, result } = serde_json::from_slice::<Saved<UnitResult>>(&bytes).ok()?;
    let n_stories = fits.test_rows().len();
    let is_whole = of == state.key && result.fits(unit.voxels.len(), n_stories, fits.n_regions());
    is_whole.then_some(result)
}

/// Removes what was kept: only clutter once the result is there.
pub(super) fn clear(out: &Path, units: &[Unit]) {
    for unit in units {
        let _ = std::fs::remove_file(path_of(out, unit));
    }
    let _ = std::fs::remove_file(out.join(STATE).join(JOB));
    let _ = std::fs::remove_dir(out.join(STATE));
}

fn path_of(out: &Path, unit: &Unit) -> PathBuf {
    let Unit { layer, voxels } = unit;
    let name = format!("layer-{layer:03}-{:08}.json", voxels.start);
    out.join(STATE).join(name)
}
