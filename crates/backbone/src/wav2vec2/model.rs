//! The whole encoder: samples → feature encoder → projection → positions → layers.
//!
//! Samples `[batch, n_samples]` → `num_hidden_layers + 1` states `[batch, n_frames, hidden_size]`,
//! as `transformers` 5 returns them: state 0 is the first layer's input, state `k` the output of layer
//! `k`. The final norm of pre-norm models is in none of them (before version 5 it was in the last).
//! Held by `tests/it/families.rs`.

use std::path::Path;

use braintune_audio::SampleRate;
use burn::module::{Module, Param};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::{Value, json};

use super::config::{FeatExtractNorm, Wav2Vec2Config, Wav2Vec2Family, normalizes};
use super::convolutions::FeatureEncoder;
use super::layer::EncoderLayer;
use super::positions::PositionalConv;
use super::relative::position_bias;
use crate::attention::AttentionContext;
use crate::backbone::{BackboneSpec, HiddenStates, SpeechBackbone};
use crate::checkpoint::{Checkpoint, KeyLayout, random_weights, save_checkpoint};
use crate::error::Result;
use crate::kernels::layer_norm;
use crate::lora::Attentions;
use crate::parts::{BackbonePart, Family, layer_in};
use crate::segments::Segments;
use crate::transformer::{all_states, states_at};

pub(super) const KEYS: KeyLayout = KeyLayout {
    prefixes: &["", "wav2vec2.", "hubert.", "wavlm.", "data2vec_audio."],
    probe: "feature_projection.projection.weight",
    parts: &["feature_extractor.", "feature_projection.", "encoder."],
};

/// Added to the scores of frames behind the end of a clip: their attention weight is below 1e-30.
const MASKED: f32 = -1e30;

/// wav2vec 2.0, `HuBERT`, `DistilHuBERT`, `WavLM` or data2vec-audio.
///
/// Clips of unequal length give the same states as one by one: frames behind the end of a clip
/// take no part, and a feature encoder that is normalised over time sees each clip alone.
#[derive(Module, Debug)]
pub struct Wav2Vec2Model {
    pub(super) feature_extractor: FeatureEncoder,
    pub(super) feature_projection: FeatureProjection,
    pub(super) encoder: Encoder,
    /// What masked frames are in pretraining; kept so that a written checkpoint has it.
    pub(super) masked_spec_embed: Option<Param<Tensor<1>>>,
    #[module(skip)]
    config: Wav2Vec2Config,
    #[module(skip)]
    spec: BackboneSpec,
    #[module(skip)]
    files: Files,
}

/// The two JSON files that the model was made from, to be written again with it.
#[derive(Debug, Clone)]
struct Files {
    config: Value,
    preprocessor: Value,
    normalizes: bool,
}

#[derive(Module, Debug)]
pub(super) struct FeatureProjection {
    layer_norm: Option<LayerNorm>,
    pub(super) projection: Linear,
}

#[derive(Module, Debug)]
pub(super) struct Encoder {
    pub(super) pos_conv_embed: PositionalConv,
    /// Before the layers of post-norm models; kept, but part of no hidden state, in pre-norm ones.
    pub(super) layer_norm: LayerNorm,
    pub(super) layers: Vec<EncoderLayer>,
}

impl Wav2Vec2Model {
    /// The encoder of a HuggingFace checkpoint folder, on `device`, in f32.
    ///
    /// Keys may start with the name of the family or not; heads are ignored.
    ///
    /// # Errors
    /// An option that is not implemented, a tensor that is missing or has another shape than
    /// `config.json` calls for, weights that it does not call for.
    pub fn from_checkpoint(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let config = Wav2Vec2Config::from_file(checkpoint.config())?;
        let preprocessor = checkpoint.preprocessor()?;
        checkpoint.check_shapes(&KEYS, &sizes(&config))?;
        let files = Files {
            normalizes: normalizes(&preprocessor)?,
            config: checkpoint.config().to_json(),
            preprocessor: preprocessor.to_json(),
        };
        let mut model = Self::init(&config, files, device);
        if !checkpoint.has(&KEYS, "masked_spec_embed") {
            model.masked_spec_embed = None;
        }
        checkpoint.load_into(&mut model, &KEYS)?;
        Ok(model)
    }

