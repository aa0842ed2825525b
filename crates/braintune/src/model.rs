//! Where a model is: a folder, or a HuggingFace id in the local hub cache.

use std::path::{Path, PathBuf};

use crate::error::{BraintuneError, Result, io_error};

/// The checkpoint folder that `model` names: itself if it is a folder, otherwise the snapshot of
/// `org/name` in the hub cache (`HF_HUB_CACHE`, else `HF_HOME`/hub, else `~/.cache/huggingface/hub`). Nothing is downloaded.
///
/// # Errors
/// Neither is there; the message names both places.
pub fn resolve(model: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(model);
    if folder.is_dir() {
        return Ok(folder);
    }
    let hub = hub_cache();
    let repository = hub.join(cache_name(model));
    match snapshot(&repository)? {
        Some(snapshot) => Ok(snapshot),
        None => Err(BraintuneError::Input(format!(
            "no model {model}: neither a folder of that name nor {} is there; get it with `braintune fetch model {model}`, or give a folder with config.json, preprocessor_config.json and model.safetensors",
            repository.display()
        ))),
    }
}

/// The folder of the hub cache that holds the model `id`.
pub(crate) fn cache_name(id: &str) -> String {
    format!("models--{}", id.replace('/', "--"))
}

pub(crate) fn hub_cache() -> PathBuf {
    if let Some(hub) = std::env::var_os("HF_HUB_CACHE") {
        return PathBuf::from(hub);
    }
    hub_home().join("hub")
}

/// Where the tools of the hub keep their things.
pub(crate) fn hub_home() -> PathBuf {
    let home = std::env::var_os("HF_HOME").map(PathBuf::from);
    let user = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/huggingface"));
    home.or(user).unwrap_or_default()
}

/// The snapshot that `refs/main` names.
fn snapshot(repository: &Path) -> Result<Option<PathBuf>> {
    let main = repository.join("refs/main");
    if !main.is_file() {
        return Ok(None);
    }
    let revision = std::fs::read_to_string(&main).map_err(io_error("read", &main))?;
    let snapshot = repository.join("snapshots").join(revision.trim());
    Ok(snapshot.is_dir().then_some(snapshot))
}
