//! A checkpoint folder: its two configurations and its weights, single or sharded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config_file::ConfigFile;
use super::weights::WeightsFile;
use crate::error::{BackboneError, Result, io_error};

/// An opened HuggingFace checkpoint folder: `config.json` read, weights found but not loaded.
#[derive(Debug)]
pub struct Checkpoint {
    folder: PathBuf,
    config: ConfigFile,
    shards: Vec<WeightsFile>,
}

#[derive(Deserialize)]
struct ShardIndex {
    weight_map: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Opens a folder with `config.json` and `model.safetensors` or its shards.
    ///
    /// # Errors
    /// A file that is missing, a pointer in place of data, truncated or not what it should be.
    pub fn open(folder: &Path) -> Result<Self> {
        let config = ConfigFile::read(folder, "config.json")?;
        let shards = weight_files(folder)?
            .iter()
            .map(|path| WeightsFile::open(path))
            .collect::<Result<_>>()?;
        Ok(Self {
            folder: folder.to_path_buf(),
            config,
            shards,
        })
    }

    /// `config.json`.
    #[must_use]
    pub fn config(&self) -> &ConfigFile {
        &self.config
    }

    /// `model_type` of `config.json`, e.g. `whisper`.
    ///
    /// # Errors
    /// The key is missing.
    pub fn model_type(&self) -> Result<&str> {
        let value = self
            .config
            .get("model_type")
            .and_then(serde_json::Value::as_str);
        value.ok_or_else(|| BackboneError::Malformed {
            path: self.config.path().to_path_buf(),
            problem: "missing key `model_type`".to_owned(),
        })
    }

    /// `preprocessor_config.json`.
    ///
    /// # Errors
    /// It is missing or not JSON.
    pub fn preprocessor(&self) -> Result<ConfigFile> {
        ConfigFile::read(&self.folder, "preprocessor_config.json")
    }

    /// SHA-256 (hex) over the weight files and both configurations, in a fixed order: what a
    /// feature cache and a provenance record know this checkpoint by.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn sha256(&self) -> Result<String> {
        let mut hasher = Sha256::new();
        let preprocessor = self.preprocessor()?;
        let configs = [self.config.path(), preprocessor.path()];
        for path in configs
            .into_iter()
            .chain(self.shards.iter().map(WeightsFile::path))
        {
            let mut file = std::fs::File::open(path).map_err(io_error("read", path))?;
            let length = file.metadata().map_err(io_error("read", path))?.len();
            hasher.update(length.to_le_bytes());
            std::io::copy(&mut file, &mut HashWriter(&mut hasher))
                .map_err(io_error("read", path))?;
        }
        Ok(hex::encode(hasher.finalize()))
    }

    /// Puts the checkpoint's tensors into `module`, converted to f32.
    ///
    /// The keys' prefix is the first of `prefixes` under which `probe` exists. Tensors that the
    /// module does not have (decoder, heads) are ignored.
    ///
    /// # Errors
    /// Tensors that are missing, of another shape or of an unreadable type, by name.
    pub fn load_into<M: Module>(
        &self,
        module: &mut M,
        prefixes: &[&str],
        probe: &str,
    ) -> Result<()> {
        let prefix = self.prefix(prefixes, probe);
        let mut tensors = Vec::new();
        let mut missing = Vec::new();
        for wanted in module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true) {
            let key = format!("{prefix}{}", wanted.name);
            match self.find(&key) {
                Some(shard) => {
                    let shape = wanted.shape.to_vec();
                    tensors.push(shard.tensor(&key, wanted.name, shape)?);
                }
                None => missing.push(key),
            }
        }
        if !missing.is_empty() {
            return Err(BackboneError::MissingTensors {
                path: self.folder.clone(),
                names: missing,
            });
        }
        let applied = module.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
        match applied.errors.first() {
            None => Ok(()),
            Some(error) => Err(BackboneError::Malformed {
                path: self.folder.clone(),
                problem: error.to_string(),
            }),
        }
    }

    /// Checks some tensors before a module of the configured size is made: a damaged configuration
    /// must not ask for more memory than the weights could fill.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, by name.
    pub(crate) fn check_shapes(
        &self,
        prefixes: &[&str],
        probe: &str,
        expected: &[(String, Vec<usize>)],
    ) -> Result<()> {
        let prefix = self.prefix(prefixes, probe);
        for (name, shape) in expected {
            let key = format!("{prefix}{name}");
            match self.find(&key) {
                Some(shard) => shard.check_shape(&key, shape).map(|_| ())?,
                None => {
                    return Err(BackboneError::MissingTensors {
                        path: self.folder.clone(),
                        names: vec![key],
                    });
                }
            }
        }
        Ok(())
    }

    /// The first of `prefixes` under which `probe` exists, else the first.
    fn prefix<'a>(&self, prefixes: &[&'a str], probe: &str) -> &'a str {
        let found = prefixes
            .iter()
            .find(|prefix| self.find(&format!("{prefix}{probe}")).is_some());
        found.or(prefixes.first()).copied().unwrap_or_default()
    }

    fn find(&self, key: &str) -> Option<&WeightsFile> {
        self.shards.iter().find(|shard| shard.has(key))
    }
}

/// The folder's weight files: one, or the shards that its index names, sorted.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let single = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    if single.symlink_metadata().is_ok() {
        return Ok(vec![single]);
    }
    if !index.exists() {
        let path = folder.to_path_buf();
        return Err(BackboneError::MissingFile {
            path,
            what: "model.safetensors",
        });
    }
    let text = std::fs::read_to_string(&index).map_err(io_error("read", &index))?;
    let shards: ShardIndex = serde_json::from_str(&text).map_err(|e| BackboneError::Malformed {
        path: index.clone(),
        problem: format!("expected a shard index with `weight_map`: {e}"),
    })?;
    let mut names: Vec<String> = shards.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    Ok(names.iter().map(|name| folder.join(name)).collect())
}

struct HashWriter<'a>(&'a mut Sha256);

impl std::io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