    /// An encoder with seeded random weights (normal, sd 0.02 as `transformers` initialises most of
    /// them): a control, and what tests run on. Clips are normalised where the convolutions are
    /// normalised over channels or time, that is always.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn random(config: &Wav2Vec2Config, seed: u64, device: &Device) -> Result<Self> {
        config.check(Path::new("config.json"))?;
        let files = Files {
            config: serde_json::to_value(config).unwrap_or_default(),
            preprocessor: json!({
                "feature_extractor_type": "Wav2Vec2FeatureExtractor",
                "feature_size": 1,
                "sampling_rate": 16_000,
                "padding_side": "right",
                "padding_value": 0.0,
                "do_normalize": true,
                "return_attention_mask": config.feat_extract_norm == FeatExtractNorm::Layer,
            }),
            normalizes: true,
        };
        Ok(random_weights(
            Self::init(config, files, device),
            0.02,
            seed,
        ))
    }

    fn init(config: &Wav2Vec2Config, files: Files, device: &Device) -> Self {
        let (d, d_conv) = (
            config.hidden_size,
            config.conv_dim.last().copied().unwrap_or(1),
        );
        let norm = |d| {
            LayerNormConfig::new(d)
                .with_epsilon(config.layer_norm_eps)
                .init(device)
        };
        Self {
            feature_extractor: FeatureEncoder::new(config, device),
            feature_projection: FeatureProjection {
                layer_norm: config.feat_proj_layer_norm.then(|| norm(d_conv)),
                projection: LinearConfig::new(d_conv, d).init(device),
            },
            encoder: Encoder {
                pos_conv_embed: PositionalConv::new(config, device),
                layer_norm: norm(d),
                layers: (0..config.num_hidden_layers)
                    .map(|layer| EncoderLayer::new(config, layer, device))
                    .collect(),
            },
            masked_spec_embed: config
                .has_mask_embedding()
                .then(|| Param::from_tensor(Tensor::zeros([d], device))),
            spec: spec(config),
            config: config.clone(),
            files,
        }
    }

    /// Architecture of this encoder.
    #[must_use]
    pub fn config(&self) -> &Wav2Vec2Config {
        &self.config
    }

    /// The input of the first layer, and what all layers share.
    fn embed(&self, samples: Tensor<2>, lengths: &[usize]) -> (Tensor<3>, AttentionContext) {
        let frames = self.frames_of(samples, lengths);
        let valid = self.valid_frames(&frames, lengths);
        self.embed_frames(frames, valid.as_ref())
    }

    /// The output of the feature encoder over clips, `[batch, n_frames, conv_dim]`; what it is behind the
    /// end of a clip does not matter.
    pub(super) fn frames_of(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<3> {
        let [batch, n_samples] = samples.dims();
        assert_eq!(batch, lengths.len(), "one length for each clip");
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let shortest = lengths.iter().copied().min().unwrap_or_default();
        assert!(longest <= n_samples, "lengths exceed the batch");
        assert!(shortest >= self.spec.min_samples, "a clip is too short");
        let samples = samples.slice([0..batch, 0..longest]);
        let samples = self.normalize(samples, lengths);
        let equal = shortest == longest;
        let alone = !equal && self.config.feat_extract_norm == FeatExtractNorm::Group;
        if alone {
            self.one_by_one(&samples, lengths)
        } else {
            self.feature_extractor.forward(samples)
        }
    }

    /// As [`embed`](Self::embed), from the output of the feature encoder; `valid` is 1 for frames of
    /// a clip and 0 behind its end, `[batch, n_frames, 1]`.
    pub(super) fn embed_frames(
        &self,
        frames: Tensor<3>,
        valid: Option<&Tensor<3>>,
    ) -> (Tensor<3>, AttentionContext) {
        self.embed_projected(self.project(frames).0, valid)
    }

    /// The feature projection, and what its norm made of the frames, `[batch, n_frames, conv_dim]`.
    pub(super) fn project(&self, frames: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let part = &self.feature_projection;
        let normed = match &part.layer_norm {
            Some(norm) => layer_norm(norm, self.config.layer_norm_eps, frames),
            None => frames,
        };
        (part.projection.forward(normed.clone()), normed)
    }

    /// As [`embed_frames`](Self::embed_frames), from projected frames.
    pub(super) fn embed_projected(
        &self,
        mut x: Tensor<3>,
        valid: Option<&Tensor<3>>,
    ) -> (Tensor<3>, AttentionContext) {
        let context = self.context(&x, valid);
        if let Some(valid) = valid {
            x = x * valid.clone();
        }
        let x = x.clone() + self.encoder.pos_conv_embed.forward(x, valid);
        let x = if self.config.do_stable_layer_norm {
            x
        } else {
            layer_norm(&self.encoder.layer_norm, self.config.layer_norm_eps, x)
        };
        (x, context)
    }

    /// What all layers share, for frames `x` `[batch, n_frames, _]`.
    pub(super) fn context(&self, x: &Tensor<3>, valid: Option<&Tensor<3>>) -> AttentionContext {
        let [batch, n_frames, _] = x.dims();
        let mask = |valid: &Tensor<3>| {
            let mask = (valid.clone() * -1.0 + 1.0) * MASKED;
            mask.reshape([batch, 1, 1, n_frames])
        };
        let bias = |table| position_bias(table, n_frames, self.config.max_bucket_distance);
        AttentionContext {
            mask: valid.map(mask),
            position_bias: self.bucket_biases().map(bias),
        }
    }

    /// The output of the feature encoder over one clip `[1, n_samples]`: `[1, n_frames, conv_dim]`.
    pub(super) fn frames(&self, clip: Tensor<2>) -> Tensor<3> {
        let n = clip.dims()[1];
        self.feature_extractor.forward(self.normalize(clip, &[n]))
    }

    /// Hidden states at one frame of one clip, from the output of the feature encoder `[1, n_frames,
    /// conv_dim]`: `n_layers + 1` tensors `[1, d_model]`.
    pub(super) fn states_from_frames_at(&self, frames: Tensor<3>, frame: usize) -> Vec<Tensor<2>> {
        let (x, context) = self.embed_frames(frames, None);
        states_at(&self.encoder.layers, x, &context, &[frame])
    }

    fn bucket_biases(&self) -> Option<Tensor<2>> {
        self.encoder.layers.first()?.attention.bucket_biases()
    }

    /// Each clip to mean 0 and variance 1 over its length, where the preprocessor says so.
    pub(super) fn normalize(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<2> {
        if !self.files.normalizes {
            return samples;
        }
        let [_, n_samples] = samples.dims();
        let one = |(clip, &n): (usize, &usize)| {
            let clip = samples.clone().slice([clip..clip + 1, 0..n]);
            let centred = clip.clone() - clip.mean_dim(1);
            let variance = (centred.clone() * centred.clone()).mean_dim(1);
            let clip = centred / (variance + 1e-7).sqrt(); // as Wav2Vec2FeatureExtractor
            zeros_behind(clip, n_samples)
        };
        Tensor::cat(lengths.iter().enumerate().map(one).collect(), 0)
    }

    /// The feature encoder over each clip alone, zeros behind the shorter ones.
    fn one_by_one(&self, samples: &Tensor<2>, lengths: &[usize]) -> Tensor<3> {
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let n_frames = self.config.n_frames(longest);
        let one = |(clip, &n): (usize, &usize)| {
            let clip = samples.clone().slice([clip..clip + 1, 0..n]);
            zeros_behind(self.feature_extractor.forward(clip), n_frames)
        };
        Tensor::cat(lengths.iter().enumerate().map(one).collect(), 0)
    }

    /// 1 for frames of a clip and 0 behind its end, `[batch, n_frames, 1]`; none if all are of one length.
    pub(super) fn valid_frames(&self, x: &Tensor<3>, lengths: &[usize]) -> Option<Tensor<3>> {
        if lengths.windows(2).all(|n| n[0] == n[1]) {
            return None;
        }
        let [batch, n_frames, _] = x.dims();
        let row = |&n: &usize| {
            let n_valid = self.config.n_frames(n);
            (0..n_frames).map(move |frame| if frame < n_valid { 1.0_f32 } else { 0.0 })
        };
        let values: Vec<f32> = lengths.iter().flat_map(row).collect();
        let valid = TensorData::new(values, [batch, n_frames, 1]);
        Some(Tensor::from_data(valid, &x.device()))
    }
}

impl SpeechBackbone for Wav2Vec2Model {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn hidden_states(&self, samples: Tensor<2>, lengths: &[usize]) -> HiddenStates {
        let (x, context) = self.embed(samples, lengths);
        HiddenStates::new(all_states(&self.encoder.layers, x, &context))
    }

    fn hidden_states_at(
        &self,
        samples: Tensor<2>,
        lengths: &[usize],
        frames: &[usize],
    ) -> Vec<Tensor<2>> {
        let (x, context) = self.embed(samples, lengths);
        states_at(&self.encoder.layers, x, &context, frames)
    }

    fn n_audio_frames(&self, n_samples: usize) -> usize {
        self.config.n_frames(n_samples)
    }

    fn segments(&self) -> Option<&dyn Segments> {
        Some(self)
    }

    fn activation_bytes(&self, n_samples: usize) -> usize {
        self.config.activation_bytes(n_samples)
    }
}

impl Family for Wav2Vec2Model {
    /// Keys without a prefix, as a model without a head has them.
    fn write(&self, dir: &Path) -> Result<()> {
        let config = (&self.files.config, self.config.model_type.architecture());
        save_checkpoint(dir, config, &self.files.preprocessor, self, "")
    }

    fn part_of(&self, parameter: &str) -> Option<BackbonePart> {
        match layer_in(parameter, "encoder.layers.") {
            Some(layer) => Some(BackbonePart::Layer(layer)),
            None if parameter.starts_with("feature_extractor.") => {
                Some(BackbonePart::FeatureEncoder)
            }
            None if parameter.starts_with("feature_projection.") => {
                Some(BackbonePart::FeatureProjection)
            }
            None => None,
        }
    }

    fn attentions(&mut self) -> Attentions<'_> {
        let layers = self.encoder.layers.iter_mut().enumerate();
        layers
            .map(|(i, layer)| {
                (
                    format!("encoder.layers.{i}.attention"),
                    &mut layer.attention,
                )
            })
            .collect()
    }
}

