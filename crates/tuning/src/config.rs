//! All settings of a tuning run, in TOML; the defaults are the paper's (`docs/tuning.md`).
//!
//! Unknown keys are errors. Held by the tests below.

use std::path::Path;

use braintune_backbone::{FrozenPart, LoraConfig, LoraTarget};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TuningError, io_error};
use crate::objective::Objective;
use crate::own::Stimulus;

/// Clips of a batch: more are no batch but a slip.
const MOST_CLIPS: usize = 100_000;
/// Stretches of a clip: there are fewer frames.
const MOST_SEGMENTS: usize = 3_000;
/// Outputs of a bottleneck.
const MOST_OUTPUTS: usize = 1_000_000;
/// Seconds of a clip.
const LONGEST_S: f64 = 60.0;

/// Settings of a tuning run.
///
/// ```
/// use braintune_tuning::TuningConfig;
///
/// let config = TuningConfig::from_toml("epochs = 5\nlr_head = 3e-4")?;
/// assert_eq!((config.epochs, config.lr_backbone), (5, 5e-5));
/// assert!(TuningConfig::from_toml("epoch = 5").is_err());
/// # Ok::<(), braintune_tuning::TuningError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)] // each is a key of its own in the file
pub struct TuningConfig {
    /// Passes over the training stories.
    pub epochs: usize,
    /// Clips of an optimiser step: consecutive TRs of one story and subject.
    pub batch_size: usize,
    /// Clips of one forward and backward pass; gradients of a batch are added up. Bounds memory and
    /// changes the result by rounding only.
    pub micro_batch: usize,
    /// Keep the input of each layer only and compute the rest again for gradients: a tenth more time,
    /// and the less memory the more clips go through at once (docs/benchmarks.md), the same bits.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
    /// Seconds of audio that end with a TR and predict its response.
    pub clip_s: f64,
    /// The hidden state that the head reads; the last one if none is given.
    pub layer: Option<usize>,
    /// How frames become one vector.
    pub pooling: Pooling,
    /// Stretches of a clip under [`Pooling::Segments`]; 5, a TR each of clips of 10 s.
    #[serde(skip_serializing_if = "is_default_segments")]
    pub segments: usize,
    /// Width of a linear layer in front of the head, the same for every stretch; none unless given.
    pub bottleneck: Option<usize>,
    /// A head for each subject, or one for all (whose responses must then have the same voxels).
    pub heads: HeadSharing,
    /// What is made small.
    pub objective: Objective,
    /// How much each voxel counts in the objective.
    pub voxel_weights: VoxelWeights,
    /// Adam or `AdamW`, with `PyTorch`'s definitions.
    pub optimiser: Optimiser,
    /// Learning rate of the backbone.
    pub lr_backbone: f64,
    /// Learning rate of pooling, bottleneck and heads.
    pub lr_head: f64,
    /// Part of all steps over which learning rates rise.
    pub warmup: f64,
    /// Gradients whose norm over all parameters is larger are scaled down to it.
    pub max_grad_norm: Option<f64>,
    /// Parts of the backbone that stay as they are, e.g. `"feature-encoder"`, `"layers:0-5"`.
    pub freeze: Vec<String>,
    /// Low-rank updates of the attentions in place of a tuned backbone.
    pub lora: Option<Lora>,
    /// The model's own objective, where that is learnt in place of responses.
    #[serde(skip_serializing_if = "Stimulus::is_default")]
    pub stimulus: Stimulus,
    /// Shuffle the training stories in every epoch (by the seed); the paper keeps their order.
    pub shuffle_stories: bool,
    /// Take NaN in responses for 0, as HuthLab's scripts do; otherwise it is an error.
    pub nan_to_zero: bool,
    /// Steps between two evaluations of the validation stories; once per epoch if none.
    pub evaluate_every: Option<usize>,
    /// Evaluations without a better validation loss after which a run ends.
    pub patience: usize,
    /// Make all steps and keep the last weights, whatever the validation loss: for a run and its controls
    /// to be of the same length.
    pub keep_last: bool,
    /// Steps between two checkpoints; every evaluation leaves one too.
    pub checkpoint_every: usize,
    /// Seed of heads, low-rank updates, order and controls.
    pub seed: u64,
}

impl Default for TuningConfig {
    fn default() -> Self {
        Self {
            epochs: 30,
            batch_size: 128,
            micro_batch: 8,
            gradient_checkpointing: false,
            clip_s: 10.0,
            layer: None,
            pooling: Pooling::Mean,
            segments: DEFAULT_SEGMENTS,
            bottleneck: None,
            heads: HeadSharing::PerSubject,
            objective: Objective::Mse {},
            voxel_weights: VoxelWeights::Equal,
            optimiser: Optimiser::Adam {},
            lr_backbone: 5e-5,
            lr_head: 1e-4,
            warmup: 0.1,
            max_grad_norm: None,
            freeze: vec![FrozenPart::FeatureEncoder.to_string()],
            lora: None,
            stimulus: Stimulus::default(),
            shuffle_stories: false,
            nan_to_zero: false,
            evaluate_every: None,
            patience: 5,
            keep_last: false,
            checkpoint_every: 50,
            seed: 42,
        }
    }
}

