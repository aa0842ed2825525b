//! Simulated fMRI participants with known ground truth.
//!
//! [`simulate`] writes what [`SimulationConfig`] asks for as a folder in the layout that
//! [`braintune_fmri::Ds003020`] reads, and returns a [`SimulatedDataset`] that knows the truth about it. The stories
//! are synthetic speech: words of consonants and vowels, in sentences that differ in voice, loudness, rate and topic.
//! Regions of voxels are driven by known features of that speech:
//!
//! | region | driven by |
//! |---|---|
//! | `auditory` | a random weighting of 16 log mel bands or of 12 MFCC, another one for each voxel |
//! | `envelope` | loudness |
//! | `phonetic` | a random contrast of 16 phones |
//! | `semantic` | a random contrast of four classes of meaning |
//! | `noise` | nothing |
//!
//! through a double-gamma haemodynamic response whose delay differs from voxel to voxel, plus AR(1)
//! noise. What a word means follows from its consonant and its vowel together and from neither alone, every phone being equally
//! frequent in every class, so that no weighting of sounds predicts the region `semantic`: a model has to know words.
//! Beside the dataset stand `rois.json` (the columns of each region), `word_classes.csv`, `noise_ceiling-SIM01.npy`
//! (per voxel, the correlation of the noiseless signal with the test stories' responses) and `ground_truth.json` (all
//! of it: weights, delays, ceilings, configuration).
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
//! let simulated = simulate(&config, dir.path(), &mut |_| ControlFlow::Continue(()))?;
//!
//! let dataset = Ds003020::open(simulated.dataset_dir())?;
//! let test = dataset.responses(simulated.subject(), simulated.test_story())?;
//! assert_eq!(test.bold().dim(), (15, 8));
//! assert_eq!(simulated.rois()["noise"], [6, 7]);
//! assert_eq!(simulated.participants()[0].noise_ceiling()[7], 0.0);
//! # Ok(()) }
//! ```

mod acoustics;
mod config;
mod dataset;
mod error;
mod features;
mod hrf;
mod lexicon;
mod phones;
mod responses;
mod simulate;
mod speech;
mod synthesiser;
mod tiny;
mod truth;
mod voxels;
mod write;

pub use config::SimulationConfig;
pub use dataset::{SimulatedDataset, SimulatedParticipant};
pub use error::{Result, SimulationError};
pub use simulate::{SimulationEvent, simulate};
pub use tiny::write_tiny_hubert;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
