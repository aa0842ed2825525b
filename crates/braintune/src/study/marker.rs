//! What a step leaves beside its result: `.step.json`, its key and whether it is done.
//!
//! Written before a step begins and again, atomically, when all of its result is there. A folder with the key of a step
//! that is done is left alone; one that was begun under the same key is gone on with; one of another key is put away and
//! removed; one without this file is not ours and never touched.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::steps::{Step, Work};
use crate::arrays::write_atomically;
use crate::error::{Result, file_error, io_error};

const MARKER: &str = ".step.json";

#[derive(Serialize, Deserialize)]
struct Marker {
    key: String,
    done: bool,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// Its results are there.
    Done,
    /// An earlier run began it.
    Begun,
    /// There are results of other settings or inputs, which will be replaced.
    Outdated,
    /// Nothing is there.
    New,
}

/// How far `step` is in the study's folder `out`.
pub(super) fn state(step: &Step, out: &Path) -> Result<StepState> {
    let folder = out.join(&step.folder);
    let path = folder.join(MARKER);
    if !path.exists() {
        let mut entries = match std::fs::read_dir(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(StepState::New),
            entries => entries.map_err(io_error("list", &folder))?,
        };
        return match entries.next() {
            None => Ok(StepState::New),
            Some(_) => Err(file_error(
                &folder,
                format!(
                    "holds files that no study left there, where the results of `{}` go: remove them, or give another --out",
                    step.name
                ),
            )),
        };
    }
    let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let marker: Marker = serde_json::from_str(&text).map_err(|e| {
        file_error(
            &path,
            format!("is damaged ({e}): remove the folder, its step is done anew"),
        )
    })?;
    let is_whole = || {
        step.outputs()
            .iter()
            .all(|file| folder.join(file).is_file())
    };
    Ok(match marker {
        Marker { key, .. } if key != step.key => StepState::Outdated,
        Marker { done: true, .. } if is_whole() => StepState::Done,
        _ => StepState::Begun,
    })
}

/// Makes the folder of a step ready for it: what an earlier run of the same key left stays where the step can go on
/// from it.
pub(super) fn begin(step: &Step, out: &Path) -> Result<PathBuf> {
    let folder = out.join(&step.folder);
    let goes_on = !matches!(step.work, Work::Random { .. } | Work::Probe(_));
    let keeps = state(step, out)? == StepState::Begun && goes_on;
    if !keeps && folder.exists() {
        put_away(&folder, out)?;
    }
    std::fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    write(step, &folder, false)?;
    Ok(folder)
}

/// Says that all of a step's result is there.
pub(super) fn finish(step: &Step, folder: &Path) -> Result<()> {
    write(step, folder, true)
}

fn write(step: &Step, folder: &Path, done: bool) -> Result<()> {
    let path = folder.join(MARKER);
    let marker = Marker {
        key: step.key.clone(),
        done,
    };
    let text = serde_json::to_string(&marker).map_err(|e| file_error(&path, e))?;
    write_atomically(&path, text.as_bytes())
}

/// Out of the way in one move, so that a kill leaves no half of an old result, then gone.
fn put_away(folder: &Path, out: &Path) -> Result<()> {
    let trash = out.join(".study/removed");
    remove_dir(&trash)?;
    std::fs::rename(folder, &trash).map_err(io_error("replace", folder))?;
    remove_dir(&trash)
}

fn remove_dir(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", folder)(e)),
        _ => Ok(()),
    }
}

impl Step {
    /// Files without which its result is none.
    fn outputs(&self) -> &'static [&'static str] {
        match self.work {
            Work::Random { .. } => &["model.safetensors", "config.json"],
            Work::Tune(_) => &[
                "model.safetensors",
                "config.json",
                "training.csv",
                "provenance.json",
            ],
            Work::Encode(_) | Work::Baseline { .. } | Work::LowLevel { .. } => {
                &["alignment.csv", "voxels.npz", "provenance.json"]
            }
            Work::Probe(_) => &["probes.csv", "provenance.json"],
        }
    }
}
