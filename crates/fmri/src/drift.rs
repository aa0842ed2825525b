//! Slow drifts of the scanner, taken out of every voxel of a run.
//!
//! `[n_trs, n_voxels]` → the same shape: what is left of each column after a least-squares fit of
//! polynomials and slow cosines, in f64. Columns do not depend on each other, so a run can be cleaned
//! in blocks of voxels, with the same bits as at once.
//!
//! Equals `nilearn.signal.clean(standardize=None)` of nilearn 0.14 with `detrend` (a line) and
//! `filter="cosine"` with `high_pass = 1 / cutoff_s`; the cosines are those of SPM's high-pass filter
//! (`spm_filter`), whose usual cutoff is 128 s. Held by `tests/it/drift.rs`.

use std::f64::consts::PI;

use ndarray::{Array2, ArrayView2, Axis};

use crate::{FmriError, Result};

/// Voxels cleaned at once, in f64.
const TILE: usize = 256;
/// A regressor of which less than this is left beside the others is spanned by them.
const DEPENDENT: f64 = 1e-10;
/// What is left of a voxel below this part of it is rounding of f64: one step of f32 in one row of a
/// long run leaves more than 1e-9.
const ROUNDING: f64 = 1e-11;

/// A kind of slow change in time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Drift {
    /// Powers of time up to `degree`: 0 is the mean alone, 1 the mean and a line.
    Polynomial {
        /// The highest power.
        degree: usize,
    },
    /// Cosines (of the discrete cosine transform) with a period of `cutoff_s` or longer. The mean is
    /// none of them: it stays.
    Cosines {
        /// Seconds from one row to the next.
        tr_s: f64,
        /// The shortest period that is taken out, in seconds.
        cutoff_s: f64,
    },
}

/// A filter that takes drifts out of runs of one length.
///
/// ```
/// use braintune_fmri::{Drift, DriftFilter};
/// use ndarray::Array2;
///
/// // nilearn's clean(detrend=True, filter="cosine", high_pass=1/128, t_r=2.0)
/// let drifts = [Drift::Polynomial { degree: 1 }, Drift::Cosines { tr_s: 2.0, cutoff_s: 128.0 }];
/// let filter = DriftFilter::new(300, &drifts)?;
/// assert_eq!(filter.n_regressors(), 2 + 9);
///
/// let ramp = Array2::from_shape_fn((300, 5), |(t, voxel)| 100.0 + (t * voxel) as f32);
/// let clean = filter.clean(ramp.view())?;
/// assert!(clean.iter().all(|value| value.abs() < 1e-3));
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DriftFilter {
    n_trs: usize,
    /// Orthonormal, `[n_trs]` each.
    basis: Vec<Vec<f64>>,
}

impl DriftFilter {
    /// A filter for runs of `n_trs` rows that takes out all of `drifts` in one fit.
    ///
    /// A run shorter than half the cutoff has no cosine that is slow enough, as in SPM.
    ///
    /// # Errors
    ///
    /// [`FmriError::Drift`] if a TR or cutoff is not a positive number, the cutoff is not longer than
    /// two TRs, or the drifts leave nothing of a run this short.
    pub fn new(n_trs: usize, drifts: &[Drift]) -> Result<Self> {
        let mut filter = Self {
            n_trs,
            basis: Vec::new(),
        };
        for drift in drifts {
            match *drift {
                Drift::Polynomial { degree } => filter.add_polynomials(degree)?,
                Drift::Cosines { tr_s, cutoff_s } => filter.add_cosines(tr_s, cutoff_s)?,
            }
        }
        Ok(filter)
    }

    /// Rows of the runs it is for.
    #[must_use]
    pub fn n_trs(&self) -> usize {
        self.n_trs
    }

    /// Degrees of freedom that it takes out of every voxel.
    #[must_use]
    pub fn n_regressors(&self) -> usize {
        self.basis.len()
    }

