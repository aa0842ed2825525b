//! Folds without a decomposition of their own: all rows' basis, less what validation rows put in.
//!
//! With `G = V Λ V'` of all rows and `A` a fold's validation rows in that basis, the training rows'
//! solution is that of `Λ + alpha² - A'A`, and predictions of the validation rows are (Woodbury)
//! `(I - A D A')^-1 A D z`, `D = 1 / (Λ + alpha²)`, `z` the training rows' responses in the basis.
//! The left factors of a few penalties, combined, stand for those of all alphas, as in a filter
//! bank over all eigenvalues at once. That takes more products than runs of eigenvalues do, but no
//! decomposition and no projection per fold: it pays where eigenvalues lie close together and folds
//! are few. Dual form: `A` is the rows of `U`, `D = Λ / (Λ + alpha²)`. Held by the tests below and
//! `tests/it/selection.rs`.

use std::ops::Range;

use faer::{
    Accum, Mat, MatMut, MatRef, Par, Side,
    linalg::{
        matmul::triangular::{self, BlockStructure},
        solvers::DenseSolveCore,
    },
    prelude::*,
};

use rayon::prelude::*;

use super::{
    features::Features,
    filter::{Approximation, FilterBank, filter},
    matrix::{gather_rows, product},
    panels::Panels,
    prepared::{Basis, Decomposed, Fold, Part, Settings, Unfit, Whole, part_rows, tell},
    real::Real,
};
use crate::{Folds, OnProgress, Result};

/// Eigenvalues at which filters are compared; they are smooth in between.
const N_GRID: u32 = 96;
/// Folds share a basis while that stays below this part of it: what is taken off loses digits.
const SAFE_UPDATE: f64 = 1e-4;

/// Bytes that the left factors of all folds may take.
const MAX_BYTES: usize = 1 << 30;

/// Filters of all alphas as combinations of a few at the penalties of some of them.
pub(crate) struct Combination {
    /// Penalties.
    nodes: Vec<f64>,
    /// `[n_nodes, n_products]`.
    weights: Mat<f64>,
    /// `[n_products, n_alphas]`.
    per_alpha: Mat<f64>,
}

impl Combination {
    /// For eigenvalues in a range; none if the tolerance is not reached.
    pub(crate) fn new(range: (f64, f64), penalties: &[f64], tolerance: f64) -> Option<Self> {
        let (least, largest) = range;
        let smallest = least.max(penalties[0] * 1e-3);
        if !(largest > smallest && smallest > 0.0) {
            return None;
        }
        let step = (largest / smallest).ln() / f64::from(N_GRID - 1);
        let grid = (0..N_GRID).map(|i| smallest * (step * f64::from(i)).exp());
        let values: Vec<f64> = std::iter::once(least).chain(grid).collect();
        let fit = Approximation::new(&values, penalties, 0.0, 0.9 * tolerance)?;
        let filters = Mat::from_fn(values.len(), penalties.len(), |i, a| {
            filter(values[i], penalties[a], 0.0) * penalties[a]
        });
        let order = filters.col_piv_qr();
        let order = order.P().arrays().0;
        (fit.rank()..=penalties.len()).find_map(|n_nodes| {
            let nodes: Vec<usize> = order[..n_nodes].to_vec();
            let at = Mat::from_fn(values.len(), n_nodes, |i, j| {
                filters[(i, nodes[j])] / penalties[nodes[j]]
            });
            let weights = at.qr().solve_lstsq(&fit.per_value);
            let found = &at * &weights * fit.per_alpha.transpose();
            let within = (0..penalties.len()).all(|a| {
                let exact = filters.col(a).iter().map(|x| x / penalties[a]);
                let close = |(found, exact): (&f64, f64)| (found / exact - 1.0).abs() <= tolerance;
                found.col(a).iter().zip(exact).all(close)
            });
            within.then(|| Self {
                nodes: nodes.iter().map(|&node| penalties[node]).collect(),
                weights,
                per_alpha: fit.per_alpha.transpose().to_owned(),
            })
        })
    }

    fn n_products(&self) -> usize {
        self.per_alpha.nrows()
    }

    /// Whether it takes about as little work per voxel as bases of the folds' own, `own` of so many
    /// columns each, and little enough memory.
    pub(crate) fn pays<T>(&self, n_samples: usize, n_values: usize, own: &[usize]) -> bool {
        /// Products that runs of eigenvalues come down to where these lie close together.
        const OF_RUNS: usize = 4;
        /// What it may take beyond the count: its products are larger, nothing is decomposed.
        const MARGIN: f64 = 1.15;
        let left = n_samples * n_values;
        let projections: usize = own.iter().map(|n| n * n).sum();
        let own = (projections + OF_RUNS * left) as f64;
        (self.n_products() * left) as f64 <= MARGIN * own
            && self.n_products() * left * size_of::<T>() <= MAX_BYTES
    }

