//! The feature encoder: convolutions over samples, each followed by a norm and GELU.
//!
//! Samples `[batch, n_samples]` → frames `[batch, n_frames, conv_dim]`. Held by `tests/it/families.rs`.

use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

use super::config::{FeatExtractNorm, Wav2Vec2Config};
use crate::conv::conv1d;
use crate::kernels::gelu;
use crate::kernels::time_norm::time_norm_gelu;
use crate::parts::is_frozen;

/// torch's epsilon of norms whose checkpoint has no setting for it.
pub(super) const EPSILON: f64 = 1e-5;

/// `feature_extractor` of the checkpoint.
#[derive(Module, Debug)]
pub(super) struct FeatureEncoder {
    conv_layers: Vec<ConvLayer>,
}

#[derive(Module, Debug)]
struct ConvLayer {
    conv: Kernel,
    /// Scale and shift of the norm, over channels or (`over_time`) over time.
    layer_norm: Option<LayerNorm>,
    over_time: bool,
    stride: usize,
}

/// A kernel `[c_out, c_in, width]` and its bias, as checkpoints have them.
#[derive(Module, Debug)]
pub(super) struct Kernel {
    pub(super) weight: Param<Tensor<3>>,
    pub(super) bias: Option<Param<Tensor<1>>>,
}

impl Kernel {
    pub(super) fn zeros(shape: [usize; 3], bias: bool, device: &Device) -> Self {
        Self {
            weight: Param::from_tensor(Tensor::zeros(shape, device)),
            bias: bias.then(|| Param::from_tensor(Tensor::zeros([shape[0]], device))),
        }
    }
}

impl FeatureEncoder {
    pub(super) fn new(config: &Wav2Vec2Config, device: &Device) -> Self {
        let mut c_in = 1;
        let sizes = config
            .conv_dim
            .iter()
            .zip(&config.conv_kernel)
            .zip(&config.conv_stride);
        let layer = |(i, ((&c_out, &width), &stride))| {
            let over_time = config.feat_extract_norm == FeatExtractNorm::Group;
            let normed = !over_time || i == 0;
            let shape = [c_out, std::mem::replace(&mut c_in, c_out), width];
            ConvLayer {
                conv: Kernel::zeros(shape, config.conv_bias, device),
                layer_norm: normed.then(|| LayerNormConfig::new(c_out).init(device)),
                over_time,
                stride,
            }
        };
        Self {
            conv_layers: sizes.enumerate().map(layer).collect(),
        }
    }

    /// `[batch, n_samples]` → `[batch, n_frames, conv_dim]`.
    pub(super) fn forward(&self, samples: Tensor<2>) -> Tensor<3> {
        if samples.is_autodiff() && is_frozen(self) {
            return Tensor::from_inner(self.valid().forward(samples.inner()));
        }
        let mut x = samples.unsqueeze_dim(2);
        for layer in &self.conv_layers {
            x = layer.forward(x);
        }
        x
    }
}

impl ConvLayer {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let bias = self.conv.bias.as_ref().map(Param::val);
        let x = conv1d(x, self.conv.weight.val(), bias, self.stride);
        match &self.layer_norm {
            // A group norm with one group per channel.
            Some(norm) if self.over_time => {
                let shift = norm.beta.as_ref().map(Param::val);
                time_norm_gelu(x, norm.gamma.val(), shift, EPSILON)
            }
            Some(norm) => gelu(norm.forward(x)),
            None => gelu(x),
        }
    }
}
