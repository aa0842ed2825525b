//! Recordings to rows of features and labels, by split: one pass over the audio for all layers.
//!
//! Per recording `[n_frames, d_model]` for each layer at frame centres → rows on disk, `[n_rows, d_model]` per split and
//! layer, their labels and groups in memory. Held by `tests/it/probe.rs`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_audio::{Waveform, load_audio};
use ndarray::{Array2, ArrayView2, Axis, concatenate};

use crate::error::{ProbingError, Result};
use crate::frame_features::FrameFeatures;
use crate::rows::RowPlan;
use crate::store::RowStore;
use crate::task::{LabelSet, Part, ProbeTask, Recording, Rows, Target};

/// Labels of the rows of one split.
#[derive(Debug, Clone, Default)]
pub(crate) struct SplitLabels {
    /// Of one-of tasks, `[n_rows]`.
    pub(crate) classes: Vec<usize>,
    /// Of any-of tasks, `[n_rows]`: the classes of each row.
    pub(crate) sets: Vec<Vec<usize>>,
    /// Of numbers, `[n_rows, n_values]` in parts.
    values: Vec<Array2<f32>>,
    /// Speaker or story of each row.
    pub(crate) groups: Vec<String>,
    /// What is said in each row's recording, where the row is the whole of it.
    pub(crate) types: Vec<Option<String>>,
}

impl SplitLabels {
    pub(crate) fn n_rows(&self) -> usize {
        self.groups.len()
    }

    /// `[n_rows, n_values]`.
    pub(crate) fn values(&self) -> Array2<f32> {
        let views: Vec<ArrayView2<'_, f32>> = self.values.iter().map(Array2::view).collect();
        let found = concatenate(Axis(0), &views);
        found.unwrap_or_else(|_| Array2::zeros((0, 0)))
    }

    /// `[n_rows, n_labels]`.
    pub(crate) fn indicators(&self, n_labels: usize) -> Array2<bool> {
        let mut found = Array2::from_elem((self.sets.len(), n_labels), false);
        for (mut row, set) in found.outer_iter_mut().zip(&self.sets) {
            for &class in set {
                row[class] = true;
            }
        }
        found
    }

    /// Labels, groups and types of the rows of a recording, whose frames are at `times` of `audio`.
    fn add(
        &mut self,
        task: &dyn ProbeTask,
        recording: &Recording,
        plan: &RowPlan,
        (audio, times): (&Waveform, &[f64]),
    ) -> Result<()> {
        let from_audio = |part: &Part| part.target == Target::FromAudio;
        if recording.parts.iter().any(from_audio) {
            self.add_values(task, recording, plan, (audio, times))?;
        } else {
            for &part in plan.parts() {
                self.add_label(task, &recording.parts[part].target)?;
            }
        }
        let groups = plan.parts().iter().map(|_| recording.group.clone());
        self.groups.extend(groups);
        self.types.extend(plan.parts().iter().map(|&part| {
            let part = &recording.parts[part];
            let is_whole = task.rows() == Rows::Mean && part.span_s.is_none();
            let text = recording.text.as_ref().filter(|_| is_whole);
            part.item.as_ref().or(text).cloned()
        }));
        Ok(())
    }

    /// Numbers that the task makes of the audio.
    fn add_values(
        &mut self,
        task: &dyn ProbeTask,
        recording: &Recording,
        plan: &RowPlan,
        (audio, times): (&Waveform, &[f64]),
    ) -> Result<()> {
        let values = task.values(audio, &plan.times(times));
        let values = values.map_err(|e| ProbingError::Data {
            path: recording.audio.clone(),
            problem: e.to_string(),
        })?;
        if values.dim() != (plan.n_rows(), task.labels().names().len()) {
            return Err(problem(
                task,
                "gives another number of values than it has rows and names",
            ));
        }
        self.values.push(values);
        Ok(())
    }

    /// The label of one row.
    fn add_label(&mut self, task: &dyn ProbeTask, target: &Target) -> Result<()> {
        let n_labels = task.labels().names().len();
        let fits = |class: &usize| *class < n_labels;
        match (target, task.labels()) {
            (Target::Class(class), LabelSet::OneOf(_)) if fits(class) => self.classes.push(*class),
            (Target::Classes(set), LabelSet::AnyOf(_)) if set.iter().all(fits) => {
                self.sets.push(set.clone());
            }
            (Target::Values(values), LabelSet::Values(_)) if values.len() == n_labels => {
                let row = Array2::from_shape_vec((1, n_labels), values.clone());
                self.values.extend(row);
            }
            _ => return Err(problem(task, "has a label of another kind than its names")),
        }
        Ok(())
    }
}

