//! A plain folder of arrays with a `dataset.toml`: fMRI, EEG, MEG, `ECoG` or what else was recorded.
//!
//! ```text
//! dataset.toml
//! responses/<subject>/<story>.npy            [n_times, n_channels], or .npz with the key `data`
//! responses/<subject>/<story>_repeats.npy    [n_repeats, n_times, n_channels], if there are single
//!                                            hearings; or the key `repeats` of <story>.npz
//! stimuli/<story>.{wav,flac,mp3,ogg}
//! textgrids/<story>.TextGrid
//! ```
//!
//! Times are seconds from sound onset, values are f32 as stored, NaN stays. Held by
//! `tests/it/folder.rs` and `tests/it/folder_toml.rs`.

mod array;
mod config;
mod npy;
mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use self::array::npy_shape;
use self::array::{AxisOrder, StoredArray};
use self::config::{Config, StoryTable};
use self::pattern::Pattern;
use crate::dataset::{AUDIO_EXTENSIONS, RowCheck};
use crate::files::{files_by_stem, list_dir, require_dir};
use crate::{
    DatasetFiles, FmriError, Modality, Responses, Result, StoredAs, Story, StoryDataset,
    StoryTiming, Trim,
};

const TOML: &str = "dataset.toml";
/// What single hearings have after the story's name.
const REPEATS_SUFFIX: &str = "_repeats";

/// A folder with a `dataset.toml` and one array per subject and story.
///
/// | key of `dataset.toml` | what it says | if left out |
/// |---|---|---|
/// | `name` | name for messages and provenance | must be there |
/// | `modality` | `fmri`, `eeg`, `meg`, `ecog`, `fnirs` | `fmri` |
/// | `tr_s` or `rate_hz` | seconds from one sample to the next, or samples per second | one must be there |
/// | `first_time_s` | middle of the first sample, in seconds from sound onset; half a sample if both begin together. For all stories, or in a story's table | must be there |
/// | `axes` | `time-channel` or `channel-time`: the order of the last two axes of every array | `time-channel` |
/// | `responses` | path of the arrays with `{subject}` and `{story}`; without an extension `.npy` is tried, then `.npz` | `responses/{subject}/{story}` |
/// | `key`, `repeats_key` | names of the arrays in a `.npz` | `data`, `repeats` |
/// | `subjects` | names, in this order | the folders that `responses` points to, sorted |
/// | `outside` | `true` if paths may be absolute or climb out of the folder by `..` | `false` |
/// | `[trim]` `train`, `test` | rows that analyses drop at the start and at the end of training and of test stories, `[5, 5]` | what the least stored story needs |
/// | `[[story]]` `name` | one table for each story, in this order | must be there |
/// | `audio`, `textgrid` | files of the story | `stimuli/<name>.{wav,flac,mp3,ogg}`, `textgrids/<name>.TextGrid` |
/// | `n_times` | samples of the story's grid | those of the first array found |
/// | `stored` | which of them arrays hold, `[start, end]`, `end` not included | all |
///
/// Arrays may be floats of 16, 32 or 64 bit or integers, in either byte order, C or Fortran order.
/// A range of channels is read without the others; a compressed `.npz` is decoded from its start each
/// time, so `.npy` is faster where an analysis reads range by range.
///
/// ```
/// use braintune_fmri::{FolderDataset, Lanczos, StoryDataset};
///
/// # let dir = tempfile::tempdir()?;
/// # let root = dir.path();
/// std::fs::write(
///     root.join("dataset.toml"),
///     r#"
///     name = "alice"
///     modality = "eeg"
///     rate_hz = 100
///     first_time_s = 0.005
///     axes = "channel-time"
///
///     [[story]]
///     name = "chapter1"
///     n_times = 12000
///     "#,
/// )?;
/// let dataset = FolderDataset::open(root)?;
/// let timing = dataset.timing("chapter1")?;
/// assert_eq!(timing.tr_times()[1], 0.015);
/// assert_eq!(timing.delays_within(0.0, 0.6).len(), 61);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FolderDataset {
    dir: PathBuf,
    name: String,
    modality: Modality,
    subjects: Vec<String>,
    stories: Vec<Story>,
    clocks: BTreeMap<String, Clock>,
    trims: (Trim, Trim),
    files: Files,
}

