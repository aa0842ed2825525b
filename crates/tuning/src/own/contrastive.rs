//! wav2vec 2.0's objective: which quantised frame a masked frame was (Baevski et al. 2020, equations 2 to 4).
//!
//! States `[n_masked, hidden_size]` and features `[n_masked, conv_dim]` → the contrastive loss of each frame
//! against distractors of its clip, and the diversity loss of the codes, both summed over masked frames as
//! `Wav2Vec2ForPreTraining` of `transformers` 5.23 does. Differs: distractors are those of other codes, where
//! `transformers` compares the vectors, whose straight-through gradient leaves rounding in them; frames that
//! are not masked, which no loss has, are not quantised. Held by `own/tests.rs`.

use std::ops::Range;

use braintune_backbone::{Checkpoint, Wav2Vec2Config};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

use super::draws::Place;
use super::settings::Stimulus;
use super::{MaskedFrames, SelfSupervised, unit_length};
use crate::config::setting;
use crate::error::Result;
use crate::model::linear;
use crate::step::values_of;

/// Added to the logit of what is no candidate.
const NEVER: f32 = -1e30;
/// Keeps the logarithm of a code that is never taken finite; its product with 0 is 0.
const TINY: f64 = 1e-30;
/// Largest width that a configuration may ask for.
const MOST: usize = 1 << 16;

/// Quantiser and projections of `Wav2Vec2ForPreTraining`, named as its keys.
#[derive(Module, Debug)]
pub struct ContrastiveHead {
    pub(crate) quantizer: Quantizer,
    pub(crate) project_hid: Linear,
    pub(crate) project_q: Linear,
}

/// Product quantisation with a Gumbel softmax.
#[derive(Module, Debug)]
pub(crate) struct Quantizer {
    /// `[1, n_groups · n_codes, codevector_dim / n_groups]`.
    codevectors: Param<Tensor<3>>,
    weight_proj: Linear,
    #[module(skip)]
    n_groups: usize,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
struct Sizes {
    num_codevector_groups: usize,
    num_codevectors_per_group: usize,
    codevector_dim: usize,
    proj_codevector_dim: usize,
}

impl Default for Sizes {
    /// wav2vec2-base.
    fn default() -> Self {
        Self {
            num_codevector_groups: 2,
            num_codevectors_per_group: 320,
            codevector_dim: 256,
            proj_codevector_dim: 256,
        }
    }
}

/// What is drawn for the masked frames of a part of a batch.
pub(crate) struct Drawn {
    /// For each clip and masked frame, which masked frames of the clip are distractors.
    pub(crate) negatives: Vec<Vec<Vec<usize>>>,
    /// Temperature and noise, `[n_masked · n_groups · n_codes]`, of the Gumbel softmax; without it the codes
    /// are those of the largest logits, and no gradient goes through their choice.
    pub(crate) noise: Option<(f64, Vec<f32>)>,
}

impl Sizes {
    fn read(checkpoint: &Checkpoint) -> Result<Self> {
        let sizes: Self = checkpoint.config().parse()?;
        for (name, value) in [
            ("num_codevector_groups", sizes.num_codevector_groups),
            ("num_codevectors_per_group", sizes.num_codevectors_per_group),
            ("codevector_dim", sizes.codevector_dim),
            ("proj_codevector_dim", sizes.proj_codevector_dim),
        ] {
            let fits = (1..=MOST).contains(&value);
            setting(fits, name, value, &format!("1 to {MOST}"))?;
        }
        let groups = sizes.num_codevector_groups;
        let width = sizes.codevector_dim;
        let expected = format!("a multiple of num_codevector_groups = {groups}");
        setting(
            width.is_multiple_of(groups),
            "codevector_dim",
            width,
            &expected,
        )?;
        Ok(sizes)
    }
}

impl ContrastiveHead {
    /// The head of a checkpoint, or where it lacks one a seeded head as `transformers` initialises it, with a
    /// warning.
    ///
    /// # Errors
    /// Sizes that cannot be, tensors that do not have them or cannot be read.
    pub(crate) fn from_checkpoint(
        checkpoint: &Checkpoint,
        config: &Wav2Vec2Config,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let sizes = Sizes::read(checkpoint)?;
        let d_conv = config.conv_dim.last().copied().unwrap_or(1);
        let head = Self::seeded(sizes, (d_conv, config.hidden_size), seed, device);
        let Some(read) = head.clone().read(checkpoint, device)? else {
            tracing::warn!(
                "{} has no quantizer, project_q and project_hid of pretraining: they begin from the seed, and so does what the model has to predict; a checkpoint of Wav2Vec2ForPreTraining has them",
                checkpoint
                    .config()
                    .path()
                    .parent()
                    .unwrap_or(checkpoint.config().path())
                    .display()
            );
            return Ok(head);
        };
        Ok(read)
    }

