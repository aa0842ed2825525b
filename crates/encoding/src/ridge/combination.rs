//! Filters of all alphas as combinations of a few, where folds have no decomposition of their own
//! (`downdate.rs`, `holdout.rs`): which penalties stand for the grid, and whether that pays.
//!
//! It takes more products than runs of eigenvalues do (`filter.rs`), but no decomposition and no
//! projection per fold: it pays where eigenvalues lie close together and folds are more than a few.

use std::ops::Range;

use faer::{Col, Mat, MatRef, Scale, linalg::solvers::SolveLstsq};

use super::{
    features::Transposed,
    filter::{Approximation, FilterBank, LEAST_ALPHAS},
    panels::Panels,
    prepared::{Basis, Fold, Part, Whole, part_rows},
    real::Real,
    settings::Settings,
};
use crate::Folds;

/// Eigenvalues at which filters are compared; they are smooth in between.
const N_GRID: usize = 96;
/// Largest part of the smallest penalty that the rounding of the largest eigenvalue may be: what
/// validation rows take off loses digits.
const SAFE_UPDATE: f64 = 1e-4;

/// Bytes that the left factors of all folds may take.
const MAX_BYTES: usize = 1 << 30;

/// Filters of all alphas as combinations of those of a few penalties.
pub(crate) struct Combination {
    /// The penalties, the last infinite: its filter is 1, times its penalty.
    pub(crate) nodes: Vec<f64>,
    /// Products from left factors at the nodes, `[n_nodes, n_products]`; none if they are those.
    weights: Option<Mat<f64>>,
    /// `[n_products, n_alphas]`.
    per_alpha: Mat<f64>,
}

impl Combination {
    /// For eigenvalues in a range; none if the tolerance is not reached by fewer nodes than penalties.
    ///
    /// Nodes are spaced evenly on a logarithmic scale from the smallest penalty to the largest
    /// eigenvalue, both about: there filters differ. The best such rational approximation needs as
    /// many nodes as a truncated singular value decomposition needs terms.
    pub(crate) fn new(range: (f64, f64), penalties: &[f64], tolerance: f64) -> Option<Self> {
        /// Of the smallest penalty, where nodes begin; of the largest eigenvalue, where they end.
        const FIRST: [f64; 4] = [1.0, 1.15, 1.3, 1.5];
        const LAST: [f64; 5] = [2.0, 1.26, 0.8, 0.5, 2.5];
        if penalties.len() < LEAST_ALPHAS {
            return None;
        }
        let largest = range.1;
        let values = grid(range, penalties);
        if values.iter().any(|value| !value.is_finite()) || largest <= values[1] {
            return None;
        }
        (2..penalties.len()).find_map(|n_nodes| {
            let ends = LAST
                .iter()
                .flat_map(|last| FIRST.map(|first| (first, last)));
            let mut nodes = ends.map(|(first, last)| {
                let nodes = spaced(penalties[0] * first, largest * last, n_nodes - 1);
                nodes.chain([f64::INFINITY]).collect::<Vec<f64>>()
            });
            nodes.find_map(|nodes| Self::at(nodes, &values, penalties, 0.9 * tolerance))
        })
    }

    /// With these nodes; none if the tolerance is not reached.
    fn at(nodes: Vec<f64>, values: &[f64], penalties: &[f64], tolerance: f64) -> Option<Self> {
        let filters = Mat::from_fn(values.len(), nodes.len(), |i, j| gain(values[i], nodes[j]));
        let mut per_alpha = Mat::zeros(nodes.len(), penalties.len());
        for (a, &penalty) in penalties.iter().enumerate() {
            let relative = Mat::from_fn(values.len(), nodes.len(), |i, j| {
                filters[(i, j)] * (values[i] + penalty)
            });
            per_alpha
                .col_mut(a)
                .copy_from(one_by(&relative, tolerance)?);
        }
        Some(Self {
            nodes,
            weights: None,
            per_alpha,
        })
    }

