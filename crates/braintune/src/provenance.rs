//! `provenance.json`: which versions, command and inputs a result came from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{BraintuneError, Result, io_error};
use crate::files::{remove_if_there, write_atomically};

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
    /// SHA-256 of the files of the result, by name, where they are recorded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
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
            outputs: BTreeMap::new(),
        }
    }

    /// The same, with the SHA-256 of files of the result in `folder`.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn with_outputs(mut self, folder: &Path, names: &[&str]) -> Result<Self> {
        for name in names {
            let sha256 = file_sha256(&folder.join(name))?;
            self.outputs.insert((*name).to_owned(), sha256);
        }
        Ok(self)
    }

    /// Whether the files that are recorded are in `folder` as they were written.
    #[must_use]
    pub fn outputs_are_whole(&self, folder: &Path) -> bool {
        let is_whole = |(name, sha256): (&String, &String)| {
            file_sha256(&folder.join(name)).is_ok_and(|found| found == *sha256)
        };
        self.outputs.iter().all(is_whole)
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
