//! Whether one model predicts the same responses better than another.
//!
//! The difference of two correlations is a sum over blocks of TRs of
//! `z1 y - z2 y - (r1 + r2) / 4 (z1² - z2²)`, standardised predictions and responses; the last term sums to
//! zero over all TRs and gives each block its share of what standardising does (the influence
//! function of a correlation, Devlin et al. 1975; without it the test is too cautious where
//! correlations are large). If the models are as good as each other, each block's sum is as likely
//! to favour either: random signs give the null distribution.

use ndarray::{Array1, ArrayView1, ArrayView2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{p_value, standardised};
use crate::{EncodingError, Result, check};

/// Blocks and signs of a paired test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockSignFlips {
    /// TRs of a block ([`suggest_block_length`](crate::suggest_block_length)); the last one also
    /// holds the rest.
    pub block_len: usize,
    /// Random draws of signs.
    pub n_flips: usize,
    /// Seed of the draws.
    pub seed: u64,
}

/// Differences of correlations, first model less second, and their p values, one per voxel (or a
/// single one for a mean).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PairedTest {
    /// `r_first - r_second`.
    pub difference: Array1<f64>,
    /// Of a difference above 0.
    pub p_greater: Array1<f64>,
    /// Of a difference other than 0.
    pub p_two_sided: Array1<f64>,
}

/// Tests each voxel; `y` and both predictions `[n_trs, n_voxels]`. Signs are the same for all voxels.
///
/// ```
/// use braintune_encoding::{BlockSignFlips, paired_test};
/// use ndarray::Array2;
///
/// let y = Array2::from_shape_fn((120, 1), |(t, _)| ((t * t) as f32 * 0.61).sin());
/// let worse = Array2::from_shape_fn((120, 1), |(t, _)| ((t * t) as f32 * 0.23).cos());
/// let flips = BlockSignFlips { block_len: 6, n_flips: 199, seed: 1 };
/// let test = paired_test(y.view(), y.view(), worse.view(), &flips)?;
/// assert!(test.difference[0] > 0.8 && test.p_two_sided[0] < 0.05);
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
///
/// # Errors
/// Arrays that do not match, values that are not finite, [`EncodingError::Blocks`] for less than
/// two blocks, [`EncodingError::TooFewDraws`].
pub fn paired_test(
    y: ArrayView2<'_, f32>,
    first: ArrayView2<'_, f32>,
    second: ArrayView2<'_, f32>,
    flips: &BlockSignFlips,
) -> Result<PairedTest> {
    let signs = flips.signs(y, first, second)?;
    let blocks: Vec<Vec<f64>> = (0..y.ncols())
        .into_par_iter()
        .map(|voxel| {
            let (a, b) = (first.column(voxel), second.column(voxel));
            flips.shares(y.column(voxel), a, b)
        })
        .collect();
    Ok(judge(&blocks, &signs))
}

/// Tests the mean over all voxels given (a region): one difference.
///
/// # Errors
/// As [`paired_test`].
pub fn paired_test_of_mean(
    y: ArrayView2<'_, f32>,
    first: ArrayView2<'_, f32>,
    second: ArrayView2<'_, f32>,
    flips: &BlockSignFlips,
) -> Result<PairedTest> {
    let signs = flips.signs(y, first, second)?;
    let mut mean = vec![0.0; y.nrows() / flips.block_len];
    for voxel in 0..y.ncols() {
        let (a, b) = (first.column(voxel), second.column(voxel));
        let shares = flips.shares(y.column(voxel), a, b);
        for (mean, share) in mean.iter_mut().zip(shares) {
            *mean += share / y.ncols() as f64;
        }
    }
    Ok(judge(&[mean], &signs))
}

