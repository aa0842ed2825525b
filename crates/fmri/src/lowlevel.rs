//! Low-level features of stories on the grid of TRs, from spectra to triphones.
//!
//! A sound or a `TextGrid` → `[n_trs, n_features]` at the midpoints of all TRs of a story, trimmed
//! ends included; neither z-scored nor delayed.
//!
//! | feature | columns | of |
//! |---|---|---|
//! | `power-spectrum` | 448 | sound: dB in bands of 17.9 Hz up to 8 kHz ([`PowerSpectrum::speech`]) |
//! | `mfcc` | 40 | sound: [`Mfcc::speech`] |
//! | `energy` | 1 | sound: root mean square of 25 ms every 10 ms |
//! | `word-rate`, `phoneme-rate` | 1 | labels: 1 per word, per phone |
//! | `phonemes` | 39 | phone tier: one-hot ([`PHONEMES`]) |
//! | `diphones`, `triphones` | as in training | phone and word tier: one-hot |
//! | `articulation` | 22 | phone tier: [`ARTICULATION`] |
//!
//! Everything comes onto the grid by [`Lanczos`](crate::Lanczos), labels as ones at the middles of
//! their intervals, as `get_wordrate_vectors`, `get_phonemerate_vectors` and
//! `get_articulation_vectors` of `HuthLab/deep-fMRI-dataset:encoding/feature_spaces.py` (1ab53af)
//! have it; at an even rate the result is the number per TR. Differs: the reference counts intervals
//! of silence and noise as phonemes, here they are left out. Diphones and triphones lie within a word:
//! so the words of 26 stories of ds003020 with the pronunciations of the CMU dictionary have 829 and
//! 4,348 kinds (858 and 4,841 are published for all stories), across words 1,126 and 12,035. Held by
//! `tests/it/lowlevel.rs`.

mod acoustic;
mod events;
mod phonemes;

use std::fmt;
use std::str::FromStr;

use braintune_audio::{Frames, Mfcc, PowerSpectrum, Rms, Waveform, load_audio};
use ndarray::Array2;

use self::acoustic::Acoustic;
use self::events::Event;
use self::phonemes::{Vocabulary, phoneme_index};
use crate::names::by_name;
use crate::{FmriError, Interval, Result, Story, StoryTiming, TextGrid, read_textgrid};

pub use self::phonemes::{ARTICULATION, PHONEMES, articulation};

/// A feature below the meaning of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LowLevelFeature {
    /// `power-spectrum`: power in 448 bands up to 8 kHz, in dB.
    PowerSpectrum,
    /// `mfcc`: 40 Mel-frequency cepstral coefficients.
    Mfcc,
    /// `energy`: root mean square of the sound.
    Energy,
    /// `word-rate`: words per TR.
    WordRate,
    /// `phoneme-rate`: phones per TR.
    PhonemeRate,
    /// `phonemes`: which of the 39 phonemes.
    Phonemes,
    /// `diphones`: which two phonemes in a row.
    Diphones,
    /// `triphones`: which three phonemes in a row.
    Triphones,
    /// `articulation`: the 22 articulatory features.
    Articulation,
}

impl LowLevelFeature {
    /// Every feature.
    pub const ALL: &'static [Self] = &[
        Self::PowerSpectrum,
        Self::Mfcc,
        Self::Energy,
        Self::WordRate,
        Self::PhonemeRate,
        Self::Phonemes,
        Self::Diphones,
        Self::Triphones,
        Self::Articulation,
    ];

    /// The name, which [`FromStr`] reads.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PowerSpectrum => "power-spectrum",
            Self::Mfcc => "mfcc",
            Self::Energy => "energy",
            Self::WordRate => "word-rate",
            Self::PhonemeRate => "phoneme-rate",
            Self::Phonemes => "phonemes",
            Self::Diphones => "diphones",
            Self::Triphones => "triphones",
            Self::Articulation => "articulation",
        }
    }

    /// Whether it is made of the sound, not of labels.
    #[must_use]
    pub fn is_acoustic(self) -> bool {
        matches!(self, Self::PowerSpectrum | Self::Mfcc | Self::Energy)
    }

    /// Whether its columns are those of the training stories.
    #[must_use]
    pub fn is_fitted(self) -> bool {
        matches!(self, Self::Diphones | Self::Triphones)
    }
}

