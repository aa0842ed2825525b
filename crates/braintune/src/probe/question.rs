//! The questions that a probe can ask, by name, and the task behind each.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use braintune_fmri::{StoryDataset, open_dataset};
use braintune_probing::{
    AcousticTask, Acoustics, CorpusTask, ProbeTask, Split, StoryProbe, StoryQuestion,
    TimitPhonemes, TimitSentenceType, TimitSplit, WordClasses, is_timit,
};

use crate::error::{BraintuneError, Result};
use crate::tune::StoryRoles;

/// What is asked of layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Question {
    /// `phonemes`: which of 39 phonemes an utterance has (TIMIT).
    Phonemes,
    /// `phoneme-frames`: the phoneme of each frame (TIMIT).
    PhonemeFrames,
    /// `sentence-type`: SA, SI or SX (TIMIT).
    SentenceType,
    /// `words`: which word is said (Speech Commands).
    Words,
    /// `emotion`: which emotion was asked for (CREMA-D).
    Emotion,
    /// `action`: what a user asks to be done (SLURP).
    Action,
    /// `mfcc`: 40 MFCC of each frame.
    Mfcc,
    /// `mfcc-track`: 40 MFCC over the first 4 s at once.
    MfccTrack,
    /// `fbank`: 80 log-mel energies of each frame.
    Fbank,
    /// `pitch`: fundamental frequency of each frame.
    Pitch,
    /// `energy`: RMS of each frame, dB.
    Energy,
    /// `story-words`: which of the most frequent words of a dataset of stories is said.
    StoryWords,
    /// `story-meaning`: which class (of meaning, or any other) a word belongs to, by a table.
    StoryMeaning,
    /// `story-phonemes`: the phoneme of each frame of a dataset of stories.
    StoryPhonemes,
    /// `word-rate`: words that begin in 2 s.
    WordRate,
    /// `part-of-story`: first, second or last third of a story.
    PartOfStory,
}

/// What a task needs beside its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionSettings {
    /// How TIMIT is split.
    pub split: TimitSplit,
    /// Words of `story-words`.
    pub n_words: usize,
    /// The papers' data: clips of 2 s (CREMA-D) and 7 s (SLURP).
    pub paper: bool,
    /// Table of words and their classes, of `story-meaning`; `word_classes.csv` of the dataset unless given.
    pub classes: Option<PathBuf>,
    /// Seed of splits.
    pub seed: u64,
}

impl Default for QuestionSettings {
    fn default() -> Self {
        Self {
            split: TimitSplit::Official,
            n_words: 50,
            paper: false,
            classes: None,
            seed: 42,
        }
    }
}

