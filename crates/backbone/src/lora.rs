//! Low-rank updates of the attention projections (Hu et al. 2021): `y = W x + b + s·B A dropout(x)`.
//!
//! Folders are those of `peft`: `adapter_config.json` and `adapter_model.safetensors`. Held by
//! `tests/it/lora.rs`.

mod config;
mod folder;

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Uniform};

pub use config::{LoraConfig, LoraTarget};
pub(crate) use folder::{adapter_sha256, read_adapter, write_adapter};

use crate::attention::MultiHeadAttention;
use crate::error::Result;

/// The updates of one attention, each there or not.
#[derive(Module, Debug)]
pub(crate) struct LoraUpdates {
    q_proj: Option<LoraPair>,
    k_proj: Option<LoraPair>,
    v_proj: Option<LoraPair>,
    out_proj: Option<LoraPair>,
    dropout: Dropout,
    scale: f64,
}

/// `A` `[r, d_in]` and `B` `[d_out, r]`, as `PyTorch` has their shapes.
#[derive(Module, Debug)]
pub(crate) struct LoraPair {
    lora_a: Linear,
    lora_b: Linear,
}

impl LoraUpdates {
    /// What is added to a projection of `x`.
    pub(crate) fn update(&self, target: LoraTarget, x: Tensor<3>) -> Option<Tensor<3>> {
        let pair = self.pair(target)?;
        let low = pair.lora_a.forward(self.dropout.forward(x));
        Some(pair.lora_b.forward(low) * self.scale)
    }

    fn pair_mut(&mut self, target: LoraTarget) -> &mut Option<LoraPair> {
        match target {
            LoraTarget::QProj => &mut self.q_proj,
            LoraTarget::KProj => &mut self.k_proj,
            LoraTarget::VProj => &mut self.v_proj,
            LoraTarget::OutProj => &mut self.out_proj,
        }
    }

    fn pair(&self, target: LoraTarget) -> Option<&LoraPair> {
        match target {
            LoraTarget::QProj => self.q_proj.as_ref(),
            LoraTarget::KProj => self.k_proj.as_ref(),
            LoraTarget::VProj => self.v_proj.as_ref(),
            LoraTarget::OutProj => self.out_proj.as_ref(),
        }
    }
}

/// Attentions of a model with the paths of their modules, such as `encoder.layers.0.attention`.
pub(crate) type Attentions<'a> = Vec<(String, &'a mut MultiHeadAttention)>;

/// Adds updates to every attention: `A` uniform in `±1/√d_in`, `B` zero, so that nothing changes yet.
/// Earlier updates are replaced.
///
/// # Errors
/// Settings that make no update.
pub(crate) fn attach(attentions: Attentions<'_>, config: &LoraConfig, seed: u64) -> Result<()> {
    config.check()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (_, attention) in attentions {
        let [d_in, d_out] = attention.q_proj.weight.dims();
        let device = attention.q_proj.weight.val().device();
        let mut updates = empty(config);
        for &target in &config.target_modules {
            *updates.pair_mut(target) = Some(pair(d_in, d_out, config.r, &mut rng, &device));
        }
        attention.lora = Some(updates);
    }
    Ok(())
}

fn empty(config: &LoraConfig) -> LoraUpdates {
    LoraUpdates {
        q_proj: None,
        k_proj: None,
        v_proj: None,
        out_proj: None,
        dropout: DropoutConfig::new(config.lora_dropout).init(),
        scale: config.scale(),
    }
}

fn pair(d_in: usize, d_out: usize, r: usize, rng: &mut ChaCha8Rng, device: &Device) -> LoraPair {
    let bound = (d_in as f32).sqrt().recip();
    let uniform = Uniform::new_inclusive(-bound, bound)
        .unwrap_or_else(|e| unreachable!("a positive bound: {e}"));
    let values: Vec<f32> = uniform.sample_iter(rng).take(d_in * r).collect();
    // Drawn in PyTorch's layout [r, d_in]; burn keeps weights as [d_in, d_out].
    let a: Tensor<2> = Tensor::from_data(TensorData::new(values, [r, d_in]), device);
    LoraPair {
        lora_a: without_bias(a.transpose()),
        lora_b: without_bias(Tensor::zeros([r, d_out], device)),
    }
}

/// A linear map without bias from its weight `[d_in, d_out]`.
fn without_bias(weight: Tensor<2>) -> Linear {
    let [d_in, d_out] = weight.dims();
    let device = weight.device();
    let mut linear = LinearConfig::new(d_in, d_out)
        .with_bias(false)
        .init(&device);
    linear.weight = Param::from_tensor(weight);
    linear
}

/// Adds the updates to the weights and removes them.
pub(crate) fn merge(attentions: Attentions<'_>) {
    for (_, attention) in attentions {
        let Some(lora) = attention.lora.take() else {
            continue;
        };
        for &target in LoraTarget::ALL {
            let Some(pair) = lora.pair(target) else {
                continue;
            };
            let update = pair.lora_a.weight.val().matmul(pair.lora_b.weight.val()) * lora.scale;
            let linear = attention.projection_mut(target);
            let trainable = linear.weight.is_require_grad();
            let weight = linear.weight.clone();
            linear.weight = weight
                .map(|weight| (weight.detach() + update.detach()).set_require_grad(trainable));
        }
    }
}
