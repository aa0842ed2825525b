//! Intervals of correlations by a block bootstrap with a Student margin.
//!
//! Blocks of TRs are drawn on a circle (Politis & Romano 1992); the spread of Fisher's `z = atanh r` over
//! draws is its standard error, and the interval is `z ± t SE` with as many degrees of freedom as there
//! are blocks, less one. A mean over voxels is a mean over TRs of what each TR contributes
//! ([`RegionStatistics`]), whose blocks are drawn in the same way. Percentiles of the draws themselves cover too little with few blocks
//! (`docs/statistics.md`).

use ndarray::{Array1, ArrayView1, ArrayView2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{
    region::{Region, RegionStatistics},
    standardised,
};
use crate::{EncodingError, Result, ceiling::variance, check, score::ratio};

/// Blocks to draw and intervals to make of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockBootstrap {
    /// TRs of a block ([`suggest_block_length`](crate::suggest_block_length)).
    pub block_len: usize,
    /// Draws, at least two; 1,000 give a standard error to 2 %.
    pub n_boots: usize,
    /// Confidence level, such as 0.95.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

/// Two-sided intervals, `[n_voxels]` each.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Intervals {
    /// Lower ends.
    pub low: Array1<f64>,
    /// Upper ends.
    pub high: Array1<f64>,
}

impl Intervals {
    /// From low and high end of each voxel.
    pub(crate) fn from_ends(ends: Vec<(f64, f64)>) -> Self {
        let (low, high): (Vec<f64>, Vec<f64>) = ends.into_iter().unzip();
        Self {
            low: low.into(),
            high: high.into(),
        }
    }
}

/// Interval of each voxel's correlation, `y` and `prediction` `[n_trs, n_voxels]`. Draws are the same for
/// all voxels. A constant column has correlation 0 and an interval without width.
///
/// # Errors
/// Arrays that do not match, values that are not finite, [`EncodingError::Blocks`],
/// [`EncodingError::Level`], [`EncodingError::TooFewDraws`].
pub fn correlation_interval(
    y: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
    bootstrap: &BlockBootstrap,
) -> Result<Intervals> {
    check::pair(["y", "prediction"], y, prediction)?;
    let draws = bootstrap.draws(y.nrows())?;
    let ends: Vec<(f64, f64)> = (0..y.ncols())
        .into_par_iter()
        .map(|voxel| {
            let series = Series::new(
                y.column(voxel),
                prediction.column(voxel),
                bootstrap.block_len,
            );
            let z = atanh(series.r);
            let of_draw = |starts: &Vec<usize>| atanh(series.drawn(starts));
            let spread: Vec<f64> = draws.starts.iter().map(of_draw).collect();
            let half = draws.margin * variance(&spread).sqrt();
            ((z - half).tanh(), (z + half).tanh())
        })
        .collect();
    Ok(Intervals::from_ends(ends))
}

/// Interval of the mean correlation over all voxels given (a region): low and high end; that of
/// [`RegionStatistics`] with a single region.
///
/// # Errors
/// As [`correlation_interval`].
pub fn mean_correlation_interval(
    y: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
    bootstrap: &BlockBootstrap,
) -> Result<(f64, f64)> {
    let regions = [Region::new(0..y.ncols())];
    let mut statistics =
        RegionStatistics::new(y.nrows(), y.ncols(), &regions)?.with_bootstrap(*bootstrap)?;
    statistics.add(0..y.ncols(), y, prediction)?;
    let of_region = statistics.finish()?.pop();
    Ok(of_region
        .and_then(|region| region.interval)
        .unwrap_or((f64::NAN, f64::NAN)))
}

