//! Means and variances of the columns, in one pass of f64 sums about the first row, and columns standardised by them.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::{Result, blocks, check};

/// Of each column of the training features, `[n_features]`.
#[derive(Debug, Clone)]
pub(crate) struct Moments {
    /// Rounded to f32: what is subtracted, whichever precision is worked in.
    pub(crate) centre: Vec<f32>,
    /// Population variance; exactly 0 for a constant column.
    pub(crate) variance: Vec<f64>,
}

impl Moments {
    /// Of `x` `[n_samples, n_features]`, which must be finite.
    pub(crate) fn of(x: ArrayView2<'_, f32>) -> Result<Self> {
        let (n, d) = x.dim();
        let first: Vec<f64> = x.row(0).iter().map(|&x| f64::from(x)).collect();
        let of_chunk = |rows: std::ops::Range<usize>| {
            let mut sums = vec![[0.0; 2]; d];
            for row in x.slice(s![rows, ..]).axis_iter(Axis(0)) {
                for ((sums, &x), first) in sums.iter_mut().zip(row).zip(&first) {
                    let value = f64::from(x) - first;
                    sums[0] += value;
                    sums[1] += value * value;
                }
            }
            sums
        };
        let chunks = blocks::chunks(n, 2 * d).into_par_iter();
        let parts: Vec<Vec<[f64; 2]>> = chunks.map(of_chunk).collect();
        let mut sums = vec![[0.0; 2]; d];
        for part in &parts {
            for (sum, part) in sums.iter_mut().zip(part) {
                sum[0] += part[0];
                sum[1] += part[1];
            }
        }
        if sums
            .iter()
            .any(|[sum, squares]| !sum.is_finite() || !squares.is_finite())
        {
            check::finite("x", x)?;
        }
        let n = n as f64;
        #[allow(clippy::cast_possible_truncation)] // any centre will do
        let centre = sums
            .iter()
            .zip(&first)
            .map(|([sum, _], first)| (first + sum / n) as f32);
        let variance = sums
            .iter()
            .map(|[sum, squares]| ((squares - sum * sum / n) / n).max(0.0));
        Ok(Self {
            centre: centre.collect(),
            variance: variance.collect(),
        })
    }
}

/// What makes columns of training rows mean 0 and variance 1.
pub(crate) struct Standard {
    centre: Array1<f32>,
    /// Standard deviation; 1 for a constant column.
    scale: Array1<f32>,
}

impl Standard {
    /// Of `train` `[n_samples, n_features]`, which must be finite.
    pub(crate) fn of(train: ArrayView2<'_, f32>) -> Result<Self> {
        let moments = Moments::of(train)?;
        #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
        let scale = |&variance: &f64| match variance.sqrt() as f32 {
            scale if scale > 0.0 => scale,
            _ => 1.0,
        };
        Ok(Self {
            scale: moments.variance.iter().map(scale).collect(),
            centre: moments.centre.into(),
        })
    }

    pub(crate) fn apply(&self, splits: &mut [Array2<f32>]) {
        for rows in splits {
            *rows -= &self.centre;
            *rows /= &self.scale;
        }
    }

    /// From standardised to the scale of the training rows.
    pub(crate) fn undo(&self, rows: &mut Array2<f32>) {
        *rows *= &self.scale;
        *rows += &self.centre;
    }
}
