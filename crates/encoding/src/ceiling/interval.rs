//! Intervals of noise ceilings and of what is measured against them, from blocks of TRs.
//!
//! All of them are functions of means over TRs. Signal and noise are compared by the F ratio of an
//! analysis of variance, `F = N Var(mean) / NP` with the noise power `NP = N (TP - Var(mean)) / (N - 1)`:
//! `CCmax² = 1 - 1 / F` and `SP / TP = (F - 1) / (F - 1 + N)`. What a TR contributes to `ln F` is
//! `M / mean(M) - D / mean(D)`, with its squared mean over repeats `M` and its variance over repeats
//! `D`; the spread of the mean contribution over drawn blocks of TRs, all repeats together, gives the
//! interval of `ln F`, which is mapped to that of the ceiling. `CCnorm` and SPE are treated likewise, on
//! their own scale. So what varies from one stretch of story to another, signal or noise, is in the
//! interval. Measured coverage is in `docs/statistics.md`. Held by `tests/it/ceiling.rs`.

use ndarray::{ArrayView2, ArrayView3, Axis};
use rayon::prelude::*;

use super::{check_prediction, check_repeats, mean_of_repeats};
use crate::{BlockBootstrap, Intervals, Result, score::centred, stats::Draws};

/// Intervals of [`NoiseCeiling`](crate::NoiseCeiling), `[n_voxels]` each, cut at no signal: `CCmax` to 0
/// to 1, the explainable variance to `-1 / (N - 1)` to 1, where no estimate is below.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CeilingIntervals {
    /// Of `CCmax`.
    pub cc_max: Intervals,
    /// Of the explainable variance SP / TP.
    pub explainable_variance: Intervals,
}

/// Intervals of what a prediction reaches, `[n_voxels]` each; NaN for voxels without signal power.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AlignmentIntervals {
    /// Of `CCnorm`. Not cut to 1: estimates may be above it.
    pub cc_norm: Intervals,
    /// Of the signal power explained.
    pub signal_power_explained: Intervals,
}

/// Two-sided intervals of the ceilings of repeats `[n_repeats, n_trs, n_voxels]`, total power as
/// measured. Blocks should be as long as
/// [`suggest_block_length`](crate::suggest_block_length) says of the mean of the repeats with itself.
///
/// # Errors
/// As [`NoiseCeiling::from_repeats`](crate::NoiseCeiling::from_repeats);
/// [`EncodingError::Blocks`](crate::EncodingError::Blocks),
/// [`EncodingError::Level`](crate::EncodingError::Level),
/// [`EncodingError::TooFewDraws`](crate::EncodingError::TooFewDraws).
pub fn ceiling_intervals(
    repeats: ArrayView3<'_, f32>,
    bootstrap: &BlockBootstrap,
) -> Result<CeilingIntervals> {
    check_repeats(repeats)?;
    let (n_repeats, n_trs, _) = repeats.dim();
    let n = n_repeats as f64;
    let draws = bootstrap.draws(n_trs)?;
    let voxels: Vec<ArrayView2<'_, f32>> = repeats.axis_iter(Axis(2)).collect();
    let ratios: Vec<(f64, f64)> = voxels
        .par_iter()
        .map(|&voxel| Spread::new(voxel).f_ratio(&draws))
        .collect();
    let both = |f: &dyn Fn(f64) -> f64| {
        let ends = ratios.iter().map(|&(low, high)| (f(low), f(high)));
        Intervals::from_ends(ends.collect())
    };
    Ok(CeilingIntervals {
        cc_max: both(&|f| (1.0 - f.recip()).max(0.0).sqrt()),
        // The last: f is infinite without noise.
        explainable_variance: both(&|f| 1.0 - n / (f - 1.0 + n)),
    })
}

