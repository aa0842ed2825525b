//! What a naturalistic fMRI dataset offers, whatever its layout on disk.
//!
//! Held by [`check_story_dataset`](crate::check_story_dataset) (feature `testing`), which every
//! implementer's tests call.

use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use crate::{FmriError, Modality, Responses, Result, StoryTiming, Trim};

/// File extensions of audio that is looked for, in order of preference.
pub(crate) const AUDIO_EXTENSIONS: [&str; 4] = ["wav", "flac", "mp3", "ogg"];

/// Subjects who heard stories in the scanner.
///
/// Implementers: [`Ds003020`](crate::Ds003020), [`BidsDataset`](crate::BidsDataset),
/// [`FolderDataset`](crate::FolderDataset), [`InMemoryDataset`](crate::InMemoryDataset). Errors of
/// other implementers travel in [`FmriError::Other`].
///
/// ```
/// use braintune_fmri::{InMemoryDataset, Result, Story, StoryDataset, StoryTiming, Trim};
/// use ndarray::Array2;
///
/// /// Rows and voxels that an analysis of a subject has.
/// fn size(dataset: &dyn StoryDataset, subject: &str) -> Result<(usize, usize)> {
///     let (mut n_rows, mut n_voxels) = (0, 0);
///     for story in dataset.stories() {
///         if dataset.has_responses(subject, story.name()) {
///             let kept = dataset.timing(story.name())?.kept(dataset.default_trims().0)?;
///             let bold = dataset.responses(subject, story.name())?.rows(kept)?;
///             n_rows += bold.bold().nrows();
///             n_voxels = bold.bold().ncols();
///         }
///     }
///     Ok((n_rows, n_voxels))
/// }
///
/// let mut dataset =
///     InMemoryDataset::new("example").with_default_trims(Trim::new(10, 5), Trim::new(20, 5));
/// for name in ["tale", "other"] {
///     dataset.add_story(Story::new(name), StoryTiming::new(40, 2.0, -9.0, 10..35)?)?;
/// }
/// dataset.add_responses("S1", "tale", Array2::zeros((25, 3)))?;
/// assert_eq!(size(&dataset, "S1")?, (25, 3));
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
pub trait StoryDataset: Send + Sync {
    /// Name for messages and provenance.
    fn name(&self) -> &str;

    /// How the brains were recorded; fMRI unless the dataset says otherwise.
    fn modality(&self) -> Modality {
        Modality::Fmri
    }

    /// The subjects, in the dataset's order.
    fn subjects(&self) -> &[String];

    /// The stories that have a timing, in the dataset's order; not every subject heard each.
    fn stories(&self) -> &[Story];

    /// The time base of a story.
    ///
    /// # Errors
    ///
    /// [`FmriError::UnknownStory`].
    fn timing(&self, story: &str) -> Result<StoryTiming>;

    /// Lengths in seconds that the sound of a story can have: at least until 30 s before the last TR
    /// of which there are responses, unless the dataset knows better.
    ///
    /// # Errors
    ///
    /// As [`timing`](Self::timing).
    fn sound_lengths_s(&self, story: &str) -> Result<RangeInclusive<f64>> {
        Ok(self.timing(story)?.shortest_sound_s()..=f64::INFINITY)
    }

    /// Whether there are responses of a subject to a story, read or not; `false` for unknown names.
    fn has_responses(&self, subject: &str, story: &str) -> bool;

