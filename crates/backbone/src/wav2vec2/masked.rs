//! The encoder over masked frames, as pretraining runs it.
//!
//! Samples `[batch, n_samples]` and a mask `[batch, n_frames]` → the last hidden state `[batch, n_frames,
//! hidden_size]` of an encoder whose masked frames are `masked_spec_embed`, and what the frames were
//! before, `[batch, n_frames, conv_dim]`: what is to be told from what (Baevski et al. 2020, section 2).
//!
//! As `Wav2Vec2Model.forward` of `transformers` with `mask_time_indices`: the last state of pre-norm models
//! has gone through the final norm. Held by `crates/tuning/src/own/tests.rs`.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};
use ndarray::ArrayView2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Wav2Vec2Model;
use crate::error::{BackboneError, Result};
use crate::transformer::all_states;

/// What a model makes of clips some of whose frames it does not see.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MaskedStates {
    /// Last hidden state, after the final norm of pre-norm models: `[batch, n_frames, hidden_size]`.
    pub last: Tensor<3>,
    /// Output of the feature encoder after the norm of the feature projection, no frame masked:
    /// `[batch, n_frames, conv_dim]`.
    pub features: Tensor<3>,
}

impl Wav2Vec2Model {
    /// The model over clips of one length, `[batch, n_samples]`, with the frames of `mask`, `[batch,
    /// n_frames]`, replaced by `masked_spec_embed` before positions are added.
    ///
    /// # Errors
    /// A mask of another shape than the frames, clips below the receptive field, a model without the
    /// embedding ([`with_mask_embedding`](Self::with_mask_embedding) gives it one).
    pub fn masked_states(
        &self,
        samples: Tensor<2>,
        mask: ArrayView2<'_, bool>,
    ) -> Result<MaskedStates> {
        let [batch, n_samples] = samples.dims();
        let n_frames = self.config().n_frames(n_samples);
        if n_frames == 0 || mask.dim() != (batch, n_frames) {
            return Err(BackboneError::MaskShape {
                expected: [batch, n_frames],
                got: [mask.nrows(), mask.ncols()],
            });
        }
        let Some(embedding) = &self.masked_spec_embed else {
            return Err(BackboneError::Unsupported {
                model_type: self.config().model_type.model_type().to_owned(),
                what: "mask frames",
                reason: "the model has no masked_spec_embed to put in their place",
            });
        };
        let samples = self.normalize(samples, &vec![n_samples; batch]);
        let (x, features) = self.project(self.feature_extractor.forward(samples));
        let values: Vec<f32> = mask.iter().map(|&masked| f32::from(masked)).collect();
        let hidden = TensorData::new(values, [batch, n_frames, 1]);
        let hidden = Tensor::<3>::from_data(hidden, &x.device());
        let seen = hidden.clone() * -1.0 + 1.0;
        let x = x * seen + embedding.val().reshape([1, 1, -1]) * hidden;
        let (x, context) = self.embed_projected(x, None);
        let last = all_states(&self.encoder.layers, x, &context).pop();
        let last = last.unwrap_or_else(|| unreachable!("there is a state before the first layer"));
        let last = if self.config().do_stable_layer_norm {
            self.encoder.layer_norm.forward(last)
        } else {
            last
        };
        Ok(MaskedStates { last, features })
    }

    /// Whether the model has an embedding for masked frames.
    #[must_use]
    pub fn has_mask_embedding(&self) -> bool {
        self.masked_spec_embed.is_some()
    }

    /// The model with an embedding for masked frames: its own if it has one, else a seeded one, uniform in 0 to 1 as
    /// `transformers` draws it.
    #[must_use]
    pub fn with_mask_embedding(mut self, seed: u64) -> Self {
        if self.has_mask_embedding() {
            return self;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let d = self.config().hidden_size;
        let values: Vec<f32> = (0..d).map(|_| rng.random()).collect();
        let device = self.feature_projection.projection.weight.device();
        let values = TensorData::new(values, [d]);
        self.masked_spec_embed = Some(Param::from_data(values, &device));
        self
    }
}
