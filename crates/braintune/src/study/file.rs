//! The study file: its keys, read and checked as far as that needs no data.
//!
//! Unknown keys are errors, with file and line. Paths are relative to the file. `docs/study.md` describes every key.
//! Held by `tests/it/study.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use braintune_backbone::Windows;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::encoding_part::EncodingPart;
use super::tuning_part::Tuning;
use crate::encode::EncodeConfig;
use crate::error::{BraintuneError, Result, file_error, io_error};
use crate::lowlevel::LowLevelSpace;
use crate::names::repeated;
use crate::probe::Question;

/// Bytes of a name that becomes a folder.
const LONGEST_NAME: usize = 100;

/// A study as its file describes it.
///
/// ```
/// use braintune::study::Study;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let file = folder.path().join("small.toml");
/// std::fs::write(
///     &file,
///     r#"
///     title = "Two layers"
///     dataset.path = "ds003020"
///     models = [{ name = "tiny", path = "openai/whisper-tiny.en" }]
///     conditions.controls = ["block-permuted"]
///     tuning.epochs = 5
///     "#,
/// )?;
/// let study = Study::read(&file)?;
/// assert_eq!(study.title(), "Two layers");
/// assert!(study.default_out().ends_with("small-results"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Study {
    pub(super) path: PathBuf,
    pub(super) file: StudyFile,
    pub(super) tuning: Tuning,
}

/// Everything but `[tuning]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StudyFile {
    title: Option<String>,
    question: Option<String>,
    #[serde(default = "default_seed")]
    pub(super) seed: u64,
    pub(super) dataset: DatasetPart,
    pub(super) models: Vec<ModelPart>,
    #[serde(default)]
    pub(super) conditions: ConditionsPart,
    #[serde(default)]
    pub(super) encoding: EncodingPart,
    pub(super) probes: Option<ProbesPart>,
    pub(super) baselines: Option<BaselinesPart>,
    pub(super) low_level: Option<LowLevelPart>,
    /// Read apart, as [`Tuning`]; here so that messages list it among the keys.
    #[serde(rename = "tuning")]
    _tuning: Option<IgnoredAny>,
}

/// `[dataset]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatasetPart {
    pub(super) path: PathBuf,
    pub(super) participants: Option<Vec<String>>,
    pub(super) train_stories: Option<Vec<String>>,
    pub(super) validation_stories: Option<Vec<String>>,
    pub(super) test_stories: Option<Vec<String>>,
    pub(super) encoding_stories: Option<Vec<String>>,
    pub(super) rois: Option<PerParticipant>,
    pub(super) noise_ceiling: Option<PerParticipant>,
}

/// One file for all participants, or one for each of some.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a file for all participants, or a table of participants and files"
)]
pub(super) enum PerParticipant {
    All(PathBuf),
    Each(BTreeMap<String, PathBuf>),
}

/// `[[models]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelPart {
    pub(super) name: String,
    pub(super) path: String,
}

/// `[conditions]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConditionsPart {
    pub(super) tuned: bool,
    pub(super) controls: Vec<ControlName>,
    pub(super) random_weights: bool,
}

impl Default for ConditionsPart {
    fn default() -> Self {
        Self {
            tuned: true,
            controls: vec![ControlName::BlockPermuted],
            random_weights: true,
        }
    }
}

/// A control of `[conditions]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ControlName {
    BlockPermuted,
    OtherStory,
    Stimulus,
}

/// `[probes]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProbesPart {
    pub(super) tasks: Vec<String>,
    pub(super) data: Option<PathBuf>,
    #[serde(default)]
    pub(super) split: SplitName,
    #[serde(default = "default_n_words")]
    pub(super) n_words: usize,
    #[serde(default = "default_draws")]
    pub(super) draws: usize,
    #[serde(default)]
    pub(super) control: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SplitName {
    #[default]
    Official,
    Paper,
    TextDisjoint,
}

/// `[baselines]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BaselinesPart {
    pub(super) names: Vec<String>,
}

/// `[low_level]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LowLevelPart {
    pub(super) features: Vec<String>,
    pub(super) layers: Option<Vec<usize>>,
}

fn default_seed() -> u64 {
    42
}

fn default_n_words() -> usize {
    50
}

fn default_draws() -> usize {
    2000
}

const QUESTION: &str = "Does brain-tuning change how well each layer of a speech model predicts brain responses, and what can be read from it?";