/// Two-sided intervals of `CCnorm` and SPE of a prediction `[n_trs, n_voxels]` against repeats
/// `[n_repeats, n_trs, n_voxels]`.
///
/// # Errors
/// As [`ceiling_intervals`]; arrays that do not match.
pub fn alignment_intervals(
    prediction: ArrayView2<'_, f32>,
    repeats: ArrayView3<'_, f32>,
    bootstrap: &BlockBootstrap,
) -> Result<AlignmentIntervals> {
    check_prediction(prediction, repeats)?;
    let draws = bootstrap.draws(prediction.nrows())?;
    let ends: Vec<[(f64, f64); 2]> = (0..prediction.ncols())
        .into_par_iter()
        .map(|voxel| {
            let spread = Spread::new(repeats.index_axis(Axis(2), voxel));
            let p: Vec<f64> = prediction.column(voxel).iter().map(|&p| p.into()).collect();
            spread.alignment(&centred(p), &draws)
        })
        .collect();
    let column = |i: usize| Intervals::from_ends(ends.iter().map(|ends| ends[i]).collect());
    Ok(AlignmentIntervals {
        cc_norm: column(0),
        signal_power_explained: column(1),
    })
}

/// One voxel, TR by TR.
struct Spread {
    n_repeats: f64,
    /// Mean over repeats, about its mean over TRs.
    mean: Vec<f64>,
    /// Variance over repeats (ddof 1), each repeat about its own mean over TRs: its mean over TRs is the
    /// noise power.
    within: Vec<f64>,
}

impl Spread {
    fn new(voxel: ArrayView2<'_, f32>) -> Self {
        let n_repeats = voxel.nrows() as f64;
        let mean = centred(mean_of_repeats(voxel));
        let mut within = vec![0.0; mean.len()];
        for repeat in voxel.rows() {
            let repeat = centred(repeat.iter().map(|&x| x.into()).collect());
            for ((within, x), mean) in within.iter_mut().zip(repeat).zip(&mean) {
                *within += (x - mean).powi(2) / (n_repeats - 1.0);
            }
        }
        Self {
            n_repeats,
            mean,
            within,
        }
    }

    /// Variance over TRs of the mean of the repeats, and noise power.
    fn powers(&self) -> (f64, f64) {
        let n = self.mean.len() as f64;
        let squares = self.mean.iter().map(|m| m * m);
        (
            squares.sum::<f64>() / n,
            self.within.iter().sum::<f64>() / n,
        )
    }

    /// Ends of the interval of F; 1 for a constant voxel, infinite without noise.
    fn f_ratio(&self, draws: &Draws) -> (f64, f64) {
        let (of_mean, noise) = self.powers();
        if noise <= 0.0 {
            let f = if of_mean > 0.0 { f64::INFINITY } else { 1.0 };
            return (f, f);
        }
        if of_mean <= 0.0 {
            return (0.0, 0.0);
        }
        let rows = self.mean.iter().zip(&self.within);
        let series: Vec<f64> = rows.map(|(m, d)| m * m / of_mean - d / noise).collect();
        let factor = draws.margin_of_mean(&series).exp();
        let f = self.n_repeats * of_mean / noise;
        (f / factor, f * factor)
    }

    /// Ends of the intervals of `CCnorm` and SPE; `p`: a prediction about its mean.
    fn alignment(&self, p: &[f64], draws: &Draws) -> [(f64, f64); 2] {
        let (of_mean, noise) = self.powers();
        let signal = of_mean - noise / self.n_repeats;
        if signal <= 0.0 {
            return [(f64::NAN, f64::NAN); 2];
        }
        let n = p.len() as f64;
        let power = p.iter().map(|p| p * p).sum::<f64>() / n;
        let covariance = p.iter().zip(&self.mean).map(|(p, m)| p * m).sum::<f64>() / n;
        // A prediction that does not vary correlates with nothing.
        let inverse = |x: f64| if x > 0.0 { x.recip() } else { 0.0 };
        let scale = inverse((power * signal).sqrt());
        let cc_norm = covariance * scale;
        let spe = (2.0 * covariance - power) / signal;
        let rows = self.mean.iter().zip(&self.within).zip(p);
        let of_trs = rows.map(|((m, d), p)| {
            let signal_here = (m * m - d / self.n_repeats) / signal;
            let squares = p * p * inverse(power);
            (
                p * m * scale - cc_norm / 2.0 * (squares + signal_here),
                (2.0 * p * m - p * p) / signal - spe * signal_here,
            )
        });
        let (cc_norms, spes): (Vec<f64>, Vec<f64>) = of_trs.unzip();
        let about = |x: f64, series: &[f64]| {
            let margin = draws.margin_of_mean(series);
            (x - margin, x + margin)
        };
        [about(cc_norm, &cc_norms), about(spe, &spes)]
    }
}