    /// The bank whose products need no scaling of their right factor.
    pub(crate) fn bank<T: Real>(&self) -> FilterBank<T> {
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

    /// Left factors of a fold whose validation rows are `rows` in the basis, `[n_rows, n_values]`.
    /// None if a matrix is not positive definite.
    pub(crate) fn parts<T: Real>(
        &self,
        rows: MatRef<'_, T>,
        basis: &Basis<T>,
        primal: bool,
    ) -> Option<Vec<Part<T>>> {
        let (n_rows, n_values) = rows.shape();
        let len = n_rows * n_values;
        let mut at_nodes = vec![T::zero(); len * self.nodes.len()];
        for (&penalty, into) in self.nodes.iter().zip(at_nodes.chunks_exact_mut(len.max(1))) {
            let into = MatMut::from_column_major_slice_mut(into, n_rows, n_values);
            predictor(rows, basis, penalty, primal, into)?;
        }
        let weights = Mat::from_fn(self.weights.nrows(), self.weights.ncols(), |i, j| {
            T::rounded(self.weights[(i, j)])
        });
        let at_nodes = MatRef::from_column_major_slice(&at_nodes, len, self.nodes.len());
        let factors = product(at_nodes, weights.as_ref());
        let factors: Vec<MatRef<'_, T>> = (0..self.n_products())
            .map(|j| MatRef::from_column_major_slice(factors.col_as_slice(j), n_rows, n_values))
            .collect();
        let part = |rows: Range<usize>| {
            let of_rows =
                |factor: &MatRef<'_, T>| Panels::new(factor.subrows(rows.start, rows.len()));
            Part {
                runs: factors.iter().map(of_rows).collect(),
                rows,
            }
        };
        Some(part_rows(rows.nrows()).map(part).collect())
    }
}

impl Settings<'_> {
    /// What folds share instead of having a decomposition each, where that pays. Each row must validate
    /// once, so that the folds' moments sum up to that of all rows.
    ///
    /// Eigenvalues of a fold lie between 0 and the largest of all rows; in dual form none is below the
    /// smallest of all rows either (interlacing). Where that would decide, all rows are decomposed.
    pub(crate) fn combination<T: Real>(
        &self,
        whole: &Whole<T>,
        gram: MatRef<'_, T>,
        largest: f64,
    ) -> (Option<Combination>, Option<Basis<T>>) {
        // Power iteration stays a few per cent below.
        let largest = 1.1 * largest;
        let mut combination = self.combination_over(whole, (0.0, largest));
        let mut basis = None;
        let narrow = (largest / 20.0, largest);
        if combination.is_none() && !whole.primal && self.combination_over(whole, narrow).is_some()
        {
            basis = whole.basis_of(gram);
            let smallest = basis.as_ref().and_then(|basis| basis.values.first());
            if let Some(&smallest) = smallest {
                combination = self.combination_over(whole, (smallest, largest));
            }
        }
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
        let n_values = if whole.primal { n_features } else { n_samples };
        let combination = Combination::new(range, self.penalties, tolerance)?;
        combination
            .pays::<T>(n_samples, n_values, &own)
            .then_some(combination)
    }
}

/// All rows, then folds in their basis.
pub(crate) fn share<T: Real>(
    whole: &Whole<T>,
    gram: MatRef<'_, T>,
    basis: Option<Basis<T>>,
    combination: &Combination,
    settings: &Settings<'_>,
    on: &mut OnProgress<'_>,
) -> Result<Decomposed<T>, Unfit> {
    let folds = settings.folds.ok_or(Unfit::Imprecise)?;
    let basis = basis
        .or_else(|| whole.basis_of(gram))
        .ok_or(Unfit::Imprecise)?;
    let total = folds.n_folds() + 1;
    let mut shared = Vec::with_capacity(folds.n_folds());
    let jobs: Vec<usize> = (0..folds.n_folds()).collect();
    for batch in jobs.chunks(rayon::current_num_threads()) {
        let done = shared.len() + 1;
        tell(on, done, total)?;
        let done: Vec<Fold<T>> = batch
            .par_iter()
            .map(|&fold| shared_fold(whole, &basis, combination, folds, fold))
            .collect::<Option<_>>()
            .ok_or(Unfit::Imprecise)?;
        shared.extend(done);
    }
    tell(on, total, total)?;
    Ok((shared, Some(basis)))
}

fn shared_fold<T: Real>(
    whole: &Whole<T>,
    basis: &Basis<T>,
    combination: &Combination,
    folds: &Folds,
    fold: usize,
) -> Option<Fold<T>> {
    let validation = folds.validation(fold).to_vec();
    let vectors = basis.vectors.as_ref();
    let rows = if whole.primal {
        whole.x.subset(&validation).times(vectors)
    } else {
        gather_rows(vectors, &validation, &[])
    };
    Some(Fold {
        training: folds.training(fold),
        validation,
        parts: combination.parts(rows.as_ref(), basis, whole.primal)?,
        bank: combination.bank(),
        intercept: false,
        shift: Vec::new(),
        to_basis: None,
        x: Some(Features::Matrix(rows).into_transposed()),
    })
}

