//! The main job: how well every layer of a speech model predicts every voxel.
//!
//! Audio → windows → hidden states at window ends → Lanczos to TR midpoints → trim → z-score per
//! story → FIR delays inside each story → ridge with one alpha per voxel, chosen by leaving a
//! story out → Pearson r on the test stories. The definition in full is in `docs/architecture.md`;
//! it follows Moussa & Toneva 2025. Held by `tests/it/encode.rs` and `tools/encode_reference.py`.

mod config;
mod features;
mod inputs;
mod layers;
mod output;
mod repeats;
mod responses;
mod state;
mod statistics;
mod stories;
mod table;
mod tuned_on;

use std::path::Path;

use braintune_backbone::{CachedExtractor, FeatureExtractor, PretrainedModel, Windows};
use braintune_fmri::StoryDataset;

pub use braintune_fmri::Regions;
pub use config::{BadVoxels, CrossValidation, EncodeConfig};
pub use stories::StoryRow;
pub use table::AlignmentRow;
pub use tuned_on::TunedOn;

use crate::error::{BraintuneError, Result};
use crate::event::OnEvent;
use crate::provenance::Provenance;

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
pub enum Outcome {
    /// Everything was computed; the rows of `alignment.csv`.
    Computed(Vec<AlignmentRow>),
    /// The folder already held the result of the same inputs.
    AlreadyDone,
}

/// Runs the whole job into folder `out`: `alignment.csv`, `voxels.npz`, `provenance.json`, and with
/// several test stories `stories.csv`, the mean r of each of them alone.
///
/// Features are kept under `cache`; finished layers under
/// `out/.encode-state` until the end, so that a stopped run goes on where it was. A folder that holds the
/// result of the same inputs is left as it is.
///
/// # Errors
/// Bad input is found before anything long begins: stories, audio, responses, timing, settings.
/// Nothing that looks complete is left behind by a run that fails.
pub fn run(
    dataset: &dyn StoryDataset,
    model: ModelFeatures,
    config: &EncodeConfig,
    (cache, out): (&Path, &Path),
    command: Vec<String>,
    on: &mut OnEvent<'_>,
) -> Result<Outcome> {
    let tuned_on = model.tuned_on;
    if let Some(tuned_on) = &tuned_on {
        tuned_on.check(&config.test_stories)?;
    }
    let inputs = inputs::Inputs::check(dataset, config, on)?;
    let (name, weights) = (model.name, model.weights_sha256);
    let extractor = CachedExtractor::new(model.extractor, weights.clone(), cache)?;
    let repeats = repeats::Repeats::read(dataset, &inputs, config, on)?;
    let mut record = inputs.record(config, (&name, &weights), &extractor.settings(), &repeats);
    if let Some(tuned_on) = &tuned_on {
        record["tuning"] = tuned_on.record(&inputs);
    }
    let provenance = Provenance::new(command, record);
    if output::is_complete(out, config, &provenance) {
        return Ok(Outcome::AlreadyDone);
    }
    state::create(out)?;
    let stories = features::on_tr_grid(&inputs, &extractor, on)?;
    let fits = layers::Fits::new(dataset, &inputs, config);
    let results = fits.run(&stories, (out, &provenance.key), on)?;
    let ceiling = repeats.ceiling.as_ref().map(ndarray::Array1::view);
    let rows = output::write(out, &results, ceiling, config, &name, &provenance)?;
    state::clear(out, results.len());
    Ok(Outcome::Computed(rows))
}

/// Windows that the model cannot take are said before responses are read.
fn check_windows(model: &PretrainedModel, windows: Windows) -> Result<()> {
    let spec = model.spec();
    let rate = f64::from(spec.sample_rate.as_hz());
    match spec.max_samples.map(|most| most as f64 / rate) {
        Some(most_s) if windows.length_s() > most_s => Err(BraintuneError::Input(format!(
            "windows of {} s (--window-s) are longer than the {most_s} s that {} takes",
            windows.length_s(),
            spec.model_type
        ))),
        _ => Ok(()),
    }
}
