//! The main job: how well every layer of a speech model predicts every voxel.
//!
//! Audio → windows → hidden states at window ends → Lanczos to TR midpoints → trim → z-score per
//! story → FIR delays inside each story → ridge with one alpha per voxel, chosen by leaving a
//! story out → Pearson r on the test stories. Features that come on the grid of TRs join after the trim
//! ([`run_on_grid`]); low-level features can be taken out of either ([`EncodeConfig::remove`]). The definition in full is in `docs/architecture.md`;
//! it follows Moussa & Toneva 2025. Held by `tests/it/encode.rs` and `tools/encode_reference.py`.

mod config;
mod earlier;
mod features;
mod grid;
mod inputs;
mod layers;
mod output;
mod removed;
mod repeats;
mod responses;
mod state;
mod statistics;
mod stories;
mod table;
mod tuned_on;
mod unit_fit;
mod units;

use std::path::Path;

use braintune_backbone::{CachedExtractor, FeatureExtractor, PretrainedModel, Windows};
use braintune_fmri::StoryDataset;

pub use braintune_fmri::Regions;
pub use config::{BadVoxels, CrossValidation, EncodeConfig};
pub use grid::{GridFeatures, GridStory};
pub(crate) use stories::StoryRow;
pub use table::AlignmentRow;
pub(crate) use table::{AlignmentLine, read as read_alignment};
pub use tuned_on::TunedOn;

use crate::error::{BraintuneError, Result};
use crate::event::OnEvent;
use crate::files::create_folder;
use crate::folders::Folders;
use crate::provenance::Provenance;
use crate::split::Split;
use crate::together::{agree, first, meet};

/// A model as [`run`] sees it: what it is called and how it turns a story into features.
pub struct ModelFeatures {
    name: String,
    weights_sha256: String,
    extractor: Box<dyn FeatureExtractor>,
    tuned_on: Option<TunedOn>,
}

impl std::fmt::Debug for ModelFeatures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelFeatures")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ModelFeatures {
    /// Any extractor. `name` goes into the table; `weights_sha256`, any text that stands for the
    /// weights behind it, into the key under which its features are kept.
    #[must_use]
    pub fn new(
        name: &str,
        weights_sha256: String,
        extractor: impl FeatureExtractor + 'static,
    ) -> Self {
        Self {
            name: name.to_owned(),
            weights_sha256,
            extractor: Box::new(extractor),
            tuned_on: None,
        }
    }

    /// The same, of a model that was tuned: [`run`] refuses its stories for the test and records which ones it shares.
    #[must_use]
    pub fn tuned_on(mut self, stories: Option<TunedOn>) -> Self {
        self.tuned_on = stories;
        self
    }

    /// Windows of a model that was loaded.
    ///
    /// # Errors
    /// Windows that are longer than the model takes.
    pub fn windowed(name: &str, model: PretrainedModel, windows: Windows) -> Result<Self> {
        check_windows(&model, windows)?;
        let weights = model.weights_sha256().to_owned();
        Ok(Self::new(name, weights, model.into_windowed(windows)))
    }
}

/// What [`run`] did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// Everything was computed; the rows of `alignment.csv`.
    Computed(Vec<AlignmentRow>),
    /// The folder already held the result of the same inputs.
    AlreadyDone,
    /// The first rank has written the result; this one has done its part.
    Helped,
    /// A share of the job is done: pieces that are there now, of how many.
    Shared {
        /// Pieces of this and other shares.
        n_done: usize,
        /// Pieces of the job.
        n_pieces: usize,
    },
}

/// Runs the whole job into [`Folders::out`]: `alignment.csv`, `voxels.npz`, `provenance.json`, and with
/// several test stories `stories.csv`, the mean r of each of them alone.
///
/// Features are kept in [`Folders::cache`]; finished layers under
/// `out/.encode-state` until the end, so that a stopped run goes on where it was. A folder that holds the
/// result of the same inputs is left as it is; one of other settings is replaced.
///
/// # Errors
/// Bad input is found before anything long begins: stories, audio, responses, timing, settings, results of
/// another participant, model or story in the folder.
/// Nothing that looks complete is left behind by a run that fails.
pub fn run(
    dataset: &dyn StoryDataset,
    model: ModelFeatures,
    config: &EncodeConfig,
    folders: Folders<'_>,
    command: &[String],
    on: &mut OnEvent<'_>,
) -> Result<Outcome> {
    run_split(
        dataset,
        model,
        config,
        folders,
        (command, Split::whole()),
        on,
    )
}

