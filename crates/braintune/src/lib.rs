//! Brain-tuning and layer-wise brain alignment of speech models: everything under one roof.
//!
//! The crates of the workspace are re-exported as modules ([`audio`], [`backbone`], [`fmri`],
//! [`encoding`], [`probing`], [`tuning`], [`simulation`]). What joins them lives here.
//!
//! - Pipelines: [`encode`] runs the main job, from audio and responses to one number per layer and voxel, on the layers
//!   of a model or on the feature spaces of [`lowlevel`]; [`tune`] tunes a model to the responses; [`probe`] says what
//!   can be read from its layers; [`extract`] writes these down; [`ridge`] fits plain arrays. [`study`] does all of it for several models and
//!   participants, and [`report`] draws what it found; [`demo`] is a whole study on two simulated participants.
//! - What they need: [`fetch`] gets models and real data, [`model`] finds a model, [`presets`] knows published lists of
//!   stories, [`cache`] what is kept for later runs, [`device`] what to compute on, [`arrays`] reads `.npy`, [`files`]
//!   writes what is there in one piece or not at all, [`provenance`] says what went into a result.
//!
//! How well the layers of a small model predict a simulated participant:
//!
//! ```
//! use std::ops::ControlFlow::Continue;
//!
//! use braintune::Folders;
//! use braintune::backbone::{PretrainedModel, Windows};
//! use braintune::encode::{self, EncodeConfig, ModelFeatures, Outcome};
//! use braintune::fmri::Ds003020;
//! use braintune::simulation::{SimulationConfig, simulate, write_tiny_hubert};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! let (data, model, cache, out) = ("data", "model", "cache", "out");
//! # let [data, model, cache, out] = [data, model, cache, out].map(|name| folder.join(name));
//! let small = SimulationConfig::default().with_n_train_stories(2).with_n_voxels(20);
//! let truth = simulate(&small, data.as_ref(), &mut |_| Continue(()))?;
//! write_tiny_hubert(model.as_ref())?;
//!
//! let loaded = PretrainedModel::load(model.as_ref(), braintune::device::by_name("flex").ok_or("no flex")?)?;
//! let features = ModelFeatures::windowed("tiny-hubert", loaded, Windows::new(2.0, 2.0)?)?;
//! let dataset = Ds003020::open(data.as_ref())?;
//! let config = EncodeConfig::new(truth.subject(), vec![truth.test_story().to_owned()])?;
//! let folders = Folders { cache: cache.as_ref(), out: out.as_ref() };
//! let found = encode::run(&dataset, features, &config, folders, &[], &mut |_| Continue(()))?;
//! let Outcome::Computed(rows) = found else { return Err("it was there before".into()) };
//! assert!(rows.iter().all(|row| row.mean_r.abs() <= 1.0)); // one row per layer and region
//! # assert!(rows.len() > 2);
//! # Ok(())
//! # }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `flex` | burn's CPU backend in pure Rust, for [`device`] |
//! | `tch` | libtorch on the CPU, for [`device`]; needs libtorch 2.9 |
//! | `vulkan` | a graphics card through Vulkan, for [`device`] |
//! | `cuda` | an NVIDIA card through CUDA, for [`device`]; downloads a compiler while it builds |
//! | `mpi` | [`ranks::MpiRanks`](ranks), the processes that `mpirun` starts; needs OpenMPI or MPICH and libclang |

pub use braintune_audio as audio;
pub use braintune_backbone as backbone;
pub use braintune_encoding as encoding;
pub use braintune_fmri as fmri;
pub use braintune_probing as probing;
pub use braintune_ranks as ranks;
pub use braintune_simulation as simulation;
pub use braintune_tuning as tuning;

pub mod arrays;
pub mod cache;
mod ceilings;
mod chart;
pub mod demo;
pub mod device;
pub mod encode;
mod error;
mod event;
pub mod extract;
pub mod fetch;
pub mod files;
mod fit;
mod folders;
pub mod lowlevel;
pub mod model;
mod names;
mod npy_responses;
mod npz;
pub mod presets;
pub mod probe;
pub mod provenance;
pub mod report;
pub mod ridge;
mod rows;
pub mod shard_command;
mod split;
pub mod study;
mod together;
pub mod tune;

pub use error::{BraintuneError, Result};
pub use event::{Event, OnEvent};
pub use folders::Folders;
pub use npy_responses::NpyResponses;
pub use npz::{Columns, Npz, NpzValue};
pub use split::Split;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
