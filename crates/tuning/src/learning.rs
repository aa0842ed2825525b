//! What a run makes small: the part of the trainer that differs between responses and a model's own objective.

use std::ops::{ControlFlow, Range};

use braintune_backbone::SpeechBackbone;
use braintune_ranks::Alone;
use burn::tensor::{Device, Tensor};
use ndarray::Array2;

use crate::batch::{TuningBatch, TuningData};
use crate::error::{Result, TuningError};
use crate::evaluate::{Evaluating, Evaluation, evaluate_on};
use crate::model::TuningModel;
use crate::objective::TuningObjective;
use crate::step::{rows_of, tensor, values_of};
use crate::team::Team;

/// Some clips of a batch, or all, and where in a run it stands.
#[derive(Debug, Clone)]
pub struct BatchPart<'a> {
    /// The whole batch.
    pub batch: &'a TuningBatch,
    /// Its clips that are meant.
    pub rows: Range<usize>,
    /// How much each voxel counts, `[1, n_voxels]`.
    pub weights: Option<&'a Tensor<2>>,
    /// The step, or the batch of an evaluation, from 0: what is drawn depends on it and not on what was drawn before.
    pub step: u64,
    /// Where the model lives.
    pub device: &'a Device,
    /// The hidden state that the head reads, `[batch, n_frames, d_model]`, where it is there already.
    pub state: Option<Tensor<3>>,
}

impl<'a> BatchPart<'a> {
    /// All clips of a batch.
    #[must_use]
    pub fn whole(
        batch: &'a TuningBatch,
        weights: Option<&'a Tensor<2>>,
        step: u64,
        device: &'a Device,
    ) -> Self {
        Self {
            batch,
            rows: 0..batch.samples.nrows(),
            weights,
            step,
            device,
            state: None,
        }
    }

    /// The clips, `[batch, n_samples]`, and their lengths.
    pub(crate) fn clips(&self) -> (Tensor<2>, Vec<usize>) {
        let samples = rows_of(&self.batch.samples, &self.rows);
        let lengths = vec![samples.ncols(); samples.nrows()];
        (tensor(samples, self.device), lengths)
    }
}

/// What some clips of an evaluation's batch add to it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// Sum of the loss over all that counts.
    pub loss: f64,
    /// How much counts: clips, or masked frames.
    pub n: f64,
    /// The clips' responses as the model predicts them, `[n_clips, n_voxels]`; none where none are predicted.
    pub predicted: Option<Array2<f32>>,
}

impl Measured {
    /// The sum of a loss over `n` clips or frames, and what was predicted, `[n_clips, n_voxels]`, if responses were.
    #[must_use]
    pub fn new(loss: f64, n: f64, predicted: Option<Array2<f32>>) -> Self {
        Self { loss, n, predicted }
    }
}

/// What a run makes small of a model and batches. Every [`TuningObjective`] is one, and
/// [`OwnObjective`](crate::OwnObjective); all else of a run is the same.
pub trait Learning<B: SpeechBackbone> {
    /// Name for records and messages.
    fn title(&self) -> &str;

    /// Whether it can be made small of this model.
    ///
    /// # Errors
    /// The model lacks the head that is needed.
    fn check(&self, model: &TuningModel<B>) -> Result<()>;

    /// What some clips add to the loss of their batch, `[1]`.
    ///
    /// # Errors
    /// [`TuningError::BatchShape`] for a batch that does not fit the model ([`TuningModel::check_batch`]).
    fn loss_of(&self, model: &TuningModel<B>, part: &BatchPart<'_>) -> Result<Tensor<1>>;

    /// What some clips of a validation batch add to an evaluation of a model on a plain device.
    ///
    /// # Errors
    /// As [`loss_of`](Self::loss_of).
    fn measure(&self, model: &TuningModel<B>, part: &BatchPart<'_>) -> Result<Measured>;

    /// Whether the loss of a batch depends, by more than rounding, on which clips go through the model together:
    /// then several ranks leave micro-batches as they are. Not unless overridden.
    fn depends_on_parts(&self, model: &TuningModel<B>) -> bool {
        let _ = model;
        false
    }

    /// The loss on all batches of a model on a plain device, as [`evaluate`](crate::evaluate()); before each
    /// part of a batch but the first, `on` is told how many batches are done, and stops it.
    ///
    /// # Errors
    /// What reading the batches can cause.
    fn evaluate(
        &self,
        model: &TuningModel<B>,
        data: &dyn TuningData,
        weights: &[Option<Vec<f32>>],
        micro_batch: usize,
        device: &Device,
        on: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), Evaluation>>
    where
        Self: Sized,
    {
        let settings = Evaluating {
            weights,
            micro_batch,
            device,
        };
        evaluate_on(Team(&Alone), (model, self), data, &settings, &mut |n, _| {
            on(n)
        })
    }
}

impl<B: SpeechBackbone, O: TuningObjective> Learning<B> for O {
    fn title(&self) -> &str {
        self.name()
    }

    fn check(&self, model: &TuningModel<B>) -> Result<()> {
        if model.n_voxels().is_empty() {
            return Err(TuningError::Empty {
                what: "head that predicts responses",
                reason: "the model has none".to_owned(),
            });
        }
        Ok(())
    }

    fn loss_of(&self, model: &TuningModel<B>, part: &BatchPart<'_>) -> Result<Tensor<1>> {
        let BatchPart {
            batch,
            rows,
            weights,
            device,
            state,
            ..
        } = part;
        model.check_batch(batch)?;
        let share = rows.len() as f64 / batch.samples.nrows() as f64;
        let predicted = if let Some(state) = state {
            let lengths = vec![batch.samples.ncols(); rows.len()];
            model.predict(state.clone(), &lengths, batch.head)
        } else {
            let (samples, lengths) = part.clips();
            model.forward(samples, &lengths, batch.head)
        };
        let bold = tensor(rows_of(&batch.bold, rows), device);
        Ok(self.loss(predicted, bold, weights.cloned()) * share)
    }

    fn measure(&self, model: &TuningModel<B>, part: &BatchPart<'_>) -> Result<Measured> {
        let BatchPart { batch, rows, .. } = part;
        let (samples, lengths) = part.clips();
        let predicted = model.forward(samples, &lengths, batch.head);
        let bold = rows_of(&batch.bold, rows);
        let shape = bold.dim();
        let bold = tensor(bold, part.device);
        let loss = self.loss(predicted.clone(), bold, part.weights.cloned());
        let n = rows.len() as f64;
        let predicted = Array2::from_shape_vec(shape, values_of(predicted))
            .unwrap_or_else(|e| unreachable!("the loss was of the same shape: {e}"));
        let loss = f64::from(loss.into_scalar::<f32>()) * n;
        Ok(Measured::new(loss, n, Some(predicted)))
    }
}
