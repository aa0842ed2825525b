//! The whole encoder: log-mel, convolutions, positions, layers, final norm.
//!
//! Samples `[batch, n_samples]` → `n_layers + 1` states `[batch, n_positions, d_model]`, as
//! `WhisperEncoder` of `transformers` returns them: state 0 is the first layer's input, the last
//! one comes after the final layer norm. Held by `tests/it/whisper.rs`.

use std::ops::Range;
use std::path::Path;

use braintune_audio::{SampleRate, WhisperLogMel};
use burn::module::{Initializer, Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, PaddingConfig1d};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use super::config::WhisperConfig;
use super::layer::{EPSILON, WhisperLayer};
use crate::attention::AttentionContext;
use crate::backbone::{BackboneSpec, HiddenStates, SpeechBackbone, WindowPasses};
use crate::checkpoint::{Checkpoint, KeyLayout, random_weights, save_checkpoint};
use crate::conv::conv1d;
use crate::error::{BackboneError, Result};
use crate::kernels::{gelu, layer_norm, to_values};
use crate::lora::Attentions;
use crate::parts::{BackbonePart, Family, is_frozen, layer_in};
use crate::segments::Segments;
use crate::transformer::{all_states, one_layer, states_at};

const HOP: usize = 160;
const KEYS: KeyLayout = KeyLayout {
    prefixes: &["model.encoder.", "encoder.", ""],
    probe: "conv1.weight",
    parts: &[
        "conv1.",
        "conv2.",
        "embed_positions.",
        "layers.",
        "layer_norm.",
    ],
};

/// Whisper's encoder with its log-mel front end.
#[derive(Module, Debug)]
pub struct WhisperEncoder {
    conv1: Conv1d,
    conv2: Conv1d,
    embed_positions: Embedding,
    layers: Vec<WhisperLayer>,
    layer_norm: LayerNorm,
    #[module(skip)]
    config: WhisperConfig,
    #[module(skip)]
    spec: BackboneSpec,
    #[module(skip)]
    log_mel: WhisperLogMel,
    /// `config.json` and `preprocessor_config.json`, to be written again with the weights.
    #[module(skip)]
    files: (Value, Value),
}

impl WhisperEncoder {
    /// The encoder of a HuggingFace checkpoint folder, on `device`, in f32.
    ///
    /// Keys may start with `model.encoder.` or `encoder.` or with neither; the decoder is ignored.
    ///
    /// # Errors
    /// An option that is not implemented, a tensor that is missing or has another shape than
    /// `config.json` calls for.
    pub fn from_checkpoint(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        let preprocessor = checkpoint.preprocessor()?;
        let config = WhisperConfig::from_files(checkpoint.config(), &preprocessor)?;
        let last = config.encoder_layers - 1;
        let sizes = [
            (
                "conv1.weight".to_owned(),
                vec![config.d_model, config.num_mel_bins, 3],
            ),
            (
                format!("layers.{last}.fc1.weight"),
                vec![config.encoder_ffn_dim, config.d_model],
            ),
        ];
        checkpoint.check_shapes(&KEYS, &sizes)?;
        let mut model = Self::init(&config, device)?;
        model.files = (checkpoint.config().to_json(), preprocessor.to_json());
        checkpoint.load_into(&mut model, &KEYS)?;
        Ok(model)
    }

    /// An encoder with seeded random weights (normal, sd 0.02 as Whisper's own initialisation;
    /// sinusoidal positions): a control, and what demos and tests run on.
    ///
    /// # Errors
    /// Sizes that do not fit together.
    pub fn random(config: &WhisperConfig, seed: u64, device: &Device) -> Result<Self> {
        let model = random_weights(Self::init(config, device)?, 0.02, seed);
        let shape = [config.max_source_positions, config.d_model];
        let data = TensorData::new(sinusoids(shape[0], shape[1]), shape);
        let embed_positions = Embedding {
            weight: Param::from_tensor(Tensor::from_data(data, device)),
        };
        Ok(Self {
            embed_positions,
            ..model
        })
    }

