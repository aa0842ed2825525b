//! Files on disk: pointers are refused, what is read has a largest size, written files appear whole
//! or not at all.
//!
//! Held by `tests/it/response_file.rs` and `tests/it/datasets.rs`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use braintune_audio::pointer_kind;

use crate::{FmriError, Result};

/// Deflate makes nothing smaller than by a factor of 1032, nor does another filter that is read here:
/// data that would have to are damaged, or were never written.
pub(crate) const MAX_COMPRESSION: u64 = 1100;
/// Extension of files that are being written.
pub(crate) const PARTIAL_EXTENSION: &str = "partial";

/// An error if `path` stands in for data that was not fetched.
pub(crate) fn refuse_pointer(path: &Path) -> Result<()> {
    match pointer_kind(path) {
        None => Ok(()),
        Some(kind) => Err(FmriError::Pointer {
            path: path.into(),
            kind,
        }),
    }
}

/// Turns a failure to read `path` into an error of this crate; `what` is used if it is not there.
pub(crate) fn read_error(path: &Path, what: impl Into<String>, source: io::Error) -> FmriError {
    if source.kind() == io::ErrorKind::NotFound {
        return FmriError::Missing {
            what: what.into(),
            path: path.into(),
        };
    }
    FmriError::Io {
        doing: "read",
        path: path.into(),
        source,
    }
}

/// An error if `dir` is no folder; `what` is it in messages.
pub(crate) fn require_dir(dir: &Path, what: &str) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    Err(FmriError::Missing {
        what: what.into(),
        path: dir.into(),
    })
}

/// The bytes of a file that is no pointer and has no more than `max`; `what` is it in messages.
pub(crate) fn read_bytes(path: &Path, what: &'static str, max: u64) -> Result<Vec<u8>> {
    refuse_pointer(path)?;
    let mut bytes = Vec::new();
    // One byte more tells a file that is too large, whatever its metadata says.
    File::open(path)
        .and_then(|file| file.take(max + 1).read_to_end(&mut bytes))
        .map_err(|error| read_error(path, what, error))?;
    if bytes.len() as u64 > max {
        return Err(FmriError::TooLarge {
            path: path.into(),
            what,
            max,
        });
    }
    Ok(bytes)
}

/// [`read_bytes`] as UTF-8.
pub(crate) fn read_text(path: &Path, what: &'static str, max: u64) -> Result<String> {
    String::from_utf8(read_bytes(path, what, max)?).map_err(|error| {
        let error = io::Error::new(io::ErrorKind::InvalidData, error.utf8_error());
        read_error(path, what, error)
    })
}

/// What is in `dir`, sorted; nothing if it does not exist.
pub(crate) fn list_dir(dir: &Path) -> Result<Vec<PathBuf>> {
    let list = || {
        let entries = fs::read_dir(dir)?;
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<io::Result<Vec<_>>>()
    };
    match list() {
        Ok(mut paths) => {
            paths.sort();
            Ok(paths)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(read_error(dir, "folder", error)),
    }
}

/// Whether `name` can be that of a file or folder of a dataset.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '\\', '\0']) && !name.starts_with('.')
}

/// Files of `dir` by name without extension; of several, the one whose extension comes first.
pub(crate) fn files_by_stem(dir: &Path, extensions: &[&str]) -> Result<BTreeMap<String, PathBuf>> {
    let mut best: BTreeMap<String, (usize, PathBuf)> = BTreeMap::new();
    for path in list_dir(dir)? {
        let (Some(stem), Some(extension)) = (path.file_stem(), path.extension()) else {
            continue;
        };
        let (Some(stem), Some(extension)) = (stem.to_str(), extension.to_str()) else {
            continue;
        };
        let rank = extensions
            .iter()
            .position(|known| known.eq_ignore_ascii_case(extension));
        let Some(rank) = rank else { continue };
        match best.get(stem) {
            Some((other, _)) if *other <= rank => {}
            _ => {
                best.insert(stem.into(), (rank, path));
            }
        }
    }
    let best = best.into_iter();
    Ok(best.map(|(stem, (_, path))| (stem, path)).collect())
}

/// Name of this process's temporary file for `path`.
pub(crate) fn partial_beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{PARTIAL_EXTENSION}", std::process::id()));
    path.with_file_name(name)
}

/// Lets `write` fill a temporary file beside `path`, then renames it; removes it on failure.
pub(crate) fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = partial_beside(path);
    let written = write(&partial).and_then(|()| {
        fs::rename(&partial, path).map_err(|source| FmriError::Io {
            doing: "write",
            path: path.into(),
            source,
        })
    });
    if written.is_err() {
        // Best effort: the error that matters is the one returned.
        let _ = fs::remove_file(&partial);
    }
    written
}
