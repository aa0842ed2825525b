//! Bootstrap intervals, paired differences and the peak of a curve over layers.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use tracing::instrument;

use super::GroupScore;
use crate::{ProbingError, Result, check};

/// How to draw groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Draws; 2,000 give the ends of a 95 % interval to a few per cent of its width.
    pub n_draws: usize,
    /// Confidence level, such as 0.95.
    pub level: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            n_draws: 2_000,
            level: 0.95,
            seed: 0,
        }
    }
}

/// A score and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// Of all items, each once.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The difference of two scores, first less second.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct PairedDifference {
    /// With its interval.
    pub difference: Interval,
    /// Two-sided: twice the smaller share of draws that reach or pass 0 from either side, counting the
    /// data as one more draw; never below 2 · 2⁻ⁿ of n groups, the least that exchanging the two in whole
    /// groups can show.
    pub p_two_sided: f64,
}

/// The layer where a curve over layers is highest.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LayerPeak {
    /// Its number, from 0; the lowest of equals.
    pub layer: usize,
    /// Lower end of its interval, a layer.
    pub low: usize,
    /// Upper end, a layer.
    pub high: usize,
    /// Share of draws that peak at each layer, `[n_layers]`.
    pub shares: Vec<f64>,
}

/// Percentile interval of a score over resampled groups.
///
/// ```
/// use braintune_probing::{Bootstrap, GroupSums, Groups, bootstrap};
///
/// let groups = Groups::new(&["a", "a", "b", "b", "c", "c"])?;
/// let right = GroupSums::mean(&groups, &[1.0, 1.0, 0.0, 1.0, 1.0, 0.0])?;
/// let interval = bootstrap(&right, &Bootstrap::default())?;
/// assert!((interval.estimate - 2.0 / 3.0).abs() < 1e-12);
/// assert_eq!((interval.low, interval.high), (0.5, 1.0));
/// # Ok::<(), braintune_probing::ProbingError>(())
/// ```
///
/// # Errors
/// [`ProbingError::Setting`] for no draws or a level outside 0 to 1, [`ProbingError::Groups`],
/// [`ProbingError::Score`].
#[instrument(skip_all, fields(n_groups = score.n_groups(), n_draws = settings.n_draws))]
pub fn bootstrap(score: &impl GroupScore, settings: &Bootstrap) -> Result<Interval> {
    let estimate = finite(score.score(&vec![1; score.n_groups()]))?;
    let scores = settings.each_draw(score.n_groups(), |counts| finite(score.score(counts)))?;
    Ok(settings.interval(estimate, scores))
}

/// The difference of two scores of the same items, first less second, groups drawn for both alike.
///
/// # Errors
/// As [`bootstrap`]; [`ProbingError::Rows`] for different numbers of groups.
#[instrument(skip_all, fields(n_groups = first.n_groups(), n_draws = settings.n_draws))]
pub fn paired_bootstrap(
    first: &impl GroupScore,
    second: &impl GroupScore,
    settings: &Bootstrap,
) -> Result<PairedDifference> {
    let n_groups = first.n_groups();
    check::same_rows(
        "the groups of the first score",
        n_groups,
        "those of the second",
        second.n_groups(),
    )?;
    let difference = |counts: &[u32]| finite(first.score(counts) - second.score(counts));
    let estimate = difference(&vec![1; n_groups])?;
    let draws = settings.each_draw(n_groups, difference)?;
    let share = |passes: fn(&f64) -> bool| {
        let n_passing = draws.iter().filter(|d| passes(d)).count();
        (1 + n_passing) as f64 / (1 + draws.len()) as f64
    };
    let least = 2.0 * 0.5_f64.powi(i32::try_from(n_groups).unwrap_or(i32::MAX));
    let smaller = share(|&d| d <= 0.0).min(share(|&d| d >= 0.0));
    Ok(PairedDifference {
        p_two_sided: (2.0 * smaller).clamp(least, 1.0),
        difference: settings.interval(estimate, draws),
    })
}

/// Selectivity: the score of a task less that of its control ([`ControlLabels`](super::ControlLabels)) on
/// the same items, with its interval (Hewitt & Liang 2019).
///
/// # Errors
/// As [`paired_bootstrap`].
pub fn selectivity(
    task: &impl GroupScore,
    control: &impl GroupScore,
    settings: &Bootstrap,
) -> Result<PairedDifference> {
    paired_bootstrap(task, control, settings)
}

/// Where scores of layers, the first layer first, are highest. A draw is the same groups for all layers: what layers share cancels.
///
/// # Errors
/// As [`bootstrap`]; [`ProbingError::NoCandidates`] for no layers, [`ProbingError::Rows`] for layers
/// with different numbers of groups.
#[instrument(skip_all, fields(n_layers = layers.len(), n_draws = settings.n_draws))]
pub fn layer_peak<S: GroupScore>(layers: &[S], settings: &Bootstrap) -> Result<LayerPeak> {
    let first = layers
        .first()
        .ok_or(ProbingError::NoCandidates { what: "layers" })?;
    let n_groups = first.n_groups();
    for layer in layers {
        check::same_rows(
            "the groups of the first layer",
            n_groups,
            "those of another",
            layer.n_groups(),
        )?;
    }
    let peak = |counts: &[u32]| {
        let mut best = (0, f64::NEG_INFINITY);
        for (layer, score) in layers.iter().enumerate() {
            let score = finite(score.score(counts))?;
            if score > best.1 {
                best = (layer, score);
            }
        }
        Ok(best.0)
    };
    let layer = peak(&vec![1; n_groups])?;
    let mut draws = settings.each_draw(n_groups, peak)?;
    draws.sort_unstable();
    let mut counts = vec![0.0; layers.len()];
    for &peak in &draws {
        counts[peak] += 1.0;
    }
    let last = draws.len() - 1;
    // Outwards to whole draws.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the draws
    let (low, high) = {
        let place = (1.0 - settings.level) / 2.0 * last as f64;
        (
            place.floor() as usize,
            (last as f64 - place).ceil() as usize,
        )
    };
    Ok(LayerPeak {
        layer,
        low: draws[low],
        high: draws[high.min(last)],
        shares: counts
            .iter()
            .map(|count| count / draws.len() as f64)
            .collect(),
    })
}

impl Bootstrap {
    /// `f` of each draw, in order.
    fn each_draw<T: Send>(
        &self,
        n_groups: usize,
        f: impl Fn(&[u32]) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        check::at_least_one("the number of draws", self.n_draws)?;
        if !(self.level > 0.0 && self.level < 1.0) {
            return Err(ProbingError::Setting {
                name: "the level",
                value: self.level,
                expected: "a number between 0 and 1",
            });
        }
        if n_groups < 2 {
            return Err(ProbingError::Groups { n_groups });
        }
        let one = |counts: &mut Vec<u32>, draw: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(draw as u64);
            counts.fill(0);
            for _ in 0..n_groups {
                counts[rng.random_range(0..n_groups)] += 1;
            }
            f(counts)
        };
        (0..self.n_draws)
            .into_par_iter()
            .map_init(|| vec![0; n_groups], one)
            .collect()
    }

    fn interval(&self, estimate: f64, mut draws: Vec<f64>) -> Interval {
        draws.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Interval {
            estimate,
            low: quantile(&draws, tail),
            high: quantile(&draws, 1.0 - tail),
        }
    }
}

/// Linear between the two nearest, as `numpy.quantile`.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the draws
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

fn finite(score: f64) -> Result<f64> {
    if score.is_finite() {
        return Ok(score);
    }
    Err(ProbingError::Score { score })
}
