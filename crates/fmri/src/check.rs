//! Preflight: what is missing, unreadable, or of the wrong length in a dataset, file by file.
//!
//! Quick checks read headers and sizes; deep ones every value and every sample. Errors are what an
//! analysis would stop at; warnings what it can do without. Held by `tests/it/check.rs`.

mod files;
mod fix;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use fix::{Fix, fix_dataset};

#[cfg(doc)]
use crate::StoryDataset;
use crate::{DatasetFiles, Modality};

/// What [`check_dataset`] found, one entry per file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// Name of the dataset.
    pub dataset: String,
    /// What was recorded.
    #[serde(default)]
    pub modality: Modality,
    /// The subjects whose responses were looked at.
    pub subjects: Vec<String>,
    /// Whether every value and sample was read.
    pub deep: bool,
    /// `false` if the check was stopped before the end.
    pub complete: bool,
    /// What was repaired beforehand, see [`fix_dataset`].
    #[serde(default)]
    pub fixed: Vec<Fix>,
    /// The files in the order they were looked at.
    pub entries: Vec<CheckEntry>,
}

impl CheckReport {
    /// Whether anything was found that an analysis would stop at.
    #[must_use]
    pub fn has_problems(&self) -> bool {
        self.problems().next().is_some()
    }

    /// The entries with [`CheckStatus::Error`].
    pub fn problems(&self) -> impl Iterator<Item = &CheckEntry> {
        self.with_status(CheckStatus::Error)
    }

    /// The entries with [`CheckStatus::Warning`].
    pub fn warnings(&self) -> impl Iterator<Item = &CheckEntry> {
        self.with_status(CheckStatus::Warning)
    }

    fn with_status(&self, status: CheckStatus) -> impl Iterator<Item = &CheckEntry> {
        let entries = self.entries.iter();
        entries.filter(move |entry| entry.status == status)
    }
}

/// One file, there or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CheckEntry {
    /// The story it belongs to.
    pub story: Option<String>,
    /// The subject it belongs to.
    pub subject: Option<String>,
    /// Where it is, or should be; a name that is no Unicode is written with replacement characters.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// What it is.
    pub kind: FileKind,
    /// How it is.
    pub status: CheckStatus,
    /// What was found and what to do about it; empty if all is well.
    pub message: String,
    /// What the file says of itself.
    pub details: CheckDetails,
}

pub(super) fn lossy<S: serde::Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// The kinds of files of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKind {
    /// A story's sound.
    Audio,
    /// A story's `TextGrid`.
    #[serde(rename = "textgrid")]
    TextGrid,
    /// Responses of a subject to a story.
    Responses,
}

/// How a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// Nothing to remark.
    Ok,
    /// An analysis can do without it, or will cope.
    Warning,
    /// An analysis that needs the file will stop.
    Error,
}

/// What a file says of itself; absent where it does not apply or was not read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case")]
#[non_exhaustive]
pub struct CheckDetails {
    /// Shape of the responses in the order of the file, `[n_trs, n_voxels]` in ds003020, `[x, y, z, n_trs]`
    /// of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// Type of a value, such as `f32`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    /// Layout and filters, such as `contiguous`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// Number of single repeats in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_repeats: Option<usize>,
    /// Length of the sound, or of the labels, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Sample rate of the sound as stored, in Hz.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate_hz: Option<u32>,
    /// Channels of the sound as stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_channels: Option<usize>,
    /// Words of the `TextGrid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_words: Option<usize>,
    /// Voxels with a NaN or an infinite value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_nonfinite_voxels: Option<usize>,
    /// Voxels that never change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_constant_voxels: Option<usize>,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum CheckEvent<'a> {
    /// The check begins; about this many files will be looked at.
    Started {
        /// Number of files.
        n_files: usize,
    },
    /// A file was looked at.
    Checked {
        /// Files looked at so far, this one included.
        n_checked: usize,
        /// What was found.
        entry: &'a CheckEntry,
    },
}

/// Looks at every file of `dataset` that belongs to a story or to one of `subjects`.
///
/// Audio, `TextGrids` and responses are read, and compared with the timing and with one another:
/// rows of responses must be those the timing gives, a subject must have the same voxels in
/// every story, and the sound must be as long as [`StoryDataset::sound_lengths_s`] says, as in every
/// analysis. A story that a subject did not hear is a warning, as is a missing `TextGrid`; missing
/// audio is an error if one of `subjects` has responses. A task of which no story can be made (rest,
/// or images that were not fetched) is a warning. With `deep`, every sample is decoded and NaN, infinite and
/// constant voxels are errors; responses that come as images are prepared for that and kept.
///
/// `on` may stop the check, which leaves [`CheckReport::complete`] `false`.
///
/// ```no_run
/// use std::{ops::ControlFlow, path::Path};
/// use braintune_fmri::{Ds003020, check_dataset};
///
/// let dataset = Ds003020::open(Path::new("ds003020"))?;
/// let report = check_dataset(&dataset, &["UTS03".into()], false, &mut |_| ControlFlow::Continue(()));
/// for problem in report.problems() {
///     eprintln!("{}", problem.message);
/// }
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
pub fn check_dataset(
    dataset: &dyn DatasetFiles,
    subjects: &[String],
    deep: bool,
    on: &mut dyn FnMut(CheckEvent<'_>) -> ControlFlow<()>,
) -> CheckReport {
    let n_files = dataset.stories().len() * (2 + subjects.len());
    let mut entries = Vec::new();
    let mut flow = on(CheckEvent::Started { n_files });
    if flow.is_continue() {
        flow = run(dataset, subjects, deep, &mut |entry| {
            let flow = on(CheckEvent::Checked {
                n_checked: entries.len() + 1,
                entry: &entry,
            });
            entries.push(entry);
            flow
        });
    }
    CheckReport {
        dataset: dataset.name().into(),
        modality: dataset.modality(),
        subjects: subjects.to_vec(),
        deep,
        complete: flow.is_continue(),
        fixed: Vec::new(),
        entries,
    }
}

fn run(
    dataset: &dyn DatasetFiles,
    subjects: &[String],
    deep: bool,
    add: &mut dyn FnMut(CheckEntry) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let checker = files::Checker {
        dataset,
        names: fix::Names::of(dataset),
        deep,
    };
    let mut known = Vec::new();
    for subject in subjects {
        match dataset.check_subject(subject) {
            Ok(()) => known.push((subject.as_str(), None)),
            Err(error) => add(checker.unknown_subject(subject, &error))?,
        }
    }
    for story in dataset.stories() {
        let is_heard = known
            .iter()
            .any(|(subject, _)| dataset.has_responses(subject, story.name()));
        let audio = checker.audio(story, is_heard);
        let audio_s = audio.details.duration_s;
        add(audio)?;
        add(checker.textgrid(story, audio_s))?;
        for (subject, n_voxels) in &mut known {
            add(checker.responses(subject, story, n_voxels))?;
        }
    }
    for entry in checker.left_out() {
        add(entry)?;
    }
    for (subject, _) in known {
        for entry in checker.strays(subject) {
            add(entry)?;
        }
    }
    ControlFlow::Continue(())
}
