//! Designs and folds at the edge of what can be: rounding must not decide.

use braintune_encoding::{
    CvScore, Delays, DesignMatrix, EncodingError, EncodingModel, Folds, Ridge, Solver,
};
use linfa::ParamGuard;
use ndarray::{Array2, Axis, concatenate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

fn normal(n: usize, m: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n, m), || rng.sample(StandardNormal))
}

fn folds(n: usize, n_groups: usize) -> Folds {
    let groups: Vec<i64> = (0..n)
        .map(|row| i64::try_from(row * n_groups / n).unwrap())
        .collect();
    Folds::leave_one_group_out(&groups).unwrap()
}

#[test]
fn repeated_features_give_the_same_scores_in_both_forms_under_tiny_penalties() {
    let x = normal(80, 8, 1);
    let repeated = concatenate(Axis(1), &vec![x.view(); 20]).unwrap();
    let weights = normal(8, 5, 2);
    let y = x.dot(&weights) + normal(80, 5, 3);
    let fit = |solver| {
        let model = Ridge::params("1e-5,1e-3,1".parse().unwrap())
            .folds(folds(80, 4))
            .solver(solver)
            .score(CvScore::NegMse)
            .check()
            .unwrap();
        model
            .fit(&DesignMatrix::from(repeated.clone()), y.view())
            .unwrap()
    };
    let (primal, dual) = (fit(Solver::Primal), fit(Solver::Dual));
    for (a, b) in primal.cv_scores().iter().zip(dual.cv_scores()) {
        assert!((a - b).abs() < 1e-5 * a.abs(), "{a} {b}");
    }
    assert_eq!(primal.best_alphas(), dual.best_alphas());
}

#[test]
fn a_score_on_other_rows_does_not_depend_on_the_mean_of_the_responses() {
    let (x, x_test) = (normal(100, 6, 1), normal(60, 6, 2));
    let weights = normal(6, 4, 3);
    let y = x.dot(&weights) + normal(100, 4, 4);
    let y_test = x_test.dot(&weights) + normal(60, 4, 5);
    // Whole numbers of 1/16 keep their bits about a million.
    let round = |y: Array2<f32>| y.mapv(|value| (value * 16.0).round() / 16.0);
    let (y, y_test) = (round(y), round(y_test));
    let score = |offset: f32| {
        let model = Ridge::params("1,10".parse().unwrap())
            .folds(folds(100, 5))
            .intercept(true)
            .check()
            .unwrap();
        let fitted = model
            .fit(&DesignMatrix::from(x.clone()), (&y + offset).view())
            .unwrap();
        fitted
            .score(x_test.view(), (&y_test + offset).view())
            .unwrap()
    };
    let (plain, shifted) = (score(0.0), score(1e6));
    for (a, b) in plain
        .0
        .iter()
        .zip(&shifted.0)
        .chain(plain.1.iter().zip(&shifted.1))
    {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn folds_of_single_rows_cannot_choose_by_a_relative_score() {
    let params = |score| {
        Ridge::params("1,10".parse().unwrap())
            .folds(folds(20, 20))
            .score(score)
            .check()
    };
    assert!(matches!(
        params(CvScore::R2),
        Err(EncodingError::SingleRows)
    ));
    assert!(matches!(
        params(CvScore::Correlation),
        Err(EncodingError::SingleRows)
    ));
    assert!(params(CvScore::NegMse).is_ok());
}

#[test]
fn delays_longer_than_any_story_are_refused() {
    for text in ["1,18446744073709551615", "9223372036854775807", "16777217"] {
        let error = text.parse::<Delays>().unwrap_err();
        assert!(matches!(error, EncodingError::LongDelay { .. }), "{error}");
    }
    assert!("0,16777216".parse::<Delays>().is_ok());
}
