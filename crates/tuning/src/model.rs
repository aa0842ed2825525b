//! What is tuned: a backbone, pooling over time, and linear heads that predict responses.
//!
//! Samples `[batch, n_samples]` → one hidden state `[batch, n_frames, d_model]` → `[batch, n_pooled, d_model]` →
//! `[batch, n_voxels]` of one subject. Held by `step/tests.rs`.

use std::path::Path;
use std::sync::Arc;

use braintune_backbone::{
    BackboneSpec, FrozenCache, Segments, SpeechBackbone, Wav2Vec2Model, save_parameters,
};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::batch::TuningBatch;
use crate::config::{Pooling, TuningConfig};
use crate::error::{Result, TuningError};
use crate::own::OwnHead;

/// A backbone with the heads that it is tuned through.
///
/// The backbone is the caller's own value: after tuning it goes on into extraction, encoding and
/// probing as it is ([`into_backbone`](Self::into_backbone)).
#[derive(Module, Debug)]
pub struct TuningModel<B: Module> {
    pub(crate) backbone: B,
    pub(crate) head: TuningHead,
    /// What keeps the outputs of frozen segments.
    #[module(skip)]
    frozen: Option<Arc<FrozenCache>>,
}

/// Pooling, bottleneck and one linear head for each subject, or one for all; or the head of the model's own
/// objective alone.
#[derive(Module, Debug)]
pub struct TuningHead {
    /// Of attention pooling, `[d_model]`.
    query: Option<Param<Tensor<1>>>,
    bottleneck: Option<Linear>,
    heads: Vec<Linear>,
    own: Option<OwnHead>,
    #[module(skip)]
    settings: HeadSettings,
}

#[derive(Debug, Clone)]
struct HeadSettings {
    pooling: Pooling,
    segments: usize,
    layer: usize,
    gradient_checkpointing: bool,
}

impl HeadSettings {
    /// Of the hidden state that the settings name, the last one unless they do.
    fn new(spec: &BackboneSpec, config: &TuningConfig) -> Result<Self> {
        let layer = config.layer.unwrap_or(spec.n_layers);
        if layer > spec.n_layers {
            return Err(TuningError::Setting {
                name: "layer",
                value: layer.to_string(),
                expected: format!(
                    "0 to {}, the hidden states of {}",
                    spec.n_layers, spec.model_type
                ),
            });
        }
        Ok(Self::of_layer(layer, config))
    }

    fn of_layer(layer: usize, config: &TuningConfig) -> Self {
        Self {
            pooling: config.pooling,
            segments: config.segments,
            layer,
            gradient_checkpointing: config.gradient_checkpointing,
        }
    }
}

impl<B: SpeechBackbone> TuningModel<B> {
    /// The backbone with seeded heads of `n_voxels` outputs each (as `PyTorch` initialises linear
    /// layers), on `device`, which must be the backbone's and, to be tuned, an autodiff one.
    ///
    /// # Errors
    /// A layer that the backbone does not have; gradient checkpointing of a backbone without
    /// [segments](Segments).
    pub fn new(
        backbone: B,
        n_voxels: &[usize],
        config: &TuningConfig,
        device: &Device,
    ) -> Result<Self> {
        let settings = HeadSettings::new(backbone.spec(), config)?;
        if config.gradient_checkpointing && backbone.segments().is_none() {
            return Err(TuningError::Setting {
                name: "gradient_checkpointing",
                value: "true".to_owned(),
                expected: format!(
                    "false, {} does not cut its pass into segments",
                    backbone.spec().model_type
                ),
            });
        }
        let d_model = backbone.spec().d_model;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        let n_pooled = match config.pooling {
            Pooling::Segments => config.segments,
            _ => 1,
        };
        let d_head = n_pooled * config.bottleneck.unwrap_or(d_model);
        let head = TuningHead {
            query: (config.pooling == Pooling::Attention).then(|| {
                let query: Tensor<1> = Tensor::zeros([d_model], device);
                Param::from_tensor(query)
            }),
            bottleneck: config
                .bottleneck
                .map(|width| linear(d_model, width, &mut rng, device)),
            heads: n_voxels
                .iter()
                .map(|&n| linear(d_head, n, &mut rng, device))
                .collect(),
            own: None,
            settings,
        };
        Ok(Self::numbered(backbone, head))
    }

