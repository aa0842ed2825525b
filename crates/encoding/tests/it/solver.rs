//! Tiles, sources, threads, progress, grid edges, linfa.

use std::ops::{ControlFlow, Range};

use braintune_encoding::{
    CvScore, EncodingError, EncodingModel, FitProgress, FittedRidge, ResponseSource, RidgeSolver,
    Solver,
};
use linfa::{DatasetBase, ParamGuard, traits::Predict};
use ndarray::{Array2, Axis, concatenate, s};

use crate::problem::{Problem, normal};

const T: usize = RidgeSolver::TILE;

fn fit_with_threads(n: usize, problem: &Problem, solver: Solver) -> FittedRidge {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .build()
        .unwrap();
    let params = problem
        .params("logspace:0:3:8")
        .solver(solver)
        .check()
        .unwrap();
    pool.install(|| params.fit(&problem.design(), problem.y.view()).unwrap())
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let problem = Problem::new(120, 300, 2 * T + 17, 1);
    for solver in [Solver::Primal, Solver::Dual] {
        let (one, two) = (
            fit_with_threads(1, &problem, solver),
            fit_with_threads(2, &problem, solver),
        );
        assert_eq!(one.cv_scores(), two.cv_scores());
        assert_eq!(one.best_alphas(), two.best_alphas());
        assert_eq!(one.coef(), two.coef());
        let x = problem.x.slice(s![..9, ..]);
        assert_eq!(one.predict(x).unwrap(), two.predict(x).unwrap());
    }
}

#[test]
fn bits_do_not_depend_on_how_voxels_are_split() {
    let problem = Problem::new(90, 40, 2 * T + 30, 2);
    let params = problem.params("1,10,100").intercept(true).check().unwrap();
    let solver = params.prepare(&problem.design()).unwrap();
    let whole = solver.fit_voxels(problem.y.view()).unwrap();
    let parts = [0..T, T..2 * T + 30]
        .map(|voxels| solver.fit_voxels(problem.y.slice(s![.., voxels])).unwrap());
    let [a, b] = &parts;
    assert_eq!(
        whole.cv_scores(),
        concatenate![Axis(1), a.cv_scores(), b.cv_scores()]
    );
    assert_eq!(whole.coef(), concatenate![Axis(1), a.coef(), b.coef()]);
    let (a, b) = (a.intercept().unwrap(), b.intercept().unwrap());
    assert_eq!(whole.intercept().unwrap(), concatenate![Axis(0), a, b]);
}

#[test]
fn row_and_column_major_responses_give_the_same_bits() {
    let problem = Problem::new(50, 10, 7, 3);
    let solver = problem
        .params("1,10")
        .check()
        .unwrap()
        .prepare(&problem.design())
        .unwrap();
    let transposed = problem.y.t().as_standard_layout().to_owned();
    let a = solver.fit_voxels(problem.y.view()).unwrap();
    let b = solver.fit_voxels(transposed.t()).unwrap();
    assert_eq!(a.coef(), b.coef());
    assert_eq!(a.cv_scores(), b.cv_scores());
}

