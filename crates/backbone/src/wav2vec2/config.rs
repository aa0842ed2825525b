//! `config.json` and `preprocessor_config.json` of the wav2vec 2.0 family, read and checked.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::activations::{Layers, convolution_bytes};
use crate::checkpoint::ConfigFile;
use crate::error::{BackboneError, Result};

/// Members of the family, by their `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Wav2Vec2Family {
    /// wav2vec 2.0 (Baevski et al. 2020), XLS-R, MMS without adapters.
    #[serde(rename = "wav2vec2")]
    Wav2Vec2,
    /// `HuBERT` (Hsu et al. 2021) and `DistilHuBERT` (Chang et al. 2022).
    #[serde(rename = "hubert")]
    Hubert,
    /// `WavLM` (Chen et al. 2022): gated relative position bias.
    #[serde(rename = "wavlm")]
    WavLm,
    /// data2vec for audio (Baevski et al. 2022): stacked positional convolutions.
    #[serde(rename = "data2vec-audio")]
    Data2VecAudio,
}

impl Wav2Vec2Family {
    /// The `model_type` of config.json.
    #[must_use]
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Wav2Vec2 => "wav2vec2",
            Self::Hubert => "hubert",
            Self::WavLm => "wavlm",
            Self::Data2VecAudio => "data2vec-audio",
        }
    }

    /// The class of `transformers` without a head.
    pub(super) fn architecture(self) -> &'static str {
        match self {
            Self::Wav2Vec2 => "Wav2Vec2Model",
            Self::Hubert => "HubertModel",
            Self::WavLm => "WavLMModel",
            Self::Data2VecAudio => "Data2VecAudioModel",
        }
    }
}

/// How the convolutions of the feature encoder are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FeatExtractNorm {
    /// Over time, one group for each channel, after the first convolution only: a frame depends on
    /// the whole clip, padding included.
    Group,
    /// Over channels, after every convolution.
    Layer,
}

/// Architecture of a wav2vec 2.0 style encoder, under the names of `config.json`.
///
/// A key that is not there has the default of `transformers`, the size of wav2vec2-base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "the keys of config.json")]
pub struct Wav2Vec2Config {
    /// Which member of the family.
    pub model_type: Wav2Vec2Family,
    /// Channels of each convolution of the feature encoder.
    pub conv_dim: Vec<usize>,
    /// Their kernels, in samples of their input.
    pub conv_kernel: Vec<usize>,
    /// Their strides.
    pub conv_stride: Vec<usize>,
    /// Whether they have a bias.
    pub conv_bias: bool,
    /// How they are normalised.
    pub feat_extract_norm: FeatExtractNorm,
    /// Whether the projection normalises its input (not in `DistilHuBERT`).
    pub feat_proj_layer_norm: bool,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Transformer layers.
    pub num_hidden_layers: usize,
    /// Attention heads; divides `hidden_size`.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// Whether layers normalise their input ("stable", pre-norm) and not their output.
    pub do_stable_layer_norm: bool,
    /// Kernel of the positional convolution; for data2vec the number of such convolutions.
    pub num_conv_pos_embeddings: usize,
    /// Its groups.
    pub num_conv_pos_embedding_groups: usize,
    /// Kernel of each positional convolution (data2vec).
    pub conv_pos_kernel_size: usize,
    /// Whether the positional convolution has a batch norm in place of weight norm (`HuBERT`).
    pub conv_pos_batch_norm: bool,
    /// Buckets of relative positions (`WavLM`).
    pub num_buckets: usize,
    /// Distance from which all positions share a bucket, frames (`WavLM`).
    pub max_bucket_distance: usize,
    /// Part of all frames that masks would cover if none met another: for
    /// [`masked_states`](crate::Wav2Vec2Model::masked_states) alone.
    pub mask_time_prob: f64,
    /// Frames of a mask.
    pub mask_time_length: usize,
    /// Fewest masks of a clip.
    pub mask_time_min_masks: usize,
    /// The same as `mask_time_prob` for channels; never applied here.
    pub mask_feature_prob: f64,
}

impl Default for Wav2Vec2Config {
    fn default() -> Self {
        Self {
            model_type: Wav2Vec2Family::Wav2Vec2,
            conv_dim: vec![512; 7],
            conv_kernel: vec![10, 3, 3, 3, 3, 2, 2],
            conv_stride: vec![5, 2, 2, 2, 2, 2, 2],
            conv_bias: false,
            feat_extract_norm: FeatExtractNorm::Group,
            feat_proj_layer_norm: true,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            layer_norm_eps: 1e-5,
            do_stable_layer_norm: false,
            num_conv_pos_embeddings: 128,
            num_conv_pos_embedding_groups: 16,
            conv_pos_kernel_size: 19,
            conv_pos_batch_norm: false,
            num_buckets: 320,
            max_bucket_distance: 800,
            mask_time_prob: 0.05,
            mask_time_length: 10,
            mask_time_min_masks: 2,
            mask_feature_prob: 0.0,
        }
    }
}