/// As [`run`], of which this process does a part. Stories are shared out for extraction, then runs of voxels of each
/// layer; the result has the same bits however many processes there are. With [`Split::Ranks`] the first rank writes it,
/// with [`Split::Shard`] nobody does until [`Split::Merge`].
///
/// # Errors
/// As [`run`]; with several ranks one that runs another version, has other settings, another copy of the data that
/// differs, or does not see the folder of results; with [`Split::Merge`] pieces that are missing.
pub fn run_split(
    dataset: &dyn StoryDataset,
    model: ModelFeatures,
    config: &EncodeConfig,
    Folders { cache, out }: Folders<'_>,
    (command, split): (&[String], Split<'_>),
    on: &mut OnEvent<'_>,
) -> Result<Outcome> {
    if let Some(tuned_on) = &model.tuned_on {
        tuned_on.check(&config.test_stories)?;
    }
    let n_layers = model.extractor.spec().n_hidden_states();
    let inputs = inputs::Inputs::check(dataset, config, split, on)?;
    let extractor = CachedExtractor::new(model.extractor, model.weights_sha256.clone(), cache)?;
    let source = Source {
        settings: extractor.settings(),
        weights_sha256: model.weights_sha256,
        names: Names::Layers(model.name),
        n_layers,
        tuned_on: model.tuned_on,
    };
    let job = Job {
        dataset,
        config,
        inputs: &inputs,
        source,
        out,
        split,
    };
    job.run(command, on, |on| {
        features::on_tr_grid(&inputs, &extractor, split, on)
    })
}

/// As [`run`], of feature spaces that come on the grid of TRs: each stands in the place of a layer, and is called by
/// its name in the column `model` of `alignment.csv`. Nothing is kept but the result.
///
/// # Errors
/// As [`run`]; features of another shape than the story has TRs, or that are not finite.
pub fn run_on_grid(
    dataset: &dyn StoryDataset,
    features: GridFeatures<'_>,
    config: &EncodeConfig,
    out: &Path,
    command: &[String],
    on: &mut OnEvent<'_>,
) -> Result<Outcome> {
    run_on_grid_split(
        dataset,
        features,
        config,
        out,
        (command, Split::whole()),
        on,
    )
}

/// As [`run_on_grid`], of which this process does a part, as [`run_split`].
///
/// # Errors
/// As [`run_on_grid`] and [`run_split`].
pub fn run_on_grid_split(
    dataset: &dyn StoryDataset,
    features: GridFeatures<'_>,
    config: &EncodeConfig,
    out: &Path,
    (command, split): (&[String], Split<'_>),
    on: &mut OnEvent<'_>,
) -> Result<Outcome> {
    let inputs = inputs::Inputs::check(dataset, config, split, on)?;
    let source = Source {
        settings: "on the grid of TRs".to_owned(),
        weights_sha256: features.digest.clone(),
        names: Names::Spaces(features.names.clone()),
        n_layers: features.names.len(),
        tuned_on: None,
    };
    let job = Job {
        dataset,
        config,
        inputs: &inputs,
        source,
        out,
        split,
    };
    job.run(command, on, |on| features.on_tr_grid(dataset, &inputs, on))
}

/// Where features come from.
struct Source {
    names: Names,
    n_layers: usize,
    weights_sha256: String,
    settings: String,
    tuned_on: Option<TunedOn>,
}

/// What the column `model` says.
enum Names {
    /// One model for every layer.
    Layers(String),
    /// A name for each.
    Spaces(Vec<String>),
}

impl Names {
    fn of(&self, layer: usize) -> &str {
        match self {
            Self::Layers(model) => model,
            Self::Spaces(names) => names.get(layer).map_or("", String::as_str),
        }
    }

    fn joined(&self) -> String {
        match self {
            Self::Layers(model) => model.clone(),
            Self::Spaces(names) => names.join(","),
        }
    }
}

/// All that comes after the inputs were checked.
struct Job<'a> {
    dataset: &'a dyn StoryDataset,
    config: &'a EncodeConfig,
    inputs: &'a inputs::Inputs,
    source: Source,
    out: &'a Path,
    split: Split<'a>,
}

impl Job<'_> {
    fn run(
        &self,
        command: &[String],
        on: &mut OnEvent<'_>,
        features: impl FnOnce(&mut OnEvent<'_>) -> Result<features::TrFeatures>,
    ) -> Result<Outcome> {
        let repeats =
            repeats::Repeats::read(self.dataset, self.inputs, self.config, self.split, on)?;
        let provenance = Provenance::new(command.to_vec(), self.record(&repeats)?);
        if self.is_complete(&provenance)? {
            return Ok(Outcome::AlreadyDone);
        }
        let units = units::units(self.source.n_layers, self.inputs.n_voxels);
        let fits = layers::Fits::new(self.dataset, self.inputs, self.config);
        let key = provenance.key.clone();
        let state = layers::State {
            out: self.out,
            key: &key,
        };
        if let Split::Shard(_) = self.split {
            state::claim_for_shares(state)?;
        }
        if let Some(shard) = self.split.shard() {
            state::create(self.out)?;
            let stories = features(on)?;
            fits.run(&stories, &units[shard.range(units.len())], state, on)?;
        }
        match self.split {
            Split::Shard(_) => {
                return Ok(Outcome::Shared {
                    n_done: fits.n_done(&units, state),
                    n_pieces: units.len(),
                });
            }
            Split::Merge => {}
            Split::Ranks(ranks) => {
                ranks.barrier()?;
                if !ranks.is_first() {
                    ranks.barrier()?; // until the result is written
                    return Ok(Outcome::Helped);
                }
            }
        }
        let results = fits.collect(&units, state)?;
        let rows = self.write(&results, &repeats, provenance)?;
        state::clear(self.out, &units); // only clutter now
        if let Some(ranks) = self.split.fellows() {
            ranks.barrier()?;
        }
        Ok(Outcome::Computed(rows))
    }

    fn write(
        &self,
        results: &[layers::LayerResult],
        repeats: &repeats::Repeats,
        provenance: Provenance,
    ) -> Result<Vec<AlignmentRow>> {
        let ceiling = repeats.ceiling.as_ref().map(ndarray::Array1::view);
        let names = &self.source.names;
        output::write(self.out, results, ceiling, self.config, names, provenance)
    }

    /// Whether the result is there already; with several ranks, after it is certain that they do the same job.
    fn is_complete(&self, provenance: &Provenance) -> Result<bool> {
        let n_test_stories = self.config.test_stories.len();
        let is_there = || earlier::is_complete(self.out, provenance, n_test_stories);
        let Some(ranks) = self.split.fellows() else {
            return is_there();
        };
        let version = provenance.braintune.clone();
        let mut prints = vec![("the version of braintune".to_owned(), version)];
        prints.extend(self.inputs.prints());
        let settings = provenance.inputs.as_object().into_iter().flatten();
        let settings = settings.filter(|(name, _)| !matches!(name.as_str(), "train" | "test"));
        prints.extend(settings.map(|(name, value)| (format!("`{name}`"), value.to_string())));
        prints.push(("its inputs".to_owned(), provenance.key.clone()));
        agree(ranks, &prints)?;
        first(ranks, || create_folder(self.out))?;
        meet(ranks, self.out)?;
        first(ranks, is_there)
    }

    fn record(&self, repeats: &repeats::Repeats) -> Result<serde_json::Value> {
        let source = &self.source;
        let model = (&*source.names.joined(), &*source.weights_sha256);
        let inputs = self.inputs;
        let mut record = inputs.record(self.config, model, &source.settings, repeats);
        if let Some(tuned_on) = &source.tuned_on {
            record["tuning"] = tuned_on.record(inputs);
        }
        if let Some(space) = &self.config.remove {
            record["removed"] = space.definition().into();
        }
        if self.config.remove.is_some() || matches!(source.names, Names::Spaces(_)) {
            record["labels_sha256"] = inputs.labels_sha256(self.dataset)?;
        }
        Ok(record)
    }
}

/// Windows that the model cannot take are said before responses are read.
fn check_windows(model: &PretrainedModel, windows: Windows) -> Result<()> {
    let spec = model.spec();
    match spec.max_s() {
        Some(most_s) if windows.length_s() > most_s => Err(BraintuneError::Input(format!(
            "windows of {} s (--window-s) are longer than the {most_s} s that {} takes",
            windows.length_s(),
            spec.model_type
        ))),
        _ => Ok(()),
    }
}
