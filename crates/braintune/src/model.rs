//! Where a model is: a folder, or a HuggingFace id in the local hub cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::error::{BraintuneError, Result, file_error, io_error};

/// The checkpoint folder that `model` names: itself if it is a folder, otherwise the snapshot of
/// `org/name` in the hub cache (`HF_HUB_CACHE`, else `HF_HOME`/hub, else
/// `XDG_CACHE_HOME`/huggingface/hub, else `~/.cache/huggingface/hub`). Nothing is downloaded.
///
/// # Errors
/// Neither is there; the message names both places.
pub fn resolve(model: &str) -> Result<PathBuf> {
    let folder = PathBuf::from(model);
    if folder.is_dir() {
        return Ok(folder);
    }
    if folder.is_file() {
        return Err(file_error(
            &folder,
            "is a file; give the folder of the model, with config.json, preprocessor_config.json and model.safetensors",
        ));
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

/// An environment variable; an empty one counts as unset.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

pub(crate) fn hub_cache() -> PathBuf {
    hub_cache_of(variable)
}

/// Where the tools of the hub keep their things.
pub(crate) fn hub_home() -> PathBuf {
    hub_home_of(variable)
}

/// The order is `huggingface_hub`'s.
fn hub_cache_of(get: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    match get("HF_HUB_CACHE") {
        Some(hub) => PathBuf::from(hub),
        None => hub_home_of(get).join("hub"),
    }
}

fn hub_home_of(get: impl Fn(&str) -> Option<OsString>) -> PathBuf {
    if let Some(home) = get("HF_HOME") {
        return PathBuf::from(home);
    }
    user_caches_of(get).unwrap_or_default().join("huggingface")
}

/// The folder in which programs keep what they can make again.
pub(crate) fn user_caches_of(get: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let user = || get("HOME").map(|home| Path::new(&home).join(".cache"));
    get("XDG_CACHE_HOME").map(PathBuf::from).or_else(user)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let all = [
            ("HF_HUB_CACHE", "/hub"),
            ("HF_HOME", "/hf"),
            ("XDG_CACHE_HOME", "/xdg"),
            ("HOME", "/me"),
        ];
        let expected = [
            "/hub",
            "/hf/hub",
            "/xdg/huggingface/hub",
            "/me/.cache/huggingface/hub",
        ];
        for (n, expected) in expected.iter().enumerate() {
            let get = |name: &str| {
                let found = all[n..].iter().find(|(other, _)| *other == name)?;
                Some(OsString::from(found.1))
            };
            assert_eq!(hub_cache_of(get), Path::new(expected));
        }
    }
}
