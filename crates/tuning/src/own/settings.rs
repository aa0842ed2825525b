//! Settings of a model's own objective: those of its authors.

use serde::{Deserialize, Serialize};

use crate::config::setting;
use crate::error::Result;

/// How the stimulus control masks, and what its objective is made of; `[stimulus]` of the settings.
///
/// The defaults are those of Baevski et al. 2020 (section 4.2) and Hsu et al. 2021; the length of masks is the
/// checkpoint's `config.json` unless given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Stimulus {
    /// Part of the frames that masks would cover if none met another; that of pretraining if none is given, 0.65
    /// (wav2vec 2.0) and 0.8 (`HuBERT`): published configurations have 0.05, for fine-tuning.
    pub mask_time_prob: Option<f64>,
    /// Frames of a mask; the checkpoint's if none is given.
    pub mask_time_length: Option<usize>,
    /// Weight of the loss of a frame that is not masked, next to 1 for one that is (`HuBERT`; 0 in its authors' models,
    /// `pred_nomask_weight` of fairseq).
    pub unmasked_weight: f64,
    /// Distractors of each masked frame, from the other masked frames of the clip (wav2vec 2.0).
    pub n_negatives: usize,
    /// What cosines are divided by.
    pub logit_temperature: f64,
    /// Weight of the diversity loss (wav2vec 2.0).
    pub diversity_weight: f64,
    /// Temperature of the Gumbel softmax at the first step (wav2vec 2.0).
    pub gumbel_temperature: f64,
    /// Factor by which every step lowers it.
    pub gumbel_decay: f64,
    /// Where it stays.
    pub gumbel_temperature_min: f64,
}

impl Default for Stimulus {
    fn default() -> Self {
        Self {
            mask_time_prob: None,
            mask_time_length: None,
            unmasked_weight: 0.0,
            n_negatives: 100,
            logit_temperature: 0.1,
            diversity_weight: 0.1,
            gumbel_temperature: 2.0,
            gumbel_decay: 0.999_995,
            gumbel_temperature_min: 0.5,
        }
    }
}

impl Stimulus {
    /// Whether nothing differs from the defaults: such settings are left out of records.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (name, value) in [
            ("stimulus.logit_temperature", self.logit_temperature),
            ("stimulus.gumbel_temperature", self.gumbel_temperature),
            (
                "stimulus.gumbel_temperature_min",
                self.gumbel_temperature_min,
            ),
        ] {
            let fits = value > 0.0 && value.is_finite();
            setting(fits, name, value, "a number above 0")?;
        }
        for (name, value) in [
            ("stimulus.unmasked_weight", self.unmasked_weight),
            ("stimulus.diversity_weight", self.diversity_weight),
        ] {
            let fits = value >= 0.0 && value.is_finite();
            setting(fits, name, value, "a number, at least 0")?;
        }
        let prob = self.mask_time_prob.unwrap_or(1.0);
        for (name, value) in [
            ("stimulus.mask_time_prob", prob),
            ("stimulus.gumbel_decay", self.gumbel_decay),
        ] {
            let fits = value > 0.0 && value <= 1.0;
            setting(fits, name, value, "above 0, at most 1")?;
        }
        let length = self.mask_time_length.unwrap_or(1);
        for (name, value) in [
            ("stimulus.mask_time_length", length),
            ("stimulus.n_negatives", self.n_negatives),
        ] {
            let fits = (1..=10_000).contains(&value);
            setting(fits, name, value, "a whole number, 1 to 10000")?;
        }
        Ok(())
    }

    /// Temperature of the Gumbel softmax at `step`, from 0.
    pub(crate) fn gumbel_at(&self, step: u64) -> f64 {
        let decayed = self.gumbel_temperature * self.gumbel_decay.powf(step as f64);
        decayed.max(self.gumbel_temperature_min)
    }
}
