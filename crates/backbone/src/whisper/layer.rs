//! One pre-norm transformer layer of the Whisper encoder, `[batch, n_frames, d_model]` in and out.
//!
//! Fields are named as the checkpoint's keys. Follows `WhisperEncoderLayer` of `transformers`;
//! held by `tests/it/whisper.rs`.

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::{gelu, softmax};
use burn::tensor::{Device, Tensor};

use super::config::WhisperConfig;
use crate::backbone::pick_frames;

/// Queries whose attention weights, `[batch, n_heads, QUERIES_AT_ONCE, n_frames]`, are in memory
/// together: a few megabytes stay in cache, those of all 1500 frames do not.
const QUERIES_AT_ONCE: usize = 128;

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

    /// `[batch, n_frames, d_model]` → the same.
    pub(super) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let normed = self.self_attn_layer_norm.forward(x.clone());
        self.finish(x, self.self_attn.forward(normed.clone(), normed))
    }

    /// The output of [`forward`](Self::forward) at frame `frames[i]` of clip `i` alone:
    /// `[batch, n_frames, d_model]` → `[batch, 1, d_model]`.
    pub(super) fn forward_at(&self, x: &Tensor<3>, frames: &[usize]) -> Tensor<3> {
        let normed = self.self_attn_layer_norm.forward(x.clone());
        let queries = pick_frames(&normed, frames);
        self.finish(
            pick_frames(x, frames),
            self.self_attn.forward(queries, normed),
        )
    }

    /// Residual connection and feed-forward part.
    fn finish(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
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

    /// Queries `[batch, n_queries, d_model]` attend to frames `[batch, n_frames, d_model]`.
    fn forward(&self, queries: Tensor<3>, frames: Tensor<3>) -> Tensor<3> {
        let [batch, n_queries, d_model] = queries.dims();
        let (n_heads, d_head) = (self.n_heads, d_model / self.n_heads);
        // [batch, n_heads, n, d_head]
        let split = |y: Tensor<3>| {
            let n = y.dims()[1];
            y.reshape([batch, n, n_heads, d_head]).swap_dims(1, 2)
        };
        let query = split(self.q_proj.forward(queries)) * (d_head as f64).powf(-0.5);
        let key = split(self.k_proj.forward(frames.clone()));
        let value = split(self.v_proj.forward(frames));
        let key = key.swap_dims(2, 3);
        let parts: Vec<Tensor<4>> = query
            .split(QUERIES_AT_ONCE, 2)
            .into_iter()
            .map(|query| softmax(query.matmul(key.clone()), 3).matmul(value.clone()))
            .collect();
        let attended = Tensor::cat(parts, 2).swap_dims(1, 2);
        self.out_proj
            .forward(attended.reshape([batch, n_queries, d_model]))
    }
}
