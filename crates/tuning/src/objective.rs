//! What tuning makes small: losses of predicted against measured responses, `[batch, n_voxels]`.
//!
//! Each is a mean over the clips of the batch, so that parts of a batch add up to it. Held by the tests below.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::config::setting;
use crate::error::Result;

/// Below this a spatial standard deviation counts as none.
const TINY: f64 = 1e-8;

/// A loss of predictions against responses.
pub trait TuningObjective {
    /// Name for records and messages.
    fn name(&self) -> &str;

    /// The loss, `[1]`, of `predicted` and `bold`, both `[batch, n_voxels]`; a mean over the batch.
    /// `weights`, `[1, n_voxels]` with mean 1, say how much each voxel counts.
    fn loss(&self, predicted: Tensor<2>, bold: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1>;
}

/// Mean squared error over clips and voxels (Moussa, Klakow & Toneva 2025).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MeanSquaredError;

impl TuningObjective for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mse"
    }

    fn loss(&self, predicted: Tensor<2>, bold: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let error = predicted - bold;
        weighted(error.clone() * error, weights).mean()
    }
}

/// One minus the correlation over voxels of each clip's prediction with its response, mean over
/// clips (Moussa & Toneva, `NeurIPS` 2025).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpatialCorrelation;

impl TuningObjective for SpatialCorrelation {
    fn name(&self) -> &'static str {
        "spatial-correlation"
    }

    fn loss(&self, predicted: Tensor<2>, bold: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let centred = |x: Tensor<2>| {
            let mean = weighted(x.clone(), weights.clone()).mean_dim(1);
            x - mean
        };
        let r = cosine(centred(predicted), centred(bold), weights.as_ref());
        r.mean() * -1.0 + 1.0
    }
}

/// A Huber loss plus `cosine_weight` times one minus the cosine over voxels, mean over clips (Moussa &
/// Toneva, `NeurIPS` 2025).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CosineHuber {
    /// Where the loss of a voxel turns from squared to linear.
    pub delta: f64,
    /// Weight of the cosine.
    pub cosine_weight: f64,
}

impl Default for CosineHuber {
    fn default() -> Self {
        Self {
            delta: 0.6,
            cosine_weight: 1.0,
        }
    }
}

impl TuningObjective for CosineHuber {
    fn name(&self) -> &'static str {
        "cosine-huber"
    }

    fn loss(&self, predicted: Tensor<2>, bold: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        let cosine = cosine(predicted.clone(), bold.clone(), weights.as_ref());
        let distance = (predicted - bold).abs();
        // min(d, delta) · (d - min(d, delta) / 2): d²/2 up to delta, linear beyond it.
        let near = distance.clone().clamp_max(self.delta);
        let huber = near.clone() * (distance - near * 0.5);
        weighted(huber, weights).mean() + (cosine.mean() * -1.0 + 1.0) * self.cosine_weight
    }
}

fn weighted(x: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<2> {
    match weights {
        Some(weights) => x * weights,
        None => x,
    }
}

/// Cosine of each row of `a` with that of `b`, `[batch, 1]`; 0 where one of them is 0.
fn cosine(a: Tensor<2>, b: Tensor<2>, weights: Option<&Tensor<2>>) -> Tensor<2> {
    let dot = |a: Tensor<2>, b: Tensor<2>| weighted(a * b, weights.cloned()).sum_dim(1);
    let norms = (dot(a.clone(), a.clone()) * dot(b.clone(), b.clone()) + TINY * TINY).sqrt();
    dot(a, b) / norms
}

/// The objectives by name, as the configuration has them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Objective {
    /// [`MeanSquaredError`].
    Mse {},
    /// [`SpatialCorrelation`].
    SpatialCorrelation {},
    /// [`CosineHuber`].
    CosineHuber {
        /// See [`CosineHuber::delta`].
        #[serde(default = "default_delta")]
        delta: f64,
        /// See [`CosineHuber::cosine_weight`].
        #[serde(default = "default_cosine_weight")]
        cosine_weight: f64,
    },
}

