//! Features and voxels to BOLD responses.
//!
//! `[n_steps, 49]` features → weights of each voxel → its haemodynamic response, at the midpoints of
//! the TRs → z-scored over the rows a file stores → mixed with AR(1) noise → z-scored again:
//! `[n_trs, n_voxels]` f32. The time base is that of ds003020, where a file of a story of S seconds
//! holds the TRs from 10 s after its onset to its end.

use braintune_fmri::{Ds003020, StoryTiming};
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayViewMut1, Axis};
use rand::Rng;
use rand_distr::StandardNormal;

use crate::Result;
use crate::acoustics::{FIRST_STEP_S, STEP_S};
use crate::hrf;
use crate::voxels::Voxel;

/// Correlation of the noise of one TR with that of the next.
pub(crate) const AR1: f64 = 0.4;

const TR_S: f64 = Ds003020::TR_S;
/// Steps of the features from one TR to the next: `TR_S / STEP_S`.
const STEPS_PER_TR: usize = 20;
/// The last step before the midpoint of the first stored TR: 10.94 s, the midpoint is 11 s.
const FIRST_STORED_STEP: usize = 109;
/// From that step to the midpoint, in seconds.
const STEP_TO_MIDPOINT_S: f64 = Ds003020::FIRST_TR_S + Ds003020::STORED.start() as f64 * TR_S
    - (FIRST_STEP_S + FIRST_STORED_STEP as f64 * STEP_S);

/// The time base of a story of `story_s` seconds: its grid ends 10 to 12 s after its sound.
pub(crate) fn timing(story_s: f64) -> Result<StoryTiming> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "durations are checked by the configuration, at most an hour"
    )]
    let n_heard = (story_s / TR_S).ceil() as usize;
    let n_trs = n_heard + 10;
    let stored = Ds003020::STORED.rows(n_trs)?;
    Ok(StoryTiming::new(n_trs, TR_S, Ds003020::FIRST_TR_S, stored)?)
}

/// The number of TRs that `respdict.json` gives.
pub(crate) fn n_acquired(timing: &StoryTiming) -> usize {
    timing.n_trs() + Ds003020::N_PAST_GRID
}

/// What each voxel would show without noise, `[n_trs, n_voxels]` for the stored rows, z-scored; 0
/// where nothing drives it.
pub(crate) fn signals(
    features: ArrayView2<'_, f64>,
    voxels: &[Voxel],
    timing: &StoryTiming,
) -> Array2<f64> {
    let n_trs = timing.stored().len();
    let mut signals = Array2::zeros((n_trs, voxels.len()));
    for (voxel, mut signal) in voxels.iter().zip(signals.columns_mut()) {
        let drive = features.dot(&ArrayView1::from(&voxel.weights));
        signal.assign(&convolved(drive.view(), &kernel(voxel.hrf_delay_s), n_trs));
        zscore(signal);
    }
    signals
}

/// Responses to one hearing, `[n_trs, n_voxels]`, each column of mean 0 and variance 1.
pub(crate) fn hearing(
    signals: ArrayView2<'_, f64>,
    voxels: &[Voxel],
    rng: &mut impl Rng,
) -> Array2<f64> {
    let mut responses = signals.to_owned();
    for (voxel, mut column) in voxels.iter().zip(responses.columns_mut()) {
        let ceiling = voxel.single_ceiling;
        let noise_sd = (1.0 - ceiling * ceiling).sqrt();
        let mut noise: f64 = rng.sample(StandardNormal);
        for value in &mut column {
            *value = ceiling * *value + noise_sd * noise;
            let innovation: f64 = rng.sample(StandardNormal);
            noise = AR1 * noise + (1.0 - AR1 * AR1).sqrt() * innovation;
        }
        zscore(column);
    }
    responses
}

/// Responses to `n_repeats` hearings, `[n_repeats, n_trs, n_voxels]`.
pub(crate) fn hearings(
    signals: ArrayView2<'_, f64>,
    voxels: &[Voxel],
    n_repeats: usize,
    rng: &mut impl Rng,
) -> Array3<f64> {
    let mut repeats = Array3::zeros((n_repeats, signals.nrows(), signals.ncols()));
    for mut repeat in repeats.outer_iter_mut() {
        repeat.assign(&hearing(signals, voxels, rng));
    }
    repeats
}

/// The mean over repeats, `[n_trs, n_voxels]`, z-scored.
pub(crate) fn averaged(repeats: &Array3<f64>) -> Array2<f64> {
    let mut mean = repeats.sum_axis(Axis(0));
    mean.columns_mut().into_iter().for_each(zscore);
    mean
}

/// The haemodynamic response at the distances of a TR's midpoint from the steps before it.
fn kernel(delay_s: f64) -> Vec<f64> {
    let lags = (0..).map(|step| STEP_TO_MIDPOINT_S + f64::from(step) * STEP_S);
    hrf::double_gamma(delay_s, lags.take_while(|&lag| lag < hrf::LENGTH_S))
}

/// `drive` through a haemodynamic response, at the midpoints of the stored TRs, `[n_trs]`; there is
/// no drive outside the story.
fn convolved(drive: ArrayView1<'_, f64>, kernel: &[f64], n_trs: usize) -> Array1<f64> {
    Array1::from_shape_fn(n_trs, |tr| {
        let now = FIRST_STORED_STEP + tr * STEPS_PER_TR;
        let past = kernel.iter().zip((0..=now).rev());
        let heard = past.filter_map(|(weight, step)| Some(weight * drive.get(step)?));
        STEP_S * heard.sum::<f64>()
    })
}

/// Mean 0 and variance 1 (population); a constant column becomes 0.
fn zscore(mut column: ArrayViewMut1<'_, f64>) {
    let n = column.len() as f64;
    let mean = column.sum() / n;
    column -= mean;
    let sd = (column.dot(&column) / n).sqrt();
    if sd > 0.0 {
        column /= sd;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impulse_becomes_the_response_itself() {
        let mut drive = Array1::zeros(600);
        drive[200] = 1.0 / STEP_S; // at 20.04 s
        let got = convolved(drive.view(), &kernel(6.0), 20);
        let times = (0..20).map(|tr| 11.0 + 2.0 * f64::from(tr) - 20.04);
        let expected = hrf::double_gamma(6.0, times);
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        }
    }

    #[test]
    fn a_constant_column_becomes_zero() {
        let mut column = Array1::from_elem(5, 3.0);
        zscore(column.view_mut());
        assert_eq!(column, Array1::<f64>::zeros(5));
    }
}
