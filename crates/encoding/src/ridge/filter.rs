//! The ridge filters `1 / (λ + alpha²)` of all alphas over a fold's eigenvalues, as few products.
//!
//! Predictions of one alpha are `A diag(1 / (λ + alpha²)) Z`. Over a run of eigenvalues within a
//! small ratio, the filters of all alphas lie, to rounding, in a space of few dimensions (they are
//! rows of a Cauchy matrix, whose singular values fall geometrically), so the products with a basis
//! of that space, combined per alpha, give the same predictions for less than half of the
//! arithmetic. The runs are chosen by dynamic programming over cuts at powers of two; the largest
//! relative error of any filter at any eigenvalue is checked when the bank is made. Held by the
//! tests below.

use std::ops::Range;

use faer::Mat;

use super::{
    matrix::{eigh, par_gram},
    real::Real,
};

/// Eigenvalue ratio within one cell, the unit that runs are made of.
const CELL_RATIO: f64 = 2.0;
/// Most cells in one run.
const MAX_CELLS: usize = 8;
/// What a product costs beyond its eigenvalues, in eigenvalues per alpha: combining it.
const COMBINE_COST: usize = 4;

/// How much smaller a rank weighting may reach.
const FEWER: usize = 2;
/// Grids of fewer alphas have little to save, and all of the tolerance to lose: no approximation.
pub(crate) const LEAST_ALPHAS: usize = 8;

/// Filters over a run of eigenvalues.
pub(crate) struct Run<T> {
    /// The eigenvalues (columns of the fold's basis).
    pub(crate) range: Range<usize>,
    /// `[range.len(), n_products]`.
    pub(crate) weights: Mat<T>,
    /// Number of this run's first product.
    pub(crate) first: usize,
}

/// Filters of all alphas over the eigenvalues of one fold.
pub(crate) struct FilterBank<T> {
    /// None where the left factors of the products hold the filters (`combination.rs`).
    pub(crate) runs: Vec<Run<T>>,
    pub(crate) n_products: usize,
    /// `[n_products, n_alphas]`; none if the products are the alphas' predictions already.
    pub(crate) combine: Option<Mat<T>>,
}

/// `1 / (λ + penalty)`; 0 for an eigenvalue that is rounding noise where the penalty does not
/// dominate the noise, as in a pseudo-inverse.
pub(crate) fn filter(value: f64, penalty: f64, noise: f64) -> f64 {
    let denominator = value + penalty;
    if (value <= noise && penalty < noise) || denominator == 0.0 {
        return 0.0;
    }
    denominator.recip()
}

impl<T: Real> FilterBank<T> {
    /// `values` ascending; `penalties` are alpha².
    pub(crate) fn new(values: &[f64], penalties: &[f64], noise: f64) -> Self {
        let Some(tolerance) = T::FILTER_TOLERANCE else {
            return Self::plain(values, penalties, noise);
        };
        let fit =
            |range: Range<usize>| Approximation::new(&values[range], penalties, noise, tolerance);
        let overhead = COMBINE_COST * penalties.len();
        let (runs, cost) = plan(values, penalties[0], |range| {
            Some(fit(range.clone())?.rank() * (range.len() + overhead))
        });
        if cost >= values.len() * penalties.len() {
            return Self::plain(values, penalties, noise);
        }
        let fits: Option<Vec<_>> = runs.iter().map(|range| fit(range.clone())).collect();
        match fits {
            Some(fits) => Self::combined(runs, &fits, penalties.len()),
            None => Self::plain(values, penalties, noise),
        }
    }

    /// One product per alpha.
    fn plain(values: &[f64], penalties: &[f64], noise: f64) -> Self {
        let weights = Mat::from_fn(values.len(), penalties.len(), |i, a| {
            T::rounded(filter(values[i], penalties[a], noise))
        });
        Self {
            runs: vec![Run {
                range: 0..values.len(),
                weights,
                first: 0,
            }],
            n_products: penalties.len(),
            combine: None,
        }
    }

    fn combined(ranges: Vec<Range<usize>>, fits: &[Approximation], n_alphas: usize) -> Self {
        let n_products = fits.iter().map(Approximation::rank).sum();
        let mut combine = Mat::zeros(n_products, n_alphas);
        let mut runs = Vec::with_capacity(fits.len());
        let mut first = 0;
        for (range, fit) in ranges.into_iter().zip(fits) {
            for j in 0..fit.rank() {
                for a in 0..n_alphas {
                    combine[(first + j, a)] = T::rounded(fit.per_alpha[(a, j)]);
                }
            }
            let weights = Mat::from_fn(range.len(), fit.rank(), |i, j| {
                T::rounded(fit.per_value[(i, j)])
            });
            runs.push(Run {
                range,
                weights,
                first,
            });
            first += fit.rank();
        }
        Self {
            runs,
            n_products,
            combine: Some(combine),
        }
    }
}

