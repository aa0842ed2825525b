//! Against dense normal equations in f64.

use braintune_encoding::{DesignMatrix, EncodingModel, Folds, Precision, Ridge, Solver, zscore};
use linfa::ParamGuard;
use ndarray::{Array2, s};

use crate::problem::{Problem, dense_cv_r2, dense_ridge, largest_difference, normal, wide};

#[test]
fn weights_solve_the_normal_equations() {
    for (n_samples, n_features) in [(80, 30), (30, 80)] {
        let problem = Problem::new(n_samples, n_features, 5, 1);
        for solver in [Solver::Auto, Solver::Primal, Solver::Dual] {
            for alpha in [0.5, 20.0] {
                let fitted = Ridge::params(alpha.to_string().parse().unwrap())
                    .solver(solver)
                    .check()
                    .unwrap()
                    .fit(&problem.design(), problem.y.view())
                    .unwrap();
                let (x, y) = (wide(problem.x.view()), wide(problem.y.view()));
                let expected = dense_ridge(&x, &y, alpha * alpha);
                // Weights of order 1; eigenvalues err by some 2^-24 λ_max, about 1e-4 of the smaller
                // penalty.
                let worst = largest_difference(&fitted.coef(), &expected);
                assert!(worst < 2e-4, "{worst}");
                let predicted = fitted.predict(problem.x.view()).unwrap();
                assert!(largest_difference(&predicted, &x.dot(&expected)) < 2e-3);
                assert_eq!(fitted.cv_scores().dim(), (0, 5));
            }
        }
    }
}

#[test]
fn scores_are_those_of_dense_solves() {
    // Many features, so that the filters of the fold's eigenvalues are combined from few.
    let problem = Problem::new(400, 240, 3, 2);
    let alphas = "logspace:0:3:12";
    let overlapping = Folds::bootstrap_chunks(400, 3, 20, 5, 9).unwrap();
    for folds in [problem.folds(), overlapping] {
        let params = problem.params(alphas).folds(folds.clone()).check().unwrap();
        let fitted = params.fit(&problem.design(), problem.y.view()).unwrap();
        for (i, &alpha) in params.alphas().as_slice().iter().enumerate() {
            let expected = dense_cv_r2(&problem, &folds, alpha);
            for (got, expected) in fitted.cv_scores().row(i).iter().zip(&expected) {
                // Scores of order 1; eigenvalues err by some 2^-24 λ_max, at alpha 1 about 1e-4 of
                // the smallest eigenvalue and the penalty together.
                assert!(
                    (got - expected).abs() < 1e-4,
                    "alpha {alpha}: {got} {expected}"
                );
            }
        }
    }
}

#[test]
fn small_alphas_switch_to_double_precision_and_stay_right() {
    let mut problem = Problem::new(60, 25, 4, 3);
    // Two columns that are nearly one: the smallest eigenvalue is about 1e-6 of the largest.
    let twin = &problem.x.column(0) + &(normal(60, 1, 8).column(0).to_owned() * 1e-3);
    problem.x.column_mut(1).assign(&twin);
    for solver in [Solver::Primal, Solver::Dual] {
        let params = problem.params("1e-3,1").solver(solver).check().unwrap();
        let prepared = params.prepare(&problem.design()).unwrap();
        assert_eq!(prepared.precision(), Precision::Double);
        let fitted = prepared.fit_voxels(problem.y.view()).unwrap();
        let expected = dense_cv_r2(&problem, &problem.folds(), 1e-3);
        for (got, expected) in fitted.cv_scores().row(0).iter().zip(&expected) {
            // Double precision throughout, condition number 1e6.
            assert!((got - expected).abs() < 1e-8, "{got} {expected}");
        }
        let single = Ridge::params("1e-3".parse().unwrap())
            .solver(solver)
            .check()
            .unwrap();
        let coef = single
            .fit(&problem.design(), problem.y.view())
            .unwrap()
            .coef();
        let dense = dense_ridge(&wide(problem.x.view()), &wide(problem.y.view()), 1e-6);
        let size = dense.iter().fold(0.0, |size: f64, w| size.max(w.abs()));
        // Rounding to f32 at the end.
        assert!(largest_difference(&coef, &dense) < 1e-6 * size);
    }
    let safe = problem.params("10").check().unwrap();
    assert_eq!(
        safe.prepare(&problem.design()).unwrap().precision(),
        Precision::Single
    );
}

