//! Errors of the pipelines: those of every crate, and those that arise where crates meet.

use std::path::{Path, PathBuf};

/// What can go wrong in a pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BraintuneError {
    /// Reading or writing audio.
    #[error(transparent)]
    Audio(#[from] braintune_audio::AudioError),
    /// A checkpoint, its hidden states or the feature cache.
    #[error(transparent)]
    Backbone(braintune_backbone::BackboneError),
    /// A dataset.
    #[error(transparent)]
    Fmri(Box<braintune_fmri::FmriError>),
    /// An encoding model.
    #[error(transparent)]
    Encoding(braintune_encoding::EncodingError),
    /// Tuning.
    #[error(transparent)]
    Tuning(Box<braintune_tuning::TuningError>),
    /// A probing task or its probes.
    #[error(transparent)]
    Probing(Box<braintune_probing::ProbingError>),
    /// A simulated participant.
    #[error(transparent)]
    Simulation(braintune_simulation::SimulationError),
    /// A download.
    #[error(transparent)]
    Fetch(Box<crate::fetch::FetchError>),
    /// Another process of the job.
    #[error(transparent)]
    Ranks(#[from] braintune_ranks::RanksError),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// "read", "write", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Expected, found, what to do.
        problem: String,
    },
    /// Settings or data that do not fit together.
    #[error("{0}")]
    Input(String),
    /// The caller asked to stop.
    #[error("stopped before the end")]
    Cancelled,
}

/// `Result` with [`BraintuneError`].
pub type Result<T, E = BraintuneError> = std::result::Result<T, E>;

impl From<braintune_fmri::FmriError> for BraintuneError {
    fn from(error: braintune_fmri::FmriError) -> Self {
        Self::Fmri(Box::new(error))
    }
}

impl From<braintune_tuning::TuningError> for BraintuneError {
    fn from(error: braintune_tuning::TuningError) -> Self {
        Self::Tuning(Box::new(error))
    }
}

impl From<braintune_probing::ProbingError> for BraintuneError {
    fn from(error: braintune_probing::ProbingError) -> Self {
        match error {
            braintune_probing::ProbingError::Cancelled => Self::Cancelled,
            error => Self::Probing(Box::new(error)),
        }
    }
}

impl From<braintune_backbone::BackboneError> for BraintuneError {
    fn from(error: braintune_backbone::BackboneError) -> Self {
        match error {
            braintune_backbone::BackboneError::Cancelled => Self::Cancelled,
            error => Self::Backbone(error),
        }
    }
}

impl From<braintune_encoding::EncodingError> for BraintuneError {
    fn from(error: braintune_encoding::EncodingError) -> Self {
        match error {
            braintune_encoding::EncodingError::Cancelled => Self::Cancelled,
            error => Self::Encoding(error),
        }
    }
}

impl From<braintune_simulation::SimulationError> for BraintuneError {
    fn from(error: braintune_simulation::SimulationError) -> Self {
        match error {
            braintune_simulation::SimulationError::Cancelled => Self::Cancelled,
            error => Self::Simulation(error),
        }
    }
}

impl From<crate::fetch::FetchError> for BraintuneError {
    fn from(error: crate::fetch::FetchError) -> Self {
        match error {
            crate::fetch::FetchError::Cancelled => Self::Cancelled,
            error => Self::Fetch(Box::new(error)),
        }
    }
}

/// Names the file in an I/O error.
pub(crate) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> BraintuneError {
    let path = path.to_path_buf();
    move |source| BraintuneError::Io {
        action,
        path,
        source,
    }
}

/// A file that is not what it should be.
pub(crate) fn file_error(path: &Path, problem: impl std::fmt::Display) -> BraintuneError {
    BraintuneError::File {
        path: path.to_path_buf(),
        problem: problem.to_string(),
    }
}

/// Says which recording did not suit the backbone, or may not: settings of windows are not the recording's fault.
pub(crate) fn naming(audio: &Path, error: braintune_backbone::BackboneError) -> BraintuneError {
    use braintune_backbone::BackboneError::{Audio, NonFinite};
    match error {
        Audio(problem) => file_error(audio, problem),
        NonFinite { .. } => file_error(audio, error),
        error => error.into(),
    }
}

/// An error and its sources on one line, each said once.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !message.contains(&part) {
            message = format!("{message}: {part}");
        }
        source = error.source();
    }
    message
}
