//! One pre-norm transformer layer of the Whisper encoder, `[batch, n_frames, d_model]` in and out.
//!
//! Fields are named as the checkpoint's keys. Follows `WhisperEncoderLayer` of `transformers`;
//! held by `tests/it/whisper.rs`.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::config::WhisperConfig;
use crate::attention::MultiHeadAttention;
use crate::kernels::{gelu, layer_norm};
use crate::transformer::TransformerLayer;

/// Of every norm.
pub(super) const EPSILON: f64 = 1e-5;

#[derive(Module, Debug)]
pub(super) struct WhisperLayer {
    pub(super) self_attn: MultiHeadAttention,
    self_attn_layer_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    final_layer_norm: LayerNorm,
}

impl WhisperLayer {
    pub(super) fn new(config: &WhisperConfig, device: &Device) -> Self {
        let (d_model, d_ffn) = (config.d_model, config.encoder_ffn_dim);
        let norm = || {
            let norm = LayerNormConfig::new(d_model).with_epsilon(EPSILON);
            norm.init(device)
        };
        Self {
            self_attn: MultiHeadAttention::new(
                d_model,
                config.encoder_attention_heads,
                false,
                device,
            ),
            self_attn_layer_norm: norm(),
            fc1: LinearConfig::new(d_model, d_ffn).init(device),
            fc2: LinearConfig::new(d_ffn, d_model).init(device),
            final_layer_norm: norm(),
        }
    }
}

impl TransformerLayer for WhisperLayer {
    fn attention(&self) -> &MultiHeadAttention {
        &self.self_attn
    }

    fn attention_input(&self, x: &Tensor<3>) -> Tensor<3> {
        layer_norm(&self.self_attn_layer_norm, EPSILON, x.clone())
    }

    fn finish(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + attended;
        let normed = layer_norm(&self.final_layer_norm, EPSILON, x.clone());
        let hidden = gelu(self.fc1.forward(normed));
        x + self.fc2.forward(hidden)
    }
}