impl fmt::Display for LowLevelFeature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LowLevelFeature {
    type Err = FmriError;

    fn from_str(text: &str) -> Result<Self> {
        by_name("low-level feature", Self::ALL, Self::name, text)
    }
}

/// What a feature of a story is made of.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Stimulus<'a> {
    /// Its sound, at any sample rate.
    Sound(&'a Waveform),
    /// Its words and phones.
    Labels(&'a TextGrid),
}

/// Makes one feature of any story, in the same columns.
///
/// ```
/// use braintune_fmri::{
///     Interval, LowLevelExtractor, LowLevelFeature, Stimulus, StoryTiming, TextGrid, Tier,
/// };
///
/// // Two words a second for a minute.
/// let word = |k| Interval::new(0.5 * f64::from(k), 0.5 * f64::from(k + 1), "so");
/// let labels = TextGrid::new(vec![Tier::new("word", (0..120).map(word).collect())]);
///
/// let extractor = LowLevelExtractor::fit(LowLevelFeature::WordRate, &[])?;
/// let timing = StoryTiming::new(35, 2.0, -9.0, 10..30)?;
/// let rate = extractor.transform(Stimulus::Labels(&labels), &timing)?;
/// assert_eq!(rate.dim(), (35, 1));
/// assert!((rate[[20, 0]] - 4.0).abs() < 0.1); // words per TR of 2 s
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LowLevelExtractor {
    feature: LowLevelFeature,
    columns: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Acoustic(Acoustic),
    Words,
    Phones(PhoneCode),
    Runs(Vocabulary),
}

/// The columns that a phone is 1 in.
#[derive(Clone, Copy, Debug)]
enum PhoneCode {
    Any,
    OneHot,
    Articulation,
}

impl LowLevelExtractor {
    /// An extractor of `feature`, whose columns are fixed by the labels of training stories where
    /// they depend on them ([`LowLevelFeature::is_fitted`]); other features need no story.
    ///
    /// # Errors
    ///
    /// For diphones and triphones [`FmriError::NoPhoneTier`], [`FmriError::NoWordTier`], and
    /// [`FmriError::EmptyVocabulary`] if the stories have none.
    pub fn fit(feature: LowLevelFeature, training: &[&TextGrid]) -> Result<Self> {
        let kind = match feature {
            LowLevelFeature::PowerSpectrum => {
                Kind::Acoustic(Acoustic::Power(PowerSpectrum::speech()?))
            }
            LowLevelFeature::Mfcc => Kind::Acoustic(Acoustic::Mfcc(Mfcc::speech()?)),
            LowLevelFeature::Energy => Kind::Acoustic(Acoustic::Energy(Rms::new(Frames::SPEECH))),
            LowLevelFeature::WordRate => Kind::Words,
            LowLevelFeature::PhonemeRate => Kind::Phones(PhoneCode::Any),
            LowLevelFeature::Phonemes => Kind::Phones(PhoneCode::OneHot),
            LowLevelFeature::Articulation => Kind::Phones(PhoneCode::Articulation),
            LowLevelFeature::Diphones => Kind::Runs(Vocabulary::fit(2, training)?),
            LowLevelFeature::Triphones => Kind::Runs(Vocabulary::fit(3, training)?),
        };
        let columns = match &kind {
            Kind::Acoustic(acoustic) => acoustic.columns(),
            Kind::Words | Kind::Phones(PhoneCode::Any) => vec![feature.name().into()],
            Kind::Phones(PhoneCode::OneHot) => PHONEMES.map(ToOwned::to_owned).to_vec(),
            Kind::Phones(PhoneCode::Articulation) => ARTICULATION.map(ToOwned::to_owned).to_vec(),
            Kind::Runs(vocabulary) if vocabulary.is_empty() => {
                return Err(FmriError::EmptyVocabulary {
                    feature: feature.name(),
                    n_stories: training.len(),
                });
            }
            Kind::Runs(vocabulary) => vocabulary.names(),
        };
        Ok(Self {
            feature,
            columns,
            kind,
        })
    }

    /// [`fit`](Self::fit) on the `TextGrid` files of `training`, which are read if the feature
    /// depends on them.
    ///
    /// # Errors
    ///
    /// As [`fit`](Self::fit), [`FmriError::NoTextGrid`] and what [`read_textgrid`] can cause.
    pub fn fit_stories(feature: LowLevelFeature, training: &[&Story]) -> Result<Self> {
        let stories = if feature.is_fitted() { training } else { &[] };
        let textgrids = stories.iter().map(|story| read_labels(story, feature));
        let textgrids = textgrids.collect::<Result<Vec<_>>>()?;
        Self::fit(feature, &textgrids.iter().collect::<Vec<_>>())
    }

    /// The feature.
    #[must_use]
    pub fn feature(&self) -> LowLevelFeature {
        self.feature
    }

    /// Names of the columns, `[n_features]`.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The feature of a story, `[n_trs, n_features]` on the whole grid of `timing`.
    ///
    /// Runs of phonemes that no training story has are left out.
    ///
    /// # Errors
    ///
    /// [`FmriError::Stimulus`] if the feature is not made of such a stimulus,
    /// [`FmriError::NoPhoneTier`], [`FmriError::NoWordTier`], [`FmriError::Times`] for labels at
    /// times that are not finite or a grid of one TR, [`FmriError::Audio`] for a sound shorter than
    /// a frame.
    pub fn transform(&self, stimulus: Stimulus<'_>, timing: &StoryTiming) -> Result<Array2<f32>> {
        let tr_times = timing.tr_times().to_vec();
        let events = match (&self.kind, stimulus) {
            (Kind::Acoustic(acoustic), Stimulus::Sound(sound)) => {
                return acoustic.compute(sound, &tr_times);
            }
            (Kind::Words, Stimulus::Labels(labels)) => {
                let words = labels.words()?;
                words.into_iter().map(|word| event(word, vec![0])).collect()
            }
            (Kind::Phones(code), Stimulus::Labels(labels)) => {
                let phones = labels.phones()?;
                phones
                    .iter()
                    .map(|phone| event(phone, code.columns(&phone.text)))
                    .collect()
            }
            (Kind::Runs(vocabulary), Stimulus::Labels(labels)) => {
                let found = vocabulary.find(labels)?.into_iter();
                let event = |(column, time_s)| Event {
                    time_s,
                    columns: vec![column],
                };
                found.map(event).collect()
            }
            (Kind::Acoustic(_), Stimulus::Labels(_)) => return Err(self.refused("sound", "labels")),
            (_, Stimulus::Sound(_)) => return Err(self.refused("labels", "sound")),
        };
        events::resample(events, self.columns.len(), &tr_times)
    }

    /// [`transform`](Self::transform) on the file of `story` that the feature is made of.
    ///
    /// # Errors
    ///
    /// As [`transform`](Self::transform), [`FmriError::NoAudio`], [`FmriError::NoTextGrid`], and what
    /// [`load_audio`] and [`read_textgrid`] can cause.
    pub fn transform_story(&self, story: &Story, timing: &StoryTiming) -> Result<Array2<f32>> {
        if self.feature.is_acoustic() {
            let sound = load_audio(story.require_audio()?)?;
            return self.transform(Stimulus::Sound(&sound), timing);
        }
        let labels = read_labels(story, self.feature)?;
        self.transform(Stimulus::Labels(&labels), timing)
    }

    fn refused(&self, needed: &'static str, given: &'static str) -> FmriError {
        FmriError::Stimulus {
            feature: self.feature.name(),
            needed,
            given,
        }
    }
}

impl PhoneCode {
    fn columns(self, phone: &str) -> Vec<usize> {
        match self {
            Self::Any => vec![0],
            Self::OneHot => phoneme_index(phone).into_iter().collect(),
            Self::Articulation => {
                let features = articulation(phone).unwrap_or_default().iter();
                let column = |feature| ARTICULATION.iter().position(|name| name == feature);
                features.filter_map(column).collect()
            }
        }
    }
}

/// An event in the middle of an interval.
fn event(interval: &Interval, columns: Vec<usize>) -> Event {
    Event {
        time_s: f64::midpoint(interval.start_s, interval.end_s),
        columns,
    }
}

fn read_labels(story: &Story, feature: LowLevelFeature) -> Result<TextGrid> {
    let path = story.textgrid().ok_or_else(|| FmriError::NoTextGrid {
        story: story.name().into(),
        feature: feature.name(),
    })?;
    read_textgrid(path)
}
