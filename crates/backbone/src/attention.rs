//! Multi-head attention as all families have it, `[batch, n, d_model]` in and out.
//!
//! Fields are named as the checkpoints' keys. `WavLM`'s gated relative position bias and `LoRA`
//! updates are parts that are there or not. Held by `tests/it/families.rs` and `tests/it/whisper.rs`.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::nn::{Embedding, Linear, LinearConfig};
use burn::tensor::activation::sigmoid;
use burn::tensor::module;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Device, Tensor};

use crate::backbone::pick_frames;
use crate::kernels::{attention, has_own_attention, is_host, softmax};
#[cfg(feature = "flex")]
use crate::kernels::{attention_gradients, is_recorded};
use crate::lora::{LoraTarget, LoraUpdates};

/// Queries whose attention weights, `[batch, n_heads, QUERIES_AT_ONCE, n_frames]`, are in memory
/// together: a few megabytes stay in cache, those of all frames do not.
pub(crate) const QUERIES_AT_ONCE: usize = 128;

/// Self-attention with `n_heads` heads.
#[derive(Module, Debug)]
pub(crate) struct MultiHeadAttention {
    pub(crate) q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    /// `WavLM`: biases of the buckets of relative positions, `[n_buckets, n_heads]`; first layer only.
    rel_attn_embed: Option<Embedding>,
    gru_rel_pos_linear: Option<Linear>,
    gru_rel_pos_const: Option<Param<Tensor<4>>>,
    pub(crate) lora: Option<LoraUpdates>,
    n_heads: usize,
}

/// What the layers of one forward pass share.
#[derive(Debug, Default)]
pub(crate) struct AttentionContext {
    /// Added to the scores: 0 for frames of the clip, very low behind its end, `[batch, 1, 1, n_frames]`.
    pub(crate) mask: Option<Tensor<4>>,
    /// `WavLM`'s bias before gating, `[n_heads, n_frames, n_frames]`.
    pub(crate) position_bias: Option<Tensor<3>>,
}

impl MultiHeadAttention {
    /// A bias of keys is never tuned: it adds the same to all scores of a query, which softmax does not see. Its
    /// gradient is rounding, and Adam would make steps of that as large as any other.
    pub(crate) fn new(d_model: usize, n_heads: usize, key_bias: bool, device: &Device) -> Self {
        let linear = LinearConfig::new(d_model, d_model);
        let mut k_proj: Linear = linear.clone().with_bias(key_bias).init(device);
        k_proj.bias = k_proj.bias.map(Param::no_grad);
        Self {
            q_proj: linear.init(device),
            k_proj,
            v_proj: linear.init(device),
            out_proj: linear.init(device),
            rel_attn_embed: None,
            gru_rel_pos_linear: None,
            gru_rel_pos_const: None,
            lora: None,
            n_heads,
        }
    }

    /// Adds `WavLM`'s gate, and the embedding of `n_buckets` relative positions to the first layer.
    pub(crate) fn with_relative_positions(
        mut self,
        n_buckets: Option<usize>,
        device: &Device,
    ) -> Self {
        let d_head = self.q_proj.weight.dims()[0] / self.n_heads;
        self.gru_rel_pos_linear = Some(LinearConfig::new(d_head, 8).init(device));
        let ones = Tensor::ones([1, self.n_heads, 1, 1], device);
        self.gru_rel_pos_const = Some(Param::from_tensor(ones));
        self.rel_attn_embed =
            n_buckets.map(|n| burn::nn::EmbeddingConfig::new(n, self.n_heads).init(device));
        self
    }

    /// The table of relative position biases, `[n_buckets, n_heads]`, in the layer that has it.
    pub(crate) fn bucket_biases(&self) -> Option<Tensor<2>> {
        self.rel_attn_embed.as_ref().map(|table| table.weight.val())
    }

    /// All frames attend to all: `[batch, n_frames, d_model]` → the same.
    pub(crate) fn forward(&self, x: Tensor<3>, context: &AttentionContext) -> Tensor<3> {
        let bias = context.position_bias.clone();
        let gate = self.gate(&x);
        self.attend(x.clone(), x, context.mask.as_ref(), |rows| {
            let bias = bias.clone()?.slice([0..self.n_heads, rows.clone()]);
            Some(self.gated(gate.clone()?, rows, bias.unsqueeze()))
        })
    }

