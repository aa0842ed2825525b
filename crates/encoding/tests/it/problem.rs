//! Seeded problems and a dense solve to judge by.

use braintune_encoding::{Alphas, DesignMatrix, Folds, Ridge, RidgeParams};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub(crate) struct Problem {
    pub(crate) x: Array2<f32>,
    pub(crate) y: Array2<f32>,
    pub(crate) groups: Vec<i64>,
}

impl Problem {
    /// Noisy linear responses in `n_groups` runs of rows.
    pub(crate) fn new(n_samples: usize, n_features: usize, n_voxels: usize, seed: u64) -> Self {
        let x = normal(n_samples, n_features, seed);
        let w = normal(n_features, n_voxels, seed + 1) / (n_features as f32).sqrt();
        let y = x.dot(&w) + normal(n_samples, n_voxels, seed + 2);
        let groups = (0..n_samples).map(|row| i64::try_from(row * 4 / n_samples).unwrap());
        Self {
            x,
            y,
            groups: groups.collect(),
        }
    }

    pub(crate) fn folds(&self) -> Folds {
        Folds::leave_one_group_out(&self.groups).unwrap()
    }

    pub(crate) fn design(&self) -> DesignMatrix {
        self.x.clone().into()
    }

    pub(crate) fn params(&self, alphas: &str) -> RidgeParams {
        Ridge::params(alphas.parse::<Alphas>().unwrap()).folds(self.folds())
    }
}

pub(crate) fn normal(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n_rows, n_columns), || rng.sample(StandardNormal))
}

pub(crate) fn wide(x: ArrayView2<'_, f32>) -> Array2<f64> {
    x.mapv(f64::from)
}

/// `(X'X + penalty I)^-1 X'Y` in f64 by Gaussian elimination, `[n_features, n_voxels]`.
pub(crate) fn dense_ridge(x: &Array2<f64>, y: &Array2<f64>, penalty: f64) -> Array2<f64> {
    let mut a = x.t().dot(x) + Array2::<f64>::eye(x.ncols()) * penalty;
    let mut b = x.t().dot(y);
    let n = a.nrows();
    for pivot in 0..n {
        for row in pivot + 1..n {
            let factor = a[(row, pivot)] / a[(pivot, pivot)];
            let (above, mut below) = (a.row(pivot).to_owned(), a.row_mut(row));
            below.scaled_add(-factor, &above);
            let above = b.row(pivot).to_owned();
            b.row_mut(row).scaled_add(-factor, &above);
        }
    }
    for row in (0..n).rev() {
        let solved = &b.row(row) / a[(row, row)];
        b.row_mut(row).assign(&solved);
        for above in 0..row {
            let factor = a[(above, row)];
            b.row_mut(above).scaled_add(-factor, &solved);
        }
    }
    b
}

/// R² per voxel, mean over folds, and nothing shared with the crate.
pub(crate) fn dense_cv_r2(problem: &Problem, folds: &Folds, alpha: f64) -> Array1<f64> {
    let (x, y) = (wide(problem.x.view()), wide(problem.y.view()));
    let mut total = Array1::zeros(y.ncols());
    for fold in 0..folds.n_folds() {
        let (train, validation) = (folds.training(fold), folds.validation(fold));
        let w = dense_ridge(
            &x.select(Axis(0), &train),
            &y.select(Axis(0), &train),
            alpha * alpha,
        );
        let truth = y.select(Axis(0), validation);
        let residual = &truth - &x.select(Axis(0), validation).dot(&w);
        let total_squares = (&truth - &truth.mean_axis(Axis(0)).unwrap()).mapv(|v| v * v);
        total +=
            &(1.0 - residual.mapv(|v| v * v).sum_axis(Axis(0)) / total_squares.sum_axis(Axis(0)));
    }
    total / folds.n_folds() as f64
}

pub(crate) fn largest_difference(a: &Array2<f32>, b: &Array2<f64>) -> f64 {
    assert_eq!(a.dim(), b.dim());
    a.iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - b).abs())
        .fold(0.0, f64::max)
}
