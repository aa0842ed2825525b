//! Brain-tuning and layer-wise brain alignment of speech models: everything under one roof.
//!
//! The crates of the workspace are re-exported as modules ([`audio`], [`backbone`], [`fmri`],
//! [`encoding`], [`probing`], [`tuning`], [`simulation`]). What joins them lives here: [`encode`] runs the main job, from
//! audio and responses to one number per layer and voxel; [`tune`] tunes a model to the responses; [`probe`] says
//! what can be read from its layers; [`ridge`] fits plain arrays; [`demo`]
//! does the main job on a simulated participant; [`fetch`] gets models and real data; [`provenance`] says what went
//! into a result.
//!
//! ```
//! use braintune::encoding::{Alphas, Delays};
//!
//! let alphas: Alphas = "logspace:1:4:15".parse()?; // penalties are alpha²
//! let delays: Delays = "1,2,3,4".parse()?; // TRs
//! assert_eq!(alphas.as_slice().len(), 15);
//! assert_eq!(delays.as_slice(), [1, 2, 3, 4]);
//! # Ok::<(), braintune::encoding::EncodingError>(())
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `flex` | burn's CPU backend in pure Rust, for [`device`] |
//! | `tch` | libtorch on the CPU, for [`device`]; needs libtorch 2.9 |
//! | `vulkan` | a graphics card through Vulkan, for [`device`] |
//! | `cuda` | an NVIDIA card through CUDA, for [`device`]; downloads a compiler while it builds |

pub use braintune_audio as audio;
pub use braintune_backbone as backbone;
pub use braintune_encoding as encoding;
pub use braintune_fmri as fmri;
pub use braintune_probing as probing;
pub use braintune_simulation as simulation;
pub use braintune_tuning as tuning;

pub mod arrays;
pub mod cache;
mod chart;
pub mod demo;
pub mod device;
pub mod encode;
mod error;
mod event;
pub mod fetch;
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
pub mod study;
pub mod tune;

pub use error::{BraintuneError, Result};
pub use event::{Event, OnEvent};
pub use npy_responses::NpyResponses;
pub use npz::{Columns, Npz};