const DEFAULT_SEGMENTS: usize = 5;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_default_segments(n: &usize) -> bool {
    *n == DEFAULT_SEGMENTS
}

/// How `[batch, n_frames, d_model]` becomes `[batch, d_model]`; frames that saw no audio never count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pooling {
    /// Mean over frames (the paper's).
    Mean,
    /// The last frame, as features for encoding are.
    Last,
    /// Mean weighted by the softmax of a learnt query.
    Attention,
    /// Mean of each of [`segments`](TuningConfig::segments) equal stretches of the clip, side by side: the head has weights
    /// of its own for each, as FIR delays have.
    Segments,
}

/// Which heads there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum HeadSharing {
    /// One for each subject.
    PerSubject,
    /// One for all subjects, for responses in a shared space.
    Shared,
}

/// How much each voxel counts in the objective; their mean is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum VoxelWeights {
    /// All alike.
    Equal,
    /// In proportion to the noise ceiling (a correlation); whoever calls
    /// [`BrainTuner::with_voxel_weights`](crate::BrainTuner::with_voxel_weights) has it.
    Ceiling,
}

/// The optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Optimiser {
    /// Adam without weight decay, betas 0.9 and 0.999, epsilon 1e-8.
    Adam {},
    /// Adam with decoupled weight decay.
    Adamw {
        /// Decay; `PyTorch`'s default.
        #[serde(default = "default_weight_decay")]
        weight_decay: f64,
    },
}

fn default_weight_decay() -> f64 {
    0.01
}

/// Low-rank updates of attentions (`LoRA`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lora {
    /// Rank.
    pub r: usize,
    /// Scale is alpha / r.
    pub alpha: f64,
    /// Dropout of the updates' input while tuning.
    pub dropout: f64,
    /// Which projections.
    pub targets: Vec<LoraTarget>,
}

impl Default for Lora {
    /// Moussa & Toneva, `NeurIPS` 2025.
    fn default() -> Self {
        Self {
            r: 8,
            alpha: 32.0,
            dropout: 0.1,
            targets: LoraTarget::ALL.to_vec(),
        }
    }
}

impl TuningConfig {
    /// Settings from TOML text; what is not in it has its default.
    ///
    /// # Errors
    /// [`TuningError::ConfigFile`] with the line, [`TuningError::Setting`].
    pub fn from_toml(text: &str) -> Result<Self> {
        Self::parse(text, Path::new("the configuration"))
    }

    /// Settings from a TOML file.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml), and what the file system says.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| TuningError::ConfigFile {
            path: path.to_path_buf(),
            problem: e.to_string().trim_end().to_owned(),
        })?;
        config.check()?;
        Ok(config)
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`TuningError::Setting`] for the first that cannot be.
    pub fn check(&self) -> Result<()> {
        self.check_counts()?;
        self.check_numbers()?;
        if let Some(lora) = self.lora_config() {
            lora.check()?;
        }
        let dropout = self.lora.as_ref().map_or(0.0, |lora| lora.dropout);
        setting(
            !(self.gradient_checkpointing && dropout > 0.0),
            "gradient_checkpointing",
            true,
            "false, or lora.dropout = 0.0: dropout would be another when it is computed again",
        )?;
        self.objective.check()?;
        self.stimulus.check()?;
        self.frozen_parts()?;
        Ok(())
    }

    fn check_counts(&self) -> Result<()> {
        for (name, value, most) in [
            ("epochs", self.epochs, usize::MAX),
            ("batch_size", self.batch_size, MOST_CLIPS),
            ("micro_batch", self.micro_batch, MOST_CLIPS),
            ("patience", self.patience, usize::MAX),
            ("checkpoint_every", self.checkpoint_every, usize::MAX),
            (
                "evaluate_every",
                self.evaluate_every.unwrap_or(1),
                usize::MAX,
            ),
            ("bottleneck", self.bottleneck.unwrap_or(1), MOST_OUTPUTS),
            ("segments", self.segments, MOST_SEGMENTS),
        ] {
            let expected = match most {
                usize::MAX => "a whole number above 0".to_owned(),
                most => format!("a whole number, 1 to {most}"),
            };
            setting((1..=most).contains(&value), name, value, &expected)?;
        }
        Ok(())
    }

    fn check_numbers(&self) -> Result<()> {
        setting(
            self.clip_s > 0.0 && self.clip_s <= LONGEST_S,
            "clip_s",
            self.clip_s,
            "seconds, above 0 and at most 60",
        )?;
        let norm = self.max_grad_norm.unwrap_or(1.0);
        let fits = norm > 0.0 && norm.is_finite();
        setting(fits, "max_grad_norm", norm, "a number above 0")?;
        let weight_decay = match self.optimiser {
            Optimiser::Adamw { weight_decay } => weight_decay,
            Optimiser::Adam {} => 0.0,
        };
        for (name, value) in [
            ("lr_backbone", self.lr_backbone),
            ("lr_head", self.lr_head),
            ("optimiser.weight_decay", weight_decay),
        ] {
            let fits = value >= 0.0 && value.is_finite();
            setting(fits, name, value, "a number, at least 0")?;
        }
        let fits = (0.0..=1.0).contains(&self.warmup);
        setting(fits, "warmup", self.warmup, "0 to 1")
    }

    /// What [`freeze`](Self::freeze) names.
    ///
    /// # Errors
    /// A name that is none.
    pub fn frozen_parts(&self) -> Result<Vec<FrozenPart>> {
        let parts = self.freeze.iter().map(|part| Ok(part.parse()?));
        parts.collect()
    }

    /// What [`lora`](Self::lora) says, for the backbone.
    #[must_use]
    pub fn lora_config(&self) -> Option<LoraConfig> {
        let lora = self.lora.as_ref()?;
        Some(LoraConfig {
            r: lora.r,
            lora_alpha: lora.alpha,
            lora_dropout: lora.dropout,
            target_modules: lora.targets.clone(),
            use_rslora: false,
        })
    }
}

