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
    /// A part with layers that the backbone does not have.
    #[error("cannot freeze {part}: the backbone has layers 0 to {}", n_layers.saturating_sub(1))]
    NoSuchLayers {
        /// The part.
        part: String,
        /// Layers of the backbone.
        n_layers: usize,
    },
    /// Settings of low-rank updates that make none.
    #[error("LoRA: {0}")]
    Lora(String),
    /// There are no low-rank updates.
    #[error("the model has no low-rank updates to write")]
    NoLora,
    /// A model of this kind, or as it is, cannot do that.
    #[error("{model_type} cannot {what}: {reason}")]
    Unsupported {
        /// `model_type` of the backbone.
        model_type: String,
        /// What it was asked to do.
        what: &'static str,
        /// Why it cannot.
        reason: &'static str,
    },
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
    /// A hidden state that is not numbers.
    #[error(
        "hidden state {state} holds NaN or infinite values: the weights are damaged or the audio is far outside -1 to 1"
    )]
    NonFinite {
        /// The hidden state, from 0.
        state: usize,
    },
    /// Rows that the features of a recording do not have.
    #[error("rows {rows:?} of {n_rows}")]
    Rows {
        /// The rows that were asked for.
        rows: std::ops::Range<usize>,
        /// Rows that there are.
        n_rows: usize,
    },
    /// Rows of features that do not fit together.
    #[error("rows of features do not fit together: {0}")]
    FeatureShapes(String),
    /// A mask of other frames than the clips have.
    #[error(
        "a mask of [clips, frames] {got:?} for clips of {expected:?}, of which there must be some"
    )]
    MaskShape {
        /// `[batch, n_frames]` of the clips.
        expected: [usize; 2],
        /// Shape of the mask.
        got: [usize; 2],
    },
    /// The log-mel front end refused the audio.
    #[error(transparent)]
    FrontEnd(#[from] braintune_audio::AudioError),
    /// The caller asked to stop; steps that were finished are in the cache, if there is one.
    #[error("stopped before the features were complete")]
    Cancelled,
}

/// `Result` with [`BackboneError`].
pub type Result<T, E = BackboneError> = std::result::Result<T, E>;

/// A file that is not what its name says.
pub(crate) fn malformed(path: &std::path::Path, problem: impl Into<String>) -> BackboneError {
    BackboneError::Malformed {
        path: path.to_path_buf(),
        problem: problem.into(),
    }
}

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