    /// The output of [`forward`](Self::forward) at frame `frames[i]` of clip `i` alone:
    /// `[batch, n_frames, d_model]` → `[batch, 1, d_model]`.
    pub(crate) fn forward_at(
        &self,
        x: Tensor<3>,
        frames: &[usize],
        context: &AttentionContext,
    ) -> Tensor<3> {
        let queries = pick_frames(&x, frames);
        let gate = self.gate(&queries);
        let bias = context
            .position_bias
            .as_ref()
            .zip(gate)
            .map(|(bias, gate)| {
                let one = |&frame: &usize| {
                    let row = bias.clone().slice([0..self.n_heads, frame..frame + 1]);
                    row.unsqueeze::<4>()
                };
                gate * Tensor::cat(frames.iter().map(one).collect(), 0)
            });
        if self.lora.is_some() {
            return self.attend(queries, x, context.mask.as_ref(), |_| bias.clone());
        }
        self.attend_once(queries, x, context.mask.clone(), bias)
    }

    /// Attention of one query per clip without keys and values: `q · W x = Wᵀ q · x`, and the mean of
    /// `W x` is `W` times the mean of `x`. The keys' bias adds the same to all scores of a query and
    /// falls out of the softmax.
    fn attend_once(
        &self,
        query: Tensor<3>,
        frames: Tensor<3>,
        mask: Option<Tensor<4>>,
        bias: Option<Tensor<4>>,
    ) -> Tensor<3> {
        let [batch, _, d_model] = query.dims();
        let (n_heads, d_head) = (self.n_heads, d_model / self.n_heads);
        // [1, n_heads, d_model, d_head]
        let of_heads = |linear: &Linear| {
            let weight = linear.weight.val().reshape([d_model, n_heads, d_head]);
            weight.swap_dims(0, 1).unsqueeze::<4>()
        };
        let query = self.q_proj.forward(query) * (d_head as f64).powf(-0.5);
        let query = query.reshape([batch, n_heads, d_head, 1]);
        let probes = of_heads(&self.k_proj).matmul(query).squeeze_dim::<3>(3);
        // [batch, n_heads, 1, n_frames]
        let mut scores = probes
            .matmul(frames.clone().swap_dims(1, 2))
            .unsqueeze_dim::<4>(2);
        if let Some(bias) = bias {
            scores = scores + bias;
        }
        if let Some(mask) = mask {
            scores = scores + mask;
        }
        let weights = softmax(scores).squeeze_dim::<3>(2);
        let means = weights.matmul(frames).unsqueeze_dim::<4>(2);
        let mut values = means
            .matmul(of_heads(&self.v_proj))
            .reshape([batch, 1, d_model]);
        if let Some(shift) = &self.v_proj.bias {
            values = values + shift.val().unsqueeze();
        }
        self.out_proj.forward(values)
    }

    /// `bias(rows)` is added to the scores of those queries, `[batch or 1, n_heads, n_rows, n_frames]`.
    fn attend(
        &self,
        queries: Tensor<3>,
        frames: Tensor<3>,
        mask: Option<&Tensor<4>>,
        bias: impl Fn(Range<usize>) -> Option<Tensor<4>>,
    ) -> Tensor<3> {
        let [batch, n_queries, d_model] = queries.dims();
        let (n_heads, d_head) = (self.n_heads, d_model / self.n_heads);
        // [batch, n_heads, n, d_head]
        let query = self.project(LoraTarget::QProj, queries);
        let key = self.project(LoraTarget::KProj, frames.clone());
        let value = self.project(LoraTarget::VProj, frames);
        // `WavLM`'s gate comes with a bias.
        if is_host(&query.device()) && self.gru_rel_pos_linear.is_none() {
            let attended = attention::attend(query, key, value, mask, n_heads);
            return self.project(LoraTarget::OutProj, attended);
        }
        #[cfg(feature = "flex")]
        if is_recorded(&query) && self.gru_rel_pos_linear.is_none() {
            let attended = attention_gradients::with_gradient(query, key, value, mask, n_heads);
            return self.project(LoraTarget::OutProj, attended);
        }
        let split = |y: Tensor<3>| {
            let n = y.dims()[1];
            y.reshape([batch, n, n_heads, d_head]).swap_dims(1, 2)
        };
        let (query, key, value) = (split(query), split(key), split(value));
        let attended = if has_own_attention(&query.device())
            && mask.is_none()
            && self.gru_rel_pos_linear.is_none()
        {
            let options = AttentionModuleOptions::default();
            module::attention(query, key, value, None, None, options)
        } else {
            in_parts(query, key, &value, mask, bias)
        };
        let merged = attended.swap_dims(1, 2);
        let merged = merged.reshape([batch, n_queries, d_model]);
        self.project(LoraTarget::OutProj, merged)
    }

