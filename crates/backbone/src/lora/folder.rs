//! Adapter folders of `peft`: `adapter_config.json` and `adapter_model.safetensors` (or `.bin`).
//!
//! Keys are `base_model.model.<path>.<projection>.lora_A.weight` `[r, d_in]` and `…lora_B.weight`
//! `[d_out, r]`; a prefix such as `wav2vec2.` before the path is taken as well.

use std::path::{Path, PathBuf};

use burn::tensor::{Bytes, Device, Tensor, TensorData};
use safetensors::tensor::Dtype;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Attentions, LoraConfig, LoraPair, LoraTarget, LoraUpdates, empty, without_bias};
use crate::attention::MultiHeadAttention;
use crate::checkpoint::{WeightsFile, write_tensors};
use crate::disk::write_atomically;
use crate::error::{BackboneError, Result, io_error, malformed};
use crate::kernels::to_values;

/// Writes the updates of a model as an adapter folder.
///
/// # Errors
/// The model has none; what the file system says.
pub(crate) fn write_adapter(dir: &Path, attentions: Attentions<'_>) -> Result<()> {
    let mut tensors = Vec::new();
    let mut modules = Vec::new();
    let mut config = None;
    for (path, attention) in attentions {
        let Some(lora) = attention.lora.as_ref() else {
            continue;
        };
        for &target in LoraTarget::ALL {
            let Some(pair) = lora.pair(target) else {
                continue;
            };
            let module = format!("{path}.{}", target.name());
            for (name, linear) in [("lora_A", &pair.lora_a), ("lora_B", &pair.lora_b)] {
                let weight = linear.weight.val().detach().transpose();
                let key = format!("base_model.model.{module}.{name}.weight");
                tensors.push((key, Dtype::F32, weight.dims().to_vec(), to_bytes(weight)));
            }
            modules.push(module);
            let r = pair.lora_a.weight.dims()[1];
            config.get_or_insert(LoraConfig {
                r,
                lora_alpha: lora.scale * r as f64,
                lora_dropout: lora.dropout.prob,
                ..LoraConfig::default()
            });
        }
    }
    let Some(config) = config else {
        return Err(BackboneError::NoLora);
    };
    std::fs::create_dir_all(dir).map_err(io_error("create", dir))?;
    let text = format!("{:#}\n", config.to_json(&modules));
    write_atomically(&dir.join("adapter_config.json"), text.as_bytes())?;
    write_tensors(&dir.join("adapter_model.safetensors"), &tensors)
}

/// Puts the updates of an adapter folder into a model, in place of earlier ones.
///
/// # Errors
/// Files that are missing or damaged, options that are not implemented, updates of modules that
/// the model does not have, shapes that do not fit, each by name.
pub(crate) fn read_adapter(dir: &Path, attentions: Attentions<'_>) -> Result<()> {
    let config_path = dir.join("adapter_config.json");
    let text = std::fs::read_to_string(&config_path).map_err(io_error("read", &config_path))?;
    let config: Value = serde_json::from_str(&text)
        .map_err(|e| malformed(&config_path, format!("is no JSON: {e}")))?;
    let weights = WeightsFile::open(&weights_path(dir))?;
    let mut left: Vec<String> = weights.keys();
    // The decoder of a Whisper adapter does not concern the encoder.
    left.retain(|key| !key.contains(".decoder."));
    let targets = LoraTarget::ALL.iter().copied().filter(|target| {
        let part = format!(".{}.lora_A.", target.name());
        left.iter().any(|key| key.contains(&part))
    });
    let config = LoraConfig::from_json(&config_path, &config, targets.collect())?;
    for (path, attention) in attentions {
        attention.lora = updates_of(&weights, &path, attention, &config, &mut left)?;
    }
    match left.iter().min() {
        None => Ok(()),
        Some(key) => Err(malformed(
            weights.path(),
            format!(
                "{} tensor(s) that no projection of the model takes, the first is {key}; updates of q_proj, k_proj, v_proj and out_proj of the encoder are supported",
                left.len()
            ),
        )),
    }
}

/// The updates of the attention at `path`, whose keys are taken from `left`; none if there are none.
fn updates_of(
    weights: &WeightsFile,
    path: &str,
    attention: &MultiHeadAttention,
    config: &LoraConfig,
    left: &mut Vec<String>,
) -> Result<Option<LoraUpdates>> {
    let [d_in, d_out] = attention.q_proj.weight.dims();
    let device = attention.q_proj.weight.val().device();
    let mut updates = empty(config);
    let mut any = false;
    for &target in &config.target_modules {
        let mut take = |name: &str| {
            let end = format!(".{path}.{}.{name}.weight", target.name());
            let at = left.iter().position(|key| key.ends_with(&end))?;
            Some(left.swap_remove(at))
        };
        let (a, b) = match (take("lora_A"), take("lora_B")) {
            (Some(a), Some(b)) => (a, b),
            (None, None) => continue,
            _ => {
                return Err(malformed(
                    weights.path(),
                    format!("{path}.{} has lora_A or lora_B but not both", target.name()),
                ));
            }
        };
        any = true;
        *updates.pair_mut(target) = Some(LoraPair {
            lora_a: without_bias(read(weights, &a, [config.r, d_in], &device)?),
            lora_b: without_bias(read(weights, &b, [d_out, config.r], &device)?),
        });
    }
    Ok(any.then_some(updates))
}

fn weights_path(dir: &Path) -> PathBuf {
    let safetensors = dir.join("adapter_model.safetensors");
    let torch = dir.join("adapter_model.bin");
    if torch.exists() && !safetensors.exists() {
        torch
    } else {
        safetensors
    }
}

/// SHA-256 (hex) of an adapter folder's two files.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn adapter_sha256(dir: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in [dir.join("adapter_config.json"), weights_path(dir)] {
        let bytes = std::fs::read(&path).map_err(io_error("read", &path))?;
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    }
    Ok(hex::encode(hasher.finalize()))
}

/// A weight of `PyTorch`'s shape in burn's.
fn read(file: &WeightsFile, key: &str, shape: [usize; 2], device: &Device) -> Result<Tensor<2>> {
    let values = file.values(key, &shape)?;
    let weight: Tensor<2> = Tensor::from_data(TensorData::new(values, shape), device);
    Ok(weight.transpose())
}

fn to_bytes(weight: Tensor<2>) -> Bytes {
    Bytes::from_elems(to_values(weight))
}
