//! Whose a study's folder is, and who may work in it at once.
//!
//! `.study/owner.json` names the version and the study. `.study/lock` is held alone by a run of the whole study, and by
//! shares of it (`--shard`) together; a share also holds a lock for each unit of steps that it does, so that none is done
//! twice at once whatever shares are started. Held by `tests/it/study_damage.rs`, `study_ranks.rs`.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use braintune_ranks::Shard;
use serde_json::json;

use super::marker::remove_dir;
use super::steps::Step;
use super::{SCHEMA_VERSION, Study};
use crate::error::{Result, file_error, io_error};
use crate::files::write_atomically;
use crate::provenance::sha256_hex;

/// Whose folder it is.
const OWNER: &str = ".study/owner.json";
/// Locks of units that shares do, and into how many shares the study was cut.
const SHARES: &str = ".study/shares";

/// A folder that is new, or that this version of braintune made for this study.
pub(super) fn check_out(study: &Study, out: &Path) -> Result<()> {
    check_schema(&out.join("study.json"))?;
    let path = out.join(OWNER);
    if !path.exists() {
        // A run that was killed as it began may have left the empty folder, shares keep their command beside it.
        let is_other = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| {
                let name = entry.file_name();
                let name = name.to_string_lossy();
                name != ".study" && !name.starts_with(".shard")
            })
        };
        let has_any = std::fs::read_dir(out).is_ok_and(|mut entries| entries.any(is_other));
        // Unless another share of the study has begun in between.
        if has_any && !path.exists() {
            return Err(file_error(
                out,
                "holds files that no study left there: give another --out, or empty it",
            ));
        }
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let owner: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
        let remedy = format!("is damaged ({e}): remove this file if the folder holds results of this study, or give another --out");
        file_error(&path, remedy)
    })?;
    let version = env!("CARGO_PKG_VERSION");
    if owner["braintune"] != version {
        return Err(file_error(
            out,
            format!(
                "holds results of braintune {}, this is {version}, whose results may differ: give another --out, or go on with that version",
                owner["braintune"]
            ),
        ));
    }
    let title = study.title();
    if owner["title"] != title {
        return Err(file_error(
            out,
            format!(
                "holds results of the study {}, this one is called {title:?}: give another --out, or the same title to replace what differs",
                owner["title"]
            ),
        ));
    }
    Ok(())
}

/// A `study.json` that another version wrote is not replaced.
fn check_schema(path: &Path) -> Result<()> {
    let text = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        text => text.map_err(io_error("read", path))?,
    };
    // What is damaged can be made again from the steps beside it.
    let Ok(found) = serde_json::from_slice::<serde_json::Value>(&text) else {
        tracing::warn!("{} is damaged and will be written again", path.display());
        return Ok(());
    };
    if found["schema_version"] == SCHEMA_VERSION {
        return Ok(());
    }
    Err(file_error(
        path,
        format!(
            "has schema_version {}, this version of braintune writes {SCHEMA_VERSION}: give another --out, or move the old results away",
            found["schema_version"]
        ),
    ))
}

/// Says whose the folder is and keeps all others out of it, until the file that is returned is closed.
pub(super) fn claim(study: &Study, out: &Path) -> Result<File> {
    let lock = lock_file(out)?;
    if !is_free(lock.try_lock(), out) {
        return Err(file_error(
            out,
            "another run of a study, or a share of one (--shard), works in this folder: wait for it, or give another --out",
        ));
    }
    write_owner(study, out)?;
    Ok(lock)
}

/// As [`claim`], for one share of several: other shares may work beside it.
pub(super) fn claim_share(study: &Study, out: &Path, shard: Shard) -> Result<File> {
    let lock = lock_file(out)?;
    if !is_free(lock.try_lock_shared(), out) {
        return Err(file_error(
            out,
            "another run, of the whole study, works in this folder: wait for it, or give another --out",
        ));
    }
    write_owner(study, out)?;
    let shares = out.join(SHARES);
    std::fs::create_dir_all(&shares).map_err(io_error("create", &shares))?;
    let path = shares.join(format!("of-{}", shard.count()));
    std::fs::write(&path, []).map_err(io_error("write", &path))?;
    Ok(lock)
}

/// The lock of the unit of steps that begins with `step`; none if another share is at it.
pub(super) fn claim_unit(out: &Path, step: &Step) -> Result<Option<File>> {
    let name = sha256_hex(step.folder.to_string_lossy().as_bytes());
    let lock = open(&out.join(SHARES).join(name))?;
    Ok(is_free(lock.try_lock(), out).then_some(lock))
}

/// Into how many shares the study was cut, if that is known.
pub(super) fn n_shares(out: &Path) -> Option<usize> {
    let entries = std::fs::read_dir(out.join(SHARES)).ok()?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let count = |name: std::ffi::OsString| name.to_str()?.strip_prefix("of-")?.parse().ok();
    let counts: Vec<usize> = names.filter_map(count).collect();
    match counts[..] {
        [count] => Some(count),
        _ => None,
    }
}

/// Removes what shares needed; for who holds the folder alone.
pub(super) fn tidy(out: &Path) -> Result<()> {
    remove_dir(&out.join(SHARES))
}

fn lock_file(out: &Path) -> Result<File> {
    let folder = out.join(".study");
    std::fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    open(&folder.join("lock"))
}

/// To be read and written: network file systems lock nothing else.
fn open(path: &Path) -> Result<File> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false);
    how.open(path).map_err(io_error("write", path))
}

/// Whether there was nobody else; where files cannot be locked there is nobody.
fn is_free(tried: Result<(), TryLockError>, out: &Path) -> bool {
    match tried {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(e)) => {
            tracing::debug!("{}: no locks on this file system: {e}", out.display());
            true
        }
    }
}

fn write_owner(study: &Study, out: &Path) -> Result<()> {
    let path = out.join(OWNER);
    let owner = json!({ "braintune": env!("CARGO_PKG_VERSION"), "title": study.title() });
    let text = format!("{owner:#}\n");
    if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    write_atomically(&path, text.as_bytes())
}