    fn seeded(sizes: Sizes, (d_conv, d_model): (usize, usize), seed: u64, device: &Device) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let n_groups = sizes.num_codevector_groups;
        let n_codes = n_groups * sizes.num_codevectors_per_group;
        let (d_code, d_out) = (sizes.codevector_dim, sizes.proj_codevector_dim);
        let shape = [1, n_codes, d_code / n_groups];
        let codes: Vec<f32> = (0..n_codes * shape[2]).map(|_| rng.random()).collect();
        let normal = StandardNormal.sample_iter(&mut rng);
        let weight: Vec<f32> = normal.take(d_conv * n_codes).collect();
        Self {
            quantizer: Quantizer {
                codevectors: Param::from_data(TensorData::new(codes, shape), device),
                weight_proj: Linear {
                    weight: Param::from_data(TensorData::new(weight, [d_conv, n_codes]), device),
                    bias: Some(Param::from_data(
                        TensorData::new(vec![0.0_f32; n_codes], [n_codes]),
                        device,
                    )),
                },
                n_groups,
            },
            project_hid: linear(d_model, d_out, &mut rng, device),
            project_q: linear(d_code, d_out, &mut rng, device),
        }
    }

    /// With the tensors of the checkpoint; none if it does not have all of them.
    fn read(mut self, checkpoint: &Checkpoint, device: &Device) -> Result<Option<Self>> {
        let shape = self.quantizer.codevectors.dims();
        let Some(codes) = checkpoint.values("quantizer.codevectors", &shape)? else {
            return Ok(None);
        };
        let codes = TensorData::new(codes, shape);
        self.quantizer.codevectors = Param::from_data(codes, device);
        for (name, layer) in [
            ("quantizer.weight_proj", &mut self.quantizer.weight_proj),
            ("project_hid", &mut self.project_hid),
            ("project_q", &mut self.project_q),
        ] {
            let [d_in, d_out] = layer.weight.dims();
            let weight = checkpoint.values(&format!("{name}.weight"), &[d_out, d_in])?;
            let bias = checkpoint.values(&format!("{name}.bias"), &[d_out])?;
            let (Some(weight), Some(bias)) = (weight, bias) else {
                return Ok(None);
            };
            // PyTorch's layout is [d_out, d_in].
            let weight = (0..d_in * d_out).map(|i| weight[i % d_out * d_in + i / d_out]);
            let weight = TensorData::new(weight.collect::<Vec<f32>>(), [d_in, d_out]);
            layer.weight = Param::from_data(weight, device);
            layer.bias = Some(Param::from_data(TensorData::new(bias, [d_out]), device));
        }
        Ok(Some(self))
    }

    /// Groups and codes of each.
    fn n_codes(&self) -> (usize, usize) {
        let n_groups = self.quantizer.n_groups;
        (n_groups, self.quantizer.codevectors.dims()[1] / n_groups)
    }

    /// Draws for the masked frames, those of training if there is a step.
    pub(crate) fn draw(&self, masked: &MaskedFrames, place: Place, settings: &Stimulus) -> Drawn {
        let clips = || masked.clips.iter().zip(masked.first_clip..);
        let (n_groups, n_codes) = self.n_codes();
        Drawn {
            negatives: clips()
                .map(|(rows, clip)| place.negatives(clip, rows.len(), settings.n_negatives))
                .collect(),
            noise: place.step.map(|step| {
                let of = |(rows, clip): (&Range<usize>, usize)| {
                    place.gumbel(clip, rows.len() * n_groups * n_codes)
                };
                (settings.gumbel_at(step), clips().flat_map(of).collect())
            }),
        }
    }

    /// Contrastive and diversity loss, summed over masked frames.
    pub(crate) fn losses(
        &self,
        masked: &MaskedFrames,
        drawn: &Drawn,
        logit_temperature: f64,
    ) -> (Tensor<1>, Tensor<1>) {
        let quantized = self.quantizer.forward(masked.features.clone(), drawn);
        let targets = unit_length(self.project_q.forward(quantized.vectors));
        let predicted = unit_length(self.project_hid.forward(masked.predicted.clone()));
        let mut contrastive: Tensor<1> = Tensor::zeros([1], &predicted.device());
        for (rows, negatives) in masked.clips.iter().zip(&drawn.negatives) {
            let codes = &quantized.codes[rows.clone()];
            let of_clip = |x: &Tensor<2>| x.clone().slice([rows.clone()]);
            let cosines = of_clip(&predicted).matmul(of_clip(&targets).transpose());
            contrastive =
                contrastive + contrastive_loss(cosines / logit_temperature, negatives, codes);
        }
        let n_masked = masked.features.dims()[0] as f64;
        let (n_groups, n_codes) = self.n_codes();
        let n_codes = (n_groups * n_codes) as f64;
        let diversity = (quantized.perplexity * -1.0 + n_codes) * (n_masked / n_codes);
        (contrastive, diversity)
    }
}

