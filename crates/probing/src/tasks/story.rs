//! What a story dataset can ask without any other corpus: words, their classes, phonemes, word rate, part of the story.
//!
//! Stories are cut into clips that a model hears one by one; labels come from the `TextGrid`s, splits are by story.
//! Held by `tests/it/story.rs`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use braintune_fmri::{Interval, StoryDataset, TextGrid, read_textgrid};

use super::word_classes::WordClasses;
use super::{cut, data_problem};
use crate::error::{ProbingError, Result};
use crate::phones::{CLASSES, class_of};
use crate::splits;
use crate::task::{LabelSet, Part, ProbeTask, Recording, Rows, Split, Target};

/// Seconds that a model hears at once.
const CLIP_S: f64 = 10.0;
/// Seconds of a group: where one story is all there is to test on, its minutes are what intervals are drawn from.
const GROUP_S: f64 = 60.0;
/// Seconds over which words are counted: a TR.
const COUNT_S: f64 = 2.0;
/// Intervals may overlap by this much, seconds: what rounding in a file makes.
const SLACK_S: f64 = 1e-3;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoryQuestion {
    /// Which of the most frequent words of the training stories is said, from the mean over its frames.
    Words {
        /// How many words; all others are left out.
        n_words: usize,
    },
    /// Which phoneme a frame belongs to (39 classes), where the `TextGrid`s have a tier of phones.
    Phonemes,
    /// How many words begin in 2 s, from the mean over their frames.
    WordRate,
    /// Whether 10 s are of the first, second or last third of their story.
    PartOfStory,
}

/// A question about the stories of a dataset.
#[derive(Debug, Clone)]
pub struct StoryProbe {
    name: &'static str,
    rows: Rows,
    settings: String,
    labels: LabelSet,
    recordings: Vec<Recording>,
}

/// A story with what is said in it.
struct Told<'a> {
    name: &'a str,
    audio: &'a Path,
    split: Split,
    grid: TextGrid,
    path: &'a Path,
}

impl StoryProbe {
    /// `stories` says what each story is for.
    ///
    /// # Errors
    /// Stories that the dataset does not have, without audio or `TextGrid`, damaged grids, intervals that overlap,
    /// labels that are no phones, a split with nothing in it.
    pub fn new(
        dataset: &dyn StoryDataset,
        stories: &[(String, Split)],
        question: StoryQuestion,
    ) -> Result<Self> {
        let told = all_told(dataset, stories)?;
        let vocabulary = match question {
            StoryQuestion::Words { n_words } => vocabulary(&told, n_words)?,
            _ => BTreeMap::new(),
        };
        let class_of = |word: &str| vocabulary.get(word).copied();
        let recordings = recordings(&told, |story| match question {
            StoryQuestion::Words { .. } => words(story, class_of),
            StoryQuestion::Phonemes => phonemes(story),
            StoryQuestion::WordRate => word_counts(story),
            StoryQuestion::PartOfStory => Ok(thirds(story)),
        })?;
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let labels = match question {
            StoryQuestion::Words { .. } => LabelSet::OneOf(vocabulary.into_keys().collect()),
            StoryQuestion::Phonemes => LabelSet::OneOf(owned(&CLASSES)),
            StoryQuestion::WordRate => LabelSet::Values(owned(&["words"])),
            StoryQuestion::PartOfStory => LabelSet::OneOf(owned(&["beginning", "middle", "end"])),
        };
        Ok(Self {
            name: question.name(),
            rows: match question {
                StoryQuestion::Phonemes => Rows::Frames,
                _ => Rows::Mean,
            },
            settings: String::new(),
            labels,
            recordings,
        })
    }