/// Filters `[n_alphas, n_values]` as `per_alpha * per_value'`.
pub(crate) struct Approximation {
    /// `[n_alphas, rank]`.
    pub(crate) per_alpha: Mat<f64>,
    /// `[n_values, rank]`.
    pub(crate) per_value: Mat<f64>,
}

impl Approximation {
    /// The smallest rank whose largest relative error is within `tolerance`; none for small grids.
    pub(crate) fn new(
        values: &[f64],
        penalties: &[f64],
        noise: f64,
        tolerance: f64,
    ) -> Option<Self> {
        if penalties.len() < LEAST_ALPHAS {
            return None;
        }
        // Rows scaled to 1 at the smallest eigenvalue, so that every alpha counts the same.
        let scales: Vec<f64> = penalties
            .iter()
            .map(|&penalty| filter(values[0], penalty, noise))
            .map(|scale| if scale > 0.0 { scale } else { 1.0 })
            .collect();
        let filters = Mat::from_fn(values.len(), penalties.len(), |i, a| {
            filter(values[i], penalties[a], noise) / scales[a]
        });
        let plain = Self::unweighted(&filters, &scales, tolerance)?;
        let mut fewer = plain.rank().saturating_sub(FEWER).max(1)..plain.rank();
        let found = fewer.find_map(|rank| weighted(&filters, rank, tolerance));
        Some(found.map_or(plain, |(per_value, per_alpha)| Self {
            per_alpha: Mat::from_fn(penalties.len(), per_alpha.ncols(), |a, j| {
                per_alpha[(a, j)] * scales[a]
            }),
            per_value,
        }))
    }

    /// By the filters' principal axes.
    fn unweighted(filters: &Mat<f64>, scales: &[f64], tolerance: f64) -> Option<Self> {
        let (vectors, _) = eigh(par_gram(filters.as_ref()).as_ref())?;
        let n_alphas = scales.len();
        let mut rest = filters.clone();
        for rank in 1..=n_alphas {
            let axis = vectors.col(n_alphas - rank);
            let along = filters * axis;
            rest -= &along * axis.transpose();
            let within = (0..n_alphas).all(|a| {
                (0..filters.nrows()).all(|i| rest[(i, a)].abs() <= tolerance * filters[(i, a)])
            });
            if within {
                let kept = Mat::from_fn(n_alphas, rank, |a, j| vectors[(a, n_alphas - 1 - j)]);
                return Some(Self {
                    per_value: filters * &kept,
                    per_alpha: Mat::from_fn(n_alphas, rank, |a, j| kept[(a, j)] * scales[a]),
                });
            }
        }
        None
    }

    pub(crate) fn rank(&self) -> usize {
        self.per_alpha.ncols()
    }
}

