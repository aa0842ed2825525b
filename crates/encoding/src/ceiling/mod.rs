//! Noise ceilings from repeats of the same stimulus, and alignment measured against them.
//!
//! `[n_repeats, n_trs, n_voxels]` → one number per voxel. Repeats share a signal; what they do not
//! share is noise. From the variance of single repeats (total power, TP) and of their mean, the
//! signal power is `SP = (N Var(mean) - TP) / (N - 1)` (Sahani & Linden 2003; Schoppe et al. 2016,
//! "Measuring the performance of neural models", eq. 1). Everything else follows from SP and TP.
//! Variances have ddof 1, sums are f64. Held by `tests/it/ceiling.rs`.

mod interval;
mod normalized;
mod residual;
mod split_half;

use ndarray::{Array1, ArrayView1, ArrayView2, ArrayView3, Axis};

pub use self::{
    interval::{AlignmentIntervals, CeilingIntervals, alignment_intervals, ceiling_intervals},
    normalized::{LowCeiling, NormalizedMean, normalized_alignment, normalized_mean},
    residual::{low_level_impact, residual_ridge, residuals},
    split_half::{split_half, split_half_interval},
};
use crate::{EncodingError, Result, check};

/// Where the total power of single repeats comes from.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TotalPower {
    /// The mean over repeats of their variance.
    #[default]
    Measured,
    /// 1: each repeat is taken as standardised, as the field's reference code does
    /// (`HuthLab`'s and the brain-tuning papers'), whatever trimming has left of that.
    Unit,
}

/// Signal and total power of each voxel, from repeats.
///
/// ```
/// use braintune_encoding::{NoiseCeiling, TotalPower};
/// use ndarray::Array3;
///
/// // Two repeats without noise.
/// let repeats = Array3::from_shape_fn((2, 50, 3), |(_, t, v)| ((t * (v + 2)) as f32).sin());
/// let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured)?;
/// assert!(ceiling.cc_max().iter().all(|c| (c - 1.0).abs() < 1e-6));
/// assert!(ceiling.explainable_variance().iter().all(|e| (e - 1.0).abs() < 1e-6));
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseCeiling {
    n_repeats: usize,
    powers: Vec<Powers>,
}

/// What one voxel's ceiling is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Powers {
    /// Variance over TRs of the mean of the repeats.
    pub(crate) of_mean: f64,
    /// Mean over repeats of the variance over TRs.
    pub(crate) total: f64,
}

impl Powers {
    /// SP; noise may bring it below 0.
    fn signal(self, n_repeats: usize) -> f64 {
        let n = n_repeats as f64;
        (n * self.of_mean - self.total) / (n - 1.0)
    }

    /// `CCmax`; 0 where there is no signal power.
    pub(crate) fn cc_max(self, n_repeats: usize) -> f64 {
        let (n, signal) = (n_repeats as f64, self.signal(n_repeats));
        if signal > 0.0 {
            // The total power can be below the signal power only where it is not measured.
            (1.0 + (self.total / signal - 1.0) / n)
                .recip()
                .max(0.0)
                .sqrt()
        } else {
            0.0
        }
    }

    pub(crate) fn explainable_variance(self, n_repeats: usize) -> f64 {
        if self.total > 0.0 {
            self.signal(n_repeats) / self.total
        } else {
            0.0
        }
    }
}

