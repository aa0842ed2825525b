//! A checkpoint folder: its two configurations and its weights, single or sharded.

use std::collections::{BTreeMap, HashSet};
use std::path::{Component, Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Bytes, DType};
use burn_pack::Tensor as PackTensor;
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::config_file::ConfigFile;
use super::weights::WeightsFile;
use crate::error::{BackboneError, Result, io_error, malformed};

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
    /// Opens a folder with `config.json` and `model.safetensors`, `pytorch_model.bin` or shards of one.
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
        value.ok_or_else(|| malformed(self.config.path(), "missing key `model_type`"))
    }

    /// `preprocessor_config.json`, or `feature_extractor` of the `processor_config.json` that newer
    /// processors of `transformers` write in its place.
    ///
    /// # Errors
    /// It is missing or not JSON.
    pub fn preprocessor(&self) -> Result<ConfigFile> {
        let plain = ConfigFile::read(&self.folder, "preprocessor_config.json");
        if let Err(BackboneError::MissingFile { .. }) = plain
            && let Ok(processor) = ConfigFile::read(&self.folder, "processor_config.json")
            && let Some(part) = processor.part("feature_extractor")
        {
            return Ok(part);
        }
        plain
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

    /// Values of the tensor under just this key, as f32 in row order; none if the weights have no such
    /// key. For what belongs to no encoder: heads, say.
    ///
    /// # Errors
    /// Another shape or type than expected, NaN or infinite values, a file that cannot be read.
    pub fn values(&self, key: &str, shape: &[usize]) -> Result<Option<Vec<f32>>> {
        let shard = self.shards.iter().find(|shard| shard.shape(key).is_some());
        shard.map(|shard| shard.values(key, shape)).transpose()
    }

    /// Puts the checkpoint's tensors into `module`, converted to f32.
    ///
    /// The keys' prefix is found by `layout`. Tensors that belong to other parts of the checkpoint
    /// (decoder, heads) are ignored.
    ///
    /// # Errors
    /// Tensors that are missing, of another shape or of an unreadable type, that hold NaN, or that
    /// the configuration has no place for, by name.
    pub(crate) fn load_into<M: Module>(&self, module: &mut M, layout: &KeyLayout) -> Result<()> {
        let prefix = self.prefix(layout);
        let mut tensors = Vec::new();
        let mut missing = Vec::new();
        let mut used = HashSet::new();
        for wanted in module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true) {
            match self.find(prefix, &wanted.name) {
                Some((shard, key)) => {
                    let shape = wanted.shape.to_vec();
                    let bytes = Bytes::from_elems(shard.values(&key, &shape)?);
                    used.insert(key);
                    tensors.push(PackTensor::new(wanted.name, DType::F32, shape, None, bytes));
                }
                None => missing.push(format!("{prefix}{}", wanted.name)),
            }
        }
        if !missing.is_empty() {
            return Err(BackboneError::MissingTensors {
                path: self.folder.clone(),
                names: missing,
            });
        }
        self.check_nothing_left(prefix, layout, &used)?;
        let applied = module.apply(tensors, None, Some(Box::new(PyTorchToBurnAdapter)), true);
        match applied.errors.first() {
            None => Ok(()),
            Some(error) => Err(malformed(&self.folder, error.to_string())),
        }
    }

    /// Weights of the encoder that the configuration has no place for: a layer more, a bias that it
    /// denies. Leaving them out would be another model.
    fn check_nothing_left(
        &self,
        prefix: &str,
        layout: &KeyLayout,
        used: &HashSet<String>,
    ) -> Result<()> {
        let is_ours = |key: &&String| {
            let name = key.strip_prefix(prefix);
            name.is_some_and(|name| {
                let ours = layout.parts.iter().any(|part| name.starts_with(part));
                // A counter of training steps that no output depends on.
                ours && !name.ends_with("num_batches_tracked")
            })
        };
        let mut left: Vec<String> = self
            .shards
            .iter()
            .flat_map(WeightsFile::keys)
            .filter(|key| is_ours(&key) && !used.contains(key))
            .collect();
        left.sort();
        if left.is_empty() {
            return Ok(());
        }
        Err(BackboneError::UnexpectedTensors {
            path: self.folder.clone(),
            names: left,
        })
    }

    /// Whether the weights hold `name` under the prefix that `layout` finds.
    pub(crate) fn has(&self, layout: &KeyLayout, name: &str) -> bool {
        self.find(self.prefix(layout), name).is_some()
    }

    /// Checks some tensors before a module of the configured size is made: a damaged configuration
    /// must not ask for more memory than the weights could fill.
    ///
    /// # Errors
    /// A tensor that is missing or has another shape, by name.
    pub(crate) fn check_shapes(
        &self,
        layout: &KeyLayout,
        expected: &[(String, Vec<usize>)],
    ) -> Result<()> {
        let prefix = self.prefix(layout);
        for (name, shape) in expected {
            match self.find(prefix, name) {
                Some((shard, key)) => shard.check_shape(&key, shape)?,
                None => {
                    return Err(BackboneError::MissingTensors {
                        path: self.folder.clone(),
                        names: vec![format!("{prefix}{name}")],
                    });
                }
            }
        }
        Ok(())
    }

    /// The first of the prefixes under which the layout's probe exists, else the first.
    fn prefix(&self, layout: &KeyLayout) -> &'static str {
        let found = layout
            .prefixes
            .iter()
            .find(|prefix| self.find(prefix, layout.probe).is_some());
        found
            .or(layout.prefixes.first())
            .copied()
            .unwrap_or_default()
    }

    /// The file that holds `name`, and under which key: weight norm has two spellings.
    fn find(&self, prefix: &str, name: &str) -> Option<(&WeightsFile, String)> {
        let spellings = [Some(name.to_owned()), parametrized_name(name)];
        spellings.into_iter().flatten().find_map(|name| {
            let key = format!("{prefix}{name}");
            let shard = self.shards.iter().find(|shard| shard.shape(&key).is_some());
            shard.map(|shard| (shard, key))
        })
    }
}