/// Factors of `filters` of a rank, by principal axes weighted towards where their error is largest.
/// None if that stays beyond the tolerance.
fn weighted(filters: &Mat<f64>, rank: usize, tolerance: f64) -> Option<(Mat<f64>, Mat<f64>)> {
    /// More seldom help.
    const ATTEMPTS: usize = 4;
    /// What places without an error keep of their weight.
    const LEAST: f64 = 1e-2;
    let (n_values, n_alphas) = (filters.nrows(), filters.ncols());
    let (mut of_value, mut of_alpha) = (vec![1.0; n_values], vec![1.0; n_alphas]);
    for _ in 0..ATTEMPTS {
        let weighted = Mat::from_fn(n_values, n_alphas, |i, a| {
            filters[(i, a)] * of_value[i] * of_alpha[a]
        });
        let (vectors, _) = eigh(par_gram(weighted.as_ref()).as_ref())?;
        let kept = Mat::from_fn(n_alphas, rank, |a, j| vectors[(a, n_alphas - 1 - j)]);
        let along = &weighted * &kept;
        let per_value = Mat::from_fn(n_values, rank, |i, j| along[(i, j)] / of_value[i]);
        let per_alpha = Mat::from_fn(n_alphas, rank, |a, j| kept[(a, j)] / of_alpha[a]);
        let found = &per_value * per_alpha.transpose();
        let error = |i: usize, a: usize| match (found[(i, a)] - filters[(i, a)]).abs() {
            0.0 => 0.0,
            error => error / filters[(i, a)],
        };
        let values = (0..n_values).map(|i| largest((0..n_alphas).map(|a| error(i, a))));
        let values: Vec<f64> = values.collect();
        let alphas = (0..n_alphas).map(|a| largest((0..n_values).map(|i| error(i, a))));
        let alphas: Vec<f64> = alphas.collect();
        let most = largest(alphas.iter().copied());
        if most <= tolerance {
            return Some((per_value, per_alpha));
        }
        if !most.is_finite() {
            return None;
        }
        let weights = of_value.iter_mut().zip(values);
        for (weight, error) in weights.chain(of_alpha.iter_mut().zip(alphas)) {
            *weight *= (error / most + LEAST).sqrt();
        }
    }
    None
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// The cheapest cover of all eigenvalues by runs of cells, and its cost.
fn plan(
    values: &[f64],
    smallest_penalty: f64,
    cost: impl Fn(Range<usize>) -> Option<usize>,
) -> (Vec<Range<usize>>, usize) {
    let cuts = cells(values, smallest_penalty);
    let mut best = vec![(usize::MAX, 0); cuts.len()];
    best[0].0 = 0;
    for end in 1..cuts.len() {
        for start in end.saturating_sub(MAX_CELLS)..end {
            let run = cost(cuts[start]..cuts[end]).unwrap_or(usize::MAX);
            let total = best[start].0.saturating_add(run);
            if total < best[end].0 {
                best[end] = (total, start);
            }
        }
    }
    let mut runs = Vec::new();
    let mut end = cuts.len() - 1;
    while end > 0 {
        let start = best[end].1;
        runs.push(cuts[start]..cuts[end]);
        end = start;
    }
    runs.reverse();
    (runs, best[cuts.len() - 1].0)
}

/// Where cells of eigenvalues begin, and the end of the last. Eigenvalues far below the smallest
/// penalty or the largest eigenvalue share one.
fn cells(values: &[f64], smallest_penalty: f64) -> Vec<usize> {
    let largest = values.last().copied().unwrap_or(0.0);
    let floor = (smallest_penalty * 1e-3).max(largest * 1e-9);
    let mut cuts = vec![0];
    while let Some(&start) = cuts.last().filter(|&&start| start < values.len()) {
        let end = values[start].max(floor) * CELL_RATIO;
        let len = values[start..].partition_point(|&value| value <= end);
        cuts.push(start + len.max(1));
    }
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest relative error of the filters a bank stands for.
    fn worst(bank: &FilterBank<f32>, values: &[f64], penalties: &[f64]) -> f64 {
        let mut worst: f64 = 0.0;
        for run in &bank.runs {
            for (local, i) in run.range.clone().enumerate() {
                for (a, penalty) in penalties.iter().enumerate() {
                    let got: f64 = (0..run.weights.ncols())
                        .map(|j| {
                            let weight = f64::from(run.weights[(local, j)]);
                            match &bank.combine {
                                Some(combine) => weight * f64::from(combine[(run.first + j, a)]),
                                None if a == j => weight,
                                None => 0.0,
                            }
                        })
                        .sum();
                    worst = worst.max((got * (values[i] + penalty) - 1.0).abs());
                }
            }
        }
        worst
    }

    #[test]
    fn a_bank_is_exact_to_single_precision_and_cheaper() {
        let penalties: Vec<f64> = (0..15)
            .map(|i| 10f64.powf(2.0 + 6.0 * f64::from(i) / 14.0))
            .collect();
        let spectra: [Vec<f64>; 3] = [
            (0..1500).map(|i| 100.0 + 5.0 * f64::from(i)).collect(),
            (1..=1500)
                .rev()
                .map(|i| 2e6 * f64::from(i).powf(-1.5))
                .collect(),
            (0..1500)
                .map(|i| f64::from(i.max(700) - 700) * 3.0)
                .collect(),
        ];
        for values in &spectra {
            let bank = FilterBank::<f32>::new(values, &penalties, 0.0);
            let cost: usize = bank
                .runs
                .iter()
                .map(|run| run.range.len() * run.weights.ncols())
                .sum();
            assert!(2 * cost < values.len() * penalties.len(), "{cost}");
            // The tolerance and a few roundings of the f32 factors.
            assert!(worst(&bank, values, &penalties) < 1.1e-4);
            let covered: Vec<usize> = bank.runs.iter().flat_map(|run| run.range.clone()).collect();
            assert_eq!(covered, (0..values.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn few_eigenvalues_or_alphas_stay_plain() {
        assert!(
            FilterBank::<f32>::new(&[0.0, 1.0], &[1.0, 4.0, 9.0], 0.0)
                .combine
                .is_none()
        );
        assert!(
            FilterBank::<f64>::new(&[1.0; 500], &[1.0, 4.0, 9.0], 0.0)
                .combine
                .is_none()
        );
    }

    #[test]
    #[allow(clippy::float_cmp)] // exact by construction
    fn noise_is_filtered_out_only_under_small_penalties() {
        assert_eq!(filter(1e-18, 1e-30, 1e-12), 0.0);
        assert_eq!(filter(0.0, 0.0, 0.0), 0.0);
        assert_eq!(filter(0.0, 2.0, 1e-12), 0.5);
    }
}