impl SelfSupervised for ContrastiveHead {
    fn loss(&self, masked: &MaskedFrames, place: Place, settings: &Stimulus) -> Tensor<1> {
        let drawn = self.draw(masked, place, settings);
        let (contrastive, diversity) = self.losses(masked, &drawn, settings.logit_temperature);
        contrastive + diversity * settings.diversity_weight
    }
}

/// Cross-entropy of each frame's own target among itself and its distractors, summed.
///
/// `logits` `[n_masked, n_masked]` of each frame against the target of each. A target drawn `n` times counts
/// `n` times: its logit is raised by `ln n`. Distractors with the frame's own codes do not count.
fn contrastive_loss(
    logits: Tensor<2>,
    negatives: &[Vec<usize>],
    codes: &[Vec<usize>],
) -> Tensor<1> {
    let n = negatives.len();
    let mut counts = vec![0.0_f32; n * n];
    let mut own = vec![0.0_f32; n * n];
    for (frame, others) in negatives.iter().enumerate() {
        for &other in others.iter().filter(|&&other| codes[other] != codes[frame]) {
            counts[frame * n + other] += 1.0;
        }
        counts[frame * n + frame] = 1.0;
        own[frame * n + frame] = -1.0;
    }
    let raised = counts
        .iter()
        .map(|&count| if count > 0.0 { count.ln() } else { NEVER });
    let device = logits.device();
    let raised = TensorData::new(raised.collect::<Vec<f32>>(), [n, n]);
    let own = Tensor::from_data(TensorData::new(own, [n, n]), &device);
    (log_softmax(logits + Tensor::from_data(raised, &device), 1) * own).sum()
}

/// Quantised frames.
struct Quantized {
    /// `[n_masked, codevector_dim]`.
    vectors: Tensor<2>,
    /// The code of each group, by frame.
    codes: Vec<Vec<usize>>,
    /// Sum over groups of the exponential of the entropy of the mean distribution, `[1]`.
    perplexity: Tensor<1>,
}

impl Quantizer {
    fn forward(&self, features: Tensor<2>, drawn: &Drawn) -> Quantized {
        let n = features.dims()[0];
        let n_groups = self.n_groups;
        let [_, n_all, d] = self.codevectors.dims();
        let shape = [n, n_groups, n_all / n_groups];
        let logits = self.weight_proj.forward(features).reshape(shape);
        let device = logits.device();
        let (probs, codes, distribution) = if let Some((temperature, noise)) = &drawn.noise {
            let noise = Tensor::from_data(TensorData::new(noise.clone(), shape), &device);
            let soft = softmax((logits.clone() + noise) / *temperature, 2);
            let (hard, codes) = largest(&soft);
            // Straight through: the value of the choice, the gradient of the softmax.
            let probs = hard + soft.clone() - soft.detach();
            (probs, codes, softmax(logits, 2))
        } else {
            let (hard, codes) = largest(&logits);
            (hard.clone(), codes, hard)
        };
        let codevectors = self.codevectors.val().reshape([n_groups, shape[2], d]);
        let vectors = probs.swap_dims(0, 1).matmul(codevectors);
        let mean = distribution.mean_dim(0);
        let entropy = (mean.clone() * (mean + TINY).log()).sum_dim(2) * -1.0;
        Quantized {
            vectors: vectors.swap_dims(0, 1).reshape([n, n_groups * d]),
            codes,
            perplexity: entropy.exp().sum(),
        }
    }
}

/// Where the last dimension of `[n, n_groups, n_codes]` is largest: one-hot, without a gradient, and by index.
fn largest(x: &Tensor<3>) -> (Tensor<3>, Vec<Vec<usize>>) {
    let shape = x.dims();
    let values = values_of(x.clone().detach());
    let mut hard = vec![0.0_f32; values.len()];
    let mut chosen = Vec::with_capacity(values.len() / shape[2]);
    for (row, hard) in values
        .chunks_exact(shape[2])
        .zip(hard.chunks_exact_mut(shape[2]))
    {
        let first = |best: usize, i: usize| if row[i] > row[best] { i } else { best };
        let code = (1..row.len()).fold(0, first);
        hard[code] = 1.0;
        chosen.push(code);
    }
    let codes = chosen.chunks(shape[1]).map(<[usize]>::to_vec).collect();
    let hard = Tensor::from_data(TensorData::new(hard, shape), &x.device());
    (hard, codes)
}
