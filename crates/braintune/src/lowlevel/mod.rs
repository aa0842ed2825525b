//! Feature spaces below the meaning of words, by name: what model layers are compared with, and what is taken out of
//! them.
//!
//! A space is one or several [`LowLevelFeature`]s side by side, `[n_trs, n_columns]` at all TRs of a story. The two
//! baselines that stand beside every model are `acoustic` (power spectrum, MFCC and energy, 489 columns) and
//! `word-rate` (1 column). Held by `tests/it/lowlevel.rs`.

use std::fmt;
use std::str::FromStr;

use braintune_audio::{load_audio, probe_audio};
use braintune_fmri::{
    FmriError, LowLevelExtractor, LowLevelFeature, Stimulus, Story, StoryTiming, TextGrid,
    read_textgrid,
};
use ndarray::{Array2, Axis, concatenate};

use crate::encode::{GridFeatures, GridStory};
use crate::error::{BraintuneError, Result, file_error};
use crate::names::repeated;

/// Name of the space of all that the sound gives without a model.
const ACOUSTIC: &str = "acoustic";

/// One or several low-level features side by side, under one name.
///
/// ```
/// use braintune::lowlevel::LowLevelSpace;
///
/// let acoustic: LowLevelSpace = "acoustic".parse()?;
/// assert_eq!(acoustic.features().len(), 3);
/// let both: LowLevelSpace = "word-rate+mfcc".parse()?;
/// assert_eq!(both.to_string(), "word-rate+mfcc");
/// # Ok::<(), braintune::BraintuneError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LowLevelSpace {
    name: String,
    features: Vec<LowLevelFeature>,
}

impl LowLevelSpace {
    /// `acoustic`: power spectrum, MFCC and energy, 489 columns.
    #[must_use]
    pub fn acoustic() -> Self {
        use LowLevelFeature::{Energy, Mfcc, PowerSpectrum};
        Self {
            name: ACOUSTIC.to_owned(),
            features: vec![PowerSpectrum, Mfcc, Energy],
        }
    }

    /// `word-rate`: words per TR, 1 column.
    #[must_use]
    pub fn word_rate() -> Self {
        LowLevelFeature::WordRate.into()
    }

    /// The spaces that every model is compared with.
    #[must_use]
    pub fn baselines() -> Vec<Self> {
        vec![Self::acoustic(), Self::word_rate()]
    }

    /// What it is called in tables.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its features, in the order of their columns.
    #[must_use]
    pub fn features(&self) -> &[LowLevelFeature] {
        &self.features
    }

    /// Whether all of its features are in `other` too.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        let mut features = self.features.iter();
        features.all(|feature| other.features.contains(feature))
    }

    /// The name and what it stands for, for provenance.
    pub(crate) fn definition(&self) -> String {
        let features: Vec<&str> = self.features.iter().map(|feature| feature.name()).collect();
        format!("{}={}", self.name, features.join("+"))
    }

    /// Extractors whose columns are fixed by the training stories, where they depend on any.
    pub(crate) fn fit(&self, training: &[&Story]) -> Result<FittedSpace> {
        let fit = |&feature| LowLevelExtractor::fit_stories(feature, training);
        Ok(FittedSpace(
            self.features.iter().map(fit).collect::<Result<_, _>>()?,
        ))
    }
}

impl From<LowLevelFeature> for LowLevelSpace {
    fn from(feature: LowLevelFeature) -> Self {
        Self {
            name: feature.name().to_owned(),
            features: vec![feature],
        }
    }
}

impl fmt::Display for LowLevelSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl FromStr for LowLevelSpace {
    type Err = BraintuneError;

    /// `acoustic`, the name of a feature, or several of these joined by `+`.
    fn from_str(text: &str) -> Result<Self> {
        let mut features = Vec::new();
        for part in text.split('+') {
            match part {
                ACOUSTIC => features.extend(Self::acoustic().features),
                part => features.push(part.parse().map_err(with_acoustic)?),
            }
        }
        if let Some(twice) = repeated(features.iter().map(|feature| feature.name())) {
            return Err(BraintuneError::Input(format!(
                "{text}: {twice} is in it twice; name every feature once"
            )));
        }
        Ok(Self {
            name: text.to_owned(),
            features,
        })
    }
}

