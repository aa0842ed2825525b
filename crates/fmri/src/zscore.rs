//! Responses of one run brought to mean 0 and standard deviation 1, voxel by voxel.
//!
//! `[n_trs, n_voxels]` → the same shape; sums in f64, the population's deviation (divisor `n_trs`), as
//! ds003020 stores its responses. Equals `scipy.stats.zscore`, except that a constant voxel becomes 0
//! and not NaN. Held by `tests/it/drift.rs`.

use ndarray::{Array2, ArrayView2, Axis};

/// Z-scores every voxel of a run, `[n_trs, n_voxels]`. A constant voxel becomes 0, one with a NaN or an
/// infinite value becomes NaN.
///
/// ```
/// use braintune_fmri::zscore_run;
/// use ndarray::array;
///
/// let z = zscore_run(array![[1.0, 7.0], [3.0, 7.0]].view());
/// assert_eq!(z, array![[-1.0, 0.0], [1.0, 0.0]]);
/// ```
#[must_use]
pub fn zscore_run(bold: ArrayView2<'_, f32>) -> Array2<f32> {
    let n = bold.nrows() as f64;
    let mut scores = bold.to_owned();
    for mut voxel in scores.axis_iter_mut(Axis(1)) {
        let first = voxel.first().copied().unwrap_or_default();
        #[expect(clippy::float_cmp, reason = "constant means bit for bit")]
        let constant = voxel.iter().all(|&value| value == first);
        if constant && first.is_finite() {
            voxel.fill(0.0);
            continue;
        }
        let mean = voxel.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
        let squares = voxel.iter().map(|&value| (f64::from(value) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / n).sqrt();
        voxel.mapv_inplace(|value| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "f32 is the stored precision"
            )]
            let score = ((f64::from(value) - mean) / deviation) as f32;
            score
        });
    }
    scores
}
