//! What a fit will take, before it starts.
//!
//! Counts of floating-point operations and bytes from sizes alone; a short product of matrices,
//! timed on this machine, turns the first into seconds. Held by `tests/it/estimate.rs`.

use std::time::Instant;

use faer::Mat;

use super::{RidgeValidParams, matrix, tile::TILE};
use crate::Folds;

/// Operations of an eigendecomposition with vectors, in units of n³ (tridiagonalisation 4/3,
/// divide and conquer about 4, back-transformation 2), at about half the speed of a product.
const EIGEN: f64 = 15.0;
/// Products per voxel and validation row that a grid of alphas comes down to, at most (see the
/// filter banks): about half of the grid.
const PRODUCTS: f64 = 0.5;

/// Work and memory of a fit, from [`RidgeValidParams::estimate`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FitEstimate {
    /// Operations for the decompositions.
    pub decompose_flops: f64,
    /// Operations for all voxels.
    pub fit_flops: f64,
    /// Bytes held whatever the number of voxels: features and decompositions. Folds without a
    /// decomposition of their own hold up to 1 GiB beyond it.
    pub fixed_bytes: f64,
    /// Whether it will solve in the features and not in the samples.
    pub primal: bool,
}

impl FitEstimate {
    /// Seconds at so many operations per second.
    #[must_use]
    pub fn seconds(&self, flops_per_s: f64) -> f64 {
        (self.decompose_flops + self.fit_flops) / flops_per_s
    }
}

/// Operations per second of single-precision products on all of rayon's threads: about 20 ms.
#[must_use]
pub fn measure_flops_per_s() -> f64 {
    const N: usize = 512;
    let a = Mat::from_fn(N, N, |i, j| ((i * 7 + j * 3) % 13) as f32 * 0.1);
    let n_threads = rayon::current_num_threads();
    let wide = Mat::from_fn(N, N * n_threads, |i, j| ((i + j) % 5) as f32 * 0.1);
    let mut fastest = f64::INFINITY;
    for _ in 0..3 {
        let start = Instant::now();
        let product = matrix::par_product(a.as_ref(), wide.as_ref());
        std::hint::black_box(&product);
        fastest = fastest.min(start.elapsed().as_secs_f64());
    }
    2.0 * (N * N * N * n_threads) as f64 / fastest
}

impl RidgeValidParams {
    /// What fitting `[n_samples, n_features]` to `n_voxels` will take. Good to a factor of about two; where folds turn
    /// out to need no decomposition of their own, the preparation takes a tenth and the fit half.
    #[must_use]
    pub fn estimate(&self, n_samples: usize, n_features: usize, n_voxels: usize) -> FitEstimate {
        let primal = self
            .settings(&[], super::Work::All)
            .is_primal(n_samples, n_features);
        let n_folds = self.folds.as_ref().map_or(0, Folds::n_folds) as f64;
        let (n, f, v) = (n_samples as f64, n_features as f64, n_voxels as f64);
        let validated = self.folds.as_ref().map_or(0, |folds| {
            (0..folds.n_folds())
                .map(|fold| folds.validation(fold).len())
                .sum::<usize>()
        }) as f64;
        let basis = if primal { f } else { n };
        let gram = n * f * basis * if n_folds > 0.0 && primal { 2.0 } else { 1.0 };
        let decompose = EIGEN * basis.powi(3) * (n_folds + 1.0) + 2.0 * validated * basis * basis;
        let products = (PRODUCTS * self.alphas().as_slice().len() as f64).max(1.0);
        let per_voxel = 2.0 * n * f
            + 2.0 * basis * basis * (n_folds + 1.0)
            + 2.0 * validated * basis * products;
        let size = 4.0;
        FitEstimate {
            decompose_flops: gram + decompose,
            fit_flops: per_voxel * v,
            fixed_bytes: size * (2.0 * n * f + basis * basis * (n_folds + 4.0) + validated * basis)
                + size
                    * (TILE * rayon::current_num_threads()) as f64
                    * basis
                    * (n_folds + products),
            primal,
        }
    }
}
