//! Fits from features before their delays against the same fits on the delayed matrix.

use std::ops::ControlFlow;

use braintune_encoding::{
    Alphas, CvScore, EncodingError, FirDesign, FittedRidge, Folds, Precision, Ridge, RidgeSolver,
    Solver,
};
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, concatenate, s};

use crate::problem::normal;

/// Samples of the stories; a delay of 4 reaches past one of them.
const STORIES: [usize; 5] = [40, 4, 37, 50, 31];

fn stories(seed: u64) -> Vec<Array2<f32>> {
    let story = |(i, &n): (usize, &usize)| normal(n, 6, seed + i as u64);
    STORIES.iter().enumerate().map(story).collect()
}

fn design(stories: &[Array2<f32>], delays: &str) -> FirDesign {
    let views: Vec<ArrayView2<'_, f32>> = stories.iter().map(Array2::view).collect();
    FirDesign::new(&views, delays.parse().unwrap()).unwrap()
}

/// Responses that follow the delayed features, with noise.
fn responses(x: &FirDesign) -> Array2<f32> {
    let x = x.to_design();
    let weights = normal(x.n_features(), 9, 70) * 0.3;
    x.view().dot(&weights) + normal(x.n_samples(), 9, 71)
}

fn story_folds() -> Folds {
    let labels = STORIES
        .iter()
        .zip(0..)
        .flat_map(|(&n, label)| vec![label; n]);
    Folds::leave_one_group_out(&labels.collect::<Vec<i64>>()).unwrap()
}

fn both(x: &FirDesign, alphas: &str, solver: Solver, folds: &Folds) -> [FittedRidge; 2] {
    let params = Ridge::params(alphas.parse::<Alphas>().unwrap())
        .folds(folds.clone())
        .score(CvScore::R2)
        .solver(solver)
        .check()
        .unwrap();
    let fir = params
        .prepare_fir(x, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    let plain = params.prepare(&x.to_design()).unwrap();
    assert_eq!(fir.precision(), plain.precision());
    assert_eq!(fir.is_primal(), plain.is_primal());
    let y = responses(x);
    [fir, plain].map(|solver: RidgeSolver| solver.fit_voxels(y.view()).unwrap())
}

/// R² of the story of four samples is far below 0: differences are parts of 1 + |score|.
fn scores_differ(a: &FittedRidge, b: &FittedRidge) -> f64 {
    let (a, b) = (a.cv_scores(), b.cv_scores());
    let part = |(a, b): (&f64, &f64)| (a - b).abs() / (1.0 + b.abs());
    a.iter().zip(b).map(part).fold(0.0, f64::max)
}

fn difference(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn shifted_sums_give_the_fit_on_the_delayed_matrix() {
    let n_samples = STORIES.iter().sum();
    let chunks = Folds::bootstrap_chunks(n_samples, 3, 7, 5, 1).unwrap();
    for delays in ["0", "1,2,3,4", "4,1,2", "0,3"] {
        let x = design(&stories(3), delays);
        for solver in [Solver::Primal, Solver::Dual] {
            for folds in [&story_folds(), &chunks] {
                let [fir, plain] = both(&x, "logspace:0:3:8", solver, folds);
                assert_eq!(fir.best_alphas(), plain.best_alphas(), "{delays}");
                // f32 sums of some 150 terms in another order, behind a smallest penalty that is a
                // few hundredths of the largest eigenvalue; R² of four samples magnifies them.
                let scores = scores_differ(&fir, &plain);
                assert!(scores < 1e-4, "{delays} {solver:?}: {scores}");
                assert!(difference(&fir.coef(), &plain.coef()) < 1e-4);
                let test = x.to_design().view().slice(s![..20, ..]).to_owned();
                let predict = |fitted: &FittedRidge| fitted.predict(test.view()).unwrap();
                assert!(difference(&predict(&fir), &predict(&plain)) < 1e-4);
            }
        }
    }
}

#[test]
fn in_double_precision_the_two_agree_to_rounding() {
    let x = design(&stories(9), "1,2,3");
    for solver in [Solver::Primal, Solver::Dual] {
        // Penalties at which single precision is not safe.
        let [fir, plain] = both(&x, "1e-2,2e-2", solver, &story_folds());
        // f64 sums behind a smallest penalty that is 1e-7 of the largest eigenvalue.
        let scores = scores_differ(&fir, &plain);
        assert!(scores < 1e-8, "{solver:?}: {scores}");
    }
    let params = Ridge::params("1e-4".parse().unwrap()).check().unwrap();
    let solver = params.prepare_fir(&x, &mut |_| ControlFlow::Continue(()));
    assert_eq!(solver.unwrap().precision(), Precision::Double);
}

#[test]
fn an_intercept_is_that_of_the_delayed_matrix() {
    let x = design(&stories(4), "1,2");
    let params = Ridge::params("1,10".parse().unwrap())
        .folds(story_folds())
        .intercept(true)
        .check()
        .unwrap();
    let y = responses(&x);
    let fir = params.prepare_fir(&x, &mut |_| ControlFlow::Continue(()));
    let fir = fir.unwrap().fit_voxels(y.view()).unwrap();
    let plain = params.prepare(&x.to_design()).unwrap();
    let plain = plain.fit_voxels(y.view()).unwrap();
    assert_eq!(fir.intercept(), plain.intercept());
    assert_eq!(fir.coef(), plain.coef());
}

#[test]
fn the_delayed_matrix_is_that_of_delays() {
    let stories = stories(5);
    let views: Vec<_> = stories.iter().map(Array2::view).collect();
    let x = design(&stories, "2,0,45");
    let delayed = x.delays().apply_stories(&views).unwrap();
    assert_eq!(x.to_design().view(), delayed);
    assert_eq!(x.n_features(), delayed.ncols());
    assert_eq!(x.story_lengths(), STORIES);
    assert_eq!(
        x.undelayed(),
        concatenate(ndarray::Axis(0), &views).unwrap()
    );
}

#[test]
fn stories_that_do_not_fit_are_refused() {
    let (a, b) = (normal(5, 2, 1), normal(5, 3, 2));
    let refused = |stories: &[ArrayView2<'_, f32>]| {
        FirDesign::new(stories, "1".parse().unwrap()).unwrap_err()
    };
    assert!(matches!(
        refused(&[a.view(), b.view()]),
        EncodingError::Columns { expected: 2, .. }
    ));
    assert!(matches!(refused(&[]), EncodingError::Empty { .. }));
    let none = Array2::zeros((0, 2));
    assert!(matches!(
        refused(&[a.view(), none.view()]),
        EncodingError::Empty { .. }
    ));
}
