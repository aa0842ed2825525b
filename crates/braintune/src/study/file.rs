//! The study file: its keys, read and checked as far as that needs no data.
//!
//! Unknown keys are errors, with file and line. Paths are relative to the file. `docs/study.md` describes every key.
//! Held by `tests/it/study.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use braintune_backbone::{WindowFeature, Windows};
use braintune_encoding::{Alphas, CvScore, Delays};
use braintune_fmri::Trim;
use braintune_tuning::TuningConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::encode::{BadVoxels, CrossValidation};
use crate::error::{BraintuneError, Result, file_error, io_error};
use crate::names::repeated;
use crate::probe::Question;

/// A study as its file describes it.
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
#[serde(untagged)]
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

/// `[tuning]`: the keys of [`TuningConfig`] and those that `tune` has as flags.
#[derive(Debug, Clone)]
pub(super) struct Tuning {
    pub(super) config: TuningConfig,
    /// Voxels above this ceiling are learnt.
    pub(super) ceiling_threshold: f32,
    /// Keep the outputs of frozen parts in the cache.
    pub(super) keep_frozen: bool,
}

/// `[encoding]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EncodingPart {
    window_s: f64,
    stride_s: f64,
    window_feature: FeatureName,
    pub(super) share_convolutions: bool,
    delays: Grid,
    alphas: Grid,
    cv: CvName,
    score: ScoreName,
    trim: Option<[usize; 2]>,
    test_trim: Option<[usize; 2]>,
    pub(super) ceiling_threshold: f32,
    pub(super) permutations: usize,
    pub(super) bootstraps: usize,
    bad_voxels: BadName,
}

impl Default for EncodingPart {
    fn default() -> Self {
        Self {
            window_s: 16.1,
            stride_s: 0.1,
            window_feature: FeatureName::LastFrame,
            share_convolutions: false,
            delays: Grid::Text("1,2,3,4".to_owned()),
            alphas: Grid::Text("logspace:1:4:15".to_owned()),
            cv: CvName::Story,
            score: ScoreName::R2,
            trim: None,
            test_trim: None,
            ceiling_threshold: 0.05,
            permutations: 1000,
            bootstraps: 1000,
            bad_voxels: BadName::Stop,
        }
    }
}

/// As on the command line, or a list of numbers.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Grid {
    Text(String),
    Numbers(Vec<f64>),
}

