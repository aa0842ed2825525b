//! Encoders of the wav2vec 2.0 family (Baevski et al. 2020): wav2vec 2.0, `HuBERT`, `DistilHuBERT`,
//! `WavLM` and data2vec-audio, in one implementation of what they share.
//!
//! Samples → convolutions `[batch, n_frames, conv_dim]` → projection → positional convolution →
//! transformer layers `[batch, n_frames, hidden_size]`. Fields are named as the checkpoints' keys.

mod config;
mod convolutions;
mod layer;
mod masked;
mod model;
mod positions;
mod relative;
mod segments;
mod shared;

pub use config::{FeatExtractNorm, Wav2Vec2Config, Wav2Vec2Family};
pub use masked::MaskedStates;
pub use model::Wav2Vec2Model;
pub use shared::SharedConvExtractor;
