//! Every layer of a model probed on a task, with intervals, baseline and control.
//!
//! Recordings → rows per split and layer → one probe per layer, fitted on training rows, its penalty chosen on
//! validation rows, scored on test rows; intervals come from drawing groups of the test rows anew. Held by
//! `tests/it/probe.rs`.

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use braintune_audio::Waveform;
use tracing::instrument;

use crate::evidence::{Bootstrap, GroupSums, Groups, Interval, LayerPeak, bootstrap, layer_peak};
use crate::frame_features::FrameFeatures;
use crate::gather::{SplitLabels, gather};
use crate::one_layer::{Rows3, probe_layer};
use crate::task::{ProbeTask, Recording};
use crate::{ProbingError, Result};

/// What is fitted to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeKind {
    /// Logistic regression, or ridge for numbers, its penalty chosen on the validation rows.
    Linear,
    /// 64 hidden units, stopped by the validation rows.
    Mlp,
    /// The paper's: one linear layer, full-batch Adam at 1e-3 for so many epochs, features as they are, no penalty.
    Paper {
        /// Epochs; what the task says unless given ([`ProbeTask::paper_epochs`]).
        n_epochs: Option<usize>,
    },
}

/// How layers are probed.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeSettings {
    /// What is fitted.
    pub kind: ProbeKind,
    /// Inverse penalties of [`ProbeKind::Linear`] to choose from, for classes; features have variance 1.
    pub cs: Vec<f64>,
    /// Draws behind intervals.
    pub bootstrap: Bootstrap,
    /// Whether a control on random labels is fitted beside each probe.
    pub control: bool,
    /// Seed of controls and of weights to begin with.
    pub seed: u64,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        Self {
            kind: ProbeKind::Linear,
            cs: vec![1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0],
            bootstrap: Bootstrap::default(),
            control: true,
            seed: 0,
        }
    }
}

/// One number about a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ProbeScore {
    /// Its name: `accuracy`, `macro_f1`, `micro_f1`; `r2`, `r`.
    pub metric: &'static str,
    /// With its interval; none where the test has fewer than two groups.
    pub value: ProbeValue,
}

/// A score with its interval, if there are groups to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ProbeValue {
    /// On the test rows.
    pub estimate: f64,
    /// Ends of the interval.
    pub interval: Option<(f64, f64)>,
}

/// The penalty of a probe, chosen on validation rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// Inverse penalty of a logistic regression.
    C(f64),
    /// Ridge: the median over targets of their alphas, whose squares are the penalties.
    MedianAlpha(f64),
}

/// What a probe of random labels says about the probe beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ControlScore {
    /// The first score, of the control.
    pub value: f64,
    /// The probe's first score less that, groups drawn for both alike (Hewitt & Liang 2019).
    pub selectivity: ProbeValue,
}

/// What was found in one layer.
#[derive(Debug)]
#[non_exhaustive]
pub struct LayerProbe {
    /// Hidden state, from 0.
    pub layer: usize,
    /// Scores on the test rows; the first is the one that curves and peaks are about.
    pub scores: Vec<ProbeScore>,
    /// The penalty that was chosen on validation rows; only [`ProbeKind::Linear`] has one.
    pub penalty: Option<Penalty>,
    /// A probe that learnt random labels, on random labels.
    pub control: Option<ControlScore>,
    /// The first score as sums of each group, for [`paired_bootstrap`](crate::paired_bootstrap) with another model.
    pub sums: Option<GroupSums>,
    /// The class that was predicted for each test row, as the task numbers them; of tasks with one class per row.
    pub predicted: Option<Vec<usize>>,
}

/// What was found in all layers.
#[non_exhaustive]
pub struct Probed {
    /// The task's name.
    pub task: String,
    /// The layers, state 0 first.
    pub layers: Vec<LayerProbe>,
    /// The first score of always saying what is most frequent in training, for classes.
    pub baseline: Option<f64>,
    /// Speakers, or stories, of each split, by [`Split`](crate::Split).
    pub groups: [BTreeSet<String>; 3],
    /// Speaker, or story, of each test row.
    pub test_groups: Vec<String>,
    /// Class of each test row, as the task numbers them; empty for tasks with other labels.
    pub test_classes: Vec<usize>,
    /// Rows that probes were fitted on.
    pub n_train: usize,
    /// Rows that they were scored on.
    pub n_test: usize,
    /// Where the first score peaks; none where the test has fewer than two groups.
    pub peak: Option<LayerPeak>,
}

impl std::fmt::Debug for Probed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let curve = self.layers.iter().filter_map(|layer| layer.scores.first());
        f.debug_struct("Probed")
            .field("task", &self.task)
            .field(
                "curve",
                &curve.map(|score| score.value.estimate).collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// How far probing is.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeProgress {
    /// Recordings are read.
    Reading {
        /// Recordings done.
        done: usize,
        /// Recordings of the task.
        total: usize,
    },
    /// Layers are probed.
    Probing {
        /// Layers done.
        done: usize,
        /// Layers of the model.
        total: usize,
    },
}