    /// `(n_trs, n_voxels)` of the responses, from headers only, checked against the timing.
    ///
    /// # Errors
    ///
    /// [`FmriError::UnknownSubject`], [`FmriError::UnknownStory`], [`FmriError::RowCount`], and what
    /// the file can cause.
    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)>;

    /// The file that holds all responses of a subject to a story, if it is one: processes that see the same file need
    /// not read all of it each. None unless overridden.
    fn response_file(&self, subject: &str, story: &str) -> Option<PathBuf> {
        let _ = (subject, story);
        None
    }

    /// Responses of some voxels, `[n_trs, voxels.len()]`; the other columns are not kept in memory.
    /// NaNs stay as stored.
    ///
    /// # Errors
    ///
    /// As [`response_shape`](Self::response_shape), and [`FmriError::Selection`] if there are fewer
    /// voxels.
    fn responses_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Responses>;

    /// Responses of all voxels, `[n_trs, n_voxels]`.
    ///
    /// # Errors
    ///
    /// As [`response_shape`](Self::response_shape).
    fn responses(&self, subject: &str, story: &str) -> Result<Responses> {
        let (_, n_voxels) = self.response_shape(subject, story)?;
        self.responses_columns(subject, story, 0..n_voxels)
    }

    /// Responses of some voxels to each hearing of a story that was repeated, each
    /// `[n_trs, voxels.len()]`; the other columns are not kept in memory. An empty range tells how
    /// many hearings there are, from headers only.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoRepeats`] if single repeats are not to be had, else as
    /// [`responses_columns`](Self::responses_columns).
    fn repeats_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Vec<Responses>> {
        let _ = voxels;
        Err(FmriError::NoRepeats {
            subject: subject.into(),
            story: story.into(),
            reason: format!("{} keeps none", self.name()),
        })
    }

    /// Responses to each hearing of a story that was repeated, each `[n_trs, n_voxels]`.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoRepeats`] if single repeats are not to be had, else as
    /// [`response_shape`](Self::response_shape).
    fn repeats(&self, subject: &str, story: &str) -> Result<Vec<Responses>> {
        let (_, n_voxels) = self.response_shape(subject, story)?;
        self.repeats_columns(subject, story, 0..n_voxels)
    }

    /// The trims of the grid that analyses of this dataset use: of training stories, of test
    /// stories.
    fn default_trims(&self) -> (Trim, Trim);

    /// The story called `name`.
    ///
    /// # Errors
    ///
    /// [`FmriError::UnknownStory`], which lists the known ones.
    fn story(&self, name: &str) -> Result<&Story> {
        let stories = self.stories();
        let found = stories.iter().find(|story| story.name() == name);
        found.ok_or_else(|| FmriError::UnknownStory {
            dataset: self.name().into(),
            story: name.into(),
            known: stories.iter().map(|story| story.name().into()).collect(),
        })
    }

    /// Checks that `subject` is one of the dataset's.
    ///
    /// # Errors
    ///
    /// [`FmriError::UnknownSubject`], which lists the known ones.
    fn check_subject(&self, subject: &str) -> Result<()> {
        if self.subjects().iter().any(|known| known == subject) {
            return Ok(());
        }
        Err(FmriError::UnknownSubject {
            dataset: self.name().into(),
            subject: subject.into(),
            known: self.subjects().to_vec(),
        })
    }
}

const _: fn(&dyn StoryDataset) = |_| {};

/// A story and the files that belong to it whoever heard it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    name: String,
    audio: Option<PathBuf>,
    textgrid: Option<PathBuf>,
    audio_dir: Option<PathBuf>,
}

impl Story {
    /// A story without files.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            audio: None,
            textgrid: None,
            audio_dir: None,
        }
    }

    /// The same story with its sound at `path`.
    #[must_use]
    pub fn with_audio(mut self, path: impl Into<PathBuf>) -> Self {
        self.audio = Some(path.into());
        self
    }

    /// The same story with its `TextGrid` at `path`.
    #[must_use]
    pub fn with_textgrid(mut self, path: impl Into<PathBuf>) -> Self {
        self.textgrid = Some(path.into());
        self
    }

    /// The same story, saying that its sound should be in the folder `dir`.
    pub(crate) fn looked_for_in(mut self, dir: impl Into<PathBuf>) -> Self {
        self.audio_dir = Some(dir.into());
        self
    }

    /// The name, unique in its dataset.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The audio file, if there is one. It may still be a pointer or unreadable.
    #[must_use]
    pub fn audio(&self) -> Option<&Path> {
        self.audio.as_deref()
    }

    /// The audio file.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoAudio`], which says what was looked for.
    pub fn require_audio(&self) -> Result<&Path> {
        self.audio().ok_or_else(|| FmriError::NoAudio {
            story: self.name.clone(),
            looked_for: match &self.audio_dir {
                Some(dir) => {
                    let files =
                        AUDIO_EXTENSIONS.map(|extension| format!("{}.{extension}", self.name));
                    format!("{} in {}", files.join(", "), dir.display())
                }
                None => "nothing, the dataset gives no path".into(),
            },
        })
    }

    /// The `TextGrid`, if there is one.
    #[must_use]
    pub fn textgrid(&self) -> Option<&Path> {
        self.textgrid.as_deref()
    }
}

/// Compares the rows of an array with those the timing says are stored.
pub(crate) struct RowCheck<'a> {
    pub(crate) subject: &'a str,
    pub(crate) story: &'a str,
    /// Where the timing comes from, as messages say it.
    pub(crate) timing: String,
    /// The file or array, as messages say it.
    pub(crate) source_name: String,
}

impl RowCheck<'_> {
    /// `shape` is `(n_trs, n_voxels)`.
    pub(crate) fn check(self, timing: &StoryTiming, shape: (usize, usize)) -> Result<()> {
        let expected = timing.stored().len();
        if shape.0 == expected {
            return Ok(());
        }
        Err(FmriError::RowCount {
            subject: self.subject.into(),
            story: self.story.into(),
            timing: self.timing,
            expected,
            source_name: self.source_name,
            got: shape.0,
            transposed: shape.1 == expected,
        })
    }
}
