//! Simulated fMRI participants with known ground truth.
//!
//! [`simulate`] writes what [`SimulationConfig`] asks for as a folder in the layout that
//! [`braintune_fmri::Ds003020`] reads, and returns a [`SimulatedParticipant`] that knows the truth
//! about it. The stories are synthetic speech: nonsense words of consonants and vowels, in sentences
//! that differ in voice, loudness and rate. The voxels are driven by the acoustics of that speech:
//!
//! | region | driven by |
//! |---|---|
//! | `auditory` | a random weighting of 16 log mel bands, another one for each voxel |
//! | `envelope` | loudness |
//! | `noise` | nothing |
//!
//! through a double-gamma haemodynamic response whose delay differs from voxel to voxel, plus AR(1)
//! noise. Beside the dataset stand `rois.json` (the columns of each region), `noise_ceiling.npy` (per
//! voxel, the correlation of the noiseless signal with the test story's responses) and
//! `ground_truth.json` (all of it: weights, delays, ceilings, configuration).
//!
//! ```
//! use std::ops::ControlFlow;
//! use braintune_fmri::{Ds003020, StoryDataset};
//! use braintune_simulation::{SimulationConfig, simulate};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let config = SimulationConfig::default()
//!     .with_n_train_stories(1)
//!     .with_story_s(40.0)
//!     .with_test_story_s(40.0)
//!     .with_n_voxels(8);
//! let participant = simulate(&config, dir.path(), &mut |_| ControlFlow::Continue(()))?;
//!
//! let dataset = Ds003020::open(participant.dataset_dir())?;
//! let test = dataset.responses(participant.subject(), participant.test_story())?;
//! assert_eq!(test.bold().dim(), (15, 8));
//! assert_eq!(participant.rois()["noise"], [6, 7]);
//! assert_eq!(participant.noise_ceiling()[7], 0.0);
//! # Ok(()) }
//! ```

mod acoustics;
mod config;
mod error;
mod hrf;
mod lexicon;
mod participant;
mod phones;
mod responses;
mod simulate;
mod speech;
mod synthesiser;
mod truth;
mod voxels;
mod write;

pub use config::SimulationConfig;
pub use error::{Result, SimulationError};
pub use participant::SimulatedParticipant;
pub use simulate::{SimulationEvent, simulate};
