//! What a backbone that came from a checkpoint can do besides hidden states: be written again, be
//! frozen in parts, carry low-rank updates.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::backbone::SpeechBackbone;
use crate::error::{BackboneError, Result};
use crate::lora::{self, Attentions, LoraConfig};

/// A part of a backbone that can be kept as it is while the rest is tuned.
///
/// ```
/// use braintune_backbone::FrozenPart;
///
/// let part: FrozenPart = "layers:0-5".parse()?;
/// assert_eq!(part, FrozenPart::Layers(0..=5));
/// assert!("heads".parse::<FrozenPart>().is_err());
/// # Ok::<(), braintune_backbone::BackboneError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrozenPart {
    /// The convolutions over the audio (with Whisper: over the log-mel spectrogram, and its table of
    /// positions).
    FeatureEncoder,
    /// The projection of their output to the width of the layers; Whisper has none.
    FeatureProjection,
    /// Transformer layers, from 0.
    Layers(RangeInclusive<usize>),
    /// Everything; low-rank updates stay trainable.
    All,
}

/// Where a parameter belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackbonePart {
    FeatureEncoder,
    FeatureProjection,
    Layer(usize),
}

/// The number behind `prefix` in a parameter's path, up to the next dot.
pub(crate) fn layer_in(parameter: &str, prefix: &str) -> Option<usize> {
    let rest = parameter.strip_prefix(prefix)?;
    rest.split('.').next()?.parse().ok()
}

impl FrozenPart {
    fn holds(&self, part: Option<BackbonePart>) -> bool {
        match (self, part) {
            (Self::All, _)
            | (Self::FeatureEncoder, Some(BackbonePart::FeatureEncoder))
            | (Self::FeatureProjection, Some(BackbonePart::FeatureProjection)) => true,
            (Self::Layers(layers), Some(BackbonePart::Layer(layer))) => layers.contains(&layer),
            _ => false,
        }
    }
}

impl fmt::Display for FrozenPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FeatureEncoder => f.write_str("feature-encoder"),
            Self::FeatureProjection => f.write_str("feature-projection"),
            Self::Layers(layers) => write!(f, "layers:{}-{}", layers.start(), layers.end()),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for FrozenPart {
    type Err = BackboneError;

    /// `feature-encoder`, `feature-projection`, `layers:I-J` (both included) or `all`.
    fn from_str(text: &str) -> Result<Self> {
        let layers = || {
            let (first, last) = text.strip_prefix("layers:")?.split_once('-')?;
            let layers = first.parse().ok()?..=last.parse().ok()?;
            (!layers.is_empty()).then_some(Self::Layers(layers))
        };
        match text {
            "feature-encoder" => Ok(Self::FeatureEncoder),
            "feature-projection" => Ok(Self::FeatureProjection),
            "all" => Ok(Self::All),
            _ => layers().ok_or_else(|| BackboneError::Part(text.to_owned())),
        }
    }
}

/// What each family says of itself.
pub(crate) trait Family: SpeechBackbone + Sized {
    fn write(&self, dir: &Path) -> Result<()>;

    /// Where the parameter of that path belongs; `None` for what lies between the parts.
    fn part_of(&self, parameter: &str) -> Option<BackbonePart>;

    fn attentions(&mut self) -> Attentions<'_>;
}

/// A backbone that came from a checkpoint and can become one again.
///
/// ```
/// use braintune_backbone::{CheckpointBackbone, LoraConfig, PretrainedModel, WhisperConfig, WhisperEncoder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = burn::tensor::Device::flex();
/// let model = WhisperEncoder::random(&WhisperConfig::new(1, 8, 2, 80), 42, &device)?;
/// let model = model.with_lora(&LoraConfig::default(), 0)?; // to be tuned
/// let folder = tempfile::tempdir()?;
/// model.save(folder.path())?; // a HuggingFace folder, the updates in its weights
/// assert_eq!(PretrainedModel::load(folder.path(), device)?.spec().n_layers, 1);
/// # Ok(())
/// # }
/// ```
pub trait CheckpointBackbone: SpeechBackbone + Sized {
    /// Writes `config.json`, `preprocessor_config.json` and `model.safetensors` (f32) into `dir`, as
    /// `transformers` reads them. Low-rank updates are merged into the weights that are written.
    ///
    /// # Errors
    /// What the file system says, naming the file.
    fn save(&self, dir: &Path) -> Result<()>;

