//! Split-half reliability: how well one half of the repeats predicts the other.

use ndarray::{Array1, ArrayView2, ArrayView3, Axis};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::check_repeats;
use crate::{EncodingError, Result};

/// Reliability of the mean of all repeats `[n_repeats, n_trs, n_voxels]` from `n_splits` random splits
/// into halves, `[n_voxels]`: correlation of the halves' means, stepped up to the full number of
/// repeats (Spearman 1910; Brown 1910: `2r / (1 + r)`), mean over splits.
///
/// Its square root is what `CCmax` estimates. With an odd number of repeats one is left out of each
/// split. 0 where a half is constant; a correlation of -1, which cannot be stepped up, counts as -1.
///
/// # Errors
/// [`EncodingError::Repeats`] for less than two repeats, [`EncodingError::NoSplits`],
/// [`EncodingError::NonFinite`].
pub fn split_half(repeats: ArrayView3<'_, f32>, n_splits: usize, seed: u64) -> Result<Array1<f64>> {
    check_repeats(repeats)?;
    if n_splits == 0 {
        return Err(EncodingError::NoSplits);
    }
    let n_repeats = repeats.len_of(Axis(0));
    let half = n_repeats / 2;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..n_repeats).collect();
    let mut total = Array1::zeros(repeats.len_of(Axis(2)));
    for _ in 0..n_splits {
        order.shuffle(&mut rng);
        let (first, second) = (&order[..half], &order[half..2 * half]);
        for (voxel, total) in repeats.axis_iter(Axis(2)).zip(total.iter_mut()) {
            let r = correlation(&mean_of(voxel, first), &mean_of(voxel, second));
            *total += stepped_up(r, n_repeats as f64 / half as f64);
        }
    }
    Ok(total / n_splits as f64)
}

/// Spearman-Brown for `times` as many repeats.
fn stepped_up(r: f64, times: f64) -> f64 {
    let denominator = 1.0 + (times - 1.0) * r;
    if denominator > 0.0 {
        (times * r / denominator).max(-1.0)
    } else {
        -1.0
    }
}

fn mean_of(voxel: ArrayView2<'_, f32>, repeats: &[usize]) -> Vec<f64> {
    let mut mean = vec![0.0; voxel.ncols()];
    for &repeat in repeats {
        for (mean, &x) in mean.iter_mut().zip(voxel.row(repeat)) {
            *mean += f64::from(x) / repeats.len() as f64;
        }
    }
    mean
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let [mut ab, mut aa, mut bb] = [0.0; 3];
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    crate::score::ratio(ab, aa * bb)
}
