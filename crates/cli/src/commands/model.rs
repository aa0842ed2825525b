//! Flags about the model and its features that several commands share.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use braintune::backbone::{PretrainedModel, WindowFeature, Windows};
use braintune::device::Device;
use braintune::encode::TunedOn;
use clap::ValueEnum;

/// The group of flags of which one says where features come from; commands that flatten [`ModelArgs`] require it.
pub(crate) const SOURCE: &str = "source";

#[derive(Debug, clap::Args)]
pub(crate) struct ModelArgs {
    /// Model: a HuggingFace checkpoint folder of Whisper, wav2vec 2.0, HuBERT, DistilHuBERT, WavLM or
    /// data2vec-audio (config.json, preprocessor_config.json, model.safetensors or pytorch_model.bin), or the id of one in the local hub cache (HF_HOME)
    #[arg(long, value_name = "DIR|ID", group = SOURCE)]
    model: Option<String>,
    /// Low-rank updates to add to the weights: an adapter folder of peft
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Approximation: overlapping windows share their convolutions (wav2vec 2.0, HuBERT, WavLM,
    /// data2vec); much cheaper at short strides, docs/benchmarks.md has the error
    #[arg(long)]
    share_convolutions: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// Device to compute on
    #[arg(long, default_value = braintune::device::available().first().copied().unwrap_or_default(), value_parser = clap::builder::PossibleValuesParser::new(braintune::device::available()))]
    device: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DevicesArgs {
    #[arg(
        help = format!(
            "Device to compute on ({}), or several of this machine that share the clips of every step: cuda:0,cuda:1",
            braintune::device::available().join(", ")
        ),
        long = "device",
        value_name = "D,…",
        value_delimiter = ',',
        default_value = braintune::device::available().first().copied().unwrap_or_default(),
        value_parser = known_device
    )]
    devices: Vec<String>,
}

/// A device's name, with the number of a card behind it or not.
fn known_device(name: &str) -> Result<String, String> {
    let available = braintune::device::available();
    let kind = name.split_once(':').map_or(name, |(kind, _)| kind);
    if available.contains(&kind) {
        return Ok(name.to_owned());
    }
    Err(format!("possible values: {}", available.join(", ")))
}

#[derive(Debug, clap::Args)]
pub(crate) struct WindowArgs {
    /// Window length in seconds, the newest stride included
    #[arg(long, value_name = "S", default_value_t = Windows::default().length_s())]
    window_s: f64,
    /// Seconds from one window end to the next
    #[arg(long, value_name = "S", default_value_t = Windows::default().stride_s())]
    stride_s: f64,
    /// What stands for a window
    #[arg(long, value_name = "WHAT", default_value = "last-frame")]
    window_feature: Feature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Feature {
    /// Its last frame that saw audio, at the window's end: the papers', for short strides
    LastFrame,
    /// The mean over the frames of the newest stride, at its middle: for strides of about a TR, which are cheap
    StrideMean,
}

impl WindowArgs {
    pub(crate) fn windows(&self, model: &ModelArgs) -> anyhow::Result<Windows> {
        let feature = match self.window_feature {
            Feature::StrideMean if model.share_convolutions => bail!(
                "--share-convolutions is for --window-feature last-frame: leave one of them out"
            ),
            Feature::LastFrame => WindowFeature::LastFrame,
            Feature::StrideMean => WindowFeature::StrideMean,
        };
        Ok(Windows::new(self.window_s, self.stride_s)?.with_feature(feature))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct CacheArgs {
    /// Folder in which features are kept for the next run (default: braintune in the user's cache folder)
    #[arg(long, env = "BRAINTUNE_CACHE", value_name = "DIR")]
    cache: Option<PathBuf>,
}

impl ModelArgs {
    /// The folder or id that was given.
    fn model(&self) -> anyhow::Result<&str> {
        self.model.as_deref().context("no --model was given")
    }

    /// Beside features that come from no model, flags about one are refused.
    pub(crate) fn check_unused(&self) -> anyhow::Result<()> {
        let given = [
            ("--adapter", self.adapter.is_some()),
            ("--share-convolutions", self.share_convolutions),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((flag, _)) => {
                bail!("{flag} is for a --model: leave it out, or --features")
            }
            None => Ok(()),
        }
    }

    fn resolve(&self) -> anyhow::Result<PathBuf> {
        Ok(braintune::model::resolve(self.model()?)?)
    }

    pub(crate) fn load(&self) -> anyhow::Result<PretrainedModel> {
        let folder = self.resolve()?;
        let mut model = PretrainedModel::load(&folder, self.device.get()?)?;
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
        let model = self.resolve()?;
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

    /// Folders of the model and of its adapter; `tune` writes adapters into a folder of its results.
    pub(crate) fn folders(&self) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
        let mut folders = vec![("the model", self.resolve()?)];
        if let Some(adapter) = &self.adapter {
            folders.push(("the adapter", adapter.clone()));
            folders.extend(adapter.parent().map(|tuned| ("the adapter", tuned.into())));
        }
        Ok(folders)
    }

    /// Stories that the model, or its adapter, was tuned on, where `tune` says so beside it.
    pub(crate) fn tuned_on(&self) -> anyhow::Result<Option<TunedOn>> {
        // `tune` writes adapters into a folder of its results.
        let of_adapter = self.adapter.as_deref().and_then(Path::parent);
        let found = of_adapter.map(TunedOn::read).transpose()?.flatten();
        match found {
            None => Ok(TunedOn::read(&self.resolve()?)?),
            found => Ok(found),
        }
    }

    /// The model's name in tables.
    pub(crate) fn name(&self) -> anyhow::Result<String> {
        Ok(name_of(self.model()?))
    }
}

/// A model's name in tables: the last part of its folder or id.
pub(crate) fn name_of(model: &str) -> String {
    // `.` and `..` are no names.
    let folder = Path::new(model).canonicalize().ok();
    let name = folder.as_deref().and_then(Path::file_name);
    if let Some(name) = name {
        return name.to_string_lossy().into_owned();
    }
    model.rsplit('/').next().unwrap_or(model).to_owned()
}

impl DeviceArgs {
    pub(crate) fn get(&self) -> anyhow::Result<Device> {
        device(&self.device)
    }
}

impl DevicesArgs {
    pub(crate) fn get(&self) -> anyhow::Result<Vec<Device>> {
        self.devices.iter().map(|name| device(name)).collect()
    }
}

fn device(name: &str) -> anyhow::Result<Device> {
    let Some(device) = braintune::device::by_name(name) else {
        bail!("no device for --device {name}: this machine lacks the hardware or its driver");
    };
    Ok(device)
}

impl CacheArgs {
    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        cache_folder(self.cache.as_ref())
    }
}

/// Where features are kept unless another place is `given`.
pub(crate) fn cache_folder(given: Option<&PathBuf>) -> anyhow::Result<PathBuf> {
    let is_file = |dir: &&PathBuf| dir.ancestors().any(Path::is_file);
    if let Some(dir) = given.filter(is_file) {
        bail!(
            "{} is a file or lies below one; the cache is a folder",
            dir.display()
        );
    }
    let folder = given.cloned().or_else(braintune::cache::default_folder);
    folder
        .context("neither HOME nor XDG_CACHE_HOME is set: say with --cache where features are kept")
}