    /// The backbone with these parts frozen: their parameters get no gradient.
    ///
    /// # Errors
    /// Layers that the backbone does not have.
    fn freeze_parts(self, parts: &[FrozenPart]) -> Result<Self>;

    /// The backbone with low-rank updates of its attentions, in place of earlier ones. They change
    /// nothing until they are trained: `B` is zero.
    ///
    /// # Errors
    /// Settings that make no update.
    fn with_lora(self, config: &LoraConfig, seed: u64) -> Result<Self>;

    /// The backbone with the updates of an adapter folder of `peft`.
    ///
    /// # Errors
    /// A file that is missing or damaged, an option that is not implemented, updates that do not
    /// fit the backbone.
    fn with_adapter(self, dir: &Path) -> Result<Self>;

    /// Writes the low-rank updates as an adapter folder that `peft` loads.
    ///
    /// # Errors
    /// There are none; what the file system says, naming the file.
    fn save_adapter(&self, dir: &Path) -> Result<()>;

    /// The backbone with the low-rank updates added to its weights.
    #[must_use]
    fn merge_lora(self) -> Self;
}

impl<B: Family> CheckpointBackbone for B {
    fn save(&self, dir: &Path) -> Result<()> {
        self.clone().merge_lora().write(dir)
    }

    fn freeze_parts(self, parts: &[FrozenPart]) -> Result<Self> {
        let n_layers = self.spec().n_layers;
        let beyond =
            |part: &&FrozenPart| matches!(part, FrozenPart::Layers(l) if *l.end() >= n_layers);
        if let Some(part) = parts.iter().find(beyond) {
            let part = part.to_string();
            return Err(BackboneError::NoSuchLayers { part, n_layers });
        }
        let family = self.clone();
        Ok(self.map(&mut Freezer {
            is_frozen: |path: &str| {
                let part = family.part_of(path);
                !path.contains(".lora.") && parts.iter().any(|frozen| frozen.holds(part))
            },
            path: Vec::new(),
        }))
    }

    fn with_lora(mut self, config: &LoraConfig, seed: u64) -> Result<Self> {
        lora::attach(self.attentions(), config, seed)?;
        Ok(self)
    }

    fn with_adapter(mut self, dir: &Path) -> Result<Self> {
        lora::read_adapter(dir, self.attentions())?;
        Ok(self)
    }

    fn save_adapter(&self, dir: &Path) -> Result<()> {
        lora::write_adapter(dir, self.clone().attentions())
    }

    fn merge_lora(mut self) -> Self {
        lora::merge(self.attentions());
        self
    }
}

/// Whether no parameter of a part of a backbone gets a gradient: its outputs are data then.
pub(crate) fn is_frozen<M: Module>(part: &M) -> bool {
    struct Trainable(bool);
    impl ModuleVisitor for Trainable {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0 |= param.is_require_grad();
        }
    }
    let mut trainable = Trainable(false);
    part.visit(&mut trainable);
    !trainable.0
}

/// Takes the gradient from parameters by their path.
struct Freezer<F> {
    is_frozen: F,
    path: Vec<String>,
}

impl<F: Fn(&str) -> bool> ModuleMapper for Freezer<F> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if (self.is_frozen)(&self.path.join(".")) {
            // The parameter's own, which loading weights keeps to.
            param.set_require_grad(false)
        } else {
            param
        }
    }
}
