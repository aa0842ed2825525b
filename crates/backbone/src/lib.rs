//! Pretrained speech models with every hidden state, differentiable on burn.
//!
//! A [`Checkpoint`] is a HuggingFace folder on disk; [`WhisperEncoder::from_checkpoint`] makes a
//! [`SpeechBackbone`] of it, which turns samples into [`HiddenStates`] on any burn device. The
//! frozen side is [`FeatureExtractor`], object-safe and in ndarray: [`WindowedExtractor`] runs
//! causal windows over a story, [`WholeClipExtractor`] one short clip, and [`CachedExtractor`]
//! keeps what either gave on disk.
//!
//! ```
//! use braintune_audio::{SampleRate, Waveform};
//! use braintune_backbone::{FeatureExtractor, WhisperConfig, WhisperEncoder, WindowedExtractor, Windows};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let device = burn::tensor::Device::flex(); // the caller's choice
//! let model = WhisperEncoder::random(&WhisperConfig::new(1, 8, 2, 80), 42, &device)?;
//! let second = Waveform::from_samples(vec![0.1; 16_000], SampleRate::SPEECH)?;
//! let features = WindowedExtractor::new(model, Windows::new(0.8, 0.4)?, device).extract(&second)?;
//! assert_eq!(features.times(), [0.4, 0.8]); // window ends, s
//! assert_eq!(features.layers()[1].dim(), (2, 8)); // [n_windows, d_model]
//! # Ok(())
//! # }
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `flex` (default) | burn's CPU backend in pure Rust |
//! | `tch` | convolutions in the form that suits libtorch, where burn is built with it |

mod activations;
mod attention;
mod backbone;
mod cache;
mod checkpoint;
mod contract;
mod conv;
mod disk;
mod error;
mod extractor;
mod feature_file;
mod frozen_cache;
mod kernels;
mod lora;
mod parts;
mod pretrained;
mod segments;
mod transformer;
mod wav2vec2;
mod whisper;
mod whole;
mod windowed;
mod windows;

pub use backbone::{BackboneSpec, HiddenStates, SpeechBackbone, WindowPasses};
pub use cache::CachedExtractor;
pub use checkpoint::{Checkpoint, ConfigFile, save_parameters};
pub use contract::check_speech_backbone;
pub use error::{BackboneError, Result};
pub use extractor::{ExtractionProgress, FeatureExtractor, LayerFeatures, OnExtraction};
pub use frozen_cache::FrozenCache;
pub use lora::{LoraConfig, LoraTarget};
pub use parts::{CheckpointBackbone, FrozenPart};
pub use pretrained::{PretrainedModel, SUPPORTED_MODEL_TYPES};
pub use segments::Segments;
pub use wav2vec2::{
    FeatExtractNorm, MaskedStates, SharedConvExtractor, Wav2Vec2Config, Wav2Vec2Family,
    Wav2Vec2Model,
};
pub use whisper::{WhisperConfig, WhisperEncoder};
pub use whole::WholeClipExtractor;
pub use windowed::WindowedExtractor;
pub use windows::{WindowFeature, Windows};

/// The version of burn whose tensors and devices this crate takes.
pub use burn;

/// The version of ndarray whose arrays this crate takes and gives.
pub use ndarray;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
