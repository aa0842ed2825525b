//! What can go wrong while a simulation is written.

use std::path::PathBuf;

/// `Result` with [`SimulationError`].
pub type Result<T, E = SimulationError> = std::result::Result<T, E>;

/// An error of this crate.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// A setting of [`SimulationConfig`](crate::SimulationConfig) cannot be.
    #[error("{setting} is {got}, expected {expected}")]
    Config {
        /// The setting.
        setting: &'static str,
        /// What would do.
        expected: String,
        /// Its value.
        got: String,
    },
    /// The folder holds something else than this very simulation.
    #[error(
        "{path} holds something else, or a simulation of another configuration or version: choose \
         another folder, or delete it first"
    )]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {doing} {path}")]
    Io {
        /// Verb: read, write or create.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// An HDF5 file could not be written.
    #[error("cannot write {path} as HDF5, the disk may be full")]
    Hdf5 {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Audio could not be made or written.
    #[error(transparent)]
    Audio(#[from] braintune_audio::AudioError),
    /// Responses or a `TextGrid` could not be written.
    #[error(transparent)]
    Fmri(#[from] braintune_fmri::FmriError),
    /// The caller stopped the simulation.
    #[error("the simulation was stopped before it was complete")]
    Cancelled,
}