    /// `story-meaning`: which class a word belongs to, from the mean over its frames; words without a class are left
    /// out. Under the control all of a word have the same random class.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn meaning(
        dataset: &dyn StoryDataset,
        stories: &[(String, Split)],
        classes: &WordClasses,
    ) -> Result<Self> {
        let told = all_told(dataset, stories)?;
        let recordings = recordings(&told, |story| {
            let mut parts = Vec::new();
            for (span, word) in spoken(story)? {
                if let Some(class) = classes.of(&word) {
                    parts.push(Part::within(span, Target::Class(class)).with_item(word));
                }
            }
            Ok(parts)
        })?;
        Ok(Self {
            name: "story-meaning",
            rows: Rows::Mean,
            settings: classes.settings(),
            labels: LabelSet::OneOf(classes.names().to_vec()),
            recordings,
        })
    }
}

impl StoryQuestion {
    fn name(self) -> &'static str {
        match self {
            Self::Words { .. } => "story-words",
            Self::Phonemes => "story-phonemes",
            Self::WordRate => "word-rate",
            Self::PartOfStory => "part-of-story",
        }
    }
}

impl ProbeTask for StoryProbe {
    fn name(&self) -> &'static str {
        self.name
    }

    fn labels(&self) -> &LabelSet {
        &self.labels
    }

    fn rows(&self) -> Rows {
        self.rows
    }

    fn recordings(&self) -> Result<Vec<Recording>> {
        Ok(self.recordings.clone())
    }

    fn settings(&self) -> String {
        self.settings.clone()
    }
}

fn all_told<'a>(
    dataset: &'a dyn StoryDataset,
    stories: &'a [(String, Split)],
) -> Result<Vec<Told<'a>>> {
    let stories = stories.iter();
    stories
        .map(|(name, split)| told(dataset, name, *split))
        .collect()
}

