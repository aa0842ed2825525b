//! Tests and intervals that hold for autocorrelated responses.
//!
//! Neighbouring TRs of responses and predictions are alike, so that TRs are no independent samples:
//! everything here works on blocks of TRs ([`suggest_block_length`]). [`CorrelationNull`] gives p values
//! of correlations per voxel, for a mean over voxels and corrected for the maximum over voxels;
//! [`correlation_interval`] and [`mean_correlation_interval`] intervals; [`RegionStatistics`] both for
//! many regions, tile after tile of voxels; [`paired_test`] and
//! [`paired_test_of_mean`] compare two models; [`wilcoxon_signed_rank`] participants. q values come from
//! [`benjamini_hochberg`] and [`benjamini_yekutieli`]. Measured levels are in `docs/statistics.md`
//! (`examples/levels.rs`). Held by `tests/it/stats.rs`.

mod blocks;
mod fdr;
mod interval;
mod lanes;
mod null;
mod paired;
mod region;
mod wilcoxon;

pub(crate) use self::interval::Draws;
pub use self::{
    blocks::suggest_block_length,
    fdr::{benjamini_hochberg, benjamini_yekutieli},
    interval::{BlockBootstrap, Intervals, correlation_interval, mean_correlation_interval},
    null::{CorrelationNull, CorrelationTest, MeanCorrelationTest, NullScheme},
    paired::{
        BlockSignFlips, PairedTest, paired_test, paired_test_of_contributions, paired_test_of_mean,
    },
    region::{Region, RegionStatistic, RegionStatistics, RegionSums},
    wilcoxon::{Wilcoxon, wilcoxon_signed_rank},
};
use ndarray::ArrayView1;

/// A column standardised to mean 0 and population variance 1; zeros for a constant one.
fn standardised(column: ArrayView1<'_, f32>) -> Vec<f64> {
    let n = column.len() as f64;
    #[allow(clippy::float_cmp)] // a constant is meant bit by bit
    let constant = column.iter().all(|&x| x == column[0]);
    if constant {
        return vec![0.0; column.len()];
    }
    let mean = column.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
    let squares: f64 = column.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum();
    let scale = (squares / n).sqrt().recip();
    column
        .iter()
        .map(|&x| (f64::from(x) - mean) * scale)
        .collect()
}

/// `(1 + count) / (1 + n)`: the data themselves are one of the permutations (Phipson & Smyth 2010).
fn p_value(count: usize, n: usize) -> f64 {
    (1 + count) as f64 / (1 + n) as f64
}
