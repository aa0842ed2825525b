//! Intervals of noise ceilings by a block bootstrap over TRs.
//!
//! TRs are autocorrelated, so they are drawn in circular blocks (Politis & Romano 1992), all repeats
//! together: what varies from one stretch of story to another, signal or noise, is then in the
//! interval. Drawn blocks are the same for all voxels.

use ndarray::{Array1, ArrayView2, ArrayView3, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{NoiseCeiling, Powers, TotalPower, check_repeats};
use crate::{EncodingError, Result};

/// Interval of each voxel's `CCmax`, `[n_voxels]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct CeilingInterval {
    /// Lower ends.
    pub low: Array1<f64>,
    /// Upper ends.
    pub high: Array1<f64>,
}

/// Two-sided interval of [`NoiseCeiling::cc_max`] at `level` (0.95, say), from `n_boots` draws of blocks
/// of `block_len` TRs. The spread of `CCmax` over draws is centred on the estimate itself (the basic
/// percentile interval is pulled up, because draws repeat noise), and cut to 0 to 1.
///
/// # Errors
/// As [`NoiseCeiling::from_repeats`]; [`EncodingError::Blocks`] for blocks that do not fit,
/// [`EncodingError::Level`], [`EncodingError::NoSplits`] for no draws.
pub fn ceiling_interval(
    repeats: ArrayView3<'_, f32>,
    block_len: usize,
    n_boots: usize,
    level: f64,
    seed: u64,
) -> Result<CeilingInterval> {
    check_repeats(repeats)?;
    let (n_repeats, n_trs, _) = repeats.dim();
    if block_len == 0 || 2 * block_len > n_trs {
        return Err(EncodingError::Blocks { block_len, n_trs });
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(EncodingError::Level { level });
    }
    if n_boots == 0 {
        return Err(EncodingError::NoSplits);
    }
    let estimate = NoiseCeiling::from_repeats(repeats, TotalPower::Measured)?.cc_max();
    let blocks = draws(n_trs, block_len, n_boots, seed);
    let voxels: Vec<ArrayView2<'_, f32>> = repeats.axis_iter(Axis(2)).collect();
    let ends: Vec<(f64, f64)> = voxels
        .par_iter()
        .zip(estimate.as_slice().unwrap_or_default())
        .map(|(voxel, &estimate)| {
            let sums = BlockSums::new(*voxel, block_len);
            let mut drawn: Vec<f64> = blocks
                .iter()
                .map(|blocks| sums.powers(blocks).cc_max(n_repeats))
                .collect();
            drawn.sort_unstable_by(f64::total_cmp);
            let centre = quantile(&drawn, 0.5);
            let tail = (1.0 - level) / 2.0;
            let end = |p| (estimate + quantile(&drawn, p) - centre).clamp(0.0, 1.0);
            (end(tail), end(1.0 - tail))
        })
        .collect();
    let (low, high): (Vec<f64>, Vec<f64>) = ends.into_iter().unzip();
    Ok(CeilingInterval {
        low: low.into(),
        high: high.into(),
    })
}

/// First TRs of the blocks of each draw.
fn draws(n_trs: usize, block_len: usize, n_boots: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let n_blocks = n_trs / block_len;
    (0..n_boots)
        .map(|_| (0..n_blocks).map(|_| rng.random_range(0..n_trs)).collect())
        .collect()
}

/// Value at part `p` of sorted values, between neighbours in proportion.
pub(crate) fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to the length"
    )]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

/// Sums over the circular block that begins at each TR, of the repeats and of their mean.
struct BlockSums {
    block_len: usize,
    /// By series (repeats, then the mean): sum and sum of squares of each block.
    series: Vec<Vec<(f64, f64)>>,
}

impl BlockSums {
    /// `voxel`: `[n_repeats, n_trs]`. Each series is centred first, so that squares do not cancel.
    fn new(voxel: ArrayView2<'_, f32>, block_len: usize) -> Self {
        let wide = |row: ndarray::ArrayView1<'_, f32>| row.iter().map(|&x| f64::from(x)).collect();
        let mut series: Vec<Vec<f64>> = voxel.rows().into_iter().map(wide).collect();
        series.push(super::mean_of_repeats(voxel));
        let of_series = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let centred: Vec<f64> = values.iter().map(|x| x - mean).collect();
            let block = |start| {
                let of_block = (start..start + block_len).map(|t| centred[t % centred.len()]);
                of_block.fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x))
            };
            (0..centred.len()).map(block).collect()
        };
        Self {
            block_len,
            series: series.into_iter().map(of_series).collect(),
        }
    }

    fn powers(&self, blocks: &[usize]) -> Powers {
        let n = (blocks.len() * self.block_len) as f64;
        let variances = self.series.iter().map(|sums| {
            let drawn = blocks.iter().map(|&start| sums[start]);
            let (sum, squares) = drawn.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
            (squares - sum * sum / n) / (n - 1.0)
        });
        let mut variances: Vec<f64> = variances.collect();
        let of_mean = variances.pop().unwrap_or_default();
        Powers {
            of_mean,
            total: variances.iter().sum::<f64>() / variances.len() as f64,
        }
    }
}
