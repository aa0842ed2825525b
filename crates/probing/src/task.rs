//! What a probe is asked: recordings, their parts, a label for each, and which are for what.
//!
//! A [`ProbeTask`] lists recordings; features of a recording, `[n_frames, d_model]` per layer, become one row for
//! each part of it, or for each frame of each part ([`Rows`]). Held by `tests/it/probe.rs`.

use std::ops::Range;
use std::path::PathBuf;

use braintune_audio::Waveform;
use ndarray::Array2;

use crate::error::{ProbingError, Result};

/// What rows are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// Probes are fitted on them.
    Train,
    /// Their strength of regularisation is chosen on them.
    Validation,
    /// They are scored on them.
    Test,
}

/// What is predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelSet {
    /// One of these classes.
    OneOf(Vec<String>),
    /// Any number of these classes.
    AnyOf(Vec<String>),
    /// Numbers, one for each of these names.
    Values(Vec<String>),
}

impl LabelSet {
    /// Names of classes or numbers.
    #[must_use]
    pub fn names(&self) -> &[String] {
        match self {
            Self::OneOf(names) | Self::AnyOf(names) | Self::Values(names) => names,
        }
    }
}

/// How the frames of a part become rows of features.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Their mean, one row for each part.
    Mean,
    /// Each of them, with the label of the part.
    Frames,
}

/// The label of a part.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// Number of its class.
    Class(usize),
    /// Numbers of its classes.
    Classes(Vec<usize>),
    /// Numbers.
    Values(Vec<f32>),
    /// Numbers that [`ProbeTask::values`] gives.
    FromAudio,
}

/// A part of a recording, and its label.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Part {
    /// Seconds from the recording's start; the whole recording if none are given.
    pub span_s: Option<Range<f64>>,
    /// Its label.
    pub target: Target,
    /// What it is one of many of, where labels belong to such: a word that is said again and again. Parts of the same
    /// share a label under the control.
    pub item: Option<String>,
}

impl Part {
    /// The whole recording.
    #[must_use]
    pub fn whole(target: Target) -> Self {
        Self {
            span_s: None,
            target,
            item: None,
        }
    }

    /// A span of the recording, seconds from its start.
    #[must_use]
    pub fn within(span_s: Range<f64>, target: Target) -> Self {
        Self {
            span_s: Some(span_s),
            ..Self::whole(target)
        }
    }

    /// What it is one of many of ([`item`](Self::item)).
    #[must_use]
    pub fn with_item(mut self, item: String) -> Self {
        self.item = Some(item);
        self
    }
}

/// A piece of audio that a model hears at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// The file.
    pub audio: PathBuf,
    /// Seconds of the file that are heard; all of it if none are given.
    pub span_s: Option<Range<f64>>,
    /// Cut, or filled with zeros, to this many seconds.
    pub length_s: Option<f64>,
    /// What its rows are for.
    pub split: Split,
    /// Speaker, or story: intervals come from drawing groups.
    pub group: String,
    /// What is said, where that is known: recordings of the same text share it.
    pub text: Option<String>,
    /// Its parts, in order.
    pub parts: Vec<Part>,
}

impl Recording {
    /// A whole file with one label.
    #[must_use]
    pub fn whole(audio: PathBuf, split: Split, group: String, target: Target) -> Self {
        Self {
            audio,
            span_s: None,
            length_s: None,
            split,
            group,
            text: None,
            parts: vec![Part::whole(target)],
        }
    }
}

/// A question that layers are probed with.
///
/// Implementers: [`TimitPhonemes`](crate::TimitPhonemes), [`CorpusTask`](crate::CorpusTask) and the others of
/// this crate.
pub trait ProbeTask: Send + Sync {
    /// Its name, for tables and figures.
    fn name(&self) -> &str;

    /// What is predicted.
    fn labels(&self) -> &LabelSet;

    /// What a row of features is.
    fn rows(&self) -> Rows;

    /// All recordings, those of one split after the other or not.
    ///
    /// # Errors
    /// Data that are missing or damaged.
    fn recordings(&self) -> Result<Vec<Recording>>;

    /// Settings that its numbers depend on, in words, for provenance; none unless overridden.
    fn settings(&self) -> String {
        String::new()
    }

    /// Epochs of the paper's probe; 50 unless overridden.
    fn paper_epochs(&self) -> usize {
        50
    }

    /// Numbers to predict of a recording, where [`labels`](Self::labels) are [`LabelSet::Values`]: `[n_rows, n_values]`;
    /// rows are those of the frames at `times` (seconds from the start of `audio`), or one for each part under
    /// [`Rows::Mean`].
    ///
    /// # Errors
    /// Audio that is too short; none unless overridden but that there are no such numbers.
    fn values(&self, audio: &Waveform, times: &[f64]) -> Result<Array2<f32>> {
        let _ = (audio, times);
        Err(ProbingError::Task {
            task: self.name().to_owned(),
            problem: "has classes, no numbers to predict".to_owned(),
        })
    }
}

const _: fn(&dyn ProbeTask) = |_| {};
