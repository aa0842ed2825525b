//! The encoder of Whisper (Radford et al. 2023) as a speech backbone; the decoder is never read.
//!
//! Samples → log-mel `[batch, n_mels, 3000]` → two convolutions → `[batch, 1500, d_model]` plus
//! sinusoidal positions → pre-norm transformer layers → final layer norm.

mod config;
mod encoder;
mod layer;

pub use config::WhisperConfig;
pub use encoder::WhisperEncoder;