    /// What is left of `bold`, `[n_trs, n_voxels]`. A voxel that is nothing but drift becomes 0, one
    /// with a NaN becomes NaN.
    ///
    /// # Errors
    ///
    /// [`FmriError::Drift`] if `bold` has another number of rows.
    #[tracing::instrument(skip_all, fields(n_trs = self.n_trs, n_voxels = bold.ncols()))]
    pub fn clean(&self, bold: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        if bold.nrows() != self.n_trs {
            return Err(impossible(format!(
                "the filter is for runs of {} TRs, this one has {}",
                self.n_trs,
                bold.nrows()
            )));
        }
        let mut clean = Array2::zeros(bold.raw_dim());
        let tiles = bold.axis_chunks_iter(Axis(1), TILE);
        for (tile, mut out) in tiles.zip(clean.axis_chunks_iter_mut(Axis(1), TILE)) {
            let left = self.residual(tile);
            for (out, value) in out.iter_mut().zip(left) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "f32 is the stored precision"
                )]
                let rounded = value as f32;
                *out = rounded;
            }
        }
        Ok(clean)
    }

    /// What is left of a tile, row by row. On slices: iterators of ndarray take three times as long.
    fn residual(&self, tile: ArrayView2<'_, f32>) -> Vec<f64> {
        let width = tile.ncols().max(1);
        let mut left: Vec<f64> = tile.iter().map(|&value| f64::from(value)).collect();
        let before = sums_of_squares(&left, width);
        let mut weights = vec![0.0; width];
        for regressor in &self.basis {
            weights.fill(0.0);
            for (row, at) in left.chunks_exact(width).zip(regressor) {
                for (weight, value) in weights.iter_mut().zip(row) {
                    *weight += at * value;
                }
            }
            for (row, at) in left.chunks_exact_mut(width).zip(regressor) {
                for (value, weight) in row.iter_mut().zip(&weights) {
                    *value -= at * weight;
                }
            }
        }
        let after = sums_of_squares(&left, width);
        for (column, (before, after)) in before.iter().zip(&after).enumerate() {
            if *after <= before * ROUNDING * ROUNDING {
                let voxel = left.iter_mut().skip(column).step_by(width);
                voxel.for_each(|value| *value = 0.0);
            }
        }
        left
    }

    fn add_polynomials(&mut self, degree: usize) -> Result<()> {
        // Times from -1 to 1. Each power is the last one, made orthogonal to the others, times time:
        // plain powers would be all but parallel.
        let last = self.n_trs.saturating_sub(1).max(1) as f64;
        let times: Vec<f64> = (0..self.n_trs)
            .map(|t| 2.0 * t as f64 / last - 1.0)
            .collect();
        let mut power = vec![1.0; self.n_trs];
        for _ in 0..=degree {
            let Some(regressor) = self.add(power)? else {
                break;
            };
            power = regressor
                .iter()
                .zip(&times)
                .map(|(value, time)| value * time)
                .collect();
        }
        Ok(())
    }

    fn add_cosines(&mut self, tr_s: f64, cutoff_s: f64) -> Result<()> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !(positive(tr_s) && positive(cutoff_s)) {
            return Err(impossible(format!(
                "a TR of {tr_s} s and a cutoff of {cutoff_s} s, expected positive numbers"
            )));
        }
        if cutoff_s <= 2.0 * tr_s {
            return Err(impossible(format!(
                "a cutoff of {cutoff_s} s takes out every period there is at a TR of {tr_s} s"
            )));
        }
        let n = self.n_trs as f64;
        // SPM's: nilearn multiplies by 1 / cutoff_s, which may fall just short of a whole number.
        let highest = (2.0 * n * tr_s / cutoff_s).floor();
        if highest < 1.0 {
            tracing::warn!(
                n_trs = self.n_trs,
                tr_s,
                cutoff_s,
                "run too short for a slow cosine"
            );
        }
        let mut k = 1.0;
        while k <= highest {
            let cosine = (0..self.n_trs).map(|t| (PI / n * (t as f64 + 0.5) * k).cos());
            self.add(cosine.collect())?;
            k += 1.0;
        }
        Ok(())
    }

    /// Adds what the others do not span of `regressor`, as a unit vector; `None` if there is nothing.
    fn add(&mut self, mut regressor: Vec<f64>) -> Result<Option<&[f64]>> {
        let before = dot(&regressor, &regressor).sqrt();
        // Twice is enough (Kahan and Parlett): the second pass takes out the rounding of the first.
        for _ in 0..2 {
            for other in &self.basis {
                let weight = dot(other, &regressor);
                for (value, &at) in regressor.iter_mut().zip(other) {
                    *value -= weight * at;
                }
            }
        }
        let norm = dot(&regressor, &regressor).sqrt();
        if norm <= DEPENDENT * before {
            return Ok(None);
        }
        if self.basis.len() + 1 >= self.n_trs {
            return Err(impossible(format!(
                "they leave nothing of a run of {} TRs",
                self.n_trs
            )));
        }
        for value in &mut regressor {
            *value /= norm;
        }
        self.basis.push(regressor);
        Ok(self.basis.last().map(Vec::as_slice))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Of each of `width` columns.
fn sums_of_squares(values: &[f64], width: usize) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for row in values.chunks_exact(width) {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value * value;
        }
    }
    sums
}

fn impossible(reason: String) -> FmriError {
    FmriError::Drift { reason }
}