/// `x` with zeros behind it along the second dimension, which becomes `n` long.
fn zeros_behind<const D: usize>(x: Tensor<D>, n: usize) -> Tensor<D> {
    let mut rest = x.dims();
    rest[1] = n - rest[1];
    if rest[1] == 0 {
        return x;
    }
    let zeros = Tensor::zeros(rest, &x.device());
    Tensor::cat(vec![x, zeros], 1)
}

/// Tensors whose shapes, together, fix how much memory the model takes.
fn sizes(config: &Wav2Vec2Config) -> Vec<(String, Vec<usize>)> {
    let (d, last) = (config.hidden_size, config.num_hidden_layers - 1);
    let mut sizes = Vec::new();
    let mut c_in = 1;
    for (i, (&c_out, &width)) in config.conv_dim.iter().zip(&config.conv_kernel).enumerate() {
        let key = format!("feature_extractor.conv_layers.{i}.conv.weight");
        sizes.push((key, vec![c_out, c_in, width]));
        c_in = c_out;
    }
    sizes.push((
        "feature_projection.projection.weight".to_owned(),
        vec![d, c_in],
    ));
    let per_group = d / config.num_conv_pos_embedding_groups;
    let (name, width) = match (config.model_type, config.conv_pos_batch_norm) {
        (Wav2Vec2Family::Data2VecAudio, _) => {
            let last = config.num_conv_pos_embeddings - 1;
            (
                format!("layers.{last}.conv.weight"),
                config.conv_pos_kernel_size,
            )
        }
        (_, true) => ("conv.weight".to_owned(), config.num_conv_pos_embeddings),
        (_, false) => ("conv.weight_v".to_owned(), config.num_conv_pos_embeddings),
    };
    sizes.push((
        format!("encoder.pos_conv_embed.{name}"),
        vec![d, per_group, width],
    ));
    let dense = format!("encoder.layers.{last}.feed_forward.intermediate_dense.weight");
    sizes.push((dense, vec![config.intermediate_size, d]));
    if config.model_type == Wav2Vec2Family::WavLm {
        let table = "encoder.layers.0.attention.rel_attn_embed.weight".to_owned();
        sizes.push((table, vec![config.num_buckets, config.num_attention_heads]));
    }
    sizes
}

fn spec(config: &Wav2Vec2Config) -> BackboneSpec {
    let (model_type, layers) = (config.model_type.model_type(), config.num_hidden_layers);
    let widths = [layers, config.hidden_size];
    BackboneSpec::new(model_type, SampleRate::SPEECH, config.stride(), widths)
        .with_first_centre(config.receptive_field() / 2)
        .with_min_samples(config.receptive_field())
}
