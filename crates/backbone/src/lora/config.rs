//! Settings of low-rank updates and `adapter_config.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{BackboneError, Result, malformed};

/// A projection of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LoraTarget {
    /// Queries.
    QProj,
    /// Keys.
    KProj,
    /// Values.
    VProj,
    /// Output.
    OutProj,
}

impl LoraTarget {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::QProj, Self::KProj, Self::VProj, Self::OutProj];

    /// Its name in checkpoints, `q_proj`, `k_proj`, `v_proj` or `out_proj`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QProj => "q_proj",
            Self::KProj => "k_proj",
            Self::VProj => "v_proj",
            Self::OutProj => "out_proj",
        }
    }
}

/// Low-rank updates of the attention projections of every layer (Hu et al. 2021), named as `peft`
/// names them.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank of each update.
    pub r: usize,
    /// The update is scaled by `lora_alpha / r`.
    pub lora_alpha: f64,
    /// Dropout of the update's input while training, 0 to below 1.
    pub lora_dropout: f64,
    /// Which projections are updated.
    pub target_modules: Vec<LoraTarget>,
    /// Whether the scale is `lora_alpha / √r` (rank-stabilised, Kalajdzievski 2023).
    pub use_rslora: bool,
}

impl Default for LoraConfig {
    /// Rank 8, alpha 8, no dropout, queries and values.
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            target_modules: vec![LoraTarget::QProj, LoraTarget::VProj],
            use_rslora: false,
        }
    }
}

/// Keys of `adapter_config.json` that matter.
#[derive(Deserialize)]
struct AdapterConfig {
    peft_type: String,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
}

impl LoraConfig {
    /// By what the update is multiplied.
    #[must_use]
    pub fn scale(&self) -> f64 {
        let rank = self.r as f64;
        self.lora_alpha / if self.use_rslora { rank.sqrt() } else { rank }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`BackboneError::Lora`] for the first that cannot be.
    pub fn check(&self) -> Result<()> {
        let problem = match () {
            () if self.r == 0 || self.r > 4096 => format!("rank {}: expected 1 to 4096", self.r),
            () if !(self.lora_alpha > 0.0 && self.lora_alpha.is_finite()) => {
                format!("alpha {} is no number above 0", self.lora_alpha)
            }
            () if !(0.0..1.0).contains(&self.lora_dropout) => {
                format!("dropout {}: expected 0 to below 1", self.lora_dropout)
            }
            () if self.target_modules.is_empty() => "no projection to update".to_owned(),
            () => return Ok(()),
        };
        Err(BackboneError::Lora(problem))
    }

    /// `adapter_config.json` for updates of the modules `paths`.
    pub(super) fn to_json(&self, paths: &[String]) -> Value {
        json!({
            "peft_type": "LORA",
            "task_type": null,
            "base_model_name_or_path": null,
            "inference_mode": true,
            "r": self.r,
            "lora_alpha": self.lora_alpha,
            "lora_dropout": self.lora_dropout,
            "use_rslora": self.use_rslora,
            "use_dora": false,
            "bias": "none",
            "fan_in_fan_out": false,
            "init_lora_weights": true,
            "modules_to_save": null,
            "target_modules": paths,
        })
    }

    /// Reads `adapter_config.json`; `targets` are the projections that the weights update.
    pub(super) fn from_json(path: &Path, config: &Value, targets: Vec<LoraTarget>) -> Result<Self> {
        let adapter: AdapterConfig = serde_json::from_value(config.clone()).map_err(|e| {
            malformed(
                path,
                format!("expected an adapter_config.json of peft: {e}"),
            )
        })?;
        refuse_other_updates(path, config, &adapter)?;
        let this = Self {
            r: adapter.r,
            lora_alpha: adapter.lora_alpha,
            lora_dropout: adapter.lora_dropout,
            target_modules: targets,
            use_rslora: adapter.use_rslora,
        };
        this.check()?;
        Ok(this)
    }
}

/// Says so if options make another update than this one of the weights, or change the weights below it.
fn refuse_other_updates(path: &Path, config: &Value, adapter: &AdapterConfig) -> Result<()> {
    let refuse = |option: &'static str, found: String, supported: &str| {
        Err(BackboneError::UnsupportedOption {
            path: path.to_path_buf(),
            option,
            found,
            supported: supported.to_owned(),
        })
    };
    if adapter.peft_type != "LORA" {
        return refuse("peft_type", adapter.peft_type.clone(), "LORA");
    }
    for (option, neutral) in [
        ("use_dora", json!(false)),
        ("bias", json!("none")),
        ("fan_in_fan_out", json!(false)),
        ("modules_to_save", json!([])),
        ("rank_pattern", json!({})),
        ("alpha_pattern", json!({})),
        ("lora_bias", json!(false)),
        ("use_qalora", json!(false)),
        ("alora_invocation_tokens", json!([])),
    ] {
        let found = &config[option];
        if !found.is_null() && *found != neutral {
            return refuse(option, found.to_string(), &neutral.to_string());
        }
    }
    // Initialisations after which peft also changes the weights below the update.
    let init = config["init_lora_weights"].as_str();
    if let Some(found) = init.filter(|init| !["gaussian", "eva", "orthogonal"].contains(init)) {
        let supported = "true, false, gaussian, eva or orthogonal; convert the adapter to a plain one with peft";
        return refuse("init_lora_weights", found.to_owned(), supported);
    }
    Ok(())
}
