//! What a step leaves beside its result: `.step.json`, its key, whether it is done, and digests of what it left.
//!
//! Written before a step begins and again, atomically, when all of its result is there. A folder with the key of a step
//! that is done is left alone, unless a file of it changed since; one that was begun under the same key is gone on with;
//! one without this file is not ours and never touched. A result of another key is put away and kept until the step that
//! replaces it is done: whoever goes back to the old settings before that has it back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::steps::{Step, Work};
use crate::error::{Result, file_error, io_error};
use crate::files::write_atomically;
use crate::provenance::sha256_hex;

const MARKER: &str = ".step.json";
/// Of the study's folder: results that are being replaced.
const KEPT: &str = ".study/kept";
/// Of the study's folder: what is being removed, with the key of its step.
const REMOVED: &str = ".study/removed-";
/// Files up to this size are read to see whether they changed, of larger ones the size is looked at.
const MOST_READ: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Marker {
    key: String,
    done: bool,
    /// Each file beside this one; nothing until the step is done.
    #[serde(default)]
    files: BTreeMap<String, FileState>,
}

/// What is known of a file without anything that differs from run to run.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FileState {
    /// Its SHA-256.
    Sha256(String),
    /// Bytes of a large one.
    Bytes(u64),
    /// Lines of one that tells how fast a run was.
    Lines(usize),
    /// JSON with times.
    Json,
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
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
    let found = state_in(step, &out.join(&step.folder))?;
    if found != StepState::Done && has_kept(step, out)? {
        return Ok(StepState::Done);
    }
    Ok(found)
}

/// Whether a result that was put away is that of `step`.
fn has_kept(step: &Step, out: &Path) -> Result<bool> {
    let kept = kept(step, out);
    Ok(kept.join(MARKER).exists() && state_in(step, &kept)? == StepState::Done)
}

fn kept(step: &Step, out: &Path) -> PathBuf {
    out.join(KEPT).join(&step.folder)
}

fn state_in(step: &Step, folder: &Path) -> Result<StepState> {
    let path = folder.join(MARKER);
    if !path.exists() {
        let entries = match std::fs::read_dir(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(StepState::New),
            entries => entries.map_err(io_error("list", folder))?,
        };
        // A marker that is being written has a hidden name.
        let is_seen = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
        };
        let mut entries = entries.map(is_seen);
        return match entries.find(|is_seen| *is_seen) {
            None => Ok(StepState::New),
            Some(_) => Err(file_error(
                folder,
                format!(
                    "holds files that no study left there, where the results of `{}` go: remove them, or give another --out",
                    step.name
                ),
            )),
        };
    }
    let marker = read(&path)?;
    Ok(if marker.key != step.key {
        StepState::Outdated
    } else if marker.done && is_whole(step, &marker, folder) {
        StepState::Done
    } else {
        StepState::Begun
    })
}

fn read(path: &Path) -> Result<Marker> {
    let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
    serde_json::from_str(&text).map_err(|e| {
        file_error(
            path,
            format!("is damaged ({e}): remove the folder, its step is done anew"),
        )
    })
}

/// Whether every file is there as the step left it.
fn is_whole(step: &Step, marker: &Marker, folder: &Path) -> bool {
    let changed = marker.files.iter().find(|(name, was)| {
        let now = describe(&folder.join(name));
        now.map_or(true, |now| now != **was)
    });
    if let Some((name, _)) = changed {
        tracing::warn!(
            "{} is missing or was changed: `{}` is done again",
            folder.join(name).display(),
            step.name
        );
    }
    let has = |file: &&str| marker.files.contains_key(*file);
    changed.is_none() && step.outputs().iter().all(has)
}