#[test]
fn a_source_gives_what_a_fit_in_memory_gives() {
    let problem = Problem::new(60, 20, 2 * T + 5, 4);
    let solver = problem
        .params("1,10,100")
        .check()
        .unwrap()
        .prepare(&problem.design())
        .unwrap();
    let whole = solver.fit_voxels(problem.y.view()).unwrap();
    assert_eq!(solver.voxels_per_part(0), T);
    let (mut seen, mut told) = (Vec::new(), Vec::new());
    let edges = solver
        .fit_source(
            &problem.y.view(),
            0,
            &mut |progress| {
                told.push(progress);
                ControlFlow::Continue(())
            },
            |voxels, fitted| {
                assert_eq!(fitted.best_alphas(), &whole.best_alphas()[voxels.clone()]);
                seen.push(voxels);
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert_eq!(seen, [0..T, T..2 * T, 2 * T..2 * T + 5]);
    assert_eq!(edges, whole.grid_edges());
    let total = 2 * T + 5;
    assert_eq!(
        told.last(),
        Some(&FitProgress::Fitted { done: total, total })
    );
}

#[test]
fn a_budget_is_a_multiple_of_the_tile_and_grows() {
    let problem = Problem::new(60, 20, 1, 5);
    let solver = problem
        .params("1,10")
        .check()
        .unwrap()
        .prepare(&problem.design())
        .unwrap();
    let sizes = [0, 1 << 24, 1 << 28, 1 << 32].map(|budget| solver.voxels_per_part(budget));
    assert!(sizes.iter().all(|size| size % T == 0));
    assert!(sizes.is_sorted() && sizes[3] > 10 * sizes[1]);
    assert!(solver.voxels_per_part(usize::MAX) > sizes[3]);
}

struct Broken;

impl ResponseSource for Broken {
    fn n_samples(&self) -> usize {
        60
    }

    fn n_voxels(&self) -> usize {
        3
    }

    fn read(
        &self,
        voxels: Range<usize>,
    ) -> Result<Array2<f32>, Box<dyn std::error::Error + Send + Sync>> {
        match voxels.len() {
            3 => Err("the disk is gone".into()),
            n => Ok(Array2::zeros((60, n))),
        }
    }
}

#[test]
fn a_source_that_fails_and_a_caller_that_stops_are_told_apart() {
    let problem = Problem::new(60, 20, 3, 6);
    let solver = problem
        .params("1,10")
        .check()
        .unwrap()
        .prepare(&problem.design())
        .unwrap();
    let mut go = |_| ControlFlow::Continue(());
    let error = solver
        .fit_source(&Broken, 0, &mut go, |_, _| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "could not read the responses of voxels 0..3"
    );
    assert_eq!(
        std::error::Error::source(&error).unwrap().to_string(),
        "the disk is gone"
    );
    let stopped = solver.fit_source(&problem.y.view(), 0, &mut go, |_, _| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(EncodingError::Cancelled)));
    let mut stop = |_| ControlFlow::Break(());
    let params = problem.params("1,10").check().unwrap();
    assert!(matches!(
        params.prepare_observed(&problem.design(), &mut stop),
        Err(EncodingError::Cancelled)
    ));
}

#[test]
fn voxels_at_the_ends_of_the_grid_are_counted() {
    let mut problem = Problem::new(80, 10, 100, 7);
    problem.y = normal(80, 100, 8);
    let clean = problem.x.dot(&normal(10, 30, 9));
    problem.y.slice_mut(s![.., ..30]).assign(&clean);
    let params = problem.params("0.1,10,100").check().unwrap();
    let edges = params
        .fit(&problem.design(), problem.y.view())
        .unwrap()
        .grid_edges();
    assert_eq!((edges.n_voxels(), edges.n_first()), (100, 30));
    assert!(edges.many_first() && edges.many_last() && edges.n_last() > 30);
    let single = problem.params("10").check().unwrap();
    let edges = single
        .fit(&problem.design(), problem.y.view())
        .unwrap()
        .grid_edges();
    assert_eq!((edges.n_first(), edges.n_last()), (0, 0));
}

#[test]
fn linfa_fits_and_predicts() {
    let problem = Problem::new(60, 8, 3, 10);
    let data = DatasetBase::new(problem.x.clone(), problem.y.clone());
    let params = problem.params("1,10").score(CvScore::Correlation);
    let fitted = linfa::traits::Fit::fit(&params, &data).unwrap();
    let predicted: Array2<f32> = Predict::predict(&fitted, &problem.x);
    assert_eq!(predicted, fitted.predict(problem.x.view()).unwrap());
    let unchecked = braintune_encoding::Ridge::params("1,10".parse().unwrap());
    let error = linfa::traits::Fit::fit(&unchecked, &data).err().unwrap();
    assert!(matches!(error, EncodingError::NeedsFolds { n_alphas: 2 }));
}