/// Probes every layer on a task.
///
/// `features` gives the layers of a recording, `[n_frames, d_model]` each, from its audio at 16 kHz; it is called once
/// for each recording. Rows are kept in a folder of their own in `scratch`, which is gone at the end: memory holds the
/// rows of one layer.
///
/// ```
/// use std::ops::ControlFlow::Continue;
///
/// use braintune_audio::{SampleRate, Waveform, write_wav};
/// use braintune_probing::{
///     AcousticTask, Acoustics, FrameFeatures, ProbeSettings, ProbeTask, Recording, Split, Target, probe_layers,
/// };
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let mut recordings = Vec::new();
/// for i in 0..9 {
///     let audio = folder.path().join(format!("{i}.wav"));
///     let samples = (0..8_000).map(|j| 0.3 * (0.01 * ((i + 2) * j) as f32).sin()).collect();
///     write_wav(&audio, &Waveform::from_samples(samples, SampleRate::SPEECH)?)?;
///     let split = [Split::Train, Split::Validation, Split::Test][i % 3];
///     recordings.push(Recording::whole(audio, split, format!("speaker {i}"), Target::FromAudio));
/// }
/// let task = AcousticTask::of_recordings(recordings, Acoustics::Mfcc)?;
/// // In place of a model: one layer that is what the task asks for.
/// let features = |_: &Recording, audio: &Waveform| {
///     let times: Vec<f64> = (1..20).map(|frame| 0.02 * f64::from(frame)).collect();
///     FrameFeatures::new(vec![task.values(audio, &times)?], times)
/// };
/// let settings = ProbeSettings::default();
/// let found = probe_layers(&task, features, &settings, folder.path(), &mut |_| Continue(()))?;
/// assert_eq!((found.n_train, found.n_test), (3 * 19, 3 * 19));
/// let score = found.layers[0].scores[0];
/// assert!(score.metric == "r2" && score.value.estimate > 0.5);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Data that are missing or damaged; classes that occur in the test and not in training; what `features` says;
/// [`ProbingError::OtherFeatures`] if it gives another number or width of layers than before;
/// [`ProbingError::Cancelled`] if `on` breaks.
#[instrument(skip_all, fields(task = task.name()))]
pub fn probe_layers<E: Into<Box<dyn Error + Send + Sync>>>(
    task: &dyn ProbeTask,
    mut features: impl FnMut(&Recording, &Waveform) -> Result<FrameFeatures, E>,
    settings: &ProbeSettings,
    scratch: &Path,
    on: &mut dyn FnMut(ProbeProgress) -> ControlFlow<()>,
) -> Result<Probed> {
    let mut settings = settings.clone();
    if let ProbeKind::Paper { n_epochs } = &mut settings.kind {
        n_epochs.get_or_insert_with(|| task.paper_epochs());
    }
    let mut gathered = gather(task, &mut features, scratch, &mut |done, total| {
        on(ProbeProgress::Reading { done, total })
    })?;
    let total = gathered.store.n_layers();
    let rows = Rows3::new(task, &gathered.labels)?;
    let mut layers = Vec::with_capacity(total);
    for layer in 0..total {
        if on(ProbeProgress::Probing { done: layer, total }).is_break() {
            return Err(ProbingError::Cancelled);
        }
        let mut poll = |_| on(ProbeProgress::Probing { done: layer, total });
        let store = &mut gathered.store;
        layers.push(probe_layer(store, layer, &rows, &settings, &mut poll)?);
    }
    let sums: Vec<&GroupSums> = layers
        .iter()
        .filter_map(|layer| layer.sums.as_ref())
        .collect();
    let peak = (sums.len() == total)
        .then(|| layer_peak(&sums, &settings.bootstrap))
        .transpose()?;
    let [train, _, test] = &gathered.labels;
    let groups = |labels: &SplitLabels| labels.groups.iter().cloned().collect();
    Ok(Probed {
        task: task.name().to_owned(),
        groups: gathered.labels.each_ref().map(groups),
        baseline: rows.baseline()?,
        test_groups: test.groups.clone(),
        test_classes: test.classes.clone(),
        n_train: train.n_rows(),
        n_test: test.n_rows(),
        layers,
        peak,
    })
}

/// A score of test rows, with an interval if they are of two groups or more.
pub(crate) fn valued(
    groups: Option<&Groups>,
    n_rows: usize,
    sums: impl Fn(&Groups) -> Result<GroupSums>,
    settings: &Bootstrap,
) -> Result<(ProbeValue, Option<GroupSums>)> {
    if let Some(groups) = groups {
        let sums = sums(groups)?;
        let Interval {
            estimate,
            low,
            high,
        } = bootstrap(&sums, settings)?;
        let interval = Some((low, high));
        return Ok((ProbeValue { estimate, interval }, Some(sums)));
    }
    // One group: the score alone.
    let estimate = estimate(&sums(&Groups::all_in_one(n_rows))?);
    let interval = None;
    Ok((ProbeValue { estimate, interval }, None))
}

/// The score of all groups as they are.
pub(crate) fn estimate(sums: &GroupSums) -> f64 {
    use crate::evidence::GroupScore;
    sums.score(&vec![1; sums.n_groups()])
}
