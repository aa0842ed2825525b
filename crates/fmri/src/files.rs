//! Files on disk: pointers are refused, written files appear whole or not at all.
//!
//! Held by `tests/it/response_file.rs` and `tests/it/datasets.rs`.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use braintune_audio::pointer_kind;

use crate::{FmriError, Result};

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

/// Lets `write` fill a temporary file beside `path`, then renames it; removes it on failure.
pub(crate) fn write_atomically(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.{PARTIAL_EXTENSION}", std::process::id()));
    let partial = path.with_file_name(name);
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