/// The timing of a story and where its number of samples comes from.
#[derive(Clone, Debug)]
struct Clock {
    timing: StoryTiming,
    source: String,
    textgrid: PathBuf,
}

/// Where arrays are.
#[derive(Clone, Debug)]
struct Files {
    dir: PathBuf,
    pattern: Pattern,
    key: String,
    repeats_key: String,
    axes: AxisOrder,
}

impl Files {
    fn response_path(&self, subject: &str, story: &str) -> PathBuf {
        self.pattern.path(&self.dir, subject, story, "")
    }

    fn responses(&self, subject: &str, story: &str) -> StoredArray {
        let path = self.response_path(subject, story);
        StoredArray::new(path, &self.key, self.axes)
    }

    /// The array of single hearings: a file of its own, else a second array of the story's.
    fn repeats(&self, subject: &str, story: &str) -> StoredArray {
        let own = self.pattern.path(&self.dir, subject, story, REPEATS_SUFFIX);
        let shared = self.response_path(subject, story);
        let is_archive = shared
            .extension()
            .is_some_and(|extension| extension == "npz");
        if is_archive && own.symlink_metadata().is_err() {
            return StoredArray::new(shared, &self.repeats_key, self.axes);
        }
        StoredArray::new(own, &self.key, self.axes)
    }
}

impl FolderDataset {
    /// Opens the folder `dir`: reads `dataset.toml`, lists the other files, and reads the header of
    /// one array of each story that has no `n_times`.
    ///
    /// # Errors
    ///
    /// [`FmriError::Missing`] if `dir` or `dataset.toml` is not there, [`FmriError::DatasetToml`]
    /// with the key that is wrong, and what the header of an array can cause.
    pub fn open(dir: &Path) -> Result<Self> {
        require_dir(dir, "dataset folder")?;
        let path = dir.join(TOML);
        let config = Config::read(&path)?;
        let refuse = |reason| FmriError::DatasetToml {
            path: path.clone(),
            reason,
        };
        let pattern = config.pattern().map_err(refuse)?;
        let subjects = match &config.subjects {
            Some(subjects) => subjects.clone(),
            None => pattern.find_subjects(dir)?.ok_or_else(|| {
                refuse(
                    "no `subjects`, and `responses` has no folder of each to find them by".into(),
                )
            })?,
        };
        let mut dataset = Self {
            dir: dir.into(),
            name: config.name.clone(),
            modality: config.modality,
            subjects,
            stories: find_stories(dir, &config)?,
            clocks: BTreeMap::new(),
            trims: (Trim::default(), Trim::default()),
            files: Files {
                dir: dir.into(),
                pattern,
                key: config.key.clone(),
                repeats_key: config.repeats_key.clone(),
                axes: config.axes,
            },
        };
        for story in &config.stories {
            let clock = dataset
                .clock(&config, story)
                .map_err(|failure| match failure {
                    Ok(error) => error,
                    Err(reason) => refuse(format!("story {}: {reason}", story.name)),
                })?;
            dataset.clocks.insert(story.name.clone(), clock);
        }
        dataset.trims = dataset.find_trims(&config).map_err(refuse)?;
        Ok(dataset)
    }

    /// The timing of a story; the error is one of another file, or what is wrong with the table.
    fn clock(
        &self,
        config: &Config,
        story: &StoryTable,
    ) -> Result<Clock, Result<FmriError, String>> {
        let (n_times, source) = match story.n_times {
            Some(n_times) => (n_times, format!("{TOML}: n_times {n_times}")),
            None => self.count_times(&story.name)?,
        };
        let stored = story.stored.map_or(0..n_times, |[start, end]| start..end);
        let sample_s = config.sample_s().map_err(Err)?;
        let first_time_s = config.first_time_s(story).map_err(Err)?;
        let timing = StoryTiming::new(n_times, sample_s, first_time_s, stored);
        let textgrid = story.textgrid.as_ref().map(|path| self.dir.join(path));
        Ok(Clock {
            timing: timing.map_err(Ok)?,
            source,
            textgrid: textgrid.unwrap_or_else(|| default_textgrid(&self.dir, &story.name)),
        })
    }