/// Clips of all stories with their labelled parts; every split has some.
fn recordings(
    told: &[Told<'_>],
    parts_of: impl Fn(&Told<'_>) -> Result<Vec<Part>>,
) -> Result<Vec<Recording>> {
    let mut recordings: Vec<Recording> = Vec::new();
    for story in told {
        recordings.extend(clips(story, &parts_of(story)?));
    }
    splits::check(recordings.iter().map(|r| r.split), "the stories")?;
    Ok(recordings)
}

fn told<'a>(dataset: &'a dyn StoryDataset, name: &'a str, split: Split) -> Result<Told<'a>> {
    let story = dataset.story(name)?;
    let audio = story.require_audio()?;
    let Some(path) = story.textgrid() else {
        return Err(ProbingError::Task {
            task: name.to_owned(),
            problem: format!(
                "the story has no TextGrid, and labels come from it: expected {name}.TextGrid in the dataset"
            ),
        });
    };
    Ok(Told {
        name,
        audio,
        split,
        grid: read_textgrid(path)?,
        path,
    })
}

/// Words in lower case, in order, none overlapping the one before.
fn spoken(story: &Told<'_>) -> Result<Vec<(Range<f64>, String)>> {
    let words = story.grid.words()?;
    in_order(story.path, words.iter().copied())?;
    let word = |word: &&Interval| (word.start_s..word.end_s, word.text.trim().to_lowercase());
    Ok(words.iter().map(word).collect())
}

fn in_order<'a>(path: &Path, intervals: impl Iterator<Item = &'a Interval>) -> Result<()> {
    let mut end = f64::NEG_INFINITY;
    for interval in intervals {
        if interval.start_s < end - SLACK_S || interval.end_s < interval.start_s {
            let problem = format!(
                "`{}` at {:.3} to {:.3} s overlaps what ends at {end:.3} s, or goes back",
                cut(&interval.text),
                interval.start_s,
                interval.end_s
            );
            return Err(data_problem(path, problem));
        }
        end = interval.end_s;
    }
    Ok(())
}

/// The most frequent words of the training stories, numbered by name; of equal counts the first by name.
fn vocabulary(told: &[Told<'_>], n_words: usize) -> Result<BTreeMap<String, usize>> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for story in told.iter().filter(|story| story.split == Split::Train) {
        for (_, word) in spoken(story)? {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let chosen: BTreeMap<_, _> = counts.into_iter().take(n_words).collect();
    if chosen.len() < 2 {
        return Err(ProbingError::Task {
            task: "story-words".to_owned(),
            problem: format!(
                "the training stories have {} different words, at least 2 are needed",
                chosen.len()
            ),
        });
    }
    Ok(chosen.into_keys().zip(0..).collect())
}

fn words(story: &Told<'_>, class_of: impl Fn(&str) -> Option<usize>) -> Result<Vec<Part>> {
    let known = |(span, word): (Range<f64>, String)| {
        let target = Target::Class(class_of(&word)?);
        Some(Part::within(span, target))
    };
    Ok(spoken(story)?.into_iter().filter_map(known).collect())
}

/// The class of each interval of the tier of phones, silence included: its frames are asked about as well.
fn phonemes(story: &Told<'_>) -> Result<Vec<Part>> {
    let tier = story.grid.phone_tier();
    let tier = tier.map_err(|error| data_problem(story.path, error.to_string()))?;
    in_order(story.path, tier.intervals.iter())?;
    let one = |interval: &Interval| {
        let phone = interval.phone();
        // Low-level features pass over labels that are no phones. A probe of what is left of them, such
        // as silence alone, would have a score that says nothing: here they are an error.
        let Some(class) = class_of(phone.as_deref().unwrap_or("h#")) else {
            let problem = format!(
                "`{}` at {:.3} s is no phone",
                cut(&interval.text),
                interval.start_s
            );
            return Err(data_problem(story.path, problem));
        };
        let span = interval.start_s..interval.end_s;
        Ok(Part::within(span, Target::Class(class)))
    };
    tier.intervals.iter().map(one).collect()
}

fn word_counts(story: &Told<'_>) -> Result<Vec<Part>> {
    let words = spoken(story)?;
    let mut parts = Vec::new();
    let mut start = 0.0;
    while start + COUNT_S <= story.grid.duration_s() {
        let span = start..start + COUNT_S;
        let count = words
            .iter()
            .filter(|(word, _)| span.contains(&word.start))
            .count();
        #[expect(clippy::cast_possible_truncation, reason = "a few words")]
        let target = Target::Values(vec![count as f64 as f32]);
        parts.push(Part::within(span, target));
        start += COUNT_S;
    }
    Ok(parts)
}

fn thirds(story: &Told<'_>) -> Vec<Part> {
    let duration = story.grid.duration_s();
    let mut parts = Vec::new();
    let mut start = 0.0;
    while start + CLIP_S <= duration {
        let middle = start + CLIP_S / 2.0;
        let third = [1.0, 2.0]
            .iter()
            .filter(|third| middle > *third * duration / 3.0)
            .count();
        parts.push(Part::within(start..start + CLIP_S, Target::Class(third)));
        start += CLIP_S;
    }
    parts
}

/// Clips of the story with the parts that lie within each, whole; a clip without any is left out.
fn clips(story: &Told<'_>, parts: &[Part]) -> Vec<Recording> {
    let mut clips: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    for part in parts {
        let Some(span) = &part.span_s else { continue };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "stories last minutes"
        )]
        let clip = ((span.start + SLACK_S) / CLIP_S).max(0.0) as usize;
        let from = clip as f64 * CLIP_S;
        if span.end > from + CLIP_S + SLACK_S {
            continue;
        }
        clips.entry(clip).or_default().push(Part {
            span_s: Some((span.start - from).max(0.0)..span.end - from),
            ..part.clone()
        });
    }
    let recording = |(clip, parts): (usize, Vec<Part>)| {
        let start = clip as f64 * CLIP_S;
        Recording {
            audio: story.audio.to_path_buf(),
            span_s: Some(start..start + CLIP_S),
            length_s: None,
            split: story.split,
            group: format!("{}, minute {}", story.name, (start / GROUP_S).floor()),
            text: Some(story.name.to_owned()),
            parts,
        }
    };
    clips.into_iter().map(recording).collect()
}