/// Tests a region from what each TR contributes to its mean correlation, `[n_trs]` for each of two
/// models ([`RegionStatistic::contributions`](crate::RegionStatistic)); their responses, predictions and
/// fits need not be at hand together.
///
/// # Errors
/// [`EncodingError::Rows`] for arrays of unequal length, [`EncodingError::NonFinite`],
/// [`EncodingError::Blocks`], [`EncodingError::TooFewDraws`].
pub fn paired_test_of_contributions(
    first: ArrayView1<'_, f64>,
    second: ArrayView1<'_, f64>,
    flips: &BlockSignFlips,
) -> Result<PairedTest> {
    check::rows(
        ["the first contributions", "the second contributions"],
        [[first.len(), 1], [second.len(), 1]],
    )?;
    let n = first.len() as f64;
    let signs = flips.draws(first.len())?;
    let mut shares = vec![0.0; first.len() / flips.block_len];
    let last = shares.len() - 1;
    for (row, (a, b)) in first.iter().zip(second).enumerate() {
        #[expect(clippy::cast_possible_truncation, reason = "for the message")]
        let value = (a - b) as f32;
        if !(a - b).is_finite() {
            let (what, column) = ("a contribution", 0);
            return Err(EncodingError::NonFinite {
                what,
                row,
                column,
                value,
            });
        }
        shares[(row / flips.block_len).min(last)] += (a - b) / n;
    }
    Ok(judge(&[shares], &signs))
}

impl BlockSignFlips {
    /// Signs of the blocks, draw by draw.
    fn signs(
        &self,
        y: ArrayView2<'_, f32>,
        first: ArrayView2<'_, f32>,
        second: ArrayView2<'_, f32>,
    ) -> Result<Vec<Vec<bool>>> {
        check::pair(["y", "the first prediction"], y, first)?;
        check::pair(["y", "the second prediction"], y, second)?;
        self.draws(y.nrows())
    }

    fn draws(&self, n_trs: usize) -> Result<Vec<Vec<bool>>> {
        let block_len = self.block_len;
        if block_len == 0 || block_len > n_trs / 2 {
            return Err(EncodingError::Blocks { block_len, n_trs });
        }
        if self.n_flips == 0 {
            let (got, least) = (0, 1);
            return Err(EncodingError::TooFewDraws { got, least });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut draw = |_| (0..n_trs / block_len).map(|_| rng.random()).collect();
        Ok((0..self.n_flips).map(&mut draw).collect())
    }

    /// Each block's share of the difference of the correlations.
    fn shares(
        &self,
        y: ArrayView1<'_, f32>,
        first: ArrayView1<'_, f32>,
        second: ArrayView1<'_, f32>,
    ) -> Vec<f64> {
        let (y, a, b) = (standardised(y), standardised(first), standardised(second));
        let n = y.len();
        let r = |p: &[f64]| p.iter().zip(&y).map(|(p, y)| p * y).sum::<f64>() / n as f64;
        let quarter = (r(&a) + r(&b)) / 4.0;
        let mut shares = vec![0.0; n / self.block_len];
        let last = shares.len() - 1;
        for t in 0..n {
            let share = (a[t] - b[t]) * y[t] - quarter * (a[t] * a[t] - b[t] * b[t]);
            shares[(t / self.block_len).min(last)] += share / n as f64;
        }
        shares
    }
}

fn judge(blocks: &[Vec<f64>], signs: &[Vec<bool>]) -> PairedTest {
    let one = |shares: &Vec<f64>| {
        let difference: f64 = shares.iter().sum();
        // Sums of the same shares in other orders are equal but for rounding.
        let slack = 1e-12 * shares.iter().map(|share| share.abs()).sum::<f64>();
        let (mut greater, mut larger) = (0, 0);
        for signs in signs {
            let signed = shares.iter().zip(signs);
            let null: f64 = signed
                .map(|(&share, &flip)| if flip { -share } else { share })
                .sum();
            greater += usize::from(null >= difference - slack);
            larger += usize::from(null.abs() >= difference.abs() - slack);
        }
        [
            difference,
            p_value(greater, signs.len()),
            p_value(larger, signs.len()),
        ]
    };
    let tests: Vec<[f64; 3]> = blocks.par_iter().map(one).collect();
    let column = |i: usize| tests.iter().map(|test| test[i]).collect();
    PairedTest {
        difference: column(0),
        p_greater: column(1),
        p_two_sided: column(2),
    }
}
