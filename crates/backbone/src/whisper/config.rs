//! Whisper's `config.json` and `preprocessor_config.json`: what of them the encoder needs, checked.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::activations::Layers;
use crate::checkpoint::ConfigFile;
use crate::error::{BackboneError, Result};

/// Positions of the published models, 20 ms each.
const N_CTX: usize = 1500;
/// Positions of a second.
const POSITIONS_PER_S: usize = 50;

/// Size of a Whisper encoder, under the names of `config.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhisperConfig {
    /// Width of the hidden states.
    pub d_model: usize,
    /// Transformer layers.
    pub encoder_layers: usize,
    /// Attention heads; divides `d_model`.
    pub encoder_attention_heads: usize,
    /// Width of the feed-forward layers.
    pub encoder_ffn_dim: usize,
    /// Mel bins, 80 or 128 in the published models.
    pub num_mel_bins: usize,
    /// Encoder positions, 20 ms each: the clip that the model sees, whole seconds. 1500 in all published
    /// models; see [`WhisperEncoder::shortened`](crate::WhisperEncoder::shortened).
    pub max_source_positions: usize,
    /// Activation; only `gelu` (the exact one) is supported.
    pub activation_function: String,
}

impl WhisperConfig {
    /// A config of the given size with 1500 positions and exact GELU.
    #[must_use]
    pub fn new(n_layers: usize, d_model: usize, n_heads: usize, n_mels: usize) -> Self {
        Self {
            d_model,
            encoder_layers: n_layers,
            encoder_attention_heads: n_heads,
            encoder_ffn_dim: 4 * d_model,
            num_mel_bins: n_mels,
            max_source_positions: N_CTX,
            activation_function: "gelu".to_owned(),
        }
    }

    /// Reads and checks `config.json` and `preprocessor_config.json` of a checkpoint folder.
    ///
    /// # Errors
    /// A key that is missing or has a value that the encoder does not implement, by name.
    pub fn from_files(config: &ConfigFile, preprocessor: &ConfigFile) -> Result<Self> {
        let this: Self = config.parse()?;
        this.check(config.path())?;
        for (option, expected) in [
            ("feature_size", this.num_mel_bins),
            ("hop_length", 160),
            ("n_fft", 400),
            ("chunk_length", this.chunk_length()),
            ("sampling_rate", 16_000),
        ] {
            preprocessor.require(option, expected)?;
        }
        // Noise added to the audio would make features differ from run to run.
        preprocessor.require_if_present("dither", 0.0)?;
        preprocessor.require_if_present("padding_value", 0.0)?;
        preprocessor.require_if_present("do_normalize", false)?;
        Ok(this)
    }

    /// # Errors
    /// Sizes that do not fit together or options that are not implemented; `path` is blamed.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        let unsupported =
            |option, found: String, supported: &str| BackboneError::UnsupportedOption {
                path: path.to_path_buf(),
                option,
                found,
                supported: supported.to_owned(),
            };
        if self.activation_function != "gelu" {
            let found = format!("\"{}\"", self.activation_function);
            return Err(unsupported("activation_function", found, "\"gelu\""));
        }
        let positions = self.max_source_positions;
        if positions == 0 || positions > N_CTX || !positions.is_multiple_of(POSITIONS_PER_S) {
            let supported = format!("a multiple of {POSITIONS_PER_S} up to {N_CTX}");
            return Err(unsupported(
                "max_source_positions",
                positions.to_string(),
                &supported,
            ));
        }
        // Bounds far above any published model: a corrupt file must not ask for terabytes.
        for (option, found, most) in [
            ("d_model", self.d_model, 16_384),
            ("encoder_layers", self.encoder_layers, 1_024),
            ("encoder_ffn_dim", self.encoder_ffn_dim, 65_536),
            ("num_mel_bins", self.num_mel_bins, 512),
        ] {
            if found == 0 || found > most {
                return Err(unsupported(
                    option,
                    found.to_string(),
                    &format!("1 to {most}"),
                ));
            }
        }
        let heads = self.encoder_attention_heads;
        if heads == 0 || !self.d_model.is_multiple_of(heads) {
            let supported = format!("a divisor of d_model = {}", self.d_model);
            return Err(unsupported(
                "encoder_attention_heads",
                heads.to_string(),
                &supported,
            ));
        }
        Ok(())
    }

    /// Mel frames of the clip that the model sees.
    pub(super) fn n_mel_frames(&self) -> usize {
        2 * self.max_source_positions
    }

    /// Its seconds.
    fn chunk_length(&self) -> usize {
        self.max_source_positions / POSITIONS_PER_S
    }

    /// See [`crate::SpeechBackbone::activation_bytes`]; all clips are padded to the longest.
    pub(crate) fn activation_bytes(&self) -> usize {
        let layers = Layers {
            n_frames: self.max_source_positions,
            d_model: self.d_model,
            d_ffn: self.encoder_ffn_dim,
            n_heads: self.encoder_attention_heads,
            has_pairs: false,
        };
        // The spectrogram and its transpose, both convolutions padded.
        let convolutions = self.n_mel_frames() * (3 * self.num_mel_bins + 4 * self.d_model);
        layers.bytes().max(convolutions * size_of::<f32>())
    }

    /// `config.json` as `transformers` writes it, for the encoder part.
    pub(super) fn to_config_json(&self) -> serde_json::Value {
        let mut value = serde_json::json!({
            "model_type": "whisper",
            "architectures": ["WhisperModel"],
            "is_encoder_decoder": true,
            "scale_embedding": false,
            "encoder_layerdrop": 0.0,
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "activation_dropout": 0.0,
        });
        let sizes = serde_json::to_value(self).unwrap_or_default();
        if let (Some(all), serde_json::Value::Object(sizes)) = (value.as_object_mut(), sizes) {
            all.extend(sizes);
        }
        value
    }

    /// `preprocessor_config.json` as `transformers` writes it.
    pub(super) fn to_preprocessor_json(&self) -> serde_json::Value {
        serde_json::json!({
            "feature_extractor_type": "WhisperFeatureExtractor",
            "feature_size": self.num_mel_bins,
            "hop_length": 160,
            "n_fft": 400,
            "chunk_length": self.chunk_length(),
            "n_samples": 160 * self.n_mel_frames(),
            "nb_max_frames": self.n_mel_frames(),
            "sampling_rate": 16_000,
            "padding_side": "right",
            "padding_value": 0.0,
            "dither": 0.0,
            "return_attention_mask": false,
        })
    }
}