    fn init(config: &WhisperConfig, device: &Device) -> Result<Self> {
        config.check(Path::new("config.json"))?;
        let d_model = config.d_model;
        let conv = |channels_in, stride| {
            Conv1dConfig::new(channels_in, d_model, 3)
                .with_stride(stride)
                .with_padding(PaddingConfig1d::Explicit(1, 1))
                .init(device)
        };
        let zeros = EmbeddingConfig::new(config.max_source_positions, d_model)
            .with_initializer(Initializer::Zeros);
        Ok(Self {
            conv1: conv(config.num_mel_bins, 1),
            conv2: conv(d_model, 2),
            embed_positions: zeros.init(device),
            layers: (0..config.encoder_layers)
                .map(|_| WhisperLayer::new(config, device))
                .collect(),
            layer_norm: LayerNormConfig::new(d_model)
                .with_epsilon(EPSILON)
                .init(device),
            spec: spec(config),
            log_mel: WhisperLogMel::new(config.num_mel_bins)?
                .with_n_frames(config.n_mel_frames())?,
            files: (config.to_config_json(), config.to_preprocessor_json()),
            config: config.clone(),
        })
    }

    /// Size of this encoder.
    #[must_use]
    pub fn config(&self) -> &WhisperConfig {
        &self.config
    }

    /// The same encoder with its first positions only, which sees clips of up to `seconds`: a third of the
    /// padding, a seventh of the time for clips of 10 s. Its states differ from those of the whole
    /// model where these attend to the silence behind a clip.
    ///
    /// # Errors
    /// Seconds that the model does not have, or none.
    pub fn shortened(self, seconds: usize) -> Result<Self> {
        let config = WhisperConfig {
            max_source_positions: 50 * seconds,
            ..self.config.clone()
        };
        config.check(Path::new("config.json"))?;
        let (n, most) = (
            config.max_source_positions,
            self.config.max_source_positions,
        );
        if n > most {
            return Err(BackboneError::UnsupportedOption {
                path: "config.json".into(),
                option: "max_source_positions",
                found: n.to_string(),
                supported: format!("at most the model's own {most}"),
            });
        }
        let positions = self.embed_positions.weight.val();
        let positions = positions.slice([0..n, 0..config.d_model]);
        Ok(Self {
            embed_positions: Embedding {
                weight: Param::from_tensor(positions),
            },
            spec: spec(&config),
            log_mel: self.log_mel.with_n_frames(config.n_mel_frames())?,
            files: (config.to_config_json(), config.to_preprocessor_json()),
            config,
            ..self
        })
    }

    /// All states from the input of the first layer.
    fn states(&self, x: Tensor<3>) -> HiddenStates {
        let mut states = all_states(&self.layers, x, &AttentionContext::default());
        if let Some(last) = states.pop() {
            states.push(layer_norm(&self.layer_norm, EPSILON, last));
        }
        HiddenStates::new(states)
    }

    /// As [`states`](Self::states), at one frame of each clip.
    fn states_at(&self, x: Tensor<3>, frames: &[usize]) -> Vec<Tensor<2>> {
        let mut states = states_at(&self.layers, x, &AttentionContext::default(), frames);
        if let Some(last) = states.pop() {
            states.push(layer_norm(&self.layer_norm, EPSILON, last));
        }
        states
    }

    /// The input of the first layer: convolutions plus positions, `[batch, n_positions, d_model]`.
    ///
    /// From frame `n_frames` on the spectrograms must be constant in time, as behind the end of the
    /// audio: one output stands for all that see nothing else.
    fn embed(&self, mel: Tensor<3>, n_frames: usize) -> Tensor<3> {
        let [batch, n_mels, _] = mel.dims();
        // Both convolutions see 3 frames; the last output also sees their padding.
        let n_kept = (n_frames + 12)
            .next_multiple_of(2)
            .min(self.config.n_mel_frames());
        let x = mel.slice([0..batch, 0..n_mels, 0..n_kept]).swap_dims(1, 2);
        let x = gelu(padded_conv(x, &self.conv1, 1));
        let x = gelu(padded_conv(x, &self.conv2, 2));
        let n_out = n_kept / 2;
        let d_model = self.config.d_model;
        let rows = |rows| x.clone().slice([0..batch, rows, 0..d_model]);
        let x = match self.config.max_source_positions - n_out {
            0 => x,
            more => {
                let constant = rows(n_out - 2..n_out - 1).repeat_dim(1, more);
                Tensor::cat(
                    vec![rows(0..n_out - 1), constant, rows(n_out - 1..n_out)],
                    1,
                )
            }
        };
        x + self.embed_positions.weight.val().unsqueeze()
    }

