//! The layout of `OpenNeuro` ds003020 (`LeBel` et al. 2023, Scientific Data 10, 555).
//!
//! ```text
//! derivative/respdict.json                                 story -> number of TRs acquired
//! derivative/preprocessed_data/<subject>/<story>.hf5       `data` [n_trs, n_voxels], z-scored
//! derivative/TextGrids/<story>.TextGrid
//! derivative/TRfiles/<story>.report                        when the TRs were, where there is one
//! stimuli/<story>.{wav,flac,mp3,ogg}
//! ```
//!
//! TRs last 2 s and sound begins 10 s after the first trigger, so TR k covers `[2k - 10, 2k - 8]` s
//! of the sound and its midpoint is at `2k - 9` s. The grid of a story has `respdict - 5` TRs, of
//! which the file holds all but the first 10 and the last 5. A story heard several times (the test
//! story `wheretheressmoke`) has `individual_repeats` `[n_repeats, n_trs, n_voxels]` beside `data`.
//! A report of the stimulus computer, which the published dataset does not have, takes the place of
//! the nominal grid: it must have as many TRs, and they keep to their mean distance ([`TrReport`]).
//! Held by `tests/it/datasets.rs` and, on real files, `tests/it/lebel.rs`.

mod defects;
mod presets;

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use crate::dataset::{AUDIO_EXTENSIONS, RowCheck};
use crate::files::{files_by_stem, is_plain_name, list_dir, read_bytes, require_dir};
use crate::json::every_entry;
use crate::response_file::{DATA, REPEATS};
use crate::responses::BadValueScan;
use crate::{
    BadValues, DatasetFiles, FmriError, MissingTriggers, ResponseFile, Responses, Result, StoredAs,
    Story, StoryDataset, StoryTiming, TrReport, Trim,
};

pub use defects::{KNOWN_DEFECTS, KnownDefect, known_defect};
pub use presets::{StoryPreset, TestConvention, story_sessions};

/// More TRs than any story has (55 hours): a damaged file must not ask for memory.
const LONGEST_STORY_TRS: usize = 100_000;
/// `respdict.json` is larger only where it is something else.
const MAX_RESPDICT_BYTES: u64 = 1 << 20;

/// A folder in the ds003020 layout, whole or in part.
///
/// ```no_run
/// use std::path::Path;
/// use braintune_fmri::{Ds003020, StoryDataset};
///
/// let dataset = Ds003020::open(Path::new("ds003020"))?;
/// for story in dataset.stories() {
///     let audio = story.require_audio()?;
///     let responses = dataset.responses("UTS03", story.name())?;
/// }
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ds003020 {
    dir: PathBuf,
    subjects: Vec<String>,
    stories: Vec<Story>,
    /// TRs acquired of each story, as `respdict.json` gives them.
    n_acquired: BTreeMap<String, usize>,
    /// Reports of the stimulus computer by story.
    reports: BTreeMap<String, PathBuf>,
    test_convention: TestConvention,
}

impl Ds003020 {
    /// Duration of a TR in seconds.
    pub const TR_S: f64 = 2.0;
    /// Midpoint of the first TR of the grid, in seconds from sound onset.
    pub const FIRST_TR_S: f64 = -9.0;
    /// TRs of `respdict.json` that lie past the grid.
    pub const N_PAST_GRID: usize = 5;
    /// Leaves the rows of the grid that files hold; the trim of training stories.
    pub const STORED: Trim = Trim::new(10, 5);

    /// Opens the folder `dir`: reads `respdict.json` and lists the other files.
    ///
    /// Subjects are the folders of `derivative/preprocessed_data`, sorted; stories are those of
    /// `respdict.json`, in its order. Files that are missing are no error here but where they are
    /// needed.
    ///
    /// # Errors
    ///
    /// [`FmriError::Missing`] if `dir` or `respdict.json` is not there, [`FmriError::RespDict`] if
    /// that file is not a JSON object of whole numbers from 21 to 100,000, [`FmriError::Pointer`],
    /// [`FmriError::Io`].
    pub fn open(dir: &Path) -> Result<Self> {
        require_dir(dir, "dataset folder")?;
        let lengths = read_respdict(&dir.join("derivative/respdict.json"))?;
        let audio_dir = dir.join("stimuli");
        let audio = files_by_stem(&audio_dir, &AUDIO_EXTENSIONS)?;
        let textgrids = files_by_stem(&dir.join("derivative/TextGrids"), &["TextGrid"])?;
        let stories = lengths.iter().map(|(name, _)| {
            let mut story = Story::new(name).looked_for_in(&audio_dir);
            if let Some(path) = audio.get(name) {
                story = story.with_audio(path);
            }
            if let Some(path) = textgrids.get(name) {
                story = story.with_textgrid(path);
            }
            story
        });
        let stories = stories.collect();
        let responses_dir = dir.join("derivative/preprocessed_data");
        let entries = list_dir(&responses_dir)?;
        let folders = entries.into_iter().filter(|path| path.is_dir());
        let mut subjects: Vec<_> = folders.filter_map(|path| file_name(&path)).collect();
        subjects.sort();
        Ok(Self {
            dir: dir.into(),
            subjects,
            stories,
            n_acquired: lengths.into_iter().collect(),
            reports: files_by_stem(&dir.join("derivative/TRfiles"), &["report"])?,
            test_convention: TestConvention::default(),
        })
    }