    /// The model, with what its frozen [segments](Segments) give for a clip kept in `folder`: later epochs, evaluations
    /// and runs read it, with the bits that computing it would have. `identity` stands for weights and
    /// settings of the backbone ([`Checkpoint::sha256`](braintune_backbone::Checkpoint::sha256)).
    ///
    /// # Errors
    /// Nothing is frozen that lies before all that is tuned; the folder cannot be made.
    pub fn with_frozen_cache(mut self, folder: &Path, identity: String) -> Result<Self> {
        let segments = self.backbone.segments();
        let n = segments.map_or(0, |segments| self.n_frozen(segments, true));
        if n == 0 {
            return Err(TuningError::Empty {
                what: "frozen part to keep the output of",
                reason: "the first part of the model is tuned (freeze: at least feature-encoder)"
                    .to_owned(),
            });
        }
        self.frozen = Some(Arc::new(FrozenCache::new(folder, identity, n)?));
        Ok(self)
    }

    fn numbered(backbone: B, head: TuningHead) -> Self {
        let model = Self {
            backbone,
            head,
            frozen: None,
        };
        model.map(&mut Numbering { next: 1 })
    }

    /// The backbone.
    #[must_use]
    pub fn backbone(&self) -> &B {
        &self.backbone
    }

    /// The backbone, without its heads; on a plain device it is ready for extraction.
    #[must_use]
    pub fn into_backbone(self) -> B {
        self.backbone
    }

    /// Whether every parameter is a number.
    pub(crate) fn is_finite(&self) -> bool {
        struct Finite(bool);
        impl ModuleVisitor for Finite {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                // The sum of what is not finite is not.
                let sum = param.val().inner().abs().sum().into_scalar::<f32>();
                self.0 &= sum.is_finite();
            }
        }
        let mut finite = Finite(true);
        self.visit(&mut finite);
        finite.0
    }

    /// Outputs of each head.
    #[must_use]
    pub fn n_voxels(&self) -> Vec<usize> {
        let heads = self.head.heads.iter();
        heads.map(|head| head.weight.dims()[1]).collect()
    }

    /// Says so if a batch does not fit: clips that are none or not of a length that the backbone takes; and where the
    /// model predicts responses, a head that there is not, another number of voxels than its outputs, or of responses
    /// than clips. Training and evaluation check every batch.
    ///
    /// # Errors
    /// [`TuningError::BatchShape`] for the first that does not fit.
    pub fn check_batch(&self, batch: &TuningBatch) -> Result<()> {
        let spec = self.backbone.spec();
        let (n_clips, n_samples) = batch.samples.dim();
        let fit = |fits: bool, what: &'static str, got: usize, expected: String| {
            if fits {
                return Ok(());
            }
            Err(TuningError::BatchShape {
                recording: batch.recording.clone(),
                what,
                expected,
                got,
            })
        };
        fit(n_clips > 0, "clips", n_clips, "1 or more".to_owned())?;
        let most = spec.max_samples.unwrap_or(usize::MAX);
        let lengths = match spec.max_samples {
            Some(most) => format!("{} to {most}", spec.min_samples),
            None => format!("{} or more", spec.min_samples),
        };
        let fits = (spec.min_samples..=most).contains(&n_samples);
        fit(fits, "samples of a clip", n_samples, lengths)?;
        if self.head.own.is_some() {
            return Ok(());
        }
        let n_voxels = self.n_voxels();
        let Some(&expected) = n_voxels.get(batch.head) else {
            let below = format!("below {}", n_voxels.len());
            return fit(false, "number of its head", batch.head, below);
        };
        let (n_rows, n_columns) = batch.bold.dim();
        fit(
            n_rows == n_clips,
            "responses, one for each clip",
            n_rows,
            n_clips.to_string(),
        )?;
        fit(
            n_columns == expected,
            "voxels of its responses",
            n_columns,
            expected.to_string(),
        )
    }

    /// Predictions of head `head`, `[batch, n_voxels]`.
    ///
    /// # Panics
    /// As [`SpeechBackbone::hidden_states`], or if there is no such head.
    #[must_use]
    pub fn forward(&self, samples: Tensor<2>, lengths: &[usize], head: usize) -> Tensor<2> {
        self.predict(self.state(samples, lengths), lengths, head)
    }

    /// Predictions from the hidden state that the head reads.
    pub(crate) fn predict(&self, state: Tensor<3>, lengths: &[usize], head: usize) -> Tensor<2> {
        let n_frames = |&n: &usize| self.backbone.n_audio_frames(n);
        let n_frames: Vec<usize> = lengths.iter().map(n_frames).collect();
        self.head.forward(state, &n_frames, head)
    }

    /// The hidden state that the head reads, `[batch, n_frames, d_model]`.
    pub(crate) fn state(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<3> {
        let Some(segments) = self.backbone.segments() else {
            let mut states = self.backbone.hidden_states(samples, lengths).into_layers();
            return states.swap_remove(self.head.settings.layer);
        };
        let n_frozen = self.n_frozen(segments, samples.is_autodiff());
        let (x, first) = if n_frozen > 0 {
            let is_autodiff = samples.is_autodiff();
            let samples = if is_autodiff {
                samples.inner()
            } else {
                samples
            };
            let x = self.frozen_state(samples, lengths, n_frozen);
            let x = if is_autodiff {
                Tensor::from_inner(x)
            } else {
                x
            };
            (x, n_frozen)
        } else {
            (segments.first(samples, lengths), 1)
        };
        let rest = first..self.n_segments(segments);
        rest.fold(x, |x, index| segments.next(index, x, lengths))
    }

    /// Segments until the hidden state that the head reads.
    pub(crate) fn n_segments(&self, segments: &dyn Segments) -> usize {
        segments.n_until(self.head.settings.layer)
    }

    /// Segments before all that is tuned.
    pub(crate) fn n_frozen(&self, segments: &dyn Segments, is_autodiff: bool) -> usize {
        match &self.frozen {
            Some(cache) => cache.n_segments(),
            None if is_autodiff => segments.n_frozen().min(self.n_segments(segments)),
            None => 0,
        }
    }

    /// Output of the first `n` segments, at least one, for clips on a plain device.
    pub(crate) fn frozen_state(
        &self,
        samples: Tensor<2>,
        lengths: &[usize],
        n: usize,
    ) -> Tensor<3> {
        let compute = |samples| {
            let plain = self.backbone.valid();
            let Some(segments) = plain.segments() else {
                unreachable!("it has segments that are frozen")
            };
            let first = segments.first(samples, lengths);
            (1..n).fold(first, |x, index| segments.next(index, x, lengths))
        };
        match &self.frozen {
            Some(cache) => cache.output(samples, lengths, compute),
            None => compute(samples),
        }
    }
}

