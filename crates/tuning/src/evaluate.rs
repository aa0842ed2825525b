//! Loss and correlation on validation batches, without gradients.
//!
//! Correlations are over the TRs of one recording (subject and story), per voxel; their mean over voxels,
//! then over recordings. Held by `tests/it/training.rs`.

mod sums;

use std::ops::ControlFlow;

use braintune_backbone::SpeechBackbone;
use braintune_ranks::Alone;
use burn::tensor::{Device, Tensor};

use self::sums::Sums;
use crate::batch::{TuningBatch, TuningData};
use crate::config::setting;
use crate::error::{Result, TuningError};
use crate::learning::{BatchPart, Learning};
use crate::model::TuningModel;
use crate::objective::TuningObjective;
use crate::step::{micro_batches, rows_of};
use crate::team::Team;

/// How well a model predicts batches it was not tuned on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Mean over clips of the objective.
    pub loss: f64,
    /// Pearson correlation over the TRs of a recording, mean over voxels and recordings; none where no
    /// responses are predicted.
    pub mean_r: Option<f64>,
}

impl Evaluation {
    /// A mean loss, and a mean correlation where responses are predicted.
    #[must_use]
    pub fn new(loss: f64, mean_r: Option<f64>) -> Self {
        Self { loss, mean_r }
    }
}

/// Evaluates a model on a plain device, `device`, on all batches of the first epoch.
///
/// `weights` says how much each voxel of each head counts in the loss, `[n_voxels]`, mean 1; all alike where a head
/// has none or the list ends before it. `micro_batch` clips, at least 1, go through the model at once: it bounds memory
/// and changes the result by rounding only.
///
/// # Errors
/// [`TuningError::BatchShape`] and [`TuningError::VoxelWeights`] for what does not fit the model; a `micro_batch`
/// of 0; a model without heads that predict responses; what reading the batches can cause.
pub fn evaluate<B: SpeechBackbone>(
    model: &TuningModel<B>,
    objective: &impl TuningObjective,
    data: &dyn TuningData,
    weights: &[Option<Vec<f32>>],
    micro_batch: usize,
    device: &Device,
) -> Result<Evaluation> {
    let settings = Evaluating {
        weights,
        micro_batch,
        device,
    };
    let mut go_on = |_, _| ControlFlow::Continue(());
    let model = (model, objective);
    match evaluate_on(Team(&Alone), model, data, &settings, &mut go_on)? {
        ControlFlow::Continue(found) => Ok(found),
        ControlFlow::Break(()) => unreachable!("nobody stops it"),
    }
}

/// How a model is evaluated.
pub(crate) struct Evaluating<'a> {
    /// As [`evaluate`] has them.
    pub(crate) weights: &'a [Option<Vec<f32>>],
    pub(crate) micro_batch: usize,
    pub(crate) device: &'a Device,
}

/// As [`evaluate`], batches shared out over ranks, with the same numbers on all of them. Before each part of a batch
/// but the first, `on` is told how many of this rank's batches are done, and how many it has, and stops it.
pub(crate) fn evaluate_on<B: SpeechBackbone>(
    team: Team<'_>,
    (model, objective): (&TuningModel<B>, &impl Learning<B>),
    data: &dyn TuningData,
    settings: &Evaluating<'_>,
    on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Evaluation>> {
    check_micro_batch(settings.micro_batch)?;
    objective.check(model)?;
    let mine = team.0.shard().range(data.n_batches());
    let mut sums = Sums::default();
    let mut flow = ControlFlow::Continue(());
    for index in mine.clone() {
        let batch = data.batch(0, index).map_err(TuningError::Batch)?;
        let mut on = || on(index - mine.start, mine.len());
        flow = add(
            &mut sums,
            (model, objective),
            (index, &batch),
            settings,
            &mut on,
        )?;
        if flow.is_break() {
            break;
        }
    }
    let message = match flow {
        ControlFlow::Continue(()) => sums.to_bytes(),
        ControlFlow::Break(()) => Vec::new(),
    };
    let all = team.gather(&message)?;
    if all.iter().any(Vec::is_empty) {
        return Ok(ControlFlow::Break(()));
    }
    let mut sums = Sums::default();
    for message in &all {
        sums.add_bytes(message);
    }
    let predicts = !model.n_voxels().is_empty();
    Ok(ControlFlow::Continue(Evaluation {
        loss: sums.loss(),
        mean_r: predicts.then(|| sums.mean_r()),
    }))
}

/// One batch, a micro-batch at a time.
fn add<B: SpeechBackbone>(
    sums: &mut Sums,
    (model, objective): (&TuningModel<B>, &impl Learning<B>),
    (index, batch): (usize, &TuningBatch),
    settings: &Evaluating<'_>,
    on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<ControlFlow<()>> {
    model.check_batch(batch)?;
    // None where no responses are predicted.
    let n_voxels = model.n_voxels().get(batch.head).copied();
    let weights = settings.weights.get(batch.head).and_then(Option::as_ref);
    let weights = weights.zip(n_voxels);
    if let Some((weights, n_voxels)) = weights {
        check_n_weights(batch.head, weights.len(), n_voxels)?;
    }
    let weights = weights.map(|(weights, _)| row(weights, settings.device));
    let whole = BatchPart::whole(batch, weights.as_ref(), index as u64, settings.device);
    for rows in micro_batches(whole.rows.len(), settings.micro_batch, 1, true) {
        if !sums.is_empty() && on().is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let part = BatchPart {
            rows: rows.clone(),
            ..whole.clone()
        };
        let measured = objective.measure(model, &part)?;
        sums.add(&batch.recording, &measured, rows_of(&batch.bold, &rows));
    }
    Ok(ControlFlow::Continue(()))
}

/// No clips at once would be none ever.
pub(crate) fn check_micro_batch(micro_batch: usize) -> Result<()> {
    setting(micro_batch > 0, "micro_batch", micro_batch, "1 or more")
}

/// Weights of voxels are as many as the head has outputs.
pub(crate) fn check_n_weights(head: usize, n_weights: usize, n_voxels: usize) -> Result<()> {
    if n_weights == n_voxels {
        return Ok(());
    }
    Err(TuningError::VoxelWeights {
        head,
        problem: format!("expected {n_voxels}, found {n_weights}"),
    })
}

/// Weights of voxels, `[1, n_voxels]`.
pub(crate) fn row(weights: &[f32], device: &Device) -> Tensor<2> {
    let weights = Tensor::<1>::from_floats(weights, device);
    weights.unsqueeze()
}
