//! Brain-tuning: a speech model fine-tuned, end to end, to predict the fMRI of people who listen.
//!
//! For each TR, the audio that ends with it → any [`SpeechBackbone`](braintune_backbone::SpeechBackbone) →
//! mean over time → a linear head per subject → a loss against the response of the same TR (Moussa,
//! Klakow & Toneva, ICLR 2025). [`StoryBatches`] makes batches of a story dataset, [`TuningModel`] joins
//! backbone and heads, [`BrainTuner`] does the steps, and what comes out is the same backbone, ready for
//! extraction, encoding and probing. Several processes do them together with [`BrainTuner::fit_on`].
//!
//! ```
//! use std::ops::ControlFlow;
//!
//! use braintune_backbone::{Wav2Vec2Config, Wav2Vec2Model, CheckpointBackbone};
//! use braintune_tuning::{BrainTuner, MeanSquaredError, TuningBatch, TuningConfig, TuningModel};
//! use burn::tensor::Device;
//! use ndarray::Array2;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Four clips of 0.1 s and the responses of three voxels to them.
//! let samples = Array2::from_shape_fn((4, 1_600), |(i, j)| ((i + 1) as f32 * j as f32 * 0.01).sin());
//! let bold = Array2::from_shape_fn((4, 3), |(i, j)| (i as f32 - 1.5) * (j as f32 - 1.0));
//! let batch = TuningBatch::new(0, "S1/tale".to_owned(), samples, bold);
//!
//! let mut config = TuningConfig::default();
//! config.epochs = 3;
//! let device = Device::flex().autodiff(); // the caller's choice
//! # let small = Wav2Vec2Config { conv_dim: vec![4; 7], hidden_size: 8, num_attention_heads: 2,
//! #     intermediate_size: 8, num_hidden_layers: 1, num_conv_pos_embeddings: 4,
//! #     num_conv_pos_embedding_groups: 2, ..Wav2Vec2Config::default() };
//! let backbone = Wav2Vec2Model::random(&small, 1, &device)?.freeze_parts(&config.frozen_parts()?)?;
//! let model = TuningModel::new(backbone, &[3], &config, &device)?;
//! let tuner = BrainTuner::new(config, MeanSquaredError)?;
//! let tuned = tuner.fit(model, &vec![batch], None, &device, &mut |_| ControlFlow::Continue(()))?;
//! assert_eq!(tuned.n_steps, 3);
//! let _backbone = tuned.model.into_backbone();
//! # Ok(())
//! # }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `flex` (default) | burn's CPU backend in pure Rust |

mod batch;
mod checkpoint;
mod config;
mod controls;
mod digests;
mod error;
mod evaluate;
mod event;
mod learning;
mod model;
mod objective;
mod own;
mod recompute;
mod schedule;
mod step;
mod stories;
mod team;
mod trainer;
mod units;

pub use batch::{TuningBatch, TuningData};
pub use config::{HeadSharing, Lora, Optimiser, Pooling, TuningConfig, VoxelWeights};
pub use controls::{BLOCK_TRS, Control, ControlDataset, TargetDataset};
pub use digests::Digests;
pub use error::{Result, TuningError};
pub use evaluate::{Evaluation, evaluate};
pub use event::{TuningEvent, TuningStep};
pub use learning::{BatchPart, Learning, Measured};
pub use model::{TuningHead, TuningModel};
pub use objective::{
    CosineHuber, MeanSquaredError, Objective, SpatialCorrelation, TuningObjective,
};
pub use own::{ContrastiveHead, OwnHead, OwnObjective, Stimulus, UnitHead};
pub use schedule::learning_rate_factor;
pub use stories::{StoryBatches, TunedSubject};
pub use trainer::{BrainTuner, Tuned, TuningEnd};
pub use units::StoryUnits;

/// The version of burn whose tensors and devices this crate takes.
pub use burn;
pub use {braintune_audio, braintune_backbone, braintune_fmri, braintune_ranks};

/// The version of ndarray whose arrays this crate takes and gives.
pub use ndarray;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
