//! What a study found, in one file: `study.json`, which is all that a report is drawn from.
//!
//! Layers are numbered as hidden states are, 0 the input of the first layer. A value is `null` where it could not
//! be computed, and `warnings` says why. Held by `tests/it/study.rs`.

use serde::{Deserialize, Serialize};

/// The `schema_version` of a [`StudyResults`] that this version writes and reads.
pub const SCHEMA_VERSION: u32 = 1;

/// Everything that a study found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StudyResults {
    /// [`SCHEMA_VERSION`]; another one is refused.
    pub schema_version: u32,
    /// Version of braintune.
    pub braintune: String,
    /// What the study is called.
    pub title: String,
    /// What it asks, in a sentence or two.
    pub question: String,
    /// Settings in words, in the order in which they are to be read.
    pub settings: Vec<Setting>,
    /// Models, in the order of the study file.
    pub models: Vec<String>,
    /// Participants.
    pub participants: Vec<String>,
    /// Conditions, the one that others are compared with (as a rule `pretrained`) first.
    pub conditions: Vec<Condition>,
    /// Regions, `all` first.
    pub rois: Vec<String>,
    /// Alignment per layer.
    pub curves: Vec<AlignmentCurve>,
    /// Alignment of feature spaces that are no model's: one number each.
    pub baselines: Vec<BaselineAlignment>,
    /// Paired tests of conditions.
    pub comparisons: Vec<Comparison>,
    /// Probes per layer.
    pub probes: Vec<ProbeCurve>,
    /// What low-level features explain of an alignment.
    pub low_level: Vec<LowLevelImpact>,
    /// Voxels before and after, binned.
    pub voxels: Vec<VoxelChange>,
    /// Curves of tuning runs.
    pub training: Vec<TrainingCurve>,
    /// Which data tuning and evaluation have both seen.
    pub sharing: Vec<DataSharing>,
    /// Views of the cortex, where the dataset has surfaces.
    pub surfaces: Vec<SurfaceView>,
    /// What was left out, and why.
    pub excluded: Vec<Excluded>,
    /// What a reader has to know before believing a number.
    pub warnings: Vec<String>,
    /// What was done, step by step.
    pub steps: Vec<StepRecord>,
    /// Where numbers come from: hashes of weights, audio and responses, command lines.
    pub provenance: serde_json::Value,
}

/// A setting in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its name, e.g. `FIR delays`.
    pub name: String,
    /// Its value with its unit, e.g. `1, 2, 3, 4 TRs`.
    pub value: String,
}

/// One state of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// `pretrained`, `brain-tuned`, `block-permuted`, `other-story`, `stimulus`, `random-weights`.
    pub name: String,
    /// What it is.
    pub kind: ConditionKind,
}

/// What a condition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ConditionKind {
    /// The model as it came.
    Pretrained,
    /// Tuned to responses.
    Tuned,
    /// Tuned to something else in the same way.
    Control,
    /// Random weights.
    Random,
}

impl ConditionKind {
    /// Whether it was tuned, to responses or to something else, so that its state belongs to a participant.
    #[must_use]
    pub fn is_tuned(self) -> bool {
        matches!(self, Self::Tuned | Self::Control)
    }
}

/// A number with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The number.
    pub value: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

/// Alignment of one participant's region with every layer of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlignmentCurve {
    /// Model.
    pub model: String,
    /// Condition.
    pub condition: String,
    /// Participant.
    pub participant: String,
    /// Region.
    pub roi: String,
    /// Voxels of the region.
    pub n_voxels: usize,
    /// Mean Pearson r per layer.
    pub mean_r: Vec<Estimate>,
    /// Mean of r / noise ceiling per layer, where there are ceilings.
    pub normalized: Vec<Option<f64>>,
    /// False discovery rate of mean r > 0 per layer.
    pub q_value: Vec<Option<f64>>,
}

/// Alignment of one participant's region with a feature space such as `acoustic` or `word-rate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineAlignment {
    /// The feature space.
    pub baseline: String,
    /// Participant.
    pub participant: String,
    /// Region.
    pub roi: String,
    /// Mean Pearson r.
    pub mean_r: Estimate,
    /// Mean of r / noise ceiling.
    pub normalized: Option<f64>,
}

/// A paired test of two conditions of a model in a layer and region, over participants, or test stories of each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparison {
    /// Model.
    pub model: String,
    /// Hidden state.
    pub layer: usize,
    /// Region.
    pub roi: String,
    /// Condition.
    pub condition: String,
    /// What it is compared with.
    pub reference: String,
    /// What is compared.
    pub measure: Measure,
    /// Mean of condition less reference, with its interval over units.
    pub difference: Estimate,
    /// What is paired.
    pub unit: Unit,
    /// How many there are.
    pub n_units: usize,
    /// How many of them have a difference above 0.
    pub n_positive: usize,
    /// Two-sided p, none where there are too few units to say anything.
    pub p_value: Option<f64>,
    /// False discovery rate over all comparisons of the study that have the same measure.
    pub q_value: Option<f64>,
}

/// What alignment is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Measure {
    /// Mean Pearson r.
    #[serde(rename = "mean_r")]
    MeanR,
    /// Mean of r / noise ceiling.
    #[serde(rename = "normalized")]
    Normalized,
}

