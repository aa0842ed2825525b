//! Files that are either whole or not there, and names of what a cache holds.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::SystemTime;

use atomic_write_file::AtomicWriteFile;
use serde_json::{Value, json};
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

/// What a safetensors file begins with: the length of its JSON, and the JSON of notes and of tensors (name, type, shape,
/// bytes) in the order of their data. The same input gives the same bytes, which the notes of `safetensors` itself do
/// not: they come out of a hash map.
pub(crate) fn safetensors_header(
    notes: &[(&str, &str)],
    tensors: impl IntoIterator<Item = (String, &'static str, Vec<usize>, usize)>,
) -> Vec<u8> {
    let mut entries = serde_json::Map::new();
    let notes = notes
        .iter()
        .map(|&(name, text)| (name.to_owned(), text.into()));
    entries.insert("__metadata__".to_owned(), Value::Object(notes.collect()));
    let mut start = 0;
    for (name, dtype, shape, n_bytes) in tensors {
        let end = start + n_bytes;
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        entries.insert(name, entry);
        start = end;
    }
    let mut text = Value::Object(entries).to_string();
    // Data begins at a multiple of 8 bytes, as the format asks.
    let n_blanks = text.len().next_multiple_of(8) - text.len();
    text.extend(std::iter::repeat_n(' ', n_blanks));
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.into_bytes());
    bytes
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
