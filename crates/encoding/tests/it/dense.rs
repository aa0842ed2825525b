//! Odd shapes and folds against dense solves in f64, with and without an intercept.

use braintune_encoding::{
    Alphas, CvScore, DesignMatrix, EncodingModel, FittedRidge, Folds, Ridge, Solver,
};
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use crate::problem::{dense_ridge, normal, wide};

/// What a dense solve makes of a problem.
struct Dense<'a> {
    x: Array2<f64>,
    y: Array2<f64>,
    folds: Option<&'a Folds>,
    intercept: bool,
}

impl Dense<'_> {
    /// Predictions for `x` of a fit to some rows.
    fn predict(&self, rows: &[usize], x: &Array2<f64>, alpha: f64) -> Array2<f64> {
        let (fit_x, fit_y) = (self.x.select(Axis(0), rows), self.y.select(Axis(0), rows));
        let means = |a: &Array2<f64>| {
            let means = a.mean_axis(Axis(0)).unwrap();
            if self.intercept { means } else { means * 0.0 }
        };
        let (mx, my) = (means(&fit_x), means(&fit_y));
        (x - &mx).dot(&dense_ridge(
            &(&fit_x - &mx),
            &(&fit_y - &my),
            alpha * alpha,
        )) + &my
    }

    /// Minus the mean squared error, mean over folds, `[n_voxels]`.
    fn score(&self, alpha: f64) -> Vec<f64> {
        let folds = self.folds.unwrap();
        let mut total = vec![0.0; self.y.ncols()];
        for fold in 0..folds.n_folds() {
            let rows = folds.validation(fold);
            let p = self.predict(&folds.training(fold), &self.x.select(Axis(0), rows), alpha);
            let squares = (&self.y.select(Axis(0), rows) - &p).mapv(|e| e * e);
            let n = (rows.len() * folds.n_folds()) as f64;
            for (total, squares) in total.iter_mut().zip(squares.sum_axis(Axis(0))) {
                *total -= squares / n;
            }
        }
        total
    }
}

/// Scores, alphas and predictions agree to `tolerance`, relative to the spread of the responses.
fn agree(
    x: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
    folds: Option<&Folds>,
    alphas: &str,
    tolerance: f64,
) {
    let alphas: Alphas = alphas.parse().unwrap();
    for intercept in [false, true] {
        let dense = Dense {
            x: wide(x),
            y: wide(y),
            folds,
            intercept,
        };
        for solver in [Solver::Primal, Solver::Dual] {
            let mut params = Ridge::params(alphas.clone())
                .score(CvScore::NegMse)
                .solver(solver)
                .intercept(intercept);
            if let Some(folds) = folds {
                params = params.folds(folds.clone());
            }
            let design = DesignMatrix::from(x.to_owned());
            let fitted = params.check().unwrap().fit(&design, y).unwrap();
            compare(
                &fitted,
                &dense,
                &alphas,
                tolerance,
                &format!("{solver:?} {intercept}"),
            );
        }
    }
}

fn compare(fitted: &FittedRidge, dense: &Dense<'_>, alphas: &Alphas, tolerance: f64, what: &str) {
    let n_voxels = dense.y.ncols();
    let scale: Vec<f64> = (0..n_voxels)
        .map(|voxel| dense.y.column(voxel).std(0.0).max(1e-3))
        .collect();
    if dense.folds.is_some() {
        let scores: Vec<Vec<f64>> = alphas.as_slice().iter().map(|&a| dense.score(a)).collect();
        for (i, expected) in scores.iter().enumerate() {
            for (voxel, expected) in expected.iter().enumerate() {
                let error = (fitted.cv_scores()[(i, voxel)] - expected).abs();
                let size = scale[voxel].powi(2) + expected.abs();
                assert!(
                    error < tolerance * size,
                    "{what}, alpha {i}: {error} of {expected}"
                );
            }
        }
    }
    let rows: Vec<usize> = (0..dense.x.nrows()).collect();
    #[allow(clippy::cast_possible_truncation)]
    let predicted = fitted.predict(dense.x.mapv(|x| x as f32).view()).unwrap();
    for (voxel, scale) in scale.iter().enumerate() {
        let expected = dense.predict(&rows, &dense.x, fitted.best_alphas()[voxel]);
        let mean = if dense.intercept {
            dense.y.column(voxel).mean()
        } else {
            None
        };
        let about = dense
            .y
            .column(voxel)
            .mapv(|y| (y - mean.unwrap_or(0.0)).powi(2));
        let size = about.mean().unwrap_or(0.0).sqrt();
        for (got, expected) in predicted.column(voxel).iter().zip(expected.column(voxel)) {
            let error = (f64::from(*got) - expected).abs();
            // f32 rounds what it solves for, responses of this size, a few times, and the result.
            let rounding = (expected.abs() + 4.0 * size) * f64::from(f32::EPSILON);
            assert!(
                error < tolerance * scale + rounding,
                "{what}: {got} {expected}"
            );
        }
    }
}

