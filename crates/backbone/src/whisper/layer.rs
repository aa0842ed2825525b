//! One pre-norm transformer layer of the Whisper encoder, `[batch, n_frames, d_model]` in and out.
//!
//! Fields are named as the checkpoint's keys. Follows `WhisperEncoderLayer` of `transformers`;
//! held by `tests/it/whisper.rs`.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor};

use super::config::WhisperConfig;

#[derive(Module, Debug)]
pub(super) struct WhisperLayer {
    self_attn: WhisperAttention,
    self_attn_layer_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    final_layer_norm: LayerNorm,
}

impl WhisperLayer {
    pub(super) fn new(config: &WhisperConfig, device: &Device) -> Self {
        let (d_model, d_ffn) = (config.d_model, config.encoder_ffn_dim);
        Self {
            self_attn: WhisperAttention::new(config, device),
            self_attn_layer_norm: LayerNormConfig::new(d_model).init(device),
            fc1: LinearConfig::new(d_model, d_ffn).init(device),
            fc2: LinearConfig::new(d_ffn, d_model).init(device),
            final_layer_norm: LayerNormConfig::new(d_model).init(device),
        }
    }

    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let attended = self
            .self_attn
            .forward(self.self_attn_layer_norm.forward(x.clone()));
        let x = x + attended;
        let hidden = gelu(self.fc1.forward(self.final_layer_norm.forward(x.clone())));
        x + self.fc2.forward(hidden)
    }
}

#[derive(Module, Debug)]
struct WhisperAttention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    n_heads: usize,
}

impl WhisperAttention {
    fn new(config: &WhisperConfig, device: &Device) -> Self {
        let linear = LinearConfig::new(config.d_model, config.d_model);
        Self {
            q_proj: linear.init(device),
            k_proj: linear.clone().with_bias(false).init(device),
            v_proj: linear.init(device),
            out_proj: linear.init(device),
            n_heads: config.encoder_attention_heads,
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, n_frames, d_model] = x.dims();
        let d_head = d_model / self.n_heads;
        // [batch, n_heads, n_frames, d_head]
        let split = |y: Tensor<3>| {
            y.reshape([batch, n_frames, self.n_heads, d_head])
                .swap_dims(1, 2)
        };
        let query = split(self.q_proj.forward(x.clone()));
        let key = split(self.k_proj.forward(x.clone()));
        let value = split(self.v_proj.forward(x));
        let attended = attention(
            query,
            key,
            value,
            None,
            None,
            AttentionModuleOptions::default(),
        );
        self.out_proj
            .forward(attended.swap_dims(1, 2).reshape([batch, n_frames, d_model]))
    }
}