impl TuningModel<Wav2Vec2Model> {
    /// The backbone with the head of its own objective, for [`OwnObjective`](crate::OwnObjective); a backbone
    /// that has no embedding for masked frames gets a seeded one, with a warning.
    #[must_use]
    pub fn with_own_head(backbone: Wav2Vec2Model, own: OwnHead, config: &TuningConfig) -> Self {
        if !backbone.has_mask_embedding() {
            tracing::warn!("the model has no masked_spec_embed: it begins from the seed");
        }
        let backbone = backbone.with_mask_embedding(config.seed);
        let head = TuningHead {
            query: None,
            bottleneck: None,
            heads: Vec::new(),
            own: Some(own),
            settings: HeadSettings::of_layer(backbone.spec().n_layers, config),
        };
        Self::numbered(backbone, head)
    }
}

impl<B: Module> TuningModel<B> {
    /// As it is, with other parameters.
    pub(crate) fn with_parts(self, step: impl FnOnce(B, TuningHead) -> (B, TuningHead)) -> Self {
        let (backbone, head) = step(self.backbone, self.head);
        Self {
            backbone,
            head,
            frozen: self.frozen,
        }
    }

    /// Whether a step keeps the inputs of segments only and computes the rest again.
    pub(crate) fn has_gradient_checkpointing(&self) -> bool {
        self.head.settings.gradient_checkpointing
    }

