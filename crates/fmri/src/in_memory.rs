//! A dataset made of arrays, for tests, simulations, and data that come from elsewhere.
//!
//! Held by `tests/it/datasets.rs`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ndarray::{Array2, Axis, Slice};

use crate::dataset::RowCheck;
use crate::selection::check_selection;
use crate::{FmriError, Responses, Result, Story, StoryDataset, StoryTiming, Trim};

/// A [`StoryDataset`] whose responses are arrays in memory.
///
/// ```
/// use braintune_fmri::{InMemoryDataset, Story, StoryDataset, StoryTiming};
/// use ndarray::Array2;
///
/// let mut dataset = InMemoryDataset::new("example");
/// let timing = StoryTiming::new(20, 2.0, 1.0, 0..20)?;
/// dataset.add_story(Story::new("tale").with_audio("tale.wav"), timing)?;
/// dataset.add_responses("S1", "tale", Array2::zeros((20, 3)))?;
///
/// assert_eq!(dataset.response_shape("S1", "tale")?, (20, 3));
/// let voxel = dataset.responses_columns("S1", "tale", 1..2)?;
/// assert_eq!(voxel.bold().dim(), (20, 1));
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug)]
pub struct InMemoryDataset {
    name: String,
    subjects: Vec<String>,
    stories: Vec<Story>,
    timings: BTreeMap<String, StoryTiming>,
    responses: BTreeMap<(String, String), Array2<f32>>,
    repeats: BTreeMap<(String, String), Vec<Array2<f32>>>,
    trims: (Trim, Trim),
}

impl InMemoryDataset {
    /// An empty dataset that trims nothing by default.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            subjects: Vec::new(),
            stories: Vec::new(),
            timings: BTreeMap::new(),
            responses: BTreeMap::new(),
            repeats: BTreeMap::new(),
            trims: (Trim::default(), Trim::default()),
        }
    }

    /// The same dataset with these default trims of training and of test stories.
    #[must_use]
    pub fn with_default_trims(mut self, train: Trim, test: Trim) -> Self {
        self.trims = (train, test);
        self
    }

    /// Adds a story.
    ///
    /// # Errors
    ///
    /// [`FmriError::DuplicateStory`] if there is one of that name already.
    pub fn add_story(&mut self, story: Story, timing: StoryTiming) -> Result<()> {
        if self.timings.contains_key(story.name()) {
            return Err(FmriError::DuplicateStory {
                dataset: self.name.clone(),
                story: story.name().into(),
            });
        }
        self.timings.insert(story.name().into(), timing);
        self.stories.push(story);
        Ok(())
    }

    /// Adds the responses of a subject, new or known, to a story, `[n_trs, n_voxels]`; replaces
    /// earlier ones.
    ///
    /// # Errors
    ///
    /// [`FmriError::UnknownStory`], [`FmriError::RowCount`] if the timing says another number of rows
    /// is stored, [`FmriError::Shape`] if single repeats have another number of voxels.
    pub fn add_responses(&mut self, subject: &str, story: &str, bold: Array2<f32>) -> Result<()> {
        self.check_rows(subject, story, &bold)?;
        let repeats = self.repeats.get(&key(subject, story));
        if let Some(repeat) = repeats.and_then(|repeats| repeats.first()) {
            let expected = "as many voxels as the repeats";
            self.check_voxels((subject, story), &bold, expected, repeat)?;
        }
        self.add_subject(subject);
        self.responses.insert(key(subject, story), bold);
        Ok(())
    }

    /// Adds the responses to single hearings of a story, each `[n_trs, n_voxels]`; replaces earlier
    /// ones.
    ///
    /// # Errors
    ///
    /// As [`add_responses`](Self::add_responses); [`FmriError::Shape`] if the responses or another
    /// repeat have another number of voxels.
    pub fn add_repeats(
        &mut self,
        subject: &str,
        story: &str,
        repeats: Vec<Array2<f32>>,
    ) -> Result<()> {
        let (expected, other) = match self.responses.get(&key(subject, story)) {
            Some(responses) => ("as many voxels as the responses", Some(responses)),
            None => ("as many voxels as the first repeat", repeats.first()),
        };
        for bold in &repeats {
            self.check_rows(subject, story, bold)?;
            if let Some(other) = other {
                self.check_voxels((subject, story), bold, expected, other)?;
            }
        }
        self.add_subject(subject);
        self.repeats.insert(key(subject, story), repeats);
        Ok(())
    }

    fn add_subject(&mut self, subject: &str) {
        if self.check_subject(subject).is_err() {
            self.subjects.push(subject.into());
        }
    }

    fn check_rows(&self, subject: &str, story: &str, bold: &Array2<f32>) -> Result<()> {
        let check = RowCheck {
            subject,
            story,
            timing: format!("of {}", self.name),
            source_name: "the array".into(),
        };
        check.check(&self.timing(story)?, bold.dim())
    }

    fn check_voxels(
        &self,
        (subject, story): (&str, &str),
        bold: &Array2<f32>,
        expected: &'static str,
        other: &Array2<f32>,
    ) -> Result<()> {
        if bold.ncols() == other.ncols() {
            return Ok(());
        }
        Err(FmriError::Shape {
            path: self.name.clone().into(),
            key: format!("{subject}/{story}"),
            expected,
            got: bold.shape().to_vec(),
        })
    }

    fn bold(&self, subject: &str, story: &str) -> Result<&Array2<f32>> {
        self.check_subject(subject)?;
        self.story(story)?;
        let bold = self.responses.get(&key(subject, story));
        bold.ok_or_else(|| FmriError::NoResponses {
            dataset: self.name.clone(),
            subject: subject.into(),
            story: story.into(),
        })
    }

    fn columns(
        &self,
        bold: &Array2<f32>,
        (subject, story): (&str, &str),
        voxels: Range<usize>,
    ) -> Result<Array2<f32>> {
        let key = format!("{subject}/{story}");
        check_selection(Path::new(&self.name), &key, "voxels", &voxels, bold.ncols())?;
        Ok(bold.slice_axis(Axis(1), Slice::from(voxels)).to_owned())
    }
}

fn key(subject: &str, story: &str) -> (String, String) {
    (subject.into(), story.into())
}

impl StoryDataset for InMemoryDataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn subjects(&self) -> &[String] {
        &self.subjects
    }

    fn stories(&self) -> &[Story] {
        &self.stories
    }

    fn timing(&self, story: &str) -> Result<StoryTiming> {
        self.story(story)?;
        Ok(self.timings[story].clone())
    }

    fn has_responses(&self, subject: &str, story: &str) -> bool {
        self.responses.contains_key(&key(subject, story))
    }

    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        Ok(self.bold(subject, story)?.dim())
    }

    fn responses_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Responses> {
        let bold = self.bold(subject, story)?;
        let columns = self.columns(bold, (subject, story), voxels)?;
        Responses::from_bold(columns, &self.timing(story)?)
    }

    fn repeats_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Vec<Responses>> {
        self.check_subject(subject)?;
        let timing = self.timing(story)?;
        let repeats = self.repeats.get(&key(subject, story));
        let repeats = repeats.ok_or_else(|| FmriError::NoRepeats {
            subject: subject.into(),
            story: story.into(),
            reason: "none were added".into(),
        })?;
        let responses = repeats.iter();
        responses
            .map(|bold| {
                let columns = self.columns(bold, (subject, story), voxels.clone())?;
                Responses::from_bold(columns, &timing)
            })
            .collect()
    }

    fn default_trims(&self) -> (Trim, Trim) {
        self.trims
    }
}
