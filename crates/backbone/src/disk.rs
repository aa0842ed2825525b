//! Files that are either whole or not there.

use std::io::Write as _;
use std::path::Path;

use atomic_write_file::AtomicWriteFile;

use crate::error::{Result, io_error};

/// Writes `bytes` under a temporary name beside `path` and renames; a full disk leaves nothing
/// that looks complete.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicWriteFile::open(path).map_err(io_error("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.commit())
        .map_err(io_error("write", path))
}