#[test]
fn single_precision_is_right_down_to_where_it_ends() {
    for (n_samples, n_features, solver) in [
        (300, 100, Solver::Primal),
        (300, 100, Solver::Dual),
        (120, 200, Solver::Primal),
        (120, 200, Solver::Dual),
    ] {
        let problem = steep(n_samples, n_features);
        let smallest = smallest_single(&problem, solver);
        let factors = [1.0, 3.0, 30.0];
        let alphas = factors
            .map(|factor| (factor * smallest).to_string())
            .join(",");
        let params = problem.params(&alphas).solver(solver).check().unwrap();
        let fitted = params.fit(&problem.design(), problem.y.view()).unwrap();
        // Single precision is given up where its rounding reaches a hundredth of the smallest
        // penalty. What is left of that in a score falls with the penalty.
        for (row, tolerance) in [1e-3, 1e-4, 5e-6].into_iter().enumerate() {
            let expected = dense_cv_r2(&problem, &problem.folds(), factors[row] * smallest);
            for (got, expected) in fitted.cv_scores().row(row).iter().zip(&expected) {
                let error = (got - expected).abs() / (1.0 + expected.abs());
                assert!(error < tolerance, "{solver:?} {}: {error}", factors[row]);
            }
        }
    }
}

/// Features on common axes, as hidden states are: the eigenvalues fall off fast.
fn steep(n_samples: usize, n_features: usize) -> Problem {
    let mut problem = Problem::new(n_samples, n_features, 6, 4);
    let mix = Array2::from_shape_fn((n_features, n_features), |(i, j)| {
        ((i * j + i) as f32).cos() / ((i + 1) as f32).powf(0.75)
    });
    problem.x = zscore(problem.x.dot(&mix).view());
    problem
}

/// About the smallest alpha that single precision is used for.
fn smallest_single(problem: &Problem, solver: Solver) -> f64 {
    let (mut low, mut high) = (1e-3f64, 1e3f64);
    while high / low > 1.01 {
        let middle = (low * high).sqrt();
        let params = problem
            .params(&middle.to_string())
            .solver(solver)
            .check()
            .unwrap();
        match params.prepare(&problem.design()).unwrap().precision() {
            Precision::Single => high = middle,
            Precision::Double => low = middle,
        }
    }
    high
}

#[test]
fn columns_that_depend_on_each_other_and_a_tiny_alpha_give_the_least_weights() {
    let x = normal(40, 6, 5);
    let y = x.dot(&normal(6, 2, 6));
    let twice = ndarray::concatenate![ndarray::Axis(1), x, x];
    for solver in [Solver::Primal, Solver::Dual] {
        let params = Ridge::params("1e-200".parse().unwrap())
            .solver(solver)
            .check()
            .unwrap();
        let fitted = params
            .fit(&DesignMatrix::from(twice.clone()), y.view())
            .unwrap();
        let coef = fitted.coef();
        let (left, right) = (coef.slice(s![..6, ..]), coef.slice(s![6.., ..]));
        assert!((&left - &right).iter().all(|d| d.abs() < 1e-5));
        let predicted = fitted.predict(twice.view()).unwrap();
        assert!((&predicted - &y).iter().all(|d| d.abs() < 1e-4));
    }
}

#[test]
fn features_without_variance_predict_nothing() {
    let y = normal(20, 3, 7);
    let params = Ridge::params("1e-200,1".parse().unwrap())
        .folds(Folds::leave_one_group_out(&[[0; 10], [1; 10]].concat()).unwrap())
        .check()
        .unwrap();
    let fitted = params
        .fit(&Array2::zeros((20, 4)).into(), y.view())
        .unwrap();
    assert_eq!(fitted.coef(), Array2::<f32>::zeros((4, 3)));
    assert!(fitted.cv_scores().iter().all(|score| score.is_finite()));
}

#[test]
fn constant_responses_score_zero() {
    let problem = Problem::new(40, 5, 2, 8);
    let mut y = problem.y.clone();
    y.column_mut(1).fill(0.1);
    let fitted = problem
        .params("1,10")
        .check()
        .unwrap()
        .fit(&problem.design(), y.view())
        .unwrap();
    assert_eq!(fitted.cv_scores().column(1).to_vec(), [0.0, 0.0]);
    assert_eq!(fitted.best_alphas()[1], 1.0);
}