    /// Samples of the first array of a story that can be read, and its name.
    fn count_times(&self, story: &str) -> Result<(usize, String), Result<FmriError, String>> {
        let mut failure = Err(format!(
            "no `n_times`, and no array to count them in: expected {}",
            self.files.response_path("<subject>", story).display()
        ));
        for subject in &self.subjects {
            let array = self.files.responses(subject, story);
            if array.path().symlink_metadata().is_err() {
                continue;
            }
            match array.shape() {
                Ok((n_times, n_channels))
                    if self.modality != Modality::Fmri && n_times < n_channels =>
                {
                    return Err(Err(format!(
                        "{} has {n_times} samples of {n_channels} {}s, is it transposed? Set \
                         `axes`, or give `n_times`",
                        array.path().display(),
                        self.modality.column_name()
                    )));
                }
                Ok((n_times, _)) => {
                    return Ok((n_times, format!("{}: {n_times}", array.path().display())));
                }
                Err(error) => failure = failure.or(Ok(error)),
            }
        }
        Err(failure)
    }

    /// The trims written, which must keep to the stored rows, or the least ones that do.
    fn find_trims(&self, config: &Config) -> Result<(Trim, Trim), String> {
        let timings = || {
            config
                .stories
                .iter()
                .map(|story| (&story.name, &self.clocks[&story.name].timing))
        };
        let Some(table) = config.trim else {
            let start = timings().map(|(_, timing)| timing.stored().start).max();
            let end = timings().map(|(_, timing)| timing.n_trs() - timing.stored().end);
            let trim = Trim::new(start.unwrap_or(0), end.max().unwrap_or(0));
            return Ok((trim, trim));
        };
        let trims = table.trims();
        for (key, trim) in [("train", trims.0), ("test", trims.1)] {
            for (story, timing) in timings() {
                let stored = timing.stored();
                if let Ok(rows) = trim.rows(timing.n_trs())
                    && (rows.start < stored.start || rows.end > stored.end)
                {
                    return Err(format!(
                        "`trim.{key}` of {trim} keeps rows {rows:?} of story {story}, of which \
                         {stored:?} are stored"
                    ));
                }
            }
        }
        Ok(trims)
    }

    /// The array of a subject's responses, with known names.
    fn array(&self, subject: &str, story: &str) -> Result<StoredArray> {
        self.check_subject(subject)?;
        self.story(story)?;
        let array = self.files.responses(subject, story);
        if array.path().symlink_metadata().is_err() {
            return Err(FmriError::Missing {
                what: format!("responses of {subject} to story {story}"),
                path: array.path().into(),
            });
        }
        Ok(array)
    }

    fn check_rows(
        &self,
        (subject, story): (&str, &str),
        array: &StoredArray,
        shape: (usize, usize),
    ) -> Result<()> {
        let clock = &self.clocks[story];
        let check = RowCheck {
            subject,
            story,
            timing: clock.source.clone(),
            source_name: array.path().display().to_string(),
        };
        check.check(&clock.timing, shape)
    }
}

