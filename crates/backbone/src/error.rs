//! What can go wrong between a checkpoint folder and its hidden states.

use std::path::PathBuf;

/// Errors of this crate. Each message names the place, what was expected and what was found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackboneError {
    /// A file of a checkpoint folder or of the feature cache could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: "read", "write", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The folder lacks a file that every HuggingFace checkpoint has.
    #[error("{} has no {what}; a HuggingFace checkpoint folder holds config.json, preprocessor_config.json and model.safetensors or pytorch_model.bin (or shards with their index)", path.display())]
    MissingFile {
        /// The checkpoint folder.
        path: PathBuf,
        /// The file that is not there.
        what: &'static str,
    },
    /// A file is there but is not what its name says.
    #[error("{}: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Expected and found.
        problem: String,
    },
    /// `model_type` in config.json is not one that this version implements.
    #[error("{}: model_type \"{found}\" is not supported (supported: {supported})", path.display())]
    UnknownModelType {
        /// The config.json.
        path: PathBuf,
        /// Its `model_type`.
        found: String,
        /// What there is instead.
        supported: &'static str,
    },
    /// An option of the checkpoint has a value that this version does not implement.
    #[error("{}: {option} = {found} is not supported (supported: {supported})", path.display())]
    UnsupportedOption {
        /// The configuration file.
        path: PathBuf,
        /// The key.
        option: &'static str,
        /// Its value.
        found: String,
        /// Values that would do.
        supported: String,
    },
    /// Tensors that the configuration calls for are not in the weights.
    #[error("{}: {} tensor(s) missing, the first is {} (config.json calls for them)", path.display(), names.len(), names.first().map_or("?", String::as_str))]
    MissingTensors {
        /// The checkpoint folder.
        path: PathBuf,
        /// All missing keys.
        names: Vec<String>,
    },
    /// The weights hold tensors of the encoder that the configuration has no place for.
    #[error("{}: {} tensor(s) that config.json does not call for, the first is {}; the configuration does not belong to these weights", path.display(), names.len(), names.first().map_or("?", String::as_str))]
    UnexpectedTensors {
        /// The checkpoint folder.
        path: PathBuf,
        /// Their keys.
        names: Vec<String>,
    },
    /// No part of a backbone by that name.
    #[error("cannot freeze {0}: expected feature-encoder, feature-projection, layers:I-J or all")]
    Part(String),
    /// Settings of low-rank updates that make none.
    #[error("LoRA: {0}")]
    Lora(String),
    /// A tensor has another shape than the configuration calls for.
    #[error("{}: tensor {name} has shape {got:?}, config.json calls for {expected:?}", path.display())]
    TensorShape {
        /// The weights file.
        path: PathBuf,
        /// The tensor's key.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        got: Vec<usize>,
    },
    /// The audio does not suit the backbone (rate, length).
    #[error("{0}")]
    Audio(String),
    /// A window setting that cannot be used.
    #[error("{0}")]
    Windows(String),
    /// The log-mel front end refused the audio.
    #[error(transparent)]
    FrontEnd(#[from] braintune_audio::AudioError),
    /// The caller asked to stop; steps that were finished are in the cache, if there is one.
    #[error("stopped before the features were complete")]
    Cancelled,
}

/// `Result` with [`BackboneError`].
pub type Result<T, E = BackboneError> = std::result::Result<T, E>;

/// Names the file in an I/O error.
pub(crate) fn io_error(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> BackboneError {
    let path = path.to_path_buf();
    move |source| BackboneError::Io {
        action,
        path,
        source,
    }
}