    /// A projection with its low-rank update, if it has one.
    fn project(&self, target: LoraTarget, x: Tensor<3>) -> Tensor<3> {
        let linear = match target {
            LoraTarget::QProj => &self.q_proj,
            LoraTarget::KProj => &self.k_proj,
            LoraTarget::VProj => &self.v_proj,
            LoraTarget::OutProj => &self.out_proj,
        };
        let y = linear.forward(x.clone());
        match self.lora.as_ref().and_then(|lora| lora.update(target, x)) {
            Some(update) => y + update,
            None => y,
        }
    }

    /// The weights of a projection, to be changed.
    pub(crate) fn projection_mut(&mut self, target: LoraTarget) -> &mut Linear {
        match target {
            LoraTarget::QProj => &mut self.q_proj,
            LoraTarget::KProj => &mut self.k_proj,
            LoraTarget::VProj => &mut self.v_proj,
            LoraTarget::OutProj => &mut self.out_proj,
        }
    }

    /// `WavLM`'s gate of each query and head, `[batch, n_heads, n_queries, 1]` (Chen et al. 2022, eq. 2-4).
    fn gate(&self, queries: &Tensor<3>) -> Option<Tensor<4>> {
        let linear = self.gru_rel_pos_linear.as_ref()?;
        let constant = self.gru_rel_pos_const.as_ref()?.val();
        let [batch, n, d_model] = queries.dims();
        let d_head = d_model / self.n_heads;
        let heads = queries.clone().reshape([batch, n, self.n_heads, d_head]);
        let projected = linear.forward(heads.swap_dims(1, 2));
        let sums: Tensor<4> = projected
            .reshape([batch, self.n_heads, n * 2, 4])
            .sum_dim(3)
            .reshape([batch, self.n_heads, n, 2]);
        let gates = sigmoid(sums);
        let all = [0..batch, 0..self.n_heads, 0..n];
        let part = |column: usize| {
            let [b, h, n] = all.clone();
            gates.clone().slice([b, h, n, column..column + 1])
        };
        Some(part(0) * (part(1) * constant - 1.0) + 2.0)
    }

    /// Gates of the queries `rows` times their biases.
    fn gated(&self, gate: Tensor<4>, rows: Range<usize>, bias: Tensor<4>) -> Tensor<4> {
        let batch = gate.dims()[0];
        gate.slice([0..batch, 0..self.n_heads, rows]) * bias
    }
}

/// Attention a part of the queries at a time, `[batch, n_heads, n, d_head]` each; `bias` as that of
/// [`MultiHeadAttention::attend`].
fn in_parts(
    query: Tensor<4>,
    key: Tensor<4>,
    value: &Tensor<4>,
    mask: Option<&Tensor<4>>,
    bias: impl Fn(Range<usize>) -> Option<Tensor<4>>,
) -> Tensor<4> {
    let [batch, n_heads, n_queries, d_head] = query.dims();
    let query = query * (d_head as f64).powf(-0.5);
    let key = key.swap_dims(2, 3);
    let mut parts = Vec::with_capacity(n_queries.div_ceil(QUERIES_AT_ONCE));
    for start in (0..n_queries).step_by(QUERIES_AT_ONCE) {
        let rows = start..n_queries.min(start + QUERIES_AT_ONCE);
        let some = query.clone().slice([0..batch, 0..n_heads, rows.clone()]);
        let mut scores = some.matmul(key.clone());
        if let Some(bias) = bias(rows) {
            scores = scores + bias;
        }
        if let Some(mask) = mask {
            scores = scores + mask.clone();
        }
        parts.push(softmax(scores).matmul(value.clone()));
    }
    Tensor::cat(parts, 2)
}