impl Grid {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                numbers.join(",")
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FeatureName {
    LastFrame,
    StrideMean,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CvName {
    Story,
    Bootstrap,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ScoreName {
    R2,
    NegMse,
    Corr,
    SignedSqrtR2,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BadName {
    Stop,
    Zero,
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
                && !name.starts_with('.')
                && !name.contains(['/', '\\'])
                && !name.contains(char::is_control);
            if !is_name {
                return Err(self.wrong(format!(
                    "model {name:?}: its name becomes a folder, give one without slashes that does not begin with a dot"
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
        self.windows()?;
        self.file.encoding.check().map_err(|problem| {
            self.wrong(format!("[encoding]: {problem}"))
        })?;
        self.questions().map(|_| ())
    }

    /// Windows of `[encoding]`.
    pub(super) fn windows(&self) -> Result<Windows> {
        let encoding = &self.file.encoding;
        let windows = Windows::new(encoding.window_s, encoding.stride_s)
            .map_err(|e| self.wrong(format!("[encoding]: {e}")))?;
        Ok(windows.with_feature(match encoding.window_feature {
            FeatureName::LastFrame => WindowFeature::LastFrame,
            FeatureName::StrideMean => WindowFeature::StrideMean,
        }))
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
        let foreign = questions.iter().find(|q| q.of_stories(2).is_none());
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

impl EncodingPart {
    fn check(&self) -> Result<()> {
        self.delays()?;
        self.alphas()?;
        if self.bootstraps == 1 {
            return Err(BraintuneError::Input(
                "bootstraps = 1 has no spread: give 0 for no intervals, or 1000".to_owned(),
            ));
        }
        let threshold = self.ceiling_threshold;
        if !(0.0..1.0).contains(&threshold) {
            return Err(BraintuneError::Input(format!(
                "ceiling_threshold = {threshold}: ceilings are correlations, give 0 or more and below 1"
            )));
        }
        Ok(())
    }

    pub(super) fn delays(&self) -> Result<Delays> {
        Ok(self.delays.text().parse()?)
    }

    pub(super) fn alphas(&self) -> Result<Alphas> {
        Ok(self.alphas.text().parse()?)
    }

    pub(super) fn cv(&self) -> CrossValidation {
        match self.cv {
            CvName::Story => CrossValidation::Story,
            CvName::Bootstrap => CrossValidation::Bootstrap,
        }
    }

    pub(super) fn score(&self) -> CvScore {
        match self.score {
            ScoreName::R2 => CvScore::R2,
            ScoreName::NegMse => CvScore::NegMse,
            ScoreName::Corr => CvScore::Correlation,
            ScoreName::SignedSqrtR2 => CvScore::SignedSqrtR2,
        }
    }

    /// Trims of training and test stories, where they are not the dataset's.
    pub(super) fn trims(&self, (train, test): (Trim, Trim)) -> (Trim, Trim) {
        let given = |of: Option<[usize; 2]>, or| of.map_or(or, |[a, b]| Trim::new(a, b));
        (given(self.trim, train), given(self.test_trim, test))
    }

    pub(super) fn bad_voxels(&self) -> BadVoxels {
        match self.bad_voxels {
            BadName::Stop => BadVoxels::Stop,
            BadName::Zero => BadVoxels::Zero,
        }
    }
}

impl Tuning {
    /// From the table `[tuning]`; errors have their place in the file, where they have one.
    fn parse(
        table: Option<Spanned<DeValue<'_>>>,
        seed: u64,
    ) -> Result<Self, (Option<std::ops::Range<usize>>, String)> {
        #[derive(Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Own {
            ceiling_threshold: f32,
            keep_frozen: bool,
        }
        impl Default for Own {
            fn default() -> Self {
                Self {
                    ceiling_threshold: 0.4,
                    keep_frozen: false,
                }
            }
        }
        let failed = |e: toml::de::Error| (e.span(), e.message().to_owned());
        let mut table = table.unwrap_or_else(|| Spanned::new(0..0, DeValue::Table(DeTable::new())));
        let (mut own, mut has_seed) = (DeTable::new(), false);
        let span = table.span();
        if let DeValue::Table(keys) = table.get_mut() {
            has_seed = keys.contains_key("seed");
            for key in ["ceiling_threshold", "keep_frozen"] {
                own.extend(keys.remove_entry(key));
            }
        }
        let own: Own = parsed(Spanned::new(span.clone(), DeValue::Table(own))).map_err(failed)?;
        let mut config: TuningConfig = parsed(table).map_err(failed)?;
        if !has_seed {
            config.seed = seed;
        }
        let place = Some(span);
        config.check().map_err(|e| (place.clone(), e.to_string()))?;
        let threshold = own.ceiling_threshold;
        if !(-1.0..1.0).contains(&threshold) {
            let problem =
                format!("ceiling_threshold = {threshold}: ceilings are correlations, give less than 1");
            return Err((place, problem));
        }
        Ok(Self {
            config,
            ceiling_threshold: threshold,
            keep_frozen: own.keep_frozen,
        })
    }
}

fn parsed<T: DeserializeOwned>(value: Spanned<DeValue<'_>>) -> Result<T, toml::de::Error> {
    T::deserialize(ValueDeserializer::from(value))
}

/// An error with its line, counted from 1.
fn at_line(
    path: &Path,
    text: &str,
    span: Option<std::ops::Range<usize>>,
    message: &str,
) -> BraintuneError {
    let before = span.and_then(|span| text.as_bytes().get(..span.start));
    let line = before.map(|before| 1 + before.iter().filter(|byte| **byte == b'\n').count());
    let place = line.map_or_else(String::new, |line| format!("line {line}: "));
    file_error(path, format!("{place}{}", message.trim_end()))
}