/// `(I - A D A')^-1 A D` for the rows `A`. The inverse is small and well conditioned (`SAFE_UPDATE`), and a
/// product takes half the time of solving for as many columns.
fn predictor<T: Real>(
    rows: MatRef<'_, T>,
    basis: &Basis<T>,
    penalty: f64,
    primal: bool,
    into: MatMut<'_, T>,
) -> Option<()> {
    let mut scaled = rows.to_owned();
    for (j, &value) in basis.values.iter().enumerate() {
        let power = if primal { 1.0 } else { value };
        let gain = T::rounded(power / (value + penalty));
        for value in scaled.col_as_slice_mut(j) {
            *value *= gain;
        }
    }
    let mut rest = Mat::<T>::identity(rows.nrows(), rows.nrows());
    // The factor reads the lower triangle only.
    triangular::matmul(
        rest.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        scaled.as_ref(),
        BlockStructure::Rectangular,
        rows.transpose(),
        BlockStructure::Rectangular,
        -T::one(),
        Par::Seq,
    );
    let factor = rest.llt(Side::Lower).ok()?;
    let inverse = Panels::new(factor.inverse().as_ref());
    inverse.multiply(into, scaled.as_ref());
    Some(())
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use ndarray::Array2;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    use super::*;
    use crate::{
        CvScore, Folds, Solver,
        ridge::{
            features::Source,
            prepared::{Prepared, Settings, Unfit, Work},
            tile::{self, Task, Tile, Workspace},
        },
    };

    const N_ALPHAS: usize = 10;

    fn normal(n: usize, m: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Array2::from_shape_simple_fn((n, m), || rng.sample(StandardNormal))
    }

    /// What a tile comes to, and whether folds shared a basis.
    fn fit<T: Real>(x: &Array2<f32>, y: &Array2<f32>, folds: &Folds) -> (Tile<T>, bool) {
        let penalties: Vec<f64> = (0..N_ALPHAS)
            .map(|i| 10_f64.powf(2.0 + 0.5 * i as f64))
            .collect();
        let settings = Settings {
            penalties: &penalties,
            work: Work::All,
            folds: Some(folds),
            solver: Solver::Auto,
            precision: None,
            intercept: false,
        };
        let on = &mut |_| ControlFlow::Continue(());
        let prepared = match Prepared::<T>::new(Source::Matrix(x.view()), &settings, on) {
            Ok(prepared) => prepared,
            Err(Unfit::Imprecise) => panic!("f32 is precise enough"),
            Err(Unfit::Error(error)) => panic!("{error}"),
        };
        let task = Task {
            score: CvScore::R2,
            n_alphas: N_ALPHAS,
            validates: true,
        };
        let tile = tile::fit(&prepared, y.view(), 0, task, &mut Workspace::default());
        (
            tile.unwrap_or_else(|e| panic!("{e}")),
            prepared.whole.shared,
        )
    }

    /// More samples than features and fewer; f64 decomposes each fold by itself.
    #[test]
    fn scores_are_those_of_folds_with_bases_of_their_own() {
        for (n, n_features, n_folds) in [(400_usize, 200, 8), (210, 500, 5)] {
            let x = normal(n, n_features, 1);
            let mut y = normal(n, 40, 2);
            y.column_mut(3).assign(&x.column(0)); // predicted well
            let of_group = n.div_ceil(n_folds);
            let groups: Vec<i64> = (0_i64..)
                .flat_map(|group| std::iter::repeat_n(group, of_group))
                .take(n)
                .collect();
            let folds = Folds::leave_one_group_out(&groups).unwrap_or_else(|e| panic!("{e}"));
            let (shared, is_shared) = fit::<f32>(&x, &y, &folds);
            let (own, own_shared) = fit::<f64>(&x, &y, &folds);
            assert!(is_shared && !own_shared, "{n} x {n_features}");
            // The filters' tolerance of 1e-4, of either sign along the eigenvalues.
            for (shared, own) in shared.scores.iter().zip(&own.scores) {
                assert!((shared - own).abs() < 2e-5, "{own}, shared {shared}");
            }
            assert_eq!(shared.best, own.best);
        }
    }

    #[test]
    fn wide_spectra_and_few_folds_do_not_pay() {
        let penalties: Vec<f64> = (0..15).map(|i| 10_f64.powf(f64::from(i) / 2.0)).collect();
        let wide = Combination::new((0.0, 1e9), &penalties, 1e-4);
        assert!(wide.is_none_or(|wide| !wide.pays::<f32>(9000, 3072, &[3072; 2])));
        let flat = Combination::new((0.0, 10.0), &penalties, 1e-4).expect("few products");
        assert!(flat.pays::<f32>(3000, 3000, &[3000; 9]));
        assert!(!flat.pays::<f32>(3_000_000, 3000, &[3000; 9]), "memory");
    }
}
