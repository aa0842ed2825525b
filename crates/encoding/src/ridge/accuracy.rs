//! How far a fit is from the exact solution, measured on a few voxels in f64.
//!
//! The residual of the normal equations, `X'(y - Xw) - alpha² w` (dual: `y - (K + alpha²) a`), is
//! summed in f64 from the features and responses themselves; one step of iterative refinement with
//! the decomposition at hand turns it into the distance to the exact solution. Held by
//! `tests/it/accuracy.rs` against a dense f64 solve.

use faer::{Mat, MatRef};

use super::{filter::filter, prepared::Whole, real::Real};

/// Voxels of a fit that are checked.
const SAMPLE: usize = 3;

/// Distance of fitted predictions from those of the exact f64 solution.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct NumericalError {
    /// Voxels that were checked.
    pub n_voxels: usize,
    /// The largest `|p - p_exact| / |p_exact|` among them, Euclidean norms over the training rows.
    pub largest: f64,
}

impl NumericalError {
    /// Takes in the check of other voxels.
    pub fn merge(&mut self, other: Self) {
        self.n_voxels += other.n_voxels;
        self.largest = self.largest.max(other.largest);
    }
}

/// Voxels to check of `n`: evenly spaced, the first among them.
pub(crate) fn sample(n: usize) -> impl Iterator<Item = usize> {
    (0..SAMPLE.min(n)).map(move |i| i * n / SAMPLE.min(n))
}

/// The error of one voxel: `y` its responses, `[n_samples]`, `weights` in the basis of all rows.
pub(crate) fn of_voxel<T: Real>(
    whole: &Whole<T>,
    y: &[f64],
    weights: MatRef<'_, T>,
    penalty: f64,
) -> f64 {
    let vectors = whole.basis.vectors.as_ref();
    let solution = widened(&super::matrix::product(vectors, weights));
    let (predicted, change) = if whole.primal {
        let predicted = whole.x.times_wide(&solution);
        let rest: Vec<f64> = y.iter().zip(&predicted).map(|(y, p)| y - p).collect();
        let mut residual = whole.x.moment_wide(&rest);
        for (residual, weight) in residual.iter_mut().zip(&solution) {
            *residual -= penalty * weight;
        }
        let step = refine(whole, &residual, penalty);
        (predicted, whole.x.times_wide(&step))
    } else {
        let kernel = |a: &[f64]| whole.x.times_wide(&whole.x.moment_wide(a));
        let predicted = kernel(&solution);
        let residual: Vec<f64> = (0..y.len())
            .map(|i| y[i] - predicted[i] - penalty * solution[i])
            .collect();
        let change = kernel(&refine(whole, &residual, penalty));
        (predicted, change)
    };
    let exact: f64 = predicted
        .iter()
        .zip(&change)
        .map(|(p, c)| (p + c).powi(2))
        .sum();
    let change: f64 = change.iter().map(|c| c * c).sum();
    if change == 0.0 {
        0.0
    } else {
        (change / exact).sqrt()
    }
}

/// `V diag(1 / (λ + penalty)) V' residual`.
fn refine<T: Real>(whole: &Whole<T>, residual: &[f64], penalty: f64) -> Vec<f64> {
    let basis = &whole.basis;
    // The residual is far below 1 in the units of y: scaled, so that f32 holds all of it.
    let largest = residual.iter().fold(0.0_f64, |most, r| most.max(r.abs()));
    let scale = if largest > 0.0 { largest } else { 1.0 };
    let residual = Mat::from_fn(residual.len(), 1, |i, _| T::rounded(residual[i] / scale));
    let mut step = super::matrix::product(basis.vectors.transpose(), residual.as_ref());
    for (step, &value) in step.col_as_slice_mut(0).iter_mut().zip(&basis.values) {
        *step *= T::rounded(filter(value, penalty, basis.noise) * scale);
    }
    widened(&super::matrix::product(
        basis.vectors.as_ref(),
        step.as_ref(),
    ))
}

fn widened<T: Real>(column: &Mat<T>) -> Vec<f64> {
    column
        .col_as_slice(0)
        .iter()
        .map(|&value| value.into())
        .collect()
}