    /// The same dataset with another choice of test rows in
    /// [`default_trims`](StoryDataset::default_trims).
    #[must_use]
    pub fn with_test_convention(mut self, convention: TestConvention) -> Self {
        self.test_convention = convention;
        self
    }

    /// Compares `(n_trs, n_voxels)` of an array of `path` with the timing of `story`.
    fn check_rows(
        &self,
        subject: &str,
        story: &str,
        path: &Path,
        shape: (usize, usize),
    ) -> Result<()> {
        let timing = self.timing(story)?;
        let check = RowCheck {
            subject,
            story,
            timing: format!("respdict.json: {}", self.n_acquired[story]),
            source_name: path.display().to_string(),
        };
        check.check(&timing, shape)
    }

    fn response_file(&self, subject: &str, story: &str) -> Result<ResponseFile> {
        self.check_subject(subject)?;
        self.story(story)?;
        let path = self.response_path(subject, story);
        match ResponseFile::open(&path) {
            Err(FmriError::Missing { path, .. }) => Err(FmriError::Missing {
                what: format!("responses of {subject} to story {story}"),
                path,
            }),
            other => other,
        }
    }
}

impl StoryDataset for Ds003020 {
    fn name(&self) -> &'static str {
        "ds003020"
    }

    fn subjects(&self) -> &[String] {
        &self.subjects
    }

    fn stories(&self) -> &[Story] {
        &self.stories
    }

    fn timing(&self, story: &str) -> Result<StoryTiming> {
        self.story(story)?;
        let n_trs = self.n_acquired[story] - Self::N_PAST_GRID;
        let stored = Self::STORED.rows(n_trs)?;
        let Some(path) = self.reports.get(story) else {
            return StoryTiming::new(n_trs, Self::TR_S, Self::FIRST_TR_S, stored);
        };
        let report = TrReport::read(path, MissingTriggers::Fill)?;
        let n_triggers = report.trigger_times().len();
        if n_triggers != n_trs {
            return Err(report.error(format!(
                "it has {n_triggers} triggers, respdict.json says {} TRs, of which {n_trs} are on \
                 the grid; remove the report to use the nominal grid",
                self.n_acquired[story]
            )));
        }
        report.timing(stored)
    }

    fn sound_lengths_s(&self, story: &str) -> Result<RangeInclusive<f64>> {
        Ok(self.timing(story)?.sound_lengths_s())
    }

    /// Whether the file is there, or a pointer to it: a file that was not fetched is an error where
    /// it is read, not a story the subject did not hear.
    fn has_responses(&self, subject: &str, story: &str) -> bool {
        self.check_subject(subject).is_ok()
            && self.n_acquired.contains_key(story)
            && self
                .response_path(subject, story)
                .symlink_metadata()
                .is_ok()
    }

    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        let file = self.response_file(subject, story)?;
        let [n_trs, n_voxels] = file.shape()?;
        self.check_rows(subject, story, file.path(), (n_trs, n_voxels))?;
        Ok((n_trs, n_voxels))
    }

    fn response_file(&self, subject: &str, story: &str) -> Option<PathBuf> {
        Some(DatasetFiles::response_path(self, subject, story))
    }

    fn responses_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Responses> {
        let (n_trs, _) = self.response_shape(subject, story)?;
        let bold = self.response_file(subject, story)?.read(0..n_trs, voxels)?;
        Responses::from_bold(bold, &self.timing(story)?)
    }

    fn repeats_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Vec<Responses>> {
        let file = self.response_file(subject, story)?;
        let [n_repeats, n_trs, n_voxels] = file.repeats_shape().map_err(|error| match error {
            FmriError::NoKey { path, keys, .. } => FmriError::NoRepeats {
                subject: subject.into(),
                story: story.into(),
                reason: format!(
                    "no `{REPEATS}` in {}, which has {}",
                    path.display(),
                    keys.join(", ")
                ),
            },
            other => other,
        })?;
        self.check_rows(subject, story, file.path(), (n_trs, n_voxels))?;
        if file.shape()?[1] != n_voxels {
            return Err(FmriError::Shape {
                path: file.path().into(),
                key: REPEATS.into(),
                expected: "as many voxels as `data`",
                got: vec![n_repeats, n_trs, n_voxels],
            });
        }
        let timing = self.timing(story)?;
        let read = |repeat| {
            let bold = file.read_repeat(repeat, 0..n_trs, voxels.clone())?;
            Responses::from_bold(bold, &timing)
        };
        (0..n_repeats).map(read).collect()
    }

    fn default_trims(&self) -> (Trim, Trim) {
        (Self::STORED, self.test_convention.trim())
    }
}