impl Wav2Vec2Config {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// A key that has a value which the encoder does not implement, by name.
    pub fn from_file(config: &ConfigFile) -> Result<Self> {
        let mut this: Self = config.parse()?;
        if this.model_type == Wav2Vec2Family::Data2VecAudio {
            if config.get("num_conv_pos_embeddings").is_none() {
                this.num_conv_pos_embeddings = 5;
            }
            if config.get("feat_extract_norm").is_none() {
                this.feat_extract_norm = FeatExtractNorm::Layer;
            }
        }
        for option in ["hidden_act", "feat_extract_activation"] {
            config.require_if_present(option, "gelu")?;
        }
        // What follows the encoder or sits inside its layers and is not implemented.
        config.require_if_present("add_adapter", false)?;
        if let Some(found) = config
            .get("adapter_attn_dim")
            .filter(|value| !value.is_null())
        {
            return Err(unsupported(
                config.path(),
                "adapter_attn_dim",
                found.to_string(),
                "null",
            ));
        }
        config.require_if_present("num_feat_extract_layers", this.conv_dim.len())?;
        this.check(config.path())?;
        Ok(this)
    }

    /// Samples from one frame to the next.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.conv_stride.iter().product()
    }

    /// Samples that one frame sees.
    #[must_use]
    pub fn receptive_field(&self) -> usize {
        let (mut field, mut step) = (1, 1);
        for (kernel, stride) in self.conv_kernel.iter().zip(&self.conv_stride) {
            field += (kernel - 1) * step;
            step *= stride;
        }
        field
    }

    /// Frames that `n_samples` samples give; 0 below [`receptive_field`](Self::receptive_field).
    #[must_use]
    pub fn n_frames(&self, n_samples: usize) -> usize {
        let layers = self.conv_kernel.iter().zip(&self.conv_stride);
        layers.fold(n_samples, |n, (&kernel, &stride)| {
            match n.checked_sub(kernel) {
                Some(rest) => rest / stride + 1,
                None => 0,
            }
        })
    }

    /// See [`crate::SpeechBackbone::activation_bytes`].
    pub(crate) fn activation_bytes(&self, n_samples: usize) -> usize {
        let layers = Layers {
            n_frames: self.n_frames(n_samples),
            d_model: self.hidden_size,
            d_ffn: self.intermediate_size,
            n_heads: self.num_attention_heads,
            has_pairs: self.model_type == Wav2Vec2Family::WavLm,
        };
        let sizes = self.conv_dim.iter().zip(&self.conv_kernel);
        let sizes = sizes.zip(&self.conv_stride);
        let sizes = sizes.map(|((&dim, &kernel), &stride)| (dim, kernel, stride));
        // The norm over channels makes a copy, the one over time works in place.
        let n_copies = match self.feat_extract_norm {
            FeatExtractNorm::Group => 1,
            FeatExtractNorm::Layer => 2,
        };
        layers
            .bytes()
            .max(convolution_bytes(n_samples, sizes, n_copies))
    }

    /// Whether the model has the embedding that replaces masked frames in pretraining.
    pub(super) fn has_mask_embedding(&self) -> bool {
        self.mask_time_prob > 0.0 || self.mask_feature_prob > 0.0
    }

    /// # Errors
    /// Sizes that do not fit together or options that are not implemented; `path` is blamed.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        self.check_convolutions(path)?;
        // Bounds far above any published model: a corrupt file must not ask for terabytes.
        for (option, found, most) in [
            ("hidden_size", self.hidden_size, 16_384),
            ("num_hidden_layers", self.num_hidden_layers, 1_024),
            ("intermediate_size", self.intermediate_size, 65_536),
            (
                "num_conv_pos_embeddings",
                self.num_conv_pos_embeddings,
                4_096,
            ),
            ("conv_pos_kernel_size", self.conv_pos_kernel_size, 4_096),
            ("max_bucket_distance", self.max_bucket_distance, 1 << 24),
        ] {
            in_bounds(path, option, found, 1..=most)?;
        }
        in_bounds(path, "num_buckets", self.num_buckets, 4..=65_536)?;
        let exact = self.num_buckets / 4;
        if self.model_type == Wav2Vec2Family::WavLm && self.max_bucket_distance <= exact {
            let found = self.max_bucket_distance.to_string();
            let supported = format!("above a quarter of num_buckets = {}", self.num_buckets);
            return Err(unsupported(path, "max_bucket_distance", found, &supported));
        }
        for (option, found) in [
            ("num_attention_heads", self.num_attention_heads),
            (
                "num_conv_pos_embedding_groups",
                self.num_conv_pos_embedding_groups,
            ),
        ] {
            if found == 0 || !self.hidden_size.is_multiple_of(found) {
                let supported = format!("a divisor of hidden_size = {}", self.hidden_size);
                return Err(unsupported(path, option, found.to_string(), &supported));
            }
        }
        if !(self.layer_norm_eps.is_finite() && self.layer_norm_eps > 0.0) {
            let found = self.layer_norm_eps.to_string();
            return Err(unsupported(
                path,
                "layer_norm_eps",
                found,
                "a positive number",
            ));
        }
        self.check_family(path)
    }

    fn check_convolutions(&self, path: &Path) -> Result<()> {
        let n = self.conv_dim.len();
        in_bounds(path, "conv_dim (its length)", n, 1..=32)?;
        for (option, sizes, most) in [
            ("conv_dim", &self.conv_dim, 8_192),
            ("conv_kernel", &self.conv_kernel, 1_024),
            ("conv_stride", &self.conv_stride, 1_024),
        ] {
            if sizes.len() != n {
                let found = format!("{sizes:?}");
                let supported = format!("{n} numbers, as many as conv_dim has");
                return Err(unsupported(path, option, found, &supported));
            }
            for &size in sizes {
                in_bounds(path, option, size, 1..=most)?;
            }
        }
        // As a float, so that absurd strides do not overflow.
        let stride: f64 = self
            .conv_stride
            .iter()
            .map(|&stride| stride as f64)
            .product();
        if stride > 1e6 {
            let found = format!("{:?}", self.conv_stride);
            return Err(unsupported(
                path,
                "conv_stride",
                found,
                "at most 10^6 samples per frame",
            ));
        }
        Ok(())
    }

    /// Options that only some members of the family have.
    fn check_family(&self, path: &Path) -> Result<()> {
        use Wav2Vec2Family::{Data2VecAudio, Hubert};
        let refuse = |option, found: &str, supported: &str| {
            Err(unsupported(path, option, found.to_owned(), supported))
        };
        if self.model_type != Hubert {
            if self.conv_pos_batch_norm {
                return refuse("conv_pos_batch_norm", "true", "false outside HuBERT");
            }
            if !self.feat_proj_layer_norm {
                return refuse("feat_proj_layer_norm", "false", "true outside HuBERT");
            }
        }
        if self.model_type == Data2VecAudio {
            if self.do_stable_layer_norm {
                return refuse("do_stable_layer_norm", "true", "false for data2vec-audio");
            }
            if self.feat_extract_norm == FeatExtractNorm::Group {
                return refuse(
                    "feat_extract_norm",
                    "\"group\"",
                    "\"layer\" for data2vec-audio",
                );
            }
        }
        Ok(())
    }
}