    /// [`embed`](Self::embed) of clips; without gradients where none of it is tuned.
    fn embed_samples(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<3> {
        if samples.is_autodiff() && self.embeds_frozen() {
            return Tensor::from_inner(self.valid().embed_samples(samples.inner(), lengths));
        }
        self.embed(self.log_mel(samples, lengths), n_mel_frames(lengths))
    }

    fn embeds_frozen(&self) -> bool {
        is_frozen(&self.conv1) && is_frozen(&self.conv2) && is_frozen(&self.embed_positions)
    }

    /// Log-mel spectrograms `[batch, n_mels, n_frames]` of clips, on the clips' device.
    fn log_mel(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<3> {
        let [batch, n_samples] = samples.dims();
        assert_eq!(batch, lengths.len(), "one length for each clip");
        assert!(
            lengths.iter().all(|&n| n <= n_samples),
            "lengths exceed the batch"
        );
        let device = samples.device();
        let (n_mels, n_frames) = (self.config.num_mel_bins, self.config.n_mel_frames());
        let clips = to_values(samples);
        let mut mels = Vec::with_capacity(batch * n_mels * n_frames);
        for (clip, &n) in clips.chunks_exact(n_samples).zip(lengths) {
            let mel = self.log_mel.compute(&clip[..n]);
            mels.extend(mel.unwrap_or_else(|e| panic!("clip against the spec: {e}")));
        }
        Tensor::from_data(TensorData::new(mels, [batch, n_mels, n_frames]), &device)
    }
}

impl SpeechBackbone for WhisperEncoder {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn hidden_states(&self, samples: Tensor<2>, lengths: &[usize]) -> HiddenStates {
        self.states(self.embed_samples(samples, lengths))
    }

    fn hidden_states_at(
        &self,
        samples: Tensor<2>,
        lengths: &[usize],
        frames: &[usize],
    ) -> Vec<Tensor<2>> {
        self.states_at(self.embed_samples(samples, lengths), frames)
    }

    /// Windows share the frames of their spectrograms, to the bit.
    fn window_passes<'a>(
        &'a self,
        recording: &'a [f32],
        windows: &'a [Range<usize>],
        device: &'a Device,
    ) -> WindowPasses<'a> {
        let mels = self.log_mel.compute_windows(recording, windows);
        let mels = mels.unwrap_or_else(|e| panic!("windows against the spec: {e}"));
        Box::new(move |batch| {
            let values: Vec<f32> = mels[batch.clone()].iter().flatten().copied().collect();
            let (n_mels, n_frames) = (self.config.num_mel_bins, self.config.n_mel_frames());
            let shape = [batch.len(), n_mels, n_frames];
            let mel = Tensor::from_data(TensorData::new(values, shape), device);
            let lengths: Vec<usize> = windows[batch].iter().map(Range::len).collect();
            let x = self.embed(mel, n_mel_frames(&lengths));
            self.states_at(x, &self.last_audio_frames(&lengths))
        })
    }

    fn segments(&self) -> Option<&dyn Segments> {
        Some(self)
    }

    fn activation_bytes(&self, _n_samples: usize) -> usize {
        self.config.activation_bytes()
    }

    fn n_audio_frames(&self, n_samples: usize) -> usize {
        // The last output whose receptive field through both convolutions (kernel 3, padding 1,
        // strides 1 and 2) holds a mel frame with audio.
        let last = self.config.max_source_positions - 1;
        n_samples.div_ceil(HOP).div_ceil(2).min(last) + 1
    }
}

/// Convolutions and positions, then the layers; the final norm goes with the last one.
impl Segments for WhisperEncoder {
    fn n_until(&self, layer: usize) -> usize {
        layer + 1
    }

    fn n_frozen(&self) -> usize {
        if !self.embeds_frozen() {
            return 0;
        }
        let n = self.layers.iter().take_while(|layer| is_frozen(*layer));
        match n.count() {
            n if n == self.layers.len() && !is_frozen(&self.layer_norm) => n,
            n => n + 1,
        }
    }