/// Rows of a task, ready to be probed.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) store: RowStore,
    /// By [`Split`].
    pub(crate) labels: [SplitLabels; 3],
}

/// Reads the audio of a recording at 16 kHz: its span, cut or filled to its length.
///
/// # Errors
/// Audio that cannot be read; a span that begins behind its end.
pub fn audio_of(recording: &Recording) -> Result<Waveform> {
    let whole = load_audio(&recording.audio)?;
    cut_to(&whole, recording)
}

/// The span of a recording out of its whole file.
pub(crate) fn cut_to(whole: &Waveform, recording: &Recording) -> Result<Waveform> {
    let rate = f64::from(whole.sample_rate().as_hz());
    let samples = whole.samples();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of audio"
    )]
    let n = |seconds: f64| (seconds.max(0.0) * rate).round() as usize;
    let at = |seconds: f64| n(seconds).min(samples.len());
    let span = recording
        .span_s
        .as_ref()
        .map_or(0..samples.len(), |span| at(span.start)..at(span.end));
    let mut samples = samples[span.start..span.end.max(span.start)].to_vec();
    if let Some(length) = recording.length_s {
        samples.resize(n(length), 0.0);
    }
    if samples.is_empty() {
        return Err(ProbingError::Data {
            path: recording.audio.clone(),
            problem: match &recording.span_s {
                Some(span) => format!(
                    "ends after {:.2} s, before what is labelled: {:.2} to {:.2} s",
                    whole.duration_s(),
                    span.start,
                    span.end
                ),
                None => "holds no sample".to_owned(),
            },
        });
    }
    Ok(Waveform::from_samples(samples, whole.sample_rate())?)
}

/// The file that was read last: clips of a story come one after the other, its file is read once.
#[derive(Default)]
struct LastFile(Option<(PathBuf, Waveform)>);

impl LastFile {
    fn audio_of(&mut self, recording: &Recording) -> Result<Waveform> {
        let whole = match self.0.take() {
            Some((path, whole)) if path == recording.audio => whole,
            _ => load_audio(&recording.audio)?,
        };
        let audio = cut_to(&whole, recording)?;
        self.0 = Some((recording.audio.clone(), whole));
        Ok(audio)
    }
}

/// All rows of a task. `features` is called once for each recording; `on` is told after each how many are done, and
/// stops the work.
pub(crate) fn gather<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    task: &dyn ProbeTask,
    features: &mut dyn FnMut(&Recording, &Waveform) -> Result<FrameFeatures, E>,
    folder: &Path,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<Gathered> {
    let recordings = task.recordings()?;
    let mut store = None;
    let mut labels: [SplitLabels; 3] = Default::default();
    let mut file = LastFile::default();
    for (done, recording) in recordings.iter().enumerate() {
        if on(done, recordings.len()).is_break() {
            return Err(ProbingError::Cancelled);
        }
        let audio = file.audio_of(recording)?;
        let found = features(recording, &audio).map_err(|source| ProbingError::Features {
            path: recording.audio.clone(),
            source: source.into(),
        })?;
        let store = match &mut store {
            Some(store) => store,
            None => store.insert(RowStore::new(folder, found.widths())?),
        };
        found.check_widths(store.widths(), &recording.audio)?;
        let plan = RowPlan::new(recording, task.rows(), found.times())?;
        let layers = found.layers().iter();
        let rows: Vec<_> = layers.map(|layer| plan.features(layer.view())).collect();
        store.append(recording.split, &rows)?;
        let labels = &mut labels[recording.split as usize];
        labels.add(task, recording, &plan, (&audio, found.times()))?;
    }
    let Some(store) = store else {
        return Err(problem(task, "has no recordings"));
    };
    Ok(Gathered { store, labels })
}

fn problem(task: &dyn ProbeTask, problem: &str) -> ProbingError {
    ProbingError::Task {
        task: task.name().to_owned(),
        problem: problem.to_owned(),
    }
}