/// What of `preprocessor_config.json` matters: whether each clip is brought to mean 0 and variance 1.
///
/// # Errors
/// A value that is not implemented, by name.
pub(super) fn normalizes(preprocessor: &ConfigFile) -> Result<bool> {
    preprocessor.require_if_present("sampling_rate", 16_000)?;
    preprocessor.require_if_present("feature_size", 1)?;
    preprocessor.require_if_present("padding_value", 0.0)?;
    preprocessor.require_if_present("padding_side", "right")?;
    match preprocessor.get("do_normalize") {
        None => Ok(true), // the default of Wav2Vec2FeatureExtractor
        Some(serde_json::Value::Bool(normalizes)) => Ok(*normalizes),
        Some(found) => Err(unsupported(
            preprocessor.path(),
            "do_normalize",
            found.to_string(),
            "true or false",
        )),
    }
}

fn in_bounds(
    path: &Path,
    option: &'static str,
    found: usize,
    bounds: std::ops::RangeInclusive<usize>,
) -> Result<()> {
    if bounds.contains(&found) {
        return Ok(());
    }
    let supported = format!("{} to {}", bounds.start(), bounds.end());
    Err(unsupported(path, option, found.to_string(), &supported))
}

fn unsupported(path: &Path, option: &'static str, found: String, supported: &str) -> BackboneError {
    BackboneError::UnsupportedOption {
        path: path.to_path_buf(),
        option,
        found,
        supported: supported.to_owned(),
    }
}
