//! One process at a time for one file.
//!
//! The lock is the operating system's, on a file of its own that stays: it ends with its process, and
//! to delete the file would let two processes hold it. For the hub it is where `huggingface_hub` has it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind};
use std::path::Path;
use std::time::Duration;

use super::error::{Result, io_error};
use super::session::{Report, Session};

const POLL: Duration = Duration::from_millis(200);

/// Holds a lock while it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Waits until this process holds the lock of `name`; says so if that takes time.
pub(super) fn lock(path: &Path, name: &str, session: &Session<'_>) -> Result<Lock> {
    let open = || {
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
    };
    let file = open().map_err(io_error("create", path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) if !told => {
                told = true;
                session.report(Report::Waiting(name.to_owned()));
            }
            Err(TryLockError::WouldBlock) => session.pause(POLL)?,
            // Some file systems of clusters have no locks.
            Err(TryLockError::Error(error)) if has_no_locks(&error) => {
                tracing::warn!(path = %path.display(), "no file locks here: let no second process fetch the same file");
                return Ok(Lock { _file: file });
            }
            Err(TryLockError::Error(error)) => return Err(io_error("lock", path)(error)),
        }
    }
}

/// `ENOLCK` is what a network file system without its lock service says; it has no kind of its own.
fn has_no_locks(error: &Error) -> bool {
    const ENOLCK: i32 = if cfg!(target_os = "linux") { 37 } else { 77 };
    let is_enolck = cfg!(unix) && error.raw_os_error() == Some(ENOLCK);
    is_enolck || error.kind() == ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_without_locks_are_told_from_other_trouble() {
        assert!(has_no_locks(&ErrorKind::Unsupported.into()));
        assert!(!has_no_locks(&ErrorKind::PermissionDenied.into()));
        #[cfg(target_os = "linux")]
        {
            let no_locks = Error::from_raw_os_error(37);
            assert!(no_locks.to_string().contains("No locks available"));
            assert!(has_no_locks(&no_locks));
            assert!(!has_no_locks(&Error::from_raw_os_error(5)));
        }
    }
}