    fn first(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<3> {
        self.embed_samples(samples, lengths)
    }

    fn next(&self, index: usize, x: Tensor<3>, _lengths: &[usize]) -> Tensor<3> {
        let x = one_layer(&self.layers[index - 1], x, &AttentionContext::default());
        if index == self.layers.len() {
            layer_norm(&self.layer_norm, EPSILON, x)
        } else {
            x
        }
    }
}

/// Mel frames whose analysis window (400 samples, centred every 160) reaches into any clip.
fn n_mel_frames(lengths: &[usize]) -> usize {
    let longest = lengths.iter().copied().max().unwrap_or_default();
    (longest + 200).div_ceil(HOP)
}

/// A convolution of width 3 with a zero at both ends, `[batch, n, c_in]` → `[batch, n / stride, c_out]`.
fn padded_conv(x: Tensor<3>, conv: &Conv1d, stride: usize) -> Tensor<3> {
    let [batch, _, c_in] = x.dims();
    let zero = Tensor::zeros([batch, 1, c_in], &x.device());
    let x = Tensor::cat(vec![zero.clone(), x, zero], 1);
    conv1d(
        x,
        conv.weight.val(),
        conv.bias.as_ref().map(Param::val),
        stride,
    )
}

impl Family for WhisperEncoder {
    /// Keys with `encoder.`, as `WhisperModel` has them.
    fn write(&self, dir: &Path) -> Result<()> {
        let (config, preprocessor) = &self.files;
        save_checkpoint(
            dir,
            (config, "WhisperModel"),
            preprocessor,
            self,
            "encoder.",
        )
    }

    fn part_of(&self, parameter: &str) -> Option<BackbonePart> {
        match layer_in(parameter, "layers.") {
            Some(layer) => Some(BackbonePart::Layer(layer)),
            // The positions are a fixed table; `transformers` does not train it either.
            None if parameter.starts_with("conv") || parameter.starts_with("embed_positions") => {
                Some(BackbonePart::FeatureEncoder)
            }
            None => None,
        }
    }

    fn attentions(&mut self) -> Attentions<'_> {
        let layers = self.layers.iter_mut().enumerate();
        layers
            .map(|(i, layer)| {
                (
                    format!("encoder.layers.{i}.self_attn"),
                    &mut layer.self_attn,
                )
            })
            .collect()
    }
}

fn spec(config: &WhisperConfig) -> BackboneSpec {
    let widths = [config.encoder_layers, config.d_model];
    BackboneSpec::new("whisper", SampleRate::SPEECH, 2 * HOP, widths)
        .with_first_centre(0)
        .with_min_samples(1)
        .with_max_samples(config.n_mel_frames() * HOP)
}

/// Sinusoidal positions as in Whisper: sines in the first half of the columns, cosines in the
/// second, wavelengths from 2π to 10,000 · 2π; row-major `[n_positions, d_model]`.
fn sinusoids(n_positions: usize, d_model: usize) -> Vec<f32> {
    let half = d_model.div_ceil(2);
    let step = 10_000_f64.ln() / (half.max(2) - 1) as f64;
    let mut rows = Vec::with_capacity(n_positions * d_model);
    for position in 0..n_positions {
        for column in 0..d_model {
            let angle = position as f64 * (-step * (column % half) as f64).exp();
            let value = if column < half {
                angle.sin()
            } else {
                angle.cos()
            };
            #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
            rows.push(value as f32);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_audio_frame_is_methods_formula() -> Result<()> {
        let model = WhisperEncoder::random(&WhisperConfig::new(1, 4, 1, 80), 0, &Device::flex())?;
        for n in (1_usize..480_000)
            .step_by(37)
            .chain([1, 160, 161, 320, 321, 479_999, 480_000])
        {
            let last = usize::midpoint(n.div_ceil(160), 1).min(1499);
            assert_eq!(model.n_audio_frames(n), last + 1, "{n} samples");
        }
        Ok(())
    }

    #[test]
    fn unsupported_sizes_are_named() {
        let config = WhisperConfig {
            encoder_attention_heads: 3,
            ..WhisperConfig::new(1, 4, 1, 80)
        };
        let error = WhisperEncoder::random(&config, 0, &Device::flex()).expect_err("3 heads of 4");
        assert!(matches!(
            error,
            BackboneError::UnsupportedOption {
                option: "encoder_attention_heads",
                ..
            }
        ));
    }
}
