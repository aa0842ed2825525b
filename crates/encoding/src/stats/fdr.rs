//! q values: p values adjusted so that a threshold on them bounds the false discovery rate.

use ndarray::{Array1, ArrayView1};

/// Benjamini & Hochberg 1995: holds for independent tests and for positively dependent ones, as
/// neighbouring voxels are. A NaN p value stays NaN and is not counted.
///
/// ```
/// use braintune_encoding::benjamini_hochberg;
/// use ndarray::array;
///
/// let q = benjamini_hochberg(array![0.01, 0.5, 0.02, f64::NAN].view());
/// assert!((q[0] - 0.03).abs() < 1e-12 && (q[2] - 0.03).abs() < 1e-12);
/// assert!((q[1] - 0.5).abs() < 1e-12 && q[3].is_nan());
/// ```
#[must_use]
pub fn benjamini_hochberg(p: ArrayView1<'_, f64>) -> Array1<f64> {
    adjusted(p, |_| 1.0)
}

/// Benjamini & Yekutieli 2001: holds for tests that depend on each other in any way.
#[must_use]
pub fn benjamini_yekutieli(p: ArrayView1<'_, f64>) -> Array1<f64> {
    adjusted(p, |n| (1..=n).map(|k| (k as f64).recip()).sum())
}

fn adjusted(p: ArrayView1<'_, f64>, factor: impl Fn(usize) -> f64) -> Array1<f64> {
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_unstable_by(|&a, &b| p[a].total_cmp(&p[b]));
    let n = order.len();
    let factor = factor(n) * n as f64;
    let mut q = Array1::from_elem(p.len(), f64::NAN);
    let mut least = 1.0_f64;
    for (place, &i) in order.iter().enumerate().rev() {
        least = least.min(p[i] * factor / (place + 1) as f64);
        q[i] = least;
    }
    q
}
