//! One transformer layer, `[batch, n_frames, hidden_size]` in and out: norms after each part
//! (post-norm), or before ("stable", pre-norm).

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use super::config::{Wav2Vec2Config, Wav2Vec2Family};
use crate::attention::MultiHeadAttention;
use crate::kernels::{gelu, layer_norm};
use crate::transformer::TransformerLayer;

#[derive(Module, Debug)]
pub(super) struct EncoderLayer {
    pub(super) attention: MultiHeadAttention,
    layer_norm: LayerNorm,
    feed_forward: FeedForward,
    final_layer_norm: LayerNorm,
    pre_norm: bool,
    epsilon: f64,
}

#[derive(Module, Debug)]
struct FeedForward {
    intermediate_dense: Linear,
    output_dense: Linear,
}

impl EncoderLayer {
    pub(super) fn new(config: &Wav2Vec2Config, layer: usize, device: &Device) -> Self {
        let (d, d_ffn) = (config.hidden_size, config.intermediate_size);
        let norm = LayerNormConfig::new(d).with_epsilon(config.layer_norm_eps);
        let mut attention = MultiHeadAttention::new(d, config.num_attention_heads, true, device);
        if config.model_type == Wav2Vec2Family::WavLm {
            let n_buckets = (layer == 0).then_some(config.num_buckets);
            attention = attention.with_relative_positions(n_buckets, device);
        }
        Self {
            attention,
            layer_norm: norm.init(device),
            feed_forward: FeedForward {
                intermediate_dense: LinearConfig::new(d, d_ffn).init(device),
                output_dense: LinearConfig::new(d_ffn, d).init(device),
            },
            final_layer_norm: norm.init(device),
            pre_norm: config.do_stable_layer_norm,
            epsilon: config.layer_norm_eps,
        }
    }
}

impl TransformerLayer for EncoderLayer {
    fn attention(&self) -> &MultiHeadAttention {
        &self.attention
    }

    fn attention_input(&self, x: &Tensor<3>) -> Tensor<3> {
        if self.pre_norm {
            layer_norm(&self.layer_norm, self.epsilon, x.clone())
        } else {
            x.clone()
        }
    }

    fn finish(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + attended;
        if self.pre_norm {
            let normed = layer_norm(&self.final_layer_norm, self.epsilon, x.clone());
            return x + self.feed_forward.forward(normed);
        }
        let x = layer_norm(&self.layer_norm, self.epsilon, x);
        let hidden = self.feed_forward.forward(x.clone());
        layer_norm(&self.final_layer_norm, self.epsilon, x + hidden)
    }
}

impl FeedForward {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.output_dense
            .forward(gelu(self.intermediate_dense.forward(x)))
    }
}