impl Measure {
    /// Every measure.
    pub const ALL: &'static [Self] = &[Self::MeanR, Self::Normalized];

    /// Its name in `study.json` and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MeanR => "mean_r",
            Self::Normalized => "normalized",
        }
    }
}

/// What a comparison pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Unit {
    /// Participants.
    #[serde(rename = "participants")]
    Participants,
    /// Each participant with each test story.
    #[serde(rename = "participant x story")]
    ParticipantByStory,
}

impl Unit {
    /// Its name in `study.json` and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Participants => "participants",
            Self::ParticipantByStory => "participant x story",
        }
    }
}

/// Probe scores of every layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeCurve {
    /// Task.
    pub task: String,
    /// Model.
    pub model: String,
    /// Condition.
    pub condition: String,
    /// Participant whose tuned model it is; none for models that belong to nobody.
    pub participant: Option<String>,
    /// Score, e.g. `accuracy`, `r2`.
    pub metric: String,
    /// Score per layer.
    pub scores: Vec<Estimate>,
    /// Score of what is most frequent.
    pub baseline: Option<f64>,
    /// Layer where the curve is highest, with its interval.
    pub peak: Option<Estimate>,
    /// Test rows.
    pub n_test: usize,
}

/// How much of an alignment goes when low-level features are taken out of a layer:
/// 100 (full - residual) / full (Moussa, Klakow & Toneva 2025).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LowLevelImpact {
    /// What was taken out, e.g. `power-spectrum`.
    pub feature: String,
    /// Model.
    pub model: String,
    /// Condition.
    pub condition: String,
    /// Participant.
    pub participant: String,
    /// Region.
    pub roi: String,
    /// Hidden state.
    pub layer: usize,
    /// Alignment of the layer.
    pub full: Option<f64>,
    /// Alignment of what is left of it.
    pub residual: Option<f64>,
    /// Percent; none where `full` is not above 0.
    pub impact: Option<f64>,
}

/// Voxels of a participant in one layer under the reference and another condition, in bins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoxelChange {
    /// Model.
    pub model: String,
    /// Condition.
    pub condition: String,
    /// What it is compared with.
    pub reference: String,
    /// Participant.
    pub participant: String,
    /// Hidden state.
    pub layer: usize,
    /// Edges of the bins of r, `[n_bins + 1]`, rising, the same on both axes.
    pub edges: Vec<f64>,
    /// Voxels by r under the reference, `[n_bins]`.
    pub before: Vec<usize>,
    /// Voxels by r under the condition, `[n_bins]`.
    pub after: Vec<usize>,
    /// Bins with voxels: bin under the reference, bin under the condition, voxels.
    pub joint: Vec<(usize, usize, usize)>,
}

/// Losses of a tuning run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingCurve {
    /// Model.
    pub model: String,
    /// Condition.
    pub condition: String,
    /// Participant.
    pub participant: String,
    /// Step, training loss, validation loss.
    pub points: Vec<(usize, Option<f64>, Option<f64>)>,
    /// Step whose weights were kept.
    pub kept_step: Option<usize>,
}

/// Which stories tuning and encoding read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSharing {
    /// Participant.
    pub participant: String,
    /// Stories that models were tuned on.
    pub tuning: Vec<String>,
    /// Stories that chose among the states of a run.
    pub validation: Vec<String>,
    /// Stories that encoding models were fitted on.
    pub encoding: Vec<String>,
    /// Stories that results are from.
    pub test: Vec<String>,
    /// Share of the TRs that encoding models were fitted on which tuning has read, 0 to 1.
    pub shared: f64,
}

/// A picture of the cortex.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurfaceView {
    /// What it shows.
    pub caption: String,
    /// PNG file, relative to the study's folder.
    pub png: String,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// A step of a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// Its name, e.g. `encode tiny brain-tuned SIM01`.
    pub name: String,
    /// How it ended.
    pub status: StepStatus,
    /// Why it did not end well.
    pub problem: Option<String>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StepStatus {
    /// Its results are there.
    Done,
    /// It failed; `problem` says why.
    Failed,
    /// A step that it needs failed.
    Skipped,
}

impl StudyResults {
    /// A study that has found nothing yet.
    #[must_use]
    pub fn new(title: &str, question: &str) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            braintune: env!("CARGO_PKG_VERSION").to_owned(),
            title: title.to_owned(),
            question: question.to_owned(),
            settings: Vec::new(),
            models: Vec::new(),
            participants: Vec::new(),
            conditions: Vec::new(),
            rois: Vec::new(),
            curves: Vec::new(),
            baselines: Vec::new(),
            comparisons: Vec::new(),
            probes: Vec::new(),
            low_level: Vec::new(),
            voxels: Vec::new(),
            training: Vec::new(),
            sharing: Vec::new(),
            surfaces: Vec::new(),
            excluded: Vec::new(),
            warnings: Vec::new(),
            steps: Vec::new(),
            provenance: serde_json::Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_and_units_are_their_names_in_json() {
        for &measure in Measure::ALL {
            assert_eq!(serde_json::json!(measure), measure.name());
        }
        for unit in [Unit::Participants, Unit::ParticipantByStory] {
            assert_eq!(serde_json::json!(unit), unit.name());
        }
        assert!(serde_json::from_str::<Measure>("\"r2\"").is_err());
    }
}
