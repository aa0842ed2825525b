//! Split-half reliability: how well one half of the repeats predicts the other.

use ndarray::{Array1, ArrayView2, ArrayView3, Axis};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::check_repeats;
use crate::{BlockBootstrap, EncodingError, Intervals, Result};

/// Reliability of the mean of all repeats `[n_repeats, n_trs, n_voxels]` from `n_splits` random splits
/// into halves, `[n_voxels]`: correlation of the halves' means, stepped up to the full number of
/// repeats (Spearman 1910; Brown 1910: `2r / (1 + r)`), mean over splits.
///
/// Its square root is what `CCmax` estimates. With an odd number of repeats one is left out of each
/// split. 0 where a half is constant; a correlation of -1, which cannot be stepped up, counts as -1.
///
/// # Errors
/// [`EncodingError::Repeats`] for less than two repeats, [`EncodingError::TooFewDraws`],
/// [`EncodingError::NonFinite`].
pub fn split_half(repeats: ArrayView3<'_, f32>, n_splits: usize, seed: u64) -> Result<Array1<f64>> {
    let splits = Splits::new(repeats, n_splits, seed)?;
    let of_voxel = |voxel| splits.reliability(voxel, |_, _, _| ());
    Ok(repeats.axis_iter(Axis(2)).map(of_voxel).collect())
}

/// Interval of [`split_half`] with the same splits, `[n_voxels]` each: `-ln(1 - reliability)`, which is
/// the logarithm of an F ratio, with a Student margin from blocks of TRs ([`BlockBootstrap`]), cut to -1
/// to 1.
///
/// # Errors
/// As [`split_half`]; [`EncodingError::Blocks`], [`EncodingError::Level`].
pub fn split_half_interval(
    repeats: ArrayView3<'_, f32>,
    n_splits: usize,
    seed: u64,
    bootstrap: &BlockBootstrap,
) -> Result<Intervals> {
    let splits = Splits::new(repeats, n_splits, seed)?;
    let draws = bootstrap.draws(repeats.len_of(Axis(1)))?;
    let voxels: Vec<ArrayView2<'_, f32>> = repeats.axis_iter(Axis(2)).collect();
    let ends = voxels.par_iter().map(|&voxel| {
        let mut series = vec![0.0; voxel.ncols()];
        let reliability = splits.reliability(voxel, |halves, r, slope| {
            let of_trs = halves[0].iter().zip(halves[1]);
            for (sum, (a, b)) in series.iter_mut().zip(of_trs) {
                *sum += slope * (a * b - r / 2.0 * (a * a + b * b)) / n_splits as f64;
            }
        });
        let unexplained = 1.0 - reliability;
        if unexplained <= f64::EPSILON {
            return (reliability, reliability);
        }
        let factor = (draws.margin_of_mean(&series) / unexplained).exp();
        let end = |factor: f64| (1.0 - unexplained * factor).max(-1.0);
        (end(factor), end(factor.recip()))
    });
    Ok(Intervals::from_ends(ends.collect()))
}

/// Halves of the repeats, drawn once for all voxels.
struct Splits {
    n_repeats: usize,
    halves: Vec<[Vec<usize>; 2]>,
}

impl Splits {
    fn new(repeats: ArrayView3<'_, f32>, n_splits: usize, seed: u64) -> Result<Self> {
        check_repeats(repeats)?;
        if n_splits == 0 {
            let (got, least) = (n_splits, 1);
            return Err(EncodingError::TooFewDraws { got, least });
        }
        let n_repeats = repeats.len_of(Axis(0));
        let half = n_repeats / 2;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..n_repeats).collect();
        let halves = (0..n_splits).map(|_| {
            order.shuffle(&mut rng);
            [order[..half].to_vec(), order[half..2 * half].to_vec()]
        });
        Ok(Self {
            halves: halves.collect(),
            n_repeats,
        })
    }

    /// Mean over splits; `each` gets the standardised halves, their correlation and how much the
    /// reliability changes with it.
    fn reliability(
        &self,
        voxel: ArrayView2<'_, f32>,
        mut each: impl FnMut([&[f64]; 2], f64, f64),
    ) -> f64 {
        let times = self.n_repeats as f64 / (self.n_repeats / 2) as f64;
        let of_split = |halves: &[Vec<usize>; 2]| {
            let [a, b] = halves.each_ref().map(|half| standardised_mean(voxel, half));
            let products = a.iter().zip(&b).map(|(a, b)| a * b);
            let r = (products.sum::<f64>() / a.len() as f64).clamp(-1.0, 1.0);
            let slope = times / (1.0 + (times - 1.0) * r).powi(2);
            each([&a, &b], r, if slope.is_finite() { slope } else { 0.0 });
            stepped_up(r, times)
        };
        self.halves.iter().map(of_split).sum::<f64>() / self.halves.len() as f64
    }
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

/// Mean over some repeats, with mean 0 and variance 1 over TRs; zeros if it is constant.
fn standardised_mean(voxel: ArrayView2<'_, f32>, repeats: &[usize]) -> Vec<f64> {
    let mut mean = vec![0.0; voxel.ncols()];
    for &repeat in repeats {
        for (mean, &x) in mean.iter_mut().zip(voxel.row(repeat)) {
            *mean += f64::from(x) / repeats.len() as f64;
        }
    }
    let n = mean.len() as f64;
    let centre = mean.iter().sum::<f64>() / n;
    let squares: f64 = mean.iter().map(|x| (x - centre).powi(2)).sum();
    // What is left of a constant is rounding.
    let least = n * (centre * f64::EPSILON).powi(2) * 4.0;
    let scale = if squares > least {
        (n / squares).sqrt()
    } else {
        0.0
    };
    mean.iter().map(|x| (x - centre) * scale).collect()
}