impl Question {
    /// Every question.
    pub const ALL: &'static [Self] = &[
        Self::Phonemes,
        Self::PhonemeFrames,
        Self::SentenceType,
        Self::Words,
        Self::Emotion,
        Self::Action,
        Self::Mfcc,
        Self::MfccTrack,
        Self::Fbank,
        Self::Pitch,
        Self::Energy,
        Self::StoryWords,
        Self::StoryMeaning,
        Self::StoryPhonemes,
        Self::WordRate,
        Self::PartOfStory,
    ];

    /// The name, which [`FromStr`] reads.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Phonemes => "phonemes",
            Self::PhonemeFrames => "phoneme-frames",
            Self::SentenceType => "sentence-type",
            Self::Words => "words",
            Self::Emotion => "emotion",
            Self::Action => "action",
            Self::Mfcc => "mfcc",
            Self::MfccTrack => "mfcc-track",
            Self::Fbank => "fbank",
            Self::Pitch => "pitch",
            Self::Energy => "energy",
            Self::StoryWords => "story-words",
            Self::StoryMeaning => "story-meaning",
            Self::StoryPhonemes => "story-phonemes",
            Self::WordRate => "word-rate",
            Self::PartOfStory => "part-of-story",
        }
    }

    /// Whether it is asked of a dataset of stories.
    #[must_use]
    pub fn is_about_stories(self) -> bool {
        matches!(
            self,
            Self::StoryWords
                | Self::StoryMeaning
                | Self::StoryPhonemes
                | Self::WordRate
                | Self::PartOfStory
        )
    }

    /// The task on the corpus in folder `data`.
    ///
    /// # Errors
    /// Data that are missing or are no such corpus.
    pub fn task(self, data: &Path, settings: &QuestionSettings) -> Result<Box<dyn ProbeTask>> {
        let QuestionSettings {
            split, paper, seed, ..
        } = *settings;
        if self.is_about_stories() {
            let dataset = open_dataset(data)?;
            for (story, reason) in dataset.left_out() {
                tracing::warn!("no story can be made of {story}: {reason}");
            }
            let roles = StoryRoles::for_probes(&*dataset)?;
            return self.on_stories((&*dataset, data), &roles, settings);
        }
        Ok(match self {
            Self::Phonemes => Box::new(TimitPhonemes::of_utterances(data, split, seed)?),
            Self::PhonemeFrames => Box::new(TimitPhonemes::of_frames(data, split, seed)?),
            Self::SentenceType => Box::new(TimitSentenceType::new(data, split, seed)?),
            Self::Words => Box::new(CorpusTask::speech_commands(data)?),
            Self::Emotion => Box::new(CorpusTask::crema_d(data, paper, seed)?),
            Self::Action => Box::new(CorpusTask::slurp(data, paper)?),
            Self::Mfcc => acoustic(data, Acoustics::Mfcc, split, seed)?,
            Self::MfccTrack => acoustic(data, Acoustics::MfccTrack, split, seed)?,
            Self::Fbank => acoustic(data, Acoustics::Fbank, split, seed)?,
            Self::Pitch => acoustic(data, Acoustics::Pitch, split, seed)?,
            _ => acoustic(data, Acoustics::Energy, split, seed)?,
        })
    }

    /// The task on the stories of a dataset in a folder, each for what `roles` say.
    ///
    /// # Errors
    /// As [`StoryProbe::new`] and [`StoryProbe::meaning`]; a table of classes that is not there.
    pub fn on_stories(
        self,
        (dataset, folder): (&dyn StoryDataset, &Path),
        roles: &StoryRoles,
        settings: &QuestionSettings,
    ) -> Result<Box<dyn ProbeTask>> {
        let of = |stories: &[String], split| {
            let stories = stories.iter().map(|story| (story.clone(), split));
            stories.collect::<Vec<_>>()
        };
        let stories = [
            of(&roles.train, Split::Train),
            of(&roles.validation, Split::Validation),
            of(&roles.test, Split::Test),
        ]
        .concat();
        let question = match self {
            Self::StoryMeaning => {
                let classes = classes(folder, settings)?;
                let probe = StoryProbe::meaning(dataset, &stories, &classes)?;
                return Ok(Box::new(probe));
            }
            Self::StoryWords => StoryQuestion::Words {
                n_words: settings.n_words,
            },
            Self::StoryPhonemes => StoryQuestion::Phonemes,
            Self::WordRate => StoryQuestion::WordRate,
            _ => StoryQuestion::PartOfStory,
        };
        Ok(Box::new(StoryProbe::new(dataset, &stories, question)?))
    }
}

/// The table of words and their classes: the one that was given, else the dataset's.
fn classes(folder: &Path, settings: &QuestionSettings) -> Result<WordClasses> {
    let in_dataset = folder.join(WordClasses::FILE);
    let table = settings.classes.as_ref().unwrap_or(&in_dataset);
    if settings.classes.is_none() && !table.exists() {
        return Err(BraintuneError::Input(format!(
            "story-meaning needs a table of words and their classes: {} is not there; write it, or give another (--classes F.csv) with the columns word and class",
            table.display()
        )));
    }
    Ok(WordClasses::read(table)?)
}

/// On TIMIT in its split, on any other audio in one by folder.
fn acoustic(
    data: &Path,
    question: Acoustics,
    split: TimitSplit,
    seed: u64,
) -> Result<Box<dyn ProbeTask>> {
    let task = if is_timit(data) {
        let timit = TimitSentenceType::new(data, split, seed)?;
        AcousticTask::of_recordings(timit.recordings()?, question)?
    } else {
        AcousticTask::of_folder(data, question, seed)?
    };
    Ok(Box::new(task))
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Question {
    type Err = BraintuneError;

    fn from_str(text: &str) -> Result<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|question| question.name() == text).ok_or_else(|| {
            let known = Self::ALL.iter().map(|question| question.name());
            let known = known.collect::<Vec<_>>().join(", ");
            BraintuneError::Input(format!("no probe is called {text}; there are {known}"))
        })
    }
}
