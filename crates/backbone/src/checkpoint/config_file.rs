//! A JSON configuration file that can say which of its keys is wrong.

use std::path::{Path, PathBuf};

use braintune_audio::pointer_kind;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::{BackboneError, Result, io_error, malformed};

/// `config.json` or `preprocessor_config.json`.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    path: PathBuf,
    entries: Map<String, Value>,
}

impl ConfigFile {
    pub(super) fn read(folder: &Path, name: &'static str) -> Result<Self> {
        let path = folder.join(name);
        let text = match std::fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let path = folder.to_path_buf();
                return Err(BackboneError::MissingFile { path, what: name });
            }
            other => other.map_err(io_error("read", &path))?,
        };
        match serde_json::from_str(&text) {
            Ok(entries) => Ok(Self { path, entries }),
            Err(e) => Err(malformed(
                &path,
                pointer_kind(&path).map_or_else(
                    || format!("expected a JSON object: {e}"),
                    |kind| {
                        let hint = kind.fetch_hint();
                        format!("is a {kind} pointer, not the data: run {hint}")
                    },
                ),
            )),
        }
    }

    /// The object under a key as a file of its own.
    pub(super) fn part(&self, key: &str) -> Option<Self> {
        Some(Self {
            path: self.path.clone(),
            entries: self.get(key)?.as_object()?.clone(),
        })
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// The whole file.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Value::Object(self.entries.clone())
    }

    /// The whole file as `T`; unknown keys are fine, `transformers` writes dozens.
    ///
    /// # Errors
    /// A key that is missing or of another type, by name.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let entries = Value::Object(self.entries.clone());
        serde_path_to_error::deserialize(entries).map_err(|e| {
            let (key, problem) = (e.path().to_string(), e.inner());
            let problem = match key.as_str() {
                "." => problem.to_string(), // a missing key, which it names
                key => format!("{key}: {problem}"),
            };
            malformed(&self.path, problem)
        })
    }

    /// # Errors
    /// The key is not there or has another value than the one that is implemented.
    pub(crate) fn require(&self, key: &'static str, expected: impl Into<Value>) -> Result<()> {
        match self.get(key) {
            None => Err(malformed(&self.path, format!("missing key `{key}`"))),
            Some(_) => self.require_if_present(key, expected),
        }
    }

    /// # Errors
    /// The key is there and has another value than the one that is implemented.
    pub(crate) fn require_if_present(
        &self,
        key: &'static str,
        expected: impl Into<Value>,
    ) -> Result<()> {
        let expected = expected.into();
        let same = |found: &Value| {
            *found == expected || (found.is_number() && found.as_f64() == expected.as_f64())
        };
        match self.get(key) {
            Some(found) if !found.is_null() && !same(found) => {
                Err(BackboneError::UnsupportedOption {
                    path: self.path.clone(),
                    option: key,
                    found: found.to_string(),
                    supported: expected.to_string(),
                })
            }
            _ => Ok(()),
        }
    }
}