impl Study {
    /// Reads a study file.
    ///
    /// # Errors
    /// What the file system says; an unknown key, a value that cannot be (file and line are named), names that are not
    /// names of folders, or that are there twice.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
        let wrong = |error: &toml::de::Error| at_line(path, &text, error.span(), error.message());
        let mut table = DeTable::parse(&text).map_err(|e| wrong(&e))?;
        let tuning = table.get_mut().remove("tuning");
        let whole = table.span();
        let rest = Spanned::new(whole, DeValue::Table(table.into_inner()));
        let file: StudyFile = parsed(rest).map_err(|e| wrong(&e))?;
        let tuning = Tuning::parse(tuning, file.seed).map_err(|(span, message)| {
            at_line(path, &text, span, &format!("[tuning]: {message}"))
        })?;
        let study = Self {
            path: path.to_path_buf(),
            file,
            tuning,
        };
        study.check()?;
        Ok(study)
    }

    /// What the study is called: its title, else the name of its file.
    #[must_use]
    pub fn title(&self) -> String {
        let stem = || self.path.file_stem().unwrap_or_default();
        let title = self.file.title.clone();
        title.unwrap_or_else(|| stem().to_string_lossy().into_owned())
    }

    /// What it asks.
    #[must_use]
    pub fn question(&self) -> &str {
        self.file.question.as_deref().unwrap_or(QUESTION)
    }

    /// Where its results go unless another place is given: beside the file, `NAME-results`.
    #[must_use]
    pub fn default_out(&self) -> PathBuf {
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        self.resolve(Path::new(&format!("{stem}-results")))
    }

    /// A path of the file, relative to its folder.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        folder.join(path)
    }

    /// An error of the file's contents.
    pub(super) fn wrong(&self, problem: impl std::fmt::Display) -> BraintuneError {
        file_error(&self.path, problem)
    }

    fn check(&self) -> Result<()> {
        let StudyFile {
            models, conditions, ..
        } = &self.file;
        if models.is_empty() {
            return Err(self.wrong("no model: give at least one [[models]] with name and path"));
        }
        for ModelPart { name, .. } in models {
            let is_name = !name.is_empty()
                && name.len() <= LONGEST_NAME
                && !name.starts_with('.')
                && !name.contains(['/', '\\'])
                && !name.contains(char::is_control);
            if !is_name {
                return Err(self.wrong(format!(
                    "model {name:?}: its name becomes a folder, give one of at most {LONGEST_NAME} bytes without slashes that does not begin with a dot"
                )));
            }
        }
        if let Some(name) = repeated(models.iter().map(|model| model.name.as_str())) {
            return Err(self.wrong(format!(
                "two models are called {name}: tables could not tell them apart"
            )));
        }
        let controls = &conditions.controls;
        let twice = (1..controls.len()).find(|&i| controls[..i].contains(&controls[i]));
        if let Some(i) = twice {
            let name = controls[i].name();
            return Err(self.wrong(format!("control {name} is named twice: once is enough")));
        }
        self.check_probes()?;
        self.windows()?;
        self.file
            .encoding
            .check()
            .map_err(|problem| self.wrong(format!("[encoding]: {problem}")))?;
        self.baselines()?;
        self.low_level()?;
        self.questions().map(|_| ())
    }

    fn check_probes(&self) -> Result<()> {
        let Some(probes) = &self.file.probes else {
            return Ok(());
        };
        for (name, value) in [("n_words", probes.n_words), ("draws", probes.draws)] {
            if value < 2 {
                return Err(self.wrong(format!("[probes]: {name} = {value}: at least 2")));
            }
        }
        let (draws, most) = (probes.draws, EncodeConfig::MAX_DRAWS);
        if draws > most {
            return Err(self.wrong(format!(
                "[probes]: draws = {draws}: at most {most}, 2000 is usual"
            )));
        }
        Ok(())
    }

    /// Windows of `[encoding]`.
    pub(super) fn windows(&self) -> Result<Windows> {
        let windows = self.file.encoding.windows();
        windows.map_err(|e| self.wrong(format!("[encoding]: {e}")))
    }

    /// Spaces of `[baselines]`; none where there is no such table.
    pub(super) fn baselines(&self) -> Result<Option<Vec<LowLevelSpace>>> {
        let part = self.file.baselines.as_ref();
        part.map(|part| self.spaces("baselines", &part.names))
            .transpose()
    }

    /// Spaces of `[low_level]`.
    pub(super) fn low_level(&self) -> Result<Vec<LowLevelSpace>> {
        let part = self.file.low_level.as_ref();
        let features = part.map(|part| self.spaces("low_level", &part.features));
        Ok(features.transpose()?.unwrap_or_default())
    }

    fn spaces(&self, table: &str, names: &[String]) -> Result<Vec<LowLevelSpace>> {
        if let Some(name) = repeated(names.iter().map(String::as_str)) {
            return Err(self.wrong(format!("[{table}]: {name} is named twice")));
        }
        let parse = |name: &String| name.parse::<LowLevelSpace>();
        let spaces = names.iter().map(parse).collect::<Result<_>>();
        spaces.map_err(|e| self.wrong(format!("[{table}]: {e}")))
    }

    /// Questions of `[probes]`.
    pub(super) fn questions(&self) -> Result<Vec<Question>> {
        let Some(probes) = &self.file.probes else {
            return Ok(Vec::new());
        };
        if let Some(name) = repeated(probes.tasks.iter().map(String::as_str)) {
            return Err(self.wrong(format!("[probes]: task {name} is named twice")));
        }
        let parse = |name: &String| name.parse::<Question>();
        let questions = probes.tasks.iter().map(parse).collect::<Result<Vec<_>>>();
        let questions = questions.map_err(|e| self.wrong(format!("[probes]: {e}")))?;
        let foreign = questions.iter().find(|q| !q.is_about_stories());
        match foreign {
            Some(question) if probes.data.is_none() => Err(self.wrong(format!(
                "[probes]: {question} needs a corpus: give data = \"DIR\""
            ))),
            _ => Ok(questions),
        }
    }
}

impl ControlName {
    /// Its name in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BlockPermuted => "block-permuted",
            Self::OtherStory => "other-story",
            Self::Stimulus => "stimulus",
        }
    }
}

pub(super) fn parsed<T: DeserializeOwned>(
    value: Spanned<DeValue<'_>>,
) -> Result<T, toml::de::Error> {
    T::deserialize(ValueDeserializer::from(value))
}

/// An error with its line, counted from 1.
fn at_line(
    path: &Path,
    text: &str,
    span: Option<std::ops::Range<usize>>,
    message: &str,
) -> BraintuneError {
    let before = span.and_then(|span| text.get(..span.start));
    let line = before.map(|before| 1 + before.matches('\n').count());
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    file_error(path, format!("{place}{}", message.trim_end()))
}
