//! Positional convolutions: what the family has in place of positional embeddings.
//!
//! `[batch, n_frames, hidden_size]` → the same. Held by `tests/it/families.rs`.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::config::{Wav2Vec2Config, Wav2Vec2Family};
use super::convolutions::{EPSILON, Kernel};
use crate::conv::conv1d;
use crate::kernels::gelu;

/// `encoder.pos_conv_embed` of the checkpoint: one convolution, or several (data2vec).
#[derive(Module, Debug)]
pub(super) struct PositionalConv {
    conv: Option<PositionalKernel>,
    batch_norm: Option<BatchNorm>,
    layers: Option<Vec<StackedConv>>,
    n_groups: usize,
}

/// A kernel with weight norm over its positions (Salimans & Kingma 2016), or without.
#[derive(Module, Debug)]
struct PositionalKernel {
    weight: Option<Param<Tensor<3>>>,
    weight_g: Option<Param<Tensor<3>>>,
    weight_v: Option<Param<Tensor<3>>>,
    bias: Param<Tensor<1>>,
}

/// Batch norm as it is in evaluation: running statistics, never updated.
#[derive(Module, Debug)]
struct BatchNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
    running_mean: Param<Tensor<1>>,
    running_var: Param<Tensor<1>>,
}

#[derive(Module, Debug)]
struct StackedConv {
    conv: Kernel,
}

impl PositionalConv {
    pub(super) fn new(config: &Wav2Vec2Config, device: &Device) -> Self {
        let (d, n_groups) = (config.hidden_size, config.num_conv_pos_embedding_groups);
        let zeros = |shape| Param::from_tensor(Tensor::<3>::zeros(shape, device));
        let channels = |value: f64| Param::from_tensor(Tensor::<1>::full([d], value, device));
        let mut this = Self {
            conv: None,
            batch_norm: None,
            layers: None,
            n_groups,
        };
        if config.model_type == Wav2Vec2Family::Data2VecAudio {
            let shape = [d, d / n_groups, config.conv_pos_kernel_size];
            let layer = |_| StackedConv {
                conv: Kernel::zeros(shape, true, device),
            };
            this.layers = Some((0..config.num_conv_pos_embeddings).map(layer).collect());
            return this;
        }
        let width = config.num_conv_pos_embeddings;
        let shape = [d, d / n_groups, width];
        let normed = !config.conv_pos_batch_norm;
        this.conv = Some(PositionalKernel {
            weight: (!normed).then(|| zeros(shape)),
            weight_g: normed.then(|| Param::from_tensor(Tensor::ones([1, 1, width], device))),
            weight_v: normed.then(|| zeros(shape)),
            bias: channels(0.0),
        });
        this.batch_norm = (!normed).then(|| BatchNorm {
            weight: channels(1.0),
            bias: channels(0.0),
            running_mean: channels(0.0).no_grad(),
            running_var: channels(1.0).no_grad(),
        });
        this
    }

    /// `valid` is 1 for frames of a clip and 0 behind its end, `[batch, n_frames, 1]`: every
    /// convolution must find zeros there, as it does behind a clip alone.
    pub(super) fn forward(&self, x: Tensor<3>, valid: Option<&Tensor<3>>) -> Tensor<3> {
        let cut = |x: Tensor<3>| match valid {
            Some(valid) => x * valid.clone(),
            None => x,
        };
        if let Some(conv) = &self.conv {
            let x = match &self.batch_norm {
                Some(norm) => norm.forward(x),
                None => x,
            };
            let bias = conv.bias.val();
            return gelu(grouped_conv(cut(x), &conv.weight(), bias, self.n_groups));
        }
        let mut x = x;
        for layer in self.layers.iter().flatten() {
            let [d, _, _] = layer.conv.weight.dims();
            let bias = layer
                .conv
                .bias
                .as_ref()
                .map_or_else(|| Tensor::zeros([d], &x.device()), Param::val);
            x = grouped_conv(cut(x), &layer.conv.weight.val(), bias, self.n_groups);
            x = gelu(plain_layer_norm(x));
        }
        x
    }
}

impl PositionalKernel {
    /// The kernel, `g · v / ‖v‖` per position where it is normed.
    fn weight(&self) -> Tensor<3> {
        match (&self.weight_g, &self.weight_v, &self.weight) {
            (Some(g), Some(v), _) => {
                let v = v.val();
                let norm = (v.clone() * v.clone()).sum_dim(0).sum_dim(1).sqrt();
                v * (g.val() / norm)
            }
            (_, _, Some(weight)) => weight.val(),
            _ => unreachable!("made with one or the other"),
        }
    }
}

impl BatchNorm {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let scale = self.weight.val() / (self.running_var.val() + EPSILON).sqrt();
        let shift = self.bias.val() - self.running_mean.val() * scale.clone();
        x * scale.unsqueeze() + shift.unsqueeze()
    }
}

/// Mean 0 and variance 1 over channels, nothing learnt.
fn plain_layer_norm(x: Tensor<3>) -> Tensor<3> {
    let x = x.clone() - x.mean_dim(2);
    let variance = (x.clone() * x.clone()).mean_dim(2);
    x / (variance + EPSILON).sqrt()
}

/// A convolution in `n_groups` groups that keeps the number of frames: `width / 2` zeros at both
/// ends, and for even widths the last output is dropped.
fn grouped_conv(x: Tensor<3>, weight: &Tensor<3>, bias: Tensor<1>, n_groups: usize) -> Tensor<3> {
    let [batch, n, d] = x.dims();
    let [_, per_group, width] = weight.dims();
    let (before, after) = (width / 2, width.div_ceil(2) - 1);
    let device = x.device();
    let zeros = |n_rows: usize| Tensor::<3>::zeros([batch, n_rows, d], &device);
    let padded = Tensor::cat(vec![zeros(before), x, zeros(after)], 1);
    let group = |g: usize| {
        let channels = g * per_group..(g + 1) * per_group;
        let part = padded
            .clone()
            .slice([0..batch, 0..n + width - 1, channels.clone()]);
        let kernels = weight.clone().slice([channels, 0..per_group, 0..width]);
        conv1d(part, kernels, None, 1)
    };
    Tensor::cat((0..n_groups).map(group).collect(), 2) + bias.unsqueeze()
}