/// How a family names its tensors.
#[derive(Debug)]
pub(crate) struct KeyLayout {
    /// What keys may start with.
    pub(crate) prefixes: &'static [&'static str],
    /// A key, after the prefix, by which the prefix is known.
    pub(crate) probe: &'static str,
    /// What keys of the encoder start with, after the prefix.
    pub(crate) parts: &'static [&'static str],
}

/// `PyTorch`'s newer names of the two parts of a weight norm: `weight_g` and `weight_v` are
/// `parametrizations.weight.original0` and `original1`.
pub(super) fn parametrized_name(name: &str) -> Option<String> {
    let newer = |stem: &str, i| format!("{stem}parametrizations.weight.original{i}");
    let g = name.strip_suffix("weight_g").map(|stem| newer(stem, 0));
    g.or_else(|| name.strip_suffix("weight_v").map(|stem| newer(stem, 1)))
}

/// The folder's weight files: one, or the shards that its index names, sorted. safetensors first.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    for name in ["model.safetensors", "pytorch_model.bin"] {
        let single = folder.join(name);
        if single.symlink_metadata().is_ok() {
            return Ok(vec![single]);
        }
        let index = folder.join(format!("{name}.index.json"));
        if index.exists() {
            return shards(folder, &index);
        }
    }
    Err(BackboneError::MissingFile {
        path: folder.to_path_buf(),
        what: "model.safetensors",
    })
}

fn shards(folder: &Path, index: &Path) -> Result<Vec<PathBuf>> {
    let text = std::fs::read_to_string(index).map_err(io_error("read", index))?;
    let shards: ShardIndex = serde_json::from_str(&text).map_err(|e| {
        malformed(
            index,
            format!("expected a shard index with `weight_map`: {e}"),
        )
    })?;
    let mut names: Vec<String> = shards.weight_map.into_values().collect();
    names.sort();
    names.dedup();
    let is_inside = |name: &&String| {
        let mut parts = Path::new(name.as_str()).components();
        parts.all(|part| matches!(part, Component::Normal(_)))
    };
    if let Some(name) = names.iter().find(|name| !is_inside(name)) {
        let problem = format!("names the shard {name}, expected files in this folder");
        return Err(malformed(index, problem));
    }
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
