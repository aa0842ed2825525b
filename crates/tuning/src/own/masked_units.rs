//! `HuBERT`'s objective: which unit a masked frame has (Hsu et al. 2021, equation 3).
//!
//! States `[n_masked, hidden_size]` → cosines of their projection with an embedding for each unit, divided by
//! a temperature → cross-entropy with the unit of the frame, masked frames with weight 1, others with
//! [`unmasked_weight`](super::Stimulus::unmasked_weight). The penalty on the outputs of the feature encoder is left out.
//! Held by `own/tests.rs`.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::draws::Place;
use super::settings::Stimulus;
use super::{MaskedFrames, SelfSupervised, unit_length};
use crate::model::linear;

/// Width in which states and units are compared, of `HuBERT` base.
const D_UNIT: usize = 256;

/// Projection and unit embeddings, named as fairseq's keys. Checkpoints of `transformers` do not have them.
#[derive(Module, Debug)]
pub struct UnitHead {
    pub(crate) final_proj: Linear,
    /// `[n_units, d_unit]`.
    pub(crate) label_embs_concat: Param<Tensor<2>>,
}

impl UnitHead {
    /// Seeded: a linear layer as `PyTorch` has it, embeddings uniform in 0 to 1 as fairseq's.
    pub(crate) fn seeded(d_model: usize, n_units: usize, seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let final_proj = linear(d_model, D_UNIT, &mut rng, device);
        let values: Vec<f32> = (0..n_units * D_UNIT).map(|_| rng.random()).collect();
        let values = TensorData::new(values, [n_units, D_UNIT]);
        Self {
            final_proj,
            label_embs_concat: Param::from_data(values, device),
        }
    }
}

impl SelfSupervised for UnitHead {
    fn loss(&self, masked: &MaskedFrames, _place: Place, settings: &Stimulus) -> Tensor<1> {
        let predicted = unit_length(self.final_proj.forward(masked.predicted.clone()));
        let units = unit_length(self.label_embs_concat.val());
        let [n_units, _] = units.dims();
        let n = masked.units.len();
        let mut chosen = vec![0.0_f32; n * n_units];
        for (frame, unit) in masked.units.iter().enumerate() {
            // Frames without a unit have no loss.
            if let Some(unit) = unit {
                chosen[frame * n_units + *unit as usize] = -masked.weights[frame];
            }
        }
        let chosen = TensorData::new(chosen, [n, n_units]);
        let chosen = Tensor::from_data(chosen, &predicted.device());
        let logits = predicted.matmul(units.transpose()) / settings.logit_temperature;
        (log_softmax(logits, 1) * chosen).sum()
    }
}
