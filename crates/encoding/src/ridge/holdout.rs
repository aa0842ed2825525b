//! Dual folds without a decomposition of their own, nor a basis for the responses.
//!
//! With `M = alpha² (K + alpha²)^-1 = U D U'`, `D = alpha² / (Λ + alpha²)`, of all rows, predictions of a
//! fold's validation rows are `-M_vv^-1 M_vt y_t`: the residual of a row left out is its residual with
//! it over `M_ii`, and so for blocks of rows. `M` is made of all directions, those without variance
//! among them, and not as a difference from 1, which would lose the digits of what is small in it.
//! `[n_validation, n_training]` left factors of a few penalties stand for those of all
//! (`combination.rs`). Held by the tests of `downdate.rs` and `tests/it/selection.rs`.

use faer::{Mat, MatRef, Scale, Side, linalg::solvers::DenseSolveCore};
use rayon::prelude::*;

use super::{
    combination::Combination,
    downdate::scaled,
    matrix::par_symmetric,
    panels::Panels,
    prepared::{Basis, Fold, Unfit, tell},
    real::Real,
};
use crate::{Folds, OnProgress, Result};

/// Every fold, from the kernel of all rows and its complete basis.
pub(crate) fn held_out<T: Real>(
    kernel: MatRef<'_, T>,
    basis: &Basis<T>,
    combination: &Combination,
    folds: &Folds,
    on: &mut OnProgress<'_>,
) -> Result<Vec<Fold<T>>, Unfit> {
    let all: Vec<usize> = (0..folds.n_folds()).collect();
    let mut factors: Vec<Vec<Mat<T>>> = all.iter().map(|_| Vec::new()).collect();
    let total = combination.nodes.len() + 1;
    let transposed = basis.vectors.transpose().to_owned();
    for (node, &penalty) in combination.nodes.iter().enumerate() {
        tell(on, node + 1, total)?;
        let residuals = penalty
            .is_finite()
            .then(|| residuals(basis, transposed.as_ref(), penalty));
        let factor = |&fold: &usize| {
            let (validation, training) = (folds.validation(fold), folds.training(fold));
            match &residuals {
                Some(residuals) => hold_out(residuals.as_ref(), validation, &training),
                None => Some(pick(kernel, validation, &training)),
            }
        };
        let done: Option<Vec<Mat<T>>> = all.par_iter().map(factor).collect();
        for (factors, factor) in factors.iter_mut().zip(done.ok_or(Unfit::Imprecise)?) {
            factors.push(factor);
        }
    }
    tell(on, total, total)?;
    let folds = all
        .iter()
        .zip(factors)
        .map(|(&fold, factors)| combination.fold(folds, fold, factors, None));
    Ok(folds.collect())
}

/// `M`, which makes residuals of responses.
fn residuals<T: Real>(basis: &Basis<T>, transposed: MatRef<'_, T>, penalty: f64) -> Mat<T> {
    let scaled = scaled(basis.vectors.as_ref(), &basis.values, |value| {
        penalty / (value + penalty)
    });
    par_symmetric(scaled.as_ref(), transposed)
}

/// `-M_vv^-1 M_vt`.
fn hold_out<T: Real>(
    residuals: MatRef<'_, T>,
    validation: &[usize],
    training: &[usize],
) -> Option<Mat<T>> {
    let within = pick(residuals, validation, validation);
    let mut inverse = within.llt(Side::Lower).ok()?.inverse();
    inverse *= Scale(-T::one());
    let cross = pick(residuals, validation, training);
    Some(Panels::new(inverse.as_ref()).times(cross.as_ref()))
}

fn pick<T: Real>(matrix: MatRef<'_, T>, rows: &[usize], columns: &[usize]) -> Mat<T> {
    Mat::from_fn(rows.len(), columns.len(), |i, j| {
        matrix[(rows[i], columns[j])]
    })
}