impl StoryDataset for FolderDataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn modality(&self) -> Modality {
        self.modality
    }

    fn subjects(&self) -> &[String] {
        &self.subjects
    }

    fn stories(&self) -> &[Story] {
        &self.stories
    }

    fn timing(&self, story: &str) -> Result<StoryTiming> {
        self.story(story)?;
        Ok(self.clocks[story].timing.clone())
    }

    /// Whether the file is there, or a pointer to it.
    fn has_responses(&self, subject: &str, story: &str) -> bool {
        self.array(subject, story).is_ok()
    }

    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        let array = self.array(subject, story)?;
        let shape = array.shape()?;
        self.check_rows((subject, story), &array, shape)?;
        Ok(shape)
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
        self.response_shape(subject, story)?;
        let values = self.array(subject, story)?.read(voxels)?;
        Responses::from_bold(values, &self.timing(story)?)
    }

    fn repeats_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Vec<Responses>> {
        let (_, n_voxels) = self.response_shape(subject, story)?;
        let array = self.files.repeats(subject, story);
        let none = |reason| FmriError::NoRepeats {
            subject: subject.into(),
            story: story.into(),
            reason,
        };
        let shape = array.repeats_shape().map_err(|error| match error {
            FmriError::Missing { path, .. } => none(format!("no {}", path.display())),
            FmriError::NoKey { path, key, .. } => none(format!(
                "no `{key}` in {} and no {story}{REPEATS_SUFFIX} beside it",
                path.display()
            )),
            other => other,
        })?;
        let [n_repeats, n_times, n_channels] = shape;
        self.check_rows((subject, story), &array, (n_times, n_channels))?;
        if n_channels != n_voxels {
            return Err(FmriError::Shape {
                path: array.path().into(),
                key: array.key().into(),
                expected: "as many channels as the story's responses",
                got: vec![n_repeats, n_times, n_channels],
            });
        }
        let timing = self.timing(story)?;
        let repeats = array.read_repeats(voxels)?.into_iter();
        repeats
            .map(|values| Responses::from_bold(values, &timing))
            .collect()
    }

    fn default_trims(&self) -> (Trim, Trim) {
        self.trims
    }
}

/// The stories of `dataset.toml` with their files, those named and those found.
fn find_stories(dir: &Path, config: &Config) -> Result<Vec<Story>> {
    let audio_dir = dir.join("stimuli");
    let audio = files_by_stem(&audio_dir, &AUDIO_EXTENSIONS)?;
    let stories = config.stories.iter().map(|table| {
        let name = &table.name;
        let mut story = Story::new(name).looked_for_in(&audio_dir);
        if let Some(path) = &table.audio {
            story = story.with_audio(dir.join(path));
        } else if let Some(path) = audio.get(name) {
            story = story.with_audio(path);
        }
        let named = table.textgrid.as_ref().map(|path| dir.join(path));
        let found =
            || Some(default_textgrid(dir, name)).filter(|path| path.symlink_metadata().is_ok());
        match named.or_else(found) {
            Some(path) => story.with_textgrid(path),
            None => story,
        }
    });
    Ok(stories.collect())
}

fn default_textgrid(dir: &Path, story: &str) -> PathBuf {
    dir.join("textgrids").join(format!("{story}.TextGrid"))
}

impl DatasetFiles for FolderDataset {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn audio_dir(&self) -> PathBuf {
        self.dir.join("stimuli")
    }

    fn response_path(&self, subject: &str, story: &str) -> PathBuf {
        self.files.response_path(subject, story)
    }

    fn textgrid_path(&self, story: &str) -> PathBuf {
        match self.clocks.get(story) {
            Some(clock) => clock.textgrid.clone(),
            None => default_textgrid(&self.dir, story),
        }
    }

    fn timing_source(&self) -> &'static str {
        TOML
    }

    /// Arrays where the subject's are that no story of any subject looks for.
    fn strays(&self, subject: &str) -> Vec<PathBuf> {
        let mut known = BTreeSet::new();
        for subject in &self.subjects {
            for story in &self.stories {
                known.insert(
                    self.files
                        .responses(subject, story.name())
                        .path()
                        .to_path_buf(),
                );
                known.insert(
                    self.files
                        .repeats(subject, story.name())
                        .path()
                        .to_path_buf(),
                );
            }
        }
        let folders = self.stories.iter().filter_map(|story| {
            let path = self.response_path(subject, story.name());
            path.parent().map(Path::to_path_buf)
        });
        let folders: BTreeSet<_> = folders.collect();
        let files = folders
            .iter()
            .flat_map(|folder| list_dir(folder).unwrap_or_default());
        let is_array = |path: &PathBuf| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            matches!(extension, Some("npy" | "npz"))
        };
        files
            .filter(|path| is_array(path) && !known.contains(path))
            .collect()
    }

    fn stored_as(&self, subject: &str, story: &str) -> Result<StoredAs> {
        self.array(subject, story)?.stored_as()
    }
}