    /// As [`new`](Self::new), with as few products as filters of all alphas have principal axes and more
    /// nodes to make them of: for left factors that are cheap beside the products with them.
    pub(crate) fn of_fewest_products(
        range: (f64, f64),
        penalties: &[f64],
        tolerance: f64,
    ) -> Option<Self> {
        let plain = Self::new(range, penalties, tolerance)?;
        let Some(fine) = Self::new(range, penalties, 0.1 * tolerance) else {
            return Some(plain);
        };
        let values = grid(range, penalties);
        let Some(fit) = Approximation::new(&values, penalties, 0.0, 0.8 * tolerance) else {
            return Some(plain);
        };
        let at = Mat::from_fn(values.len(), fine.nodes.len(), |i, j| {
            gain(values[i], fine.nodes[j])
        });
        let weights = at.qr().solve_lstsq(&fit.per_value);
        let found = &at * &weights * fit.per_alpha.transpose();
        let within = (0..penalties.len()).all(|a| {
            let error = |i: usize| found[(i, a)] * (values[i] + penalties[a]) - 1.0;
            (0..values.len()).all(|i| error(i).abs() <= tolerance)
        });
        if !within || fit.rank() >= plain.nodes.len() {
            return Some(plain);
        }
        Some(Self {
            nodes: fine.nodes,
            weights: Some(weights),
            per_alpha: fit.per_alpha.transpose().to_owned(),
        })
    }

    fn n_products(&self) -> usize {
        self.per_alpha.nrows()
    }

    /// Left factors of products from those at the nodes.
    fn products<T: Real>(&self, at_nodes: Vec<Mat<T>>) -> Vec<Mat<T>> {
        let Some(weights) = &self.weights else {
            return at_nodes;
        };
        let product = |j: usize| {
            let mut sum = Mat::zeros(at_nodes[0].nrows(), at_nodes[0].ncols());
            for (node, factor) in at_nodes.iter().enumerate() {
                sum += Scale(T::rounded(weights[(node, j)])) * factor;
            }
            sum
        };
        (0..weights.ncols()).map(product).collect()
    }

    /// Whether it takes about as little work per voxel as bases of the folds' own, `own` of so many
    /// columns each, and little enough memory. `left`: entries of one left factor, over all folds.
    pub(crate) fn pays<T>(&self, left: usize, own: &[usize]) -> bool {
        /// Products that runs of eigenvalues come down to where these lie close together.
        const OF_RUNS: usize = 4;
        /// What it may take beyond the count: its products are larger, nothing is decomposed.
        const MARGIN: f64 = 1.15;
        let projections: usize = own.iter().map(|n| n * n).sum();
        let own = (projections + OF_RUNS * left) as f64;
        (self.n_products() * left) as f64 <= MARGIN * own
            && self.n_products() * left * size_of::<T>() <= MAX_BYTES
    }

    /// The bank whose products need no scaling of their right factor.
    fn bank<T: Real>(&self) -> FilterBank<T> {
        FilterBank {
            runs: Vec::new(),
            n_products: self.n_products(),
            combine: Some(Mat::from_fn(
                self.per_alpha.nrows(),
                self.per_alpha.ncols(),
                |i, j| T::rounded(self.per_alpha[(i, j)]),
            )),
        }
    }

    /// A fold of a left factor for each node, `[n_validation, n_columns]`.
    pub(crate) fn fold<T: Real>(
        &self,
        folds: &Folds,
        fold: usize,
        at_nodes: Vec<Mat<T>>,
        x: Option<Transposed<T>>,
    ) -> Fold<T> {
        let validation = folds.validation(fold).to_vec();
        let factors = self.products(at_nodes);
        let part = |rows: Range<usize>| {
            let of_rows =
                |factor: &Mat<T>| Panels::new(factor.as_ref().subrows(rows.start, rows.len()));
            Part {
                runs: factors.iter().map(of_rows).collect(),
                rows,
            }
        };
        Fold {
            training: folds.training(fold),
            parts: part_rows(validation.len()).map(part).collect(),
            validation,
            bank: self.bank(),
            intercept: false,
            shift: Vec::new(),
            to_basis: None,
            x,
        }
    }
}

/// Eigenvalues of a range at which filters are compared.
fn grid((least, largest): (f64, f64), penalties: &[f64]) -> Vec<f64> {
    let smallest = least.max(penalties[0] * 1e-3);
    let grid = spaced(smallest, largest, N_GRID);
    std::iter::once(least).chain(grid).collect()
}