fn default_delta() -> f64 {
    CosineHuber::default().delta
}

fn default_cosine_weight() -> f64 {
    CosineHuber::default().cosine_weight
}

impl Objective {
    pub(crate) fn check(&self) -> Result<()> {
        let Self::CosineHuber {
            delta,
            cosine_weight,
        } = *self
        else {
            return Ok(());
        };
        let fits = delta > 0.0 && delta.is_finite();
        setting(fits, "objective.delta", delta, "a number above 0")?;
        let fits = cosine_weight >= 0.0 && cosine_weight.is_finite();
        setting(
            fits,
            "objective.cosine_weight",
            cosine_weight,
            "a number, at least 0",
        )
    }
}

impl TuningObjective for Objective {
    fn name(&self) -> &str {
        match self {
            Self::Mse {} => "mse",
            Self::SpatialCorrelation {} => "spatial-correlation",
            Self::CosineHuber { .. } => "cosine-huber",
        }
    }

    fn loss(&self, predicted: Tensor<2>, bold: Tensor<2>, weights: Option<Tensor<2>>) -> Tensor<1> {
        match *self {
            Self::Mse {} => MeanSquaredError.loss(predicted, bold, weights),
            Self::SpatialCorrelation {} => SpatialCorrelation.loss(predicted, bold, weights),
            Self::CosineHuber {
                delta,
                cosine_weight,
            } => CosineHuber {
                delta,
                cosine_weight,
            }
            .loss(predicted, bold, weights),
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn tensor<const N: usize>(rows: [[f32; 3]; N]) -> Tensor<2> {
        Tensor::from_floats(rows, &Device::flex())
    }

    fn value(loss: Tensor<1>) -> f32 {
        loss.into_scalar::<f32>()
    }

    const PREDICTED: [[f32; 3]; 2] = [[1.0, 2.0, 4.0], [0.0, -1.0, 1.0]];
    const BOLD: [[f32; 3]; 2] = [[0.5, 2.5, 3.0], [1.0, 0.0, 2.0]];

    fn losses(weights: Option<Tensor<2>>) -> [f32; 3] {
        [
            value(MeanSquaredError.loss(tensor(PREDICTED), tensor(BOLD), weights.clone())),
            value(SpatialCorrelation.loss(tensor(PREDICTED), tensor(BOLD), weights.clone())),
            value(CosineHuber::default().loss(tensor(PREDICTED), tensor(BOLD), weights)),
        ]
    }

    #[test]
    fn losses_are_those_of_numpy() {
        // ((p - b) ** 2).mean(); 1 - mean of np.corrcoef; huber(0.6).mean() + 1 - mean cosine.
        let expected = [0.75, 0.066_987_3, 0.520_449_2];
        for (found, expected) in losses(None).iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-5,
                "{found}, expected {expected}"
            );
        }
    }

    #[test]
    fn even_weights_change_nothing_and_a_weight_of_zero_hides_a_voxel() {
        let even = losses(Some(tensor([[1.0, 1.0, 1.0]])));
        for (found, expected) in even.iter().zip(losses(None)) {
            assert!((found - expected).abs() < 1e-6);
        }
        let hidden = |bold: [[f32; 3]; 2]| {
            let weights = Some(tensor([[1.5, 1.5, 0.0]]));
            value(SpatialCorrelation.loss(tensor(PREDICTED), tensor(bold), weights))
        };
        let mut other = BOLD;
        other[0][2] = 100.0;
        assert!((hidden(BOLD) - hidden(other)).abs() < 1e-6);
    }

    #[test]
    fn constant_responses_give_a_finite_loss() {
        let constant = tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]);
        for loss in [
            SpatialCorrelation.loss(constant.clone(), constant.clone(), None),
            CosineHuber::default().loss(constant.clone(), constant, None),
        ] {
            assert!(value(loss).is_finite());
        }
    }
}
