//! One alpha for several voxels, and a precision that is asked for.

use std::ops::ControlFlow;

use braintune_encoding::{
    AlphaSharing, EncodingError, EncodingModel, FittedRidge, Precision, RidgeSolver,
};
use linfa::ParamGuard;
use ndarray::{Array2, Axis, s};

use crate::problem::{Problem, dense_cv_r2, dense_ridge, largest_difference, wide};

const ALPHAS: &str = "1,3,10,30,100";

/// Place of the first highest mean of the dense scores over `voxels`.
fn dense_choice(problem: &Problem, voxels: &[usize]) -> f64 {
    let alphas: Vec<f64> = ALPHAS.split(',').map(|a| a.parse().unwrap()).collect();
    let score = |&alpha: &f64| {
        let scores = dense_cv_r2(problem, &problem.folds(), alpha);
        scores.select(Axis(0), voxels).mean().unwrap()
    };
    let scores: Vec<f64> = alphas.iter().map(score).collect();
    let best = (0..alphas.len())
        .rev()
        .max_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    alphas[best.unwrap()]
}

fn fit(problem: &Problem, sharing: AlphaSharing) -> FittedRidge {
    let params = problem
        .params(ALPHAS)
        .alpha_sharing(sharing)
        .check()
        .unwrap();
    params.fit(&problem.design(), problem.y.view()).unwrap()
}

#[test]
fn voxels_that_share_an_alpha_take_the_best_mean() {
    let problem = Problem::new(80, 30, 24, 11);
    let all: Vec<usize> = (0..24).collect();
    let fitted = fit(&problem, AlphaSharing::OneForAll);
    let alpha = dense_choice(&problem, &all);
    assert!(fitted.best_alphas().iter().all(|&a| a == alpha));
    let dense = dense_ridge(
        &wide(problem.x.view()),
        &wide(problem.y.view()),
        alpha * alpha,
    );
    // f32 sums of 80 terms.
    assert!(largest_difference(&fitted.coef(), &dense) < 1e-5);

    let groups: Vec<usize> = all.iter().map(|voxel| voxel % 3).collect();
    let fitted = fit(&problem, AlphaSharing::PerGroup(groups));
    for group in 0..3 {
        let voxels: Vec<usize> = all.iter().copied().filter(|v| v % 3 == group).collect();
        let alpha = dense_choice(&problem, &voxels);
        assert!(
            voxels
                .iter()
                .all(|&voxel| fitted.best_alphas()[voxel] == alpha)
        );
    }
    let each: Vec<usize> = (0..24).collect();
    let own = fit(&problem, AlphaSharing::PerGroup(each));
    assert_eq!(
        own.best_alphas(),
        fit(&problem, AlphaSharing::PerVoxel).best_alphas()
    );
}

#[test]
fn a_source_read_in_parts_shares_the_same_alpha() {
    let n = 2 * RidgeSolver::TILE + 40;
    let problem = Problem::new(60, 20, n, 12);
    let params = problem
        .params(ALPHAS)
        .alpha_sharing(AlphaSharing::OneForAll)
        .check()
        .unwrap();
    let solver = params.prepare(&problem.design()).unwrap();
    let whole = solver.fit_voxels(problem.y.view()).unwrap();
    let (mut alphas, mut scores, mut heard) = (Vec::new(), Array2::zeros((5, 0)), Vec::new());
    let edges = solver.fit_source(
        &problem.y.view(),
        0, // the least there is: a tile at a time
        &mut |progress| {
            heard.push(format!("{progress:?}"));
            ControlFlow::Continue(())
        },
        |voxels, fitted| {
            alphas.extend_from_slice(fitted.best_alphas());
            scores.append(Axis(1), fitted.cv_scores()).unwrap();
            assert_eq!(fitted.coef(), whole.coef().slice(s![.., voxels]));
            ControlFlow::Continue(())
        },
    );
    assert_eq!(alphas, whole.best_alphas());
    assert_eq!(scores, whole.cv_scores());
    assert_eq!(edges.unwrap().n_voxels(), n);
    let last = format!("Fitted {{ done: {0}, total: {0} }}", 2 * n);
    assert_eq!(heard.last(), Some(&last));
}

#[test]
fn labels_that_do_not_fit_the_voxels_are_refused() {
    let problem = Problem::new(40, 5, 6, 13);
    let refused = |groups: Vec<usize>| {
        let params = problem
            .params(ALPHAS)
            .alpha_sharing(AlphaSharing::PerGroup(groups));
        let params = params.check().unwrap();
        params
            .fit(&problem.design(), problem.y.view())
            .err()
            .unwrap()
    };
    assert!(matches!(
        refused(vec![0; 5]),
        EncodingError::AlphaGroups {
            n_labels: 5,
            n_voxels: 6
        }
    ));
    assert!(matches!(
        refused(vec![0, 0, 0, 0, 0, usize::MAX]),
        EncodingError::AlphaGroup {
            largest: usize::MAX,
            ..
        }
    ));
}

#[test]
fn the_precision_asked_for_is_used() {
    let problem = Problem::new(50, 12, 5, 14);
    let solver = |alphas, precision| {
        let params = problem.params(alphas).precision(precision).check().unwrap();
        params.prepare(&problem.design()).unwrap()
    };
    assert_eq!(
        solver("10,20", Precision::Double).precision(),
        Precision::Double
    );
    assert_eq!(
        solver("1e-4,1", Precision::Single).precision(),
        Precision::Single
    );
}
