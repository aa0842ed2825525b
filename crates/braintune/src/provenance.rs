//! `provenance.json`: which versions, command and inputs a result came from.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::arrays::write_atomically;
use crate::error::{BraintuneError, Result, io_error};

/// What went into an output folder or file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of braintune.
    pub braintune: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// Settings and hashes of all inputs.
    pub inputs: Value,
    /// SHA-256 of version and `inputs`: equal keys, equal results.
    pub key: String,
}

impl Provenance {
    /// Of this version of braintune and these inputs.
    #[must_use]
    pub fn new(command: Vec<String>, inputs: Value) -> Self {
        let braintune = env!("CARGO_PKG_VERSION").to_owned();
        let key = sha256_hex(format!("{braintune}\n{inputs}").as_bytes());
        Self {
            braintune,
            command,
            inputs,
            key,
        }
    }

    /// Writes the record as JSON.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, path: &Path) -> Result<()> {
        let value = serde_json::to_value(self).unwrap_or_default();
        write_atomically(path, format!("{value:#}\n").as_bytes())
    }

    /// Writes a result file with `write`, then this record beside it, `<file>.provenance.json`. An
    /// older record goes first; a result whose record cannot be written does not stay.
    ///
    /// # Errors
    /// What `write` or the file system says.
    pub fn write_beside<E: From<BraintuneError>>(
        &self,
        file: &Path,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let record = file.with_added_extension("provenance.json");
        remove_if_there(&record)?;
        write(file)?;
        self.write(&record).map_err(|error| {
            let _ = std::fs::remove_file(file); // the first error is the one to tell
            error.into()
        })
    }

    /// Whether `path` is a record with the same key.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        let earlier = std::fs::read_to_string(path).ok();
        let earlier = earlier.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        earlier.is_some_and(|earlier| earlier.key == self.key)
    }
}

/// SHA-256 of a file, hex.
///
/// # Errors
/// The file cannot be read.
pub fn file_sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(io_error("read", path))?;
    let mut hasher = Sha256::new();
    let mut bytes = vec![0; 1 << 20];
    loop {
        match file.read(&mut bytes).map_err(io_error("read", path))? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&bytes[..n]),
        }
    }
}

/// SHA-256 of bytes, hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256 of a matrix, hex: its shape as two u64, then its f32 values in row order, little endian.
#[must_use]
pub fn values_sha256(values: ndarray::ArrayView2<'_, f32>) -> String {
    let mut hasher = Sha256::new();
    for n in values.shape() {
        hasher.update((*n as u64).to_le_bytes());
    }
    for row in values.rows() {
        let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
        hasher.update(bytes);
    }
    hex::encode(hasher.finalize())
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("replace", path)(e)),
        _ => Ok(()),
    }
}
