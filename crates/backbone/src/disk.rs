//! Files that are either whole or not there, and names of what a cache holds.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use atomic_write_file::AtomicWriteFile;
use sha2::{Digest, Sha256};

use crate::error::{Result, io_error};

/// Writes `bytes` under a temporary name beside `path` and renames; a full disk leaves nothing
/// that looks complete.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicWriteFile::open(path).map_err(io_error("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.commit())
        .map_err(io_error("write", path))
}

/// Sets the time of a kept file, which says when it was last of use, to now: what has not been of use for longest is
/// removed first when a cache is cleaned. Where that is not allowed the file only looks older.
pub(crate) fn mark_used(path: &Path) {
    let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}

/// A SHA-256 of texts and samples, in hexadecimal: the name of what was made of them.
pub(crate) fn content_key(texts: &[&str], samples: &[f32]) -> String {
    let mut hasher = Sha256::new();
    for text in texts {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    for samples in samples.chunks(4096) {
        let bytes: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        hasher.update(bytes);
    }
    hex::encode(hasher.finalize())
}
