//! Flags about the model and its features that several commands share.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use braintune::backbone::PretrainedModel;

#[derive(Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Model: a HuggingFace checkpoint folder of Whisper, wav2vec 2.0, HuBERT, DistilHuBERT, WavLM or
    /// data2vec-audio (config.json, preprocessor_config.json, model.safetensors or pytorch_model.bin), or the id of one in the local hub cache (HF_HOME)
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) model: String,
    /// Low-rank updates to add to the weights: an adapter folder of peft
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Approximation: overlapping windows share their convolutions (wav2vec 2.0, HuBERT, WavLM,
    /// data2vec); much cheaper at short strides, docs/benchmarks.md has the error
    #[arg(long)]
    share_convolutions: bool,
    /// Device to compute on
    #[arg(long, default_value = braintune::device::available().first().copied().unwrap_or_default(), value_parser = clap::builder::PossibleValuesParser::new(braintune::device::available()))]
    device: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CacheArgs {
    /// Folder in which features are kept for the next run (default: braintune in the user's cache folder)
    #[arg(long, env = "BRAINTUNE_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl ModelArgs {
    pub(crate) fn load(&self) -> anyhow::Result<PretrainedModel> {
        let folder = braintune::model::resolve(&self.model)?;
        let Some(device) = braintune::device::by_name(&self.device) else {
            bail!(
                "no device for --device {}: this machine lacks the hardware or its driver",
                self.device
            );
        };
        let mut model = PretrainedModel::load(&folder, device)?;
        if let Some(adapter) = &self.adapter {
            model = model.with_adapter(adapter)?;
        }
        if self.share_convolutions {
            model = model.with_shared_convolutions()?;
        }
        Ok(model)
    }

    /// Before any work: `file` does not go into the folder of the model or of its adapter.
    pub(crate) fn check_outside(&self, file: &Path) -> anyhow::Result<()> {
        let model = braintune::model::resolve(&self.model)?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok();
        let same = |input: &PathBuf| folder.is_some() && input.canonicalize().ok() == folder;
        if std::iter::once(&model).chain(&self.adapter).any(same) {
            bail!(
                "--out {} lies in the folder of the model, whose files it could replace; give another place",
                file.display()
            );
        }
        Ok(())
    }

    /// The model's name in tables: the last part of its folder or id.
    pub(crate) fn name(&self) -> String {
        let trimmed = self.model.trim_end_matches('/');
        trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned()
    }
}

impl CacheArgs {
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.cache {
            return Ok(folder.clone());
        }
        let set = |name| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        set("XDG_CACHE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".cache")))
            .map(|cache| cache.join("braintune"))
            .context(
                "neither HOME nor XDG_CACHE_HOME is set: say with --cache where features are kept",
            )
    }
}
