//! HuggingFace checkpoint folders: configuration, weights in, weights out.
//!
//! Tensors keep the names and layouts of PyTorch on disk; burn's adapters turn them into burn's.

mod config_file;
mod folder;
mod save;
mod weights;

pub use config_file::ConfigFile;
pub use folder::Checkpoint;
pub(crate) use folder::KeyLayout;
pub use save::save_parameters;
pub(crate) use save::{random_weights, save_checkpoint, write_tensors};
pub(crate) use weights::WeightsFile;