/// The list of known names, with the one that is ours.
fn with_acoustic(error: FmriError) -> FmriError {
    match error {
        FmriError::UnknownName {
            what,
            text,
            mut known,
        } => {
            known.insert(0, ACOUSTIC.to_owned());
            FmriError::UnknownName { what, text, known }
        }
        error => error,
    }
}

/// A space ready for any story.
pub(crate) struct FittedSpace(Vec<LowLevelExtractor>);

impl FittedSpace {
    /// `[n_trs, n_columns]` at all TRs of a story; its sound and labels are read once.
    pub(crate) fn transform(&self, story: &Story, timing: &StoryTiming) -> Result<Array2<f32>> {
        let of = |acoustic| {
            self.0
                .iter()
                .find(|e| e.feature().is_acoustic() == acoustic)
        };
        let sound = match of(true) {
            Some(_) => Some(load_audio(story.require_audio()?)?),
            None => None,
        };
        let labels = match of(false) {
            Some(extractor) => Some(labels(story, extractor.feature())?),
            None => None,
        };
        let stimulus = |extractor: &LowLevelExtractor| match (&sound, &labels) {
            (Some(sound), _) if extractor.feature().is_acoustic() => Some(Stimulus::Sound(sound)),
            (_, Some(labels)) => Some(Stimulus::Labels(labels)),
            _ => None,
        };
        let parts = self.0.iter().filter_map(|extractor| {
            stimulus(extractor).map(|stimulus| extractor.transform(stimulus, timing))
        });
        let parts: Vec<_> = parts.collect::<Result<_, _>>()?;
        let views: Vec<_> = parts.iter().map(Array2::view).collect();
        concatenate(Axis(1), &views).map_err(|e| BraintuneError::Input(e.to_string()))
    }
}

/// The labels of a story, which end with its sound.
fn labels(story: &Story, feature: LowLevelFeature) -> Result<TextGrid> {
    /// As the check of a dataset has it, in seconds.
    const MAX_AFTER_SOUND_S: f64 = 1.0;
    let missing = || FmriError::NoTextGrid {
        story: story.name().into(),
        feature: feature.name(),
    };
    let path = story.textgrid().ok_or_else(missing)?;
    let labels = read_textgrid(path)?;
    let sound_s = match story.audio() {
        Some(audio) => probe_audio(audio)?.duration_s(),
        None => None,
    };
    let labels_s = labels.duration_s();
    match sound_s {
        Some(sound_s) if labels_s > sound_s + MAX_AFTER_SOUND_S => Err(file_error(
            path,
            format!(
                "its labels last until {labels_s:.1} s, the sound of {} {sound_s:.1} s; is it the right file?",
                story.name()
            ),
        )),
        _ => Ok(labels),
    }
}

/// Spaces for [`encode::run_on_grid`](crate::encode::run_on_grid), one "layer" each, called by the name of the space.
///
/// # Errors
/// No space, or one that is named twice.
pub fn grid_features(spaces: Vec<LowLevelSpace>) -> Result<GridFeatures<'static>> {
    let names = spaces.iter().map(|space| space.name.clone()).collect();
    let definitions: Vec<String> = spaces.iter().map(LowLevelSpace::definition).collect();
    let mut fitted = Vec::new();
    let make = move |story: &GridStory<'_>| {
        if fitted.is_empty() {
            let fit = |space: &LowLevelSpace| space.fit(story.training);
            fitted = spaces.iter().map(fit).collect::<Result<_>>()?;
        }
        let transform = |space: &FittedSpace| space.transform(story.story, story.timing);
        fitted.iter().map(transform).collect()
    };
    GridFeatures::new(
        names,
        &format!("low-level {}", definitions.join(", ")),
        make,
    )
}
