//! Files that are either whole or not there, and how hashes of them are written.

use std::fmt::Write as _;
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

/// Two hexadecimal digits per byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // a String takes everything
        text
    })
}