    /// Writes pooling, bottleneck and heads (`head.safetensors`, names and layouts as `PyTorch` has
    /// them: `heads.0.weight` `[n_voxels, d_model]`, `heads.0.bias`), or the head of the model's own objective
    /// under the keys of its authors.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save_head(&self, path: &Path) -> Result<()> {
        Ok(match &self.head.own {
            Some(OwnHead::Contrastive(head)) => save_parameters(path, head),
            Some(OwnHead::Units(head)) => save_parameters(path, head),
            None => save_parameters(path, &self.head),
        }?)
    }
}

impl TuningHead {
    /// Sets a head: `weight` `[d_model, n_voxels]`, `bias` `[n_voxels]`.
    #[cfg(test)]
    pub(crate) fn set(&mut self, head: usize, weight: Tensor<2>, bias: Tensor<1>) {
        let head = &mut self.heads[head];
        head.weight = head.weight.clone().map(|_| weight.require_grad());
        head.bias = head.bias.take().map(|old| old.map(|_| bias.require_grad()));
    }

    /// The head of the model's own objective.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn own(&self) -> Result<&OwnHead> {
        self.own.as_ref().ok_or_else(|| TuningError::Empty {
            what: "head of the model's own objective",
            reason: "the model was made to predict responses".to_owned(),
        })
    }

    fn forward(&self, state: Tensor<3>, n_frames: &[usize], head: usize) -> Tensor<2> {
        let pooled = self.pool(state, n_frames);
        let narrow = match &self.bottleneck {
            Some(bottleneck) => bottleneck.forward(pooled),
            None => pooled,
        };
        self.heads[head].forward(narrow.flatten(1, 2))
    }

    /// `[batch, n_frames, d_model]`, the first `n_frames[i]` of clip `i` → `[batch, n_pooled, d_model]`.
    fn pool(&self, state: Tensor<3>, n_frames: &[usize]) -> Tensor<3> {
        let all_alike = n_frames.windows(2).all(|n| n[0] == n[1]);
        let [batch, n, _] = state.dims();
        if all_alike {
            let state = state.slice([0..batch, 0..n_frames.first().copied().unwrap_or(n)]);
            return self.pool_alike(state);
        }
        let one = |(clip, &n): (usize, &usize)| {
            self.pool_alike(state.clone().slice([clip..clip + 1, 0..n]))
        };
        Tensor::cat(n_frames.iter().enumerate().map(one).collect(), 0)
    }

    fn pool_alike(&self, state: Tensor<3>) -> Tensor<3> {
        let [batch, n, d_model] = state.dims();
        match (self.settings.pooling, &self.query) {
            (Pooling::Last, _) => state.slice([0..batch, n - 1..n]),
            (Pooling::Attention, Some(query)) => {
                let scale = (d_model as f64).powf(-0.5);
                let query = query.val().reshape([1, d_model, 1]) * scale;
                let weights = softmax(state.clone().matmul(query), 1);
                (state * weights).sum_dim(1)
            }
            (Pooling::Segments, _) => {
                let segments = self.settings.segments;
                let one = |i: usize| {
                    // A clip of fewer frames than stretches has frames in several of them.
                    let first = (i * n / segments).min(n - 1);
                    let end = ((i + 1) * n / segments).max(first + 1);
                    state.clone().slice([0..batch, first..end]).mean_dim(1)
                };
                Tensor::cat((0..segments).map(one).collect(), 1)
            }
            _ => state.mean_dim(1),
        }
    }
}

/// A linear layer as `PyTorch` initialises it: uniform within `1 / √d_in`.
pub(crate) fn linear(d_in: usize, d_out: usize, rng: &mut ChaCha8Rng, device: &Device) -> Linear {
    let bound = (d_in as f32).powf(-0.5);
    let mut draw =
        |n: usize| -> Vec<f32> { (0..n).map(|_| rng.random_range(-bound..bound)).collect() };
    let weight = TensorData::new(draw(d_in * d_out), [d_in, d_out]);
    let bias = TensorData::new(draw(d_out), [d_out]);
    Linear {
        weight: Param::from_data(weight, device),
        bias: Some(Param::from_data(bias, device)),
    }
}

/// Numbers parameters in the order of the module, so that optimiser state finds them in another process.
struct Numbering {
    next: u64,
}

impl ModuleMapper for Numbering {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (_, tensor, mapper) = param.consume();
        let id = ParamId::from(self.next);
        self.next += 1;
        Param::from_mapped_value(id, tensor, mapper)
    }
}