impl DatasetFiles for Ds003020 {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn audio_dir(&self) -> PathBuf {
        self.dir.join("stimuli")
    }

    fn response_path(&self, subject: &str, story: &str) -> PathBuf {
        let dir = self.dir.join("derivative/preprocessed_data").join(subject);
        dir.join(format!("{story}.hf5"))
    }

    fn textgrid_path(&self, story: &str) -> PathBuf {
        let dir = self.dir.join("derivative/TextGrids");
        dir.join(format!("{story}.TextGrid"))
    }

    fn timing_source(&self) -> &'static str {
        "respdict.json"
    }

    fn stored_as(&self, subject: &str, story: &str) -> Result<StoredAs> {
        let info = self.response_file(subject, story)?.info(DATA)?;
        Ok(StoredAs::new(info.shape, info.dtype, info.storage))
    }

    /// Response files of stories that `respdict.json` does not have.
    fn strays(&self, subject: &str) -> Vec<PathBuf> {
        let folder = self.dir.join("derivative/preprocessed_data").join(subject);
        let is_stray = |path: &PathBuf| {
            let name = path.file_stem().and_then(|stem| stem.to_str());
            path.extension().is_some_and(|extension| extension == "hf5")
                && name.is_some_and(|name| !name.starts_with('.') && self.story(name).is_err())
        };
        let files = list_dir(&folder).unwrap_or_default().into_iter();
        files.filter(is_stray).collect()
    }

    fn known_defect(&self, subject: &str, story: &str) -> Option<String> {
        known_defect(subject, story).map(ToString::to_string)
    }

    /// Reads in blocks of rows, so that no chunk is decoded twice.
    fn scan(&self, subject: &str, story: &str) -> Result<Vec<(String, BadValues)>> {
        let (n_trs, n_voxels) = self.response_shape(subject, story)?;
        let n_repeats = match self.repeats_columns(subject, story, 0..0) {
            Err(FmriError::NoRepeats { .. }) => 0,
            other => other?.len(),
        };
        let file = self.response_file(subject, story)?;
        let scan = |key, lead: &[usize]| -> Result<BadValues> {
            let mut scan = BadValueScan::new(n_voxels);
            file.for_each_block(key, lead, 0..n_trs, 0..n_voxels, &mut |rows| {
                scan.add_rows(rows);
            })?;
            Ok(scan.finish())
        };
        let mut found = vec![(DATA.to_owned(), scan(DATA, &[])?)];
        for repeat in 0..n_repeats {
            found.push((format!("repeat {repeat}"), scan(REPEATS, &[repeat])?));
        }
        Ok(found)
    }
}

/// Reads `respdict.json`, in its order.
fn read_respdict(path: &Path) -> Result<Vec<(String, usize)>> {
    let text = read_bytes(path, "list of stories", MAX_RESPDICT_BYTES)?;
    let malformed = |reason: String| FmriError::RespDict {
        path: path.into(),
        reason,
    };
    let expected = "expected {\"story\": n_trs, ...}";
    let entries = every_entry::<serde_json::Value>(&text)
        .map_err(|error| malformed(format!("{expected}: {error}")))?;
    let lengths = entries.into_iter().map(|(name, length)| {
        let n_acquired = length.as_u64().and_then(|n| usize::try_from(n).ok());
        let wrong = || format!("{expected}: story {name} has {length}, expected a whole number");
        let n_acquired = n_acquired.ok_or_else(|| malformed(wrong()))?;
        Ok((name, n_acquired))
    });
    let lengths = lengths.collect::<Result<Vec<_>>>()?;
    if lengths.is_empty() {
        return Err(malformed("it lists no story".to_owned()));
    }
    let (stored, past) = (Ds003020::STORED, Ds003020::N_PAST_GRID);
    let shortest = stored.start() + stored.end() + past + 1;
    for (k, (name, n_acquired)) in lengths.iter().enumerate() {
        if !(shortest..=LONGEST_STORY_TRS).contains(n_acquired) {
            return Err(malformed(format!(
                "story {name} has {n_acquired} TRs, expected {shortest} to {LONGEST_STORY_TRS}"
            )));
        }
        if !is_plain_name(name) {
            return Err(malformed(format!("{name:?} cannot be the name of a story")));
        }
        if lengths[..k].iter().any(|(other, _)| other == name) {
            return Err(malformed(format!("story {name} is listed twice")));
        }
    }
    Ok(lengths)
}

fn file_name(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    (!name.starts_with('.')).then(|| name.to_owned())
}