/// `1 / (value + penalty)`, and 1 for an infinite penalty.
pub(crate) fn gain(value: f64, penalty: f64) -> f64 {
    if penalty.is_infinite() {
        1.0
    } else {
        (value + penalty).recip()
    }
}

/// `n` values from `first` to `last`, evenly on a logarithmic scale.
fn spaced(first: f64, last: f64, n: usize) -> impl Iterator<Item = f64> {
    let step = (last / first).ln() / n.saturating_sub(1).max(1) as f64;
    (0..n).map(move |i| first * (step * i as f64).exp())
}

/// Weights of the columns whose sum is within the tolerance of 1 in every row: least squares, rows weighted
/// towards the largest error. None if they are not found.
fn one_by(columns: &Mat<f64>, tolerance: f64) -> Option<Col<f64>> {
    /// More seldom help, and where the first errs by far more, none does.
    const ATTEMPTS: usize = 4;
    const HOPELESS: f64 = 8.0;
    /// What places without an error keep of their weight.
    const LEAST: f64 = 1e-2;
    let mut weights = Col::<f64>::ones(columns.nrows());
    for _ in 0..ATTEMPTS {
        let weighted = Mat::from_fn(columns.nrows(), columns.ncols(), |i, j| {
            columns[(i, j)] * weights[i]
        });
        let found = weighted.qr().solve_lstsq(&weights);
        let sums = columns * &found;
        let most = sums
            .iter()
            .fold(0.0, |most: f64, sum| most.max((sum - 1.0).abs()));
        if most <= tolerance {
            return Some(found);
        }
        if most.is_nan() || most > HOPELESS * tolerance {
            return None;
        }
        for (weight, sum) in weights.iter_mut().zip(sums.iter()) {
            *weight *= ((sum - 1.0).abs() / most + LEAST).sqrt();
        }
    }
    None
}

impl Settings<'_> {
    /// What folds share instead of having a decomposition each, where that pays. Each row must validate
    /// once, so that the folds' moments sum up to that of all rows.
    ///
    /// Eigenvalues of a fold lie between 0 and the largest of all rows; in dual form none is below the
    /// smallest of all rows either (interlacing), which is found with the basis.
    pub(crate) fn combination<T: Real>(
        &self,
        whole: &Whole<T>,
        gram: MatRef<'_, T>,
        largest: f64,
    ) -> (Option<Combination>, Option<Basis<T>>) {
        // Power iteration stays a few per cent below.
        let most = 1.1 * largest;
        let widest = self.combination_over(whole, (0.0, most));
        let narrow = (most / 20.0, most);
        if whole.primal || (widest.is_none() && self.combination_over(whole, narrow).is_none()) {
            return (widest, None);
        }
        let basis = Basis::complete(gram);
        let ends = basis.as_ref().and_then(|basis| {
            let (least, most) = (basis.values.first()?, basis.values.last()?);
            Some((*least, 1.001 * most)) // its own rounding
        });
        let combination = ends.and_then(|ends| self.combination_over(whole, ends));
        (combination, basis)
    }

    fn combination_over<T: Real>(
        &self,
        whole: &Whole<T>,
        range: (f64, f64),
    ) -> Option<Combination> {
        let tolerance = T::FILTER_TOLERANCE?;
        let folds = self.folds.filter(|folds| folds.is_partition())?;
        let rounding = f64::from(f32::EPSILON) * range.1;
        if self.intercept || rounding > SAFE_UPDATE * self.penalties[0] {
            return None;
        }
        let (n_samples, n_features) = (whole.x.n_rows(), whole.x.n_columns());
        let own = |fold| {
            if whole.primal {
                n_features
            } else {
                n_samples - folds.validation(fold).len()
            }
        };
        let own: Vec<usize> = (0..folds.n_folds()).map(own).collect();
        let left = |fold| folds.validation(fold).len() * own[fold];
        let left = (0..folds.n_folds()).map(left).sum();
        let combination = if whole.primal {
            Combination::of_fewest_products(range, self.penalties, tolerance)?
        } else {
            Combination::new(range, self.penalties, tolerance)?
        };
        combination.pays::<T>(left, &own).then_some(combination)
    }
}
