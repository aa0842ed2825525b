//! `dataset.toml`: what a folder of responses says of itself, read and checked.
//!
//! Every key is listed in the docs of [`FolderDataset`](crate::FolderDataset); one that is not known
//! is an error that names its line. Held by `tests/it/folder_toml.rs`.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::array::AxisOrder;
use super::pattern::Pattern;
use crate::files::{is_plain_name, read_text};
use crate::toml::parse_toml;
use crate::{FmriError, Modality, Result, Trim};

/// More samples than any story has (27 hours at 100 Hz): a typing error must not ask for memory.
const MOST_TIMES: usize = 10_000_000;
/// Bytes of a file of 10,000 stories.
const MAX_BYTES: u64 = 1 << 22;

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    pub(super) name: String,
    #[serde(default)]
    pub(super) modality: Modality,
    tr_s: Option<f64>,
    rate_hz: Option<f64>,
    first_time_s: Option<f64>,
    #[serde(default)]
    pub(super) axes: AxisOrder,
    #[serde(default = "default_responses")]
    responses: String,
    #[serde(default = "default_key")]
    pub(super) key: String,
    #[serde(default = "default_repeats_key")]
    pub(super) repeats_key: String,
    pub(super) subjects: Option<Vec<String>>,
    #[serde(default)]
    outside: bool,
    pub(super) trim: Option<TrimTable>,
    #[serde(default, rename = "story")]
    pub(super) stories: Vec<StoryTable>,
}

/// The table `[trim]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrimTable {
    train: [usize; 2],
    test: [usize; 2],
}

impl TrimTable {
    pub(super) fn trims(self) -> (Trim, Trim) {
        let trim = |[start, end]: [usize; 2]| Trim::new(start, end);
        (trim(self.train), trim(self.test))
    }
}

/// One table `[[story]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoryTable {
    pub(super) name: String,
    pub(super) audio: Option<PathBuf>,
    pub(super) textgrid: Option<PathBuf>,
    pub(super) n_times: Option<usize>,
    first_time_s: Option<f64>,
    pub(super) stored: Option<[usize; 2]>,
}

fn default_responses() -> String {
    "responses/{subject}/{story}".into()
}

fn default_key() -> String {
    "data".into()
}

fn default_repeats_key() -> String {
    "repeats".into()
}

impl Config {
    /// Reads `path` and checks what can be checked without other files.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, "description of the dataset", MAX_BYTES)?;
        let config = parse_toml(&text).and_then(|config: Self| config.check().map(|()| config));
        config.map_err(|reason| FmriError::DatasetToml {
            path: path.into(),
            reason,
        })
    }

    fn check(&self) -> Result<(), String> {
        self.sample_s()?;
        self.pattern()?;
        check_names("subjects", self.subjects.iter().flatten())?;
        if self.stories.is_empty() {
            return Err("no story: expected a table [[story]] for each".into());
        }
        check_names("name", self.stories.iter().map(|story| &story.name))?;
        for story in &self.stories {
            self.check_story(story)
                .map_err(|reason| format!("story {}: {reason}", story.name))?;
        }
        Ok(())
    }

    fn check_story(&self, story: &StoryTable) -> Result<(), String> {
        for (key, path) in [("audio", &story.audio), ("textgrid", &story.textgrid)] {
            if let Some(path) = path {
                self.check_inside(key, path)?;
            }
        }
        self.first_time_s(story)?;
        if let Some(n_times) = story.n_times
            && !(1..=MOST_TIMES).contains(&n_times)
        {
            return Err(format!("`n_times` = {n_times}, expected 1 to {MOST_TIMES}"));
        }
        match (story.stored, story.n_times) {
            (Some(_), None) => Err("`stored` is of a grid of `n_times`, which is missing".into()),
            (Some([start, end]), Some(n_times)) if start >= end || end > n_times => Err(format!(
                "`stored` = [{start}, {end}], expected the first and one past the last of {n_times}"
            )),
            _ => Ok(()),
        }
    }

    /// Seconds from one sample to the next.
    pub(super) fn sample_s(&self) -> Result<f64, String> {
        let (key, value, sample_s) = match (self.tr_s, self.rate_hz) {
            (Some(tr_s), None) => ("tr_s", tr_s, tr_s),
            (None, Some(rate_hz)) => ("rate_hz", rate_hz, rate_hz.recip()),
            (None, None) => {
                return Err(
                    "no `tr_s` (seconds from one sample to the next) and no `rate_hz`: \
                            expected one of them"
                        .into(),
                );
            }
            (Some(_), Some(_)) => {
                return Err("both `tr_s` and `rate_hz`: expected one of them".into());
            }
        };
        if sample_s.is_finite() && sample_s > 0.0 {
            return Ok(sample_s);
        }
        Err(format!("`{key}` = {value}, expected a positive number"))
    }

    /// Midpoint of the first sample of a story, in seconds from sound onset.
    pub(super) fn first_time_s(&self, story: &StoryTable) -> Result<f64, String> {
        match story.first_time_s.or(self.first_time_s) {
            Some(time) if time.is_finite() => Ok(time),
            Some(time) => Err(format!(
                "`first_time_s` = {time}, expected a number of seconds"
            )),
            None => Err(
                "no `first_time_s`: when the middle of the first sample is, in seconds from the \
                 onset of the sound (half a `tr_s` if both begin together)"
                    .into(),
            ),
        }
    }

    /// Where responses are.
    pub(super) fn pattern(&self) -> Result<Pattern, String> {
        let pattern = Pattern::parse(&self.responses)?;
        self.check_inside("responses", Path::new(&self.responses))?;
        Ok(pattern)
    }

    fn check_inside(&self, key: &str, path: &Path) -> Result<(), String> {
        let is_inside = path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if path.as_os_str().is_empty() {
            return Err(format!("`{key}` is empty, expected a path"));
        }
        if is_inside || self.outside {
            return Ok(());
        }
        Err(format!(
            "`{key}` = {:?} leaves the folder: write `outside = true` if it must",
            path.display().to_string()
        ))
    }
}

/// Names that can be those of files, each once.
fn check_names<'a>(key: &str, names: impl Iterator<Item = &'a String>) -> Result<(), String> {
    let mut known = BTreeSet::new();
    for name in names {
        if !is_plain_name(name) {
            return Err(format!("`{key}`: {name:?} cannot be the name of a file"));
        }
        if !known.insert(name) {
            return Err(format!("`{key}`: {name} is there twice"));
        }
    }
    Ok(())
}
