//! Loss and correlation on validation batches, without gradients.
//!
//! Correlations are over the TRs of one recording (subject and story), per voxel; their mean over voxels,
//! then over recordings. Held by `tests/it/training.rs`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use braintune_backbone::SpeechBackbone;
use burn::tensor::{Device, Tensor};
use ndarray::{Array2, ArrayView2};

use crate::batch::TuningData;
use crate::config::setting;
use crate::error::{Result, TuningError};
use crate::learning::Learning;
use crate::model::TuningModel;
use crate::objective::TuningObjective;
use crate::step::{tensor, values_of};

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

/// Sums of one recording, per voxel.
#[derive(Default)]
struct Sums {
    n: f64,
    /// x, y, xx, yy, xy: `[n_voxels]` each.
    of: [Vec<f64>; 5],
}

impl Sums {
    fn add(&mut self, predicted: &Array2<f32>, bold: &ArrayView2<'_, f32>) {
        for sums in &mut self.of {
            sums.resize(bold.ncols(), 0.0);
        }
        self.n += bold.nrows() as f64;
        for (x, y) in predicted.outer_iter().zip(bold.outer_iter()) {
            for (voxel, (x, y)) in x.iter().zip(y).enumerate() {
                let (x, y) = (f64::from(*x), f64::from(*y));
                for (sums, value) in self.of.iter_mut().zip([x, y, x * x, y * y, x * y]) {
                    sums[voxel] += value;
                }
            }
        }
    }

    /// Mean over voxels of r, 0 for a voxel whose prediction or response is constant.
    fn mean_r(&self) -> f64 {
        let [x, y, xx, yy, xy] = &self.of;
        let r = |voxel: usize| {
            let centred = |sum: f64, a: f64, b: f64| sum - a * b / self.n;
            let sxx = centred(xx[voxel], x[voxel], x[voxel]);
            let syy = centred(yy[voxel], y[voxel], y[voxel]);
            let product = (sxx * syy).sqrt();
            let r = centred(xy[voxel], x[voxel], y[voxel]) / product;
            if product > 0.0 && r.is_finite() {
                r
            } else {
                0.0
            }
        };
        (0..x.len()).map(r).sum::<f64>() / x.len().max(1) as f64
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
    let mut go_on = |_| ControlFlow::Continue(());
    let model = (model, objective);
    match evaluate_until(model, data, weights, micro_batch, device, &mut go_on)? {
        ControlFlow::Continue(found) => Ok(found),
        ControlFlow::Break(()) => unreachable!("nobody stops it"),
    }
}

/// As [`evaluate`]; before each part of a batch but the first, `on` is told how many batches are done, and stops it.
pub(crate) fn evaluate_until<B: SpeechBackbone>(
    (model, objective): (&TuningModel<B>, &impl TuningObjective),
    data: &dyn TuningData,
    weights: &[Option<Vec<f32>>],
    micro_batch: usize,
    device: &Device,
    on: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<ControlFlow<(), Evaluation>> {
    check_micro_batch(micro_batch)?;
    Learning::check(objective, model)?;
    let n_voxels = model.n_voxels();
    let (mut loss, mut n_clips) = (0.0, 0.0);
    let mut recordings: BTreeMap<String, Sums> = BTreeMap::new();
    for index in 0..data.n_batches() {
        let batch = data.batch(0, index).map_err(TuningError::Batch)?;
        model.check_batch(&batch)?;
        let weights = weights.get(batch.head).and_then(Option::as_ref);
        if let Some(weights) = weights {
            check_n_weights(batch.head, weights.len(), n_voxels[batch.head])?;
        }
        let weights = weights.map(|weights| row(weights, device));
        for (samples, bold) in batch.parts(micro_batch) {
            if n_clips > 0.0 && on(index).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let n = samples.nrows();
            let lengths = vec![samples.ncols(); n];
            let predicted = model.forward(tensor(samples, device), &lengths, batch.head);
            let measured = tensor(bold, device);
            let of_part = objective.loss(predicted.clone(), measured, weights.clone());
            loss += f64::from(of_part.into_scalar::<f32>()) * n as f64;
            n_clips += n as f64;
            let sums = recordings.entry(batch.recording.clone()).or_default();
            sums.add(&array(predicted, bold.dim()), &bold);
        }
    }
    let n = recordings.len().max(1) as f64;
    Ok(ControlFlow::Continue(Evaluation {
        loss: loss / f64::max(n_clips, 1.0),
        mean_r: Some(recordings.values().map(Sums::mean_r).sum::<f64>() / n),
    }))
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

/// The values of a tensor of this shape.
fn array(x: Tensor<2>, shape: (usize, usize)) -> Array2<f32> {
    Array2::from_shape_vec(shape, values_of(x))
        .unwrap_or_else(|e| unreachable!("the loss was of the same shape: {e}"))
}

/// Weights of voxels, `[1, n_voxels]`.
pub(crate) fn row(weights: &[f32], device: &Device) -> Tensor<2> {
    let weights = Tensor::<1>::from_floats(weights, device);
    weights.unsqueeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_is_pearsons_over_all_parts_of_a_recording() {
        let predicted = ndarray::array![[1.0, 2.0], [2.0, 2.0], [4.0, 2.0], [3.0, 2.0]];
        let bold = ndarray::array![[0.5, 1.0], [1.0, 0.0], [3.5, 2.0], [1.5, 5.0]];
        let mut sums = Sums::default();
        for rows in [0..3, 3..4] {
            let part = |x: &Array2<f32>| x.slice(ndarray::s![rows.clone(), ..]).to_owned();
            sums.add(&part(&predicted), &part(&bold).view());
        }
        // np.corrcoef of the first columns; the second prediction is constant.
        assert!(
            (sums.mean_r() - 0.932_673_3 / 2.0).abs() < 1e-6,
            "{}",
            sums.mean_r()
        );
    }
}