impl BlockBootstrap {
    /// Draws of blocks out of `n_trs` TRs.
    pub(crate) fn draws(&self, n_trs: usize) -> Result<Draws> {
        let Self {
            block_len,
            n_boots,
            level,
            seed,
        } = *self;
        if block_len == 0 || block_len > n_trs / 2 {
            return Err(EncodingError::Blocks { block_len, n_trs });
        }
        if !(level > 0.0 && level < 1.0) {
            return Err(EncodingError::Level { level });
        }
        if n_boots < 2 {
            let (got, least) = (n_boots, 2);
            return Err(EncodingError::TooFewDraws { got, least });
        }
        let n_blocks = n_trs / block_len;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let draw = |_| (0..n_blocks).map(|_| rng.random_range(0..n_trs)).collect();
        let starts = (0..n_boots).map(draw).collect();
        let student = StudentsT::new(0.0, 1.0, (n_blocks - 1) as f64);
        let student = student.map_err(|_| EncodingError::Blocks { block_len, n_trs })?;
        Ok(Draws {
            starts,
            block_len,
            margin: student.inverse_cdf(f64::midpoint(1.0, level)),
        })
    }
}

/// Blocks drawn, the same for all voxels.
pub(crate) struct Draws {
    /// First TRs of the blocks of each draw.
    starts: Vec<Vec<usize>>,
    block_len: usize,
    /// Of an interval, in standard errors.
    margin: f64,
}

impl Draws {
    /// Margin of an interval of the mean of `series`, one value per TR.
    pub(crate) fn margin_of_mean(&self, series: &[f64]) -> f64 {
        let n = series.len();
        let mean = series.iter().sum::<f64>() / n as f64;
        let block = |start| {
            let of_block = (start..start + self.block_len).map(|t| series[t % n] - mean);
            of_block.sum::<f64>()
        };
        let sums: Vec<f64> = (0..n).map(block).collect();
        let of_draw = |starts: &Vec<usize>| {
            let sum: f64 = starts.iter().map(|&start| sums[start]).sum();
            sum / (starts.len() * self.block_len) as f64
        };
        let means: Vec<f64> = self.starts.iter().map(of_draw).collect();
        // The blocks at hand vary about their own mean, by less than about the true one.
        let blocks = (n / self.block_len) as f64;
        self.margin * variance(&means).sqrt() * (blocks / (blocks - 1.0)).sqrt()
    }
}

/// One voxel: sums over the circular block that begins at each TR.
struct Series {
    r: f64,
    block_len: usize,
    /// Sums of y, p, yy, pp, yp over a block.
    sums: Vec<[f64; 5]>,
}

impl Series {
    fn new(y: ArrayView1<'_, f32>, prediction: ArrayView1<'_, f32>, block_len: usize) -> Self {
        let (y, p) = (standardised(y), standardised(prediction));
        let terms: Vec<[f64; 5]> = y
            .iter()
            .zip(&p)
            .map(|(&y, &p)| [y, p, y * y, p * p, y * p])
            .collect();
        let n = terms.len();
        let block = |start: usize| {
            let mut sum = [0.0; 5];
            for t in start..start + block_len {
                add(&mut sum, &terms[t % n]);
            }
            sum
        };
        Self {
            r: terms.iter().map(|term| term[4]).sum::<f64>() / n as f64,
            block_len,
            sums: (0..n).map(block).collect(),
        }
    }

    /// The correlation over the blocks that begin at these TRs.
    fn drawn(&self, starts: &[usize]) -> f64 {
        let mut sum = [0.0; 5];
        for &start in starts {
            add(&mut sum, &self.sums[start]);
        }
        let n = (starts.len() * self.block_len) as f64;
        let [y, p, yy, pp, yp] = sum;
        ratio(yp - y * p / n, (yy - y * y / n) * (pp - p * p / n))
    }
}

fn add(sum: &mut [f64; 5], term: &[f64; 5]) {
    for (sum, term) in sum.iter_mut().zip(term) {
        *sum += term;
    }
}

/// Finite for a perfect correlation.
fn atanh(r: f64) -> f64 {
    const MOST: f64 = 1.0 - 1e-12;
    r.clamp(-MOST, MOST).atanh()
}
