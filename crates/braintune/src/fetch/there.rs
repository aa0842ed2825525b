//! What is in a file's place already.
//!
//! A blob of the hub's cache is named by its content and got that name when it was whole: its size says
//! enough. A file of a dataset may come from anywhere: it is compared with the listed checksum, where
//! there is one, and never replaced. Held by `tests/it/fetch_there.rs`.

use std::fs::File;
use std::io::{ErrorKind, Read};

use super::error::{FetchError, Result, io_error};
use super::plan::PlannedFile;
use super::session::Session;

/// Whether `file` is in its place; another one there is an error.
pub(super) fn is_there(file: &PlannedFile, session: &Session<'_>) -> Result<bool> {
    match file.found()? {
        None => Ok(false),
        Some(got) if file.is_blob() => Ok(got == file.bytes),
        Some(got) if got != file.bytes => Err(exists(file, got)),
        Some(_) => compare(file, session, &|_| ()).map(|()| true),
    }
}

pub(super) fn exists(file: &PlannedFile, got: u64) -> FetchError {
    FetchError::Exists {
        path: file.path.clone(),
        expected: file.bytes,
        got,
    }
}

/// Compares what is in the place of `file` with its checksum, if it has one; `on` is told how many
/// bytes were read.
pub(super) fn compare(file: &PlannedFile, session: &Session<'_>, on: &dyn Fn(u64)) -> Result<()> {
    let Some(expected) = file.checksum.value() else {
        return Ok(());
    };
    let mut bytes = File::open(&file.path).map_err(io_error("read", &file.path))?;
    let mut hasher = file.checksum.hasher(file.bytes);
    let mut buffer = vec![0; 1 << 16];
    loop {
        session.check_stopped()?;
        let read = match bytes.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.map_err(io_error("read", &file.path))?,
        };
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        on(read as u64);
    }
    let got = hasher.finish().unwrap_or_default();
    if got == expected {
        return Ok(());
    }
    Err(FetchError::Differs {
        path: file.path.clone(),
        kind: file.checksum.kind(),
        expected: expected.to_owned(),
        got,
    })
}