fn blocks(n_rows: usize, n_folds: usize) -> Folds {
    Folds::contiguous_blocks(n_rows, n_folds).unwrap()
}

/// Most of these run in f32, whose eigenvalues err by `2^-24 λ_max`: some 1e-4 of the penalties here.
const SINGLE: f64 = 1e-3;

#[test]
fn small_shapes() {
    for (n_samples, n_features, n_voxels) in
        [(30, 5, 1), (30, 1, 4), (30, 1, 1), (2, 3, 2), (5, 40, 2)]
    {
        let x = normal(n_samples, n_features, 1);
        let y = normal(n_samples, n_voxels, 2);
        let folds = blocks(n_samples, 2);
        agree(x.view(), y.view(), Some(&folds), "0.5,5,50", SINGLE);
        agree(x.view(), y.view(), None, "3", SINGLE);
    }
}

#[test]
fn one_row_per_fold_and_folds_of_all_kinds() {
    let (x, y) = (normal(24, 6, 3), normal(24, 3, 4));
    let rows = |ranges: &[std::ops::Range<usize>]| {
        let rows = ranges.iter().cloned().map(Iterator::collect).collect();
        Folds::from_validation_rows(rows, 24).unwrap()
    };
    for folds in [
        blocks(24, 24),
        rows(&[0..1, 5..9]),
        rows(&[0..10, 5..15, 5..15]),
        rows(&[0..23, 1..24]),
        Folds::bootstrap_chunks(24, 3, 4, 2, 7).unwrap(),
        Folds::bootstrap_chunks(24, 5, 5, 4, 7).unwrap(),
    ] {
        agree(x.view(), y.view(), Some(&folds), "0.5,5,50", SINGLE);
    }
}

#[test]
fn three_hundred_alphas() {
    let (x, y) = (normal(60, 40, 5), normal(60, 3, 6));
    agree(
        x.view(),
        y.view(),
        Some(&blocks(60, 3)),
        "logspace:0:3:300",
        SINGLE,
    );
}

#[test]
fn duplicate_rows_and_duplicate_columns() {
    let (x, y) = (normal(20, 6, 7), normal(20, 3, 8));
    let (x2, y2) = (
        concatenate![Axis(0), x, x, x],
        concatenate![Axis(0), y, y, y],
    );
    agree(x2.view(), y2.view(), Some(&blocks(60, 4)), "0.5,5", SINGLE);
    let twice = concatenate![Axis(1), x, x, x];
    agree(
        twice.view(),
        y.view(),
        Some(&blocks(20, 4)),
        "0.5,5",
        SINGLE,
    );
}

#[test]
fn many_more_features_than_samples() {
    let (x, y) = (normal(25, 400, 9), normal(25, 3, 10));
    agree(x.view(), y.view(), Some(&blocks(25, 5)), "1,30", SINGLE);
}

#[test]
fn alphas_over_twenty_decades() {
    let (x, y) = (normal(50, 8, 11), normal(50, 3, 12));
    // The smallest alpha makes it double precision.
    agree(
        x.view(),
        y.view(),
        Some(&blocks(50, 5)),
        "logspace:-8:12:21",
        1e-6,
    );
}

#[test]
fn constant_columns_and_responses_of_zero() {
    let (mut x, mut y) = (normal(40, 6, 13), normal(40, 3, 14));
    x.column_mut(2).fill(0.0);
    x.column_mut(4).fill(7.0);
    y.column_mut(1).fill(0.0);
    agree(x.view(), y.view(), Some(&blocks(40, 4)), "1,10", SINGLE);
    y.fill(0.0);
    agree(x.view(), y.view(), Some(&blocks(40, 4)), "1,10", SINGLE);
    let params = Ridge::params("1,10".parse().unwrap()).folds(blocks(40, 4));
    let fitted = params.check().unwrap().fit(&x.into(), y.view()).unwrap();
    assert!(fitted.coef().iter().all(|&w| w == 0.0));
    assert_eq!(fitted.best_alphas(), [1.0; 3]);
}

#[test]
fn a_mean_of_a_million() {
    let x = normal(80, 5, 15);
    let y = x.dot(&normal(5, 3, 16)) + normal(80, 3, 17);
    // f32 keeps a sixteenth of these; both sides get the same rounded numbers.
    let (x, y) = (x + 1e6, y + 1e6);
    // A Gram matrix of condition 1e12 without an intercept, in f64 on both sides.
    agree(x.view(), y.view(), Some(&blocks(80, 4)), "1,10", 1e-3);
    // Of the features alone, of the responses alone, and below zero.
    let centred = &x - 1e6;
    agree(centred.view(), y.view(), Some(&blocks(80, 4)), "1,10", 1e-3);
    let low = &y * -3.0;
    agree(
        x.view(),
        low.slice(s![.., ..2]),
        Some(&blocks(80, 4)),
        "1,10",
        1e-3,
    );
}