/// An error that names a setting, unless it fits.
pub(crate) fn setting(
    fits: bool,
    name: &'static str,
    value: impl std::fmt::Display,
    expected: &str,
) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(TuningError::Setting {
        name,
        value: value.to_string(),
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let mut config = TuningConfig {
            lora: Some(Lora::default()),
            ..TuningConfig::default()
        };
        config.objective = Objective::CosineHuber {
            delta: 0.5,
            cosine_weight: 2.0,
        };
        config.optimiser = Optimiser::Adamw { weight_decay: 0.02 };
        config.layer = Some(9);
        let text = toml::to_string(&config).expect("it has a TOML form");
        assert_eq!(TuningConfig::from_toml(&text).expect("it reads"), config);
    }

    #[test]
    fn nested_settings_have_defaults() {
        let config = TuningConfig::from_toml(
            "optimiser = { kind = \"adamw\" }\nobjective = { kind = \"cosine-huber\" }\n[lora]\nr = 4",
        )
        .expect("it reads");
        assert_eq!(config.optimiser, Optimiser::Adamw { weight_decay: 0.01 });
        assert_eq!(
            config.objective,
            Objective::CosineHuber {
                delta: 0.6,
                cosine_weight: 1.0
            }
        );
        assert_eq!(
            config.lora.map(|lora| (lora.r, lora.targets.len())),
            Some((4, 4))
        );
    }

    #[test]
    fn what_cannot_be_is_an_error_that_names_it() {
        for (text, named) in [
            ("epochs = 0", "epochs"),
            ("lr = 1e-4", "lr"),
            ("lr_head = -1.0", "lr_head"),
            ("warmup = 2.0", "warmup"),
            ("clip_s = nan", "clip_s"),
            ("clip_s = 10000.0", "clip_s"),
            ("segments = 1000000000000", "segments"),
            ("bottleneck = 9223372036854775807", "bottleneck"),
            (
                "objective = { kind = \"cosine-huber\", cosine_weight = nan }",
                "cosine_weight",
            ),
            (
                "objective = { kind = \"cosine-huber\", cosine_weight = -1.0 }",
                "cosine_weight",
            ),
            ("[stimulus]\nn_negatives = 100000000000000", "n_negatives"),
            ("[lora]\nalpha = -3.0", "alpha"),
            ("freeze = [\"heads\"]", "heads"),
            ("[lora]\ntargets = [\"fc1\"]", "fc1"),
            ("[lora]\nrank = 4", "rank"),
            ("gradient_checkpointing = true\n[lora]\nr = 4", "dropout"),
            ("objective = { kind = \"mae\" }", "mae"),
            ("voxel_weights = \"snr\"", "snr"),
            ("objective = { kind = \"mse\", delta = 1.0 }", "delta"),
            ("epochs = \"many\"", "epochs"),
            ("[stimulus]\nmask_time_prob = 0.0", "mask_time_prob"),
            ("[stimulus]\nn_negatives = 0", "n_negatives"),
            ("[stimulus]\ngumbel_decay = 1.5", "gumbel_decay"),
            ("[stimulus]\nnegatives = 5", "negatives"),
        ] {
            let error = TuningConfig::from_toml(text).expect_err(text).to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