impl NoiseCeiling {
    /// From repeats `[n_repeats, n_trs, n_voxels]`. Ranges of voxels give the same numbers as all
    /// voxels at once.
    ///
    /// # Errors
    /// [`EncodingError::Repeats`] for less than two repeats or two TRs, [`EncodingError::Empty`] and
    /// [`EncodingError::NonFinite`].
    pub fn from_repeats(repeats: ArrayView3<'_, f32>, total: TotalPower) -> Result<Self> {
        check_repeats(repeats)?;
        let n_repeats = repeats.len_of(Axis(0));
        let of_voxel = |voxel: ArrayView2<'_, f32>| {
            let mean = mean_of_repeats(voxel);
            let each = voxel.rows().into_iter().map(|row| {
                let row: Vec<f64> = row.iter().map(|&x| f64::from(x)).collect();
                variance(&row)
            });
            Powers {
                of_mean: variance(&mean),
                total: match total {
                    TotalPower::Measured => each.sum::<f64>() / n_repeats as f64,
                    TotalPower::Unit => 1.0,
                },
            }
        };
        let voxels = repeats.axis_iter(Axis(2));
        Ok(Self {
            n_repeats,
            powers: voxels.map(of_voxel).collect(),
        })
    }

    /// Repeats it was made from.
    #[must_use]
    pub fn n_repeats(&self) -> usize {
        self.n_repeats
    }

    fn each(&self, f: impl Fn(Powers) -> f64) -> Array1<f64> {
        self.powers.iter().map(|&powers| f(powers)).collect()
    }

    /// Signal power SP of each voxel, `[n_voxels]`; below 0 where noise outweighs it.
    #[must_use]
    pub fn signal_power(&self) -> Array1<f64> {
        self.each(|powers| powers.signal(self.n_repeats))
    }

    /// Total power TP of a single repeat, `[n_voxels]`.
    #[must_use]
    pub fn total_power(&self) -> Array1<f64> {
        self.each(|powers| powers.total)
    }

    /// Part of a single repeat's variance that a perfect model explains, SP / TP, `[n_voxels]`: the
    /// explainable variance with its bias correction `ev - (1 - ev) / (N - 1)` (Sahani & Linden
    /// 2003; Hsu et al. 2004). Below 0 where noise outweighs the signal; 0 for a constant voxel.
    #[must_use]
    pub fn explainable_variance(&self) -> Array1<f64> {
        self.each(|powers| powers.explainable_variance(self.n_repeats))
    }

    /// The correlation with the mean of the repeats that a perfect model reaches, `[n_voxels]`:
    /// `CCmax = 1 / sqrt(1 + (TP / SP - 1) / N)` (Schoppe et al. 2016, eq. 8; Hsu et al. 2004).
    /// 0 where there is no signal power.
    #[must_use]
    pub fn cc_max(&self) -> Array1<f64> {
        self.each(|powers| powers.cc_max(self.n_repeats))
    }

    /// Correlation of a prediction with the mean of the repeats, as a part of what can be reached:
    /// `CCnorm = CCabs / CCmax` (Schoppe et al. 2016, eq. 9), `[n_voxels]`. NaN where `CCmax` is 0.
    ///
    /// `r`: `CCabs` of each voxel.
    ///
    /// # Errors
    /// [`EncodingError::Voxels`] for another number of voxels.
    pub fn cc_norm(&self, r: ArrayView1<'_, f32>) -> Result<Array1<f64>> {
        check_voxels("r", r.len(), self.powers.len())?;
        let norm = |(&r, max): (&f32, f64)| {
            if max > 0.0 {
                f64::from(r) / max
            } else {
                f64::NAN
            }
        };
        Ok(r.iter().zip(self.cc_max()).map(norm).collect())
    }

    /// Signal power explained by a prediction (Sahani & Linden 2003; Schoppe et al. 2016, eq. 4):
    /// `SPE = (Var(mean) - Var(mean - prediction)) / SP`, `[n_voxels]`. Unlike a correlation it
    /// falls, without a lower bound, for predictions of the wrong scale. NaN where SP is not above
    /// 0.
    ///
    /// # Errors
    /// Arrays that do not match, [`EncodingError::RepeatCount`] for other repeats than the ceiling was
    /// made from.
    pub fn signal_power_explained(
        &self,
        prediction: ArrayView2<'_, f32>,
        repeats: ArrayView3<'_, f32>,
    ) -> Result<Array1<f64>> {
        check_prediction(prediction, repeats)?;
        check_voxels("prediction", prediction.ncols(), self.powers.len())?;
        let (got, expected) = (repeats.len_of(Axis(0)), self.n_repeats);
        if got != expected {
            return Err(EncodingError::RepeatCount { got, expected });
        }
        let of_voxel = |(voxel, powers): (usize, &Powers)| {
            let mean = mean_of_repeats(repeats.index_axis(Axis(2), voxel));
            let prediction = prediction.column(voxel);
            let rest: Vec<f64> = mean
                .iter()
                .zip(prediction)
                .map(|(y, &p)| y - f64::from(p))
                .collect();
            let signal = powers.signal(self.n_repeats);
            if signal > 0.0 {
                (variance(&mean) - variance(&rest)) / signal
            } else {
                f64::NAN
            }
        };
        Ok(self.powers.iter().enumerate().map(of_voxel).collect())
    }
}

/// Mean over repeats of one voxel `[n_repeats, n_trs]`.
pub(crate) fn mean_of_repeats(voxel: ArrayView2<'_, f32>) -> Vec<f64> {
    let n = voxel.nrows() as f64;
    let columns = voxel.columns().into_iter();
    columns
        .map(|column| column.iter().map(|&x| f64::from(x)).sum::<f64>() / n)
        .collect()
}

/// Sample variance (ddof 1) about the mean, in two passes.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

pub(crate) fn check_repeats(repeats: ArrayView3<'_, f32>) -> Result<()> {
    let (n_repeats, n_trs, n_voxels) = repeats.dim();
    if n_repeats < 2 || n_trs < 2 {
        return Err(EncodingError::Repeats { n_repeats, n_trs });
    }
    if n_voxels == 0 {
        return Err(EncodingError::Empty {
            what: "repeats",
            shape: [n_trs, n_voxels],
        });
    }
    for repeat in repeats.outer_iter() {
        check::finite("a repeat", repeat)?;
    }
    Ok(())
}

/// A prediction `[n_trs, n_voxels]` for these repeats.
fn check_prediction(prediction: ArrayView2<'_, f32>, repeats: ArrayView3<'_, f32>) -> Result<()> {
    check_repeats(repeats)?;
    check::finite("prediction", prediction)?;
    let first = repeats.index_axis(Axis(0), 0);
    check::same_rows("prediction", prediction, "a repeat", first)?;
    check_voxels("repeats", first.ncols(), prediction.ncols())
}

pub(crate) fn check_voxels(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(EncodingError::Voxels {
        what,
        found,
        expected,
    })
}
