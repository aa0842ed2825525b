//! Folds without a decomposition of their own: all rows' basis, less what validation rows put in.
//!
//! With `G = V Λ V'` of all rows and `A` a fold's validation rows in that basis, the training rows'
//! solution is that of `Λ + alpha² - A'A`, and predictions of the validation rows are (Woodbury)
//! `(I - A D A')^-1 A D z`, `D = 1 / (Λ + alpha²)`, `z` the training rows' responses in the basis.
//! The left factors of a few penalties stand for those of all (`combination.rs`). Dual form:
//! `holdout.rs`. Held by the tests below and `tests/it/selection.rs`.

use faer::{
    Accum, Mat, MatRef, Par, Side,
    linalg::{
        matmul::triangular::{self, BlockStructure},
        solvers::DenseSolveCore,
    },
};
use rayon::prelude::*;

use super::{
    combination::{Combination, gain},
    features::Features,
    holdout::held_out,
    panels::Panels,
    prepared::{Basis, Decomposed, Fold, Unfit, Whole, tell},
    real::Real,
    settings::Settings,
};
use crate::{Folds, OnProgress, Result};

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
        .or_else(|| Basis::complete(gram))
        .ok_or(Unfit::Imprecise)?;
    let shared = if whole.primal {
        downdated(whole, &basis, combination, folds, on)?
    } else {
        held_out(gram, &basis, combination, folds, on)?
    };
    Ok((shared, Some(basis)))
}

/// Primal folds, as many at a time as there are threads.
fn downdated<T: Real>(
    whole: &Whole<T>,
    basis: &Basis<T>,
    combination: &Combination,
    folds: &Folds,
    on: &mut OnProgress<'_>,
) -> Result<Vec<Fold<T>>, Unfit> {
    let total = folds.n_folds() + 1;
    let mut shared = Vec::with_capacity(folds.n_folds());
    let jobs: Vec<usize> = (0..folds.n_folds()).collect();
    for batch in jobs.chunks(rayon::current_num_threads()) {
        tell(on, shared.len() + 1, total)?;
        let done: Vec<Fold<T>> = batch
            .par_iter()
            .map(|&fold| {
                let validation = whole.x.subset(folds.validation(fold));
                let rows = validation.times(basis.vectors.as_ref());
                let at = |&penalty| predictor(rows.as_ref(), &basis.values, penalty);
                let factors = combination
                    .nodes
                    .iter()
                    .map(at)
                    .collect::<Option<Vec<_>>>()?;
                let x = Features::Matrix(rows).into_transposed();
                Some(combination.fold(folds, fold, factors, Some(x)))
            })
            .collect::<Option<_>>()
            .ok_or(Unfit::Imprecise)?;
        shared.extend(done);
    }
    tell(on, total, total)?;
    Ok(shared)
}

/// `(I - A D A')^-1 A D` for the rows `A`; `A` for an infinite penalty. The inverse is small and well
/// conditioned (`SAFE_UPDATE`), and a product takes half the time of solving for as many columns.
fn predictor<T: Real>(rows: MatRef<'_, T>, values: &[f64], penalty: f64) -> Option<Mat<T>> {
    if penalty.is_infinite() {
        return Some(rows.to_owned());
    }
    let scaled = scaled(rows, values, |value| gain(value, penalty));
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
    let inverse = rest.llt(Side::Lower).ok()?.inverse();
    Some(Panels::new(inverse.as_ref()).times(scaled.as_ref()))
}

/// `rows` times a gain of each eigenvalue.
pub(crate) fn scaled<T: Real>(
    rows: MatRef<'_, T>,
    values: &[f64],
    gain: impl Fn(f64) -> f64,
) -> Mat<T> {
    let mut scaled = rows.to_owned();
    for (j, &value) in values.iter().enumerate() {
        let gain = T::rounded(gain(value));
        for value in scaled.col_as_slice_mut(j) {
            *value *= gain;
        }
    }
    scaled
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
            prepared::{Prepared, Unfit},
            settings::{Settings, Work},
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
            prepared.folds.iter().all(|fold| fold.to_basis.is_none()),
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

    /// Rows nearly at right angles, each predicted badly by the others; and a heavy row that shares no
    /// feature with the rest, whose eigenvalue is not the largest.
    #[test]
    fn spectra_that_are_flat_or_fall_apart_score_as_well() {
        let flat = normal(200, 20_000, 3);
        let mut apart = normal(300, 500, 4);
        apart.slice_mut(ndarray::s![.., 480..]).fill(0.0);
        apart.row_mut(0).fill(0.0);
        apart.slice_mut(ndarray::s![0, 480..]).fill(6.0);
        for x in [flat, apart] {
            let y = normal(x.nrows(), 20, 5);
            let groups: Vec<i64> = (0..9).cycle().take(x.nrows()).collect();
            let folds = Folds::leave_one_group_out(&groups).unwrap_or_else(|e| panic!("{e}"));
            let (shared, is_shared) = fit::<f32>(&x, &y, &folds);
            let (own, _) = fit::<f64>(&x, &y, &folds);
            assert!(is_shared, "{:?}", x.dim());
            let pairs = shared.scores.iter().zip(&own.scores);
            let largest = pairs.fold(0.0, |most: f64, (a, b)| most.max((a - b).abs()));
            eprintln!("{:?}: {largest:.1e}", x.dim());
            // The filters' tolerance of 1e-4 of predictions as large as the responses.
            assert!(largest < 5e-5, "{:?}: {largest}", x.dim());
        }
    }

    #[test]
    fn wide_spectra_and_few_folds_do_not_pay() {
        let penalties: Vec<f64> = (0..15).map(|i| 10_f64.powf(f64::from(i) / 2.0)).collect();
        let wide = Combination::new((0.0, 1e9), &penalties, 1e-4);
        assert!(wide.is_none_or(|wide| !wide.pays::<f32>(9000 * 3072, &[3072; 2])));
        let flat = Combination::new((0.0, 10.0), &penalties, 1e-4).expect("few products");
        assert!(flat.pays::<f32>(3000 * 3000, &[3000; 9]));
        assert!(!flat.pays::<f32>(3_000_000 * 3000, &[3000; 9]), "memory");
    }
}