fn describe(path: &Path) -> std::io::Result<FileState> {
    let size = std::fs::metadata(path)?.len();
    if size > MOST_READ {
        return Ok(FileState::Bytes(size));
    }
    let bytes = std::fs::read(path)?;
    let name = path.file_name().unwrap_or_default();
    if name == "provenance.json" {
        serde_json::from_slice::<serde_json::Value>(&bytes)?;
        return Ok(FileState::Json);
    }
    if name == "training.csv" {
        return Ok(FileState::Lines(bytes.split(|&b| b == b'\n').count()));
    }
    Ok(FileState::Sha256(sha256_hex(&bytes)))
}

/// Makes the folder of a step ready for it: what an earlier run of the same key left stays where the step can go on
/// from it. The folder of a step that is done is there after it too.
pub(super) fn begin(step: &Step, out: &Path) -> Result<PathBuf> {
    let folder = out.join(&step.folder);
    let marker = folder.join(MARKER);
    if marker.exists() {
        let found = read(&marker)?;
        let goes_on = !matches!(step.work, Work::Random { .. } | Work::Probe(_));
        match (found.key == step.key, found.done) {
            (true, false) if goes_on => {}
            (false, true) => put_away(step, out)?,
            // Begun with other settings, or done and changed since.
            _ => discard(&folder, step, out)?,
        }
    }
    std::fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    write(step, &folder, None)?;
    Ok(folder)
}

/// Brings the result of a step that is done back to its place, where it was put away.
pub(super) fn restore(step: &Step, out: &Path) -> Result<()> {
    let folder = out.join(&step.folder);
    if state_in(step, &folder)? == StepState::Done || !has_kept(step, out)? {
        return Ok(());
    }
    discard(&folder, step, out)?;
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    }
    std::fs::rename(kept(step, out), &folder).map_err(io_error("replace", &folder))
}

/// Says that all of a step's result is there; what it replaces goes.
pub(super) fn finish(step: &Step, out: &Path) -> Result<()> {
    let folder = out.join(&step.folder);
    write(step, &folder, Some(files(&folder)?))?;
    discard(&kept(step, out), step, out)
}

/// The files of a folder, those in folders of it and hidden ones left out.
fn files(folder: &Path) -> Result<BTreeMap<String, FileState>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(io_error("list", folder))? {
        let path = entry.map_err(io_error("list", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_file() && !name.starts_with('.') {
            let found = describe(&path).map_err(io_error("read", &path))?;
            files.insert(name.into_owned(), found);
        }
    }
    Ok(files)
}

fn write(step: &Step, folder: &Path, files: Option<BTreeMap<String, FileState>>) -> Result<()> {
    let path = folder.join(MARKER);
    let marker = Marker {
        key: step.key.clone(),
        done: files.is_some(),
        files: files.unwrap_or_default(),
    };
    let text = serde_json::to_string(&marker).map_err(|e| file_error(&path, e))?;
    write_atomically(&path, text.as_bytes())
}

/// Keeps the result of other settings until `step` is done.
fn put_away(step: &Step, out: &Path) -> Result<()> {
    let (folder, kept) = (out.join(&step.folder), kept(step, out));
    discard(&kept, step, out)?;
    if let Some(parent) = kept.parent() {
        std::fs::create_dir_all(parent).map_err(io_error("create", parent))?;
    }
    std::fs::rename(&folder, &kept).map_err(io_error("replace", &folder))
}

/// Out of the way in one move, so that a kill leaves no half of an old result, then gone. Each step has a place of its
/// own for that: others may be at work in the study's folder.
fn discard(folder: &Path, step: &Step, out: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let trash = out.join(format!("{REMOVED}{}", step.key));
    remove_dir(&trash)?;
    std::fs::rename(folder, &trash).map_err(io_error("replace", folder))?;
    remove_dir(&trash)
}

/// Removes a folder; one that is not there is fine.
pub(super) fn remove_dir(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", folder)(e)),
        _ => Ok(()),
    }
}

impl Step {
    /// Files without which its result is none.
    pub(super) fn outputs(&self) -> &'static [&'static str] {
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
