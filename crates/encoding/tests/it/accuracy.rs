//! The error that a fit reports.

use braintune_encoding::{EncodingModel, Precision, Solver};
use linfa::ParamGuard;
use ndarray::ArrayView1;

use crate::problem::{Problem, dense_ridge, wide};

#[test]
fn the_reported_error_is_the_distance_to_a_dense_f64_solve() {
    let problem = Problem::new(90, 40, 7, 15);
    let x = wide(problem.x.view());
    for solver in [Solver::Primal, Solver::Dual] {
        for (precision, most) in [(Precision::Single, 1e-3), (Precision::Double, 1e-11)] {
            // One alpha, small: errors of single precision are large enough to be told.
            let params = problem.params("0.3").solver(solver).precision(precision);
            let fitted = params.check().unwrap();
            let fitted = fitted.fit(&problem.design(), problem.y.view()).unwrap();
            let reported = fitted.numerical_error();
            assert_eq!(reported.n_voxels, 3);
            assert!(
                reported.largest < most,
                "{solver:?} {precision:?} {reported:?}"
            );
            let exact = x.dot(&dense_ridge(&x, &wide(problem.y.view()), 0.09));
            let predicted = wide(fitted.predict(problem.x.view()).unwrap().view());
            let norm = |v: ArrayView1<'_, f64>| v.dot(&v).sqrt();
            let measured = [0, 2, 4].map(|voxel| {
                let change = &predicted.column(voxel) - &exact.column(voxel);
                norm(change.view()) / norm(exact.column(voxel))
            });
            let measured = measured.into_iter().fold(0.0, f64::max);
            if precision == Precision::Single {
                // Predictions carry the rounding of their own f32 sums besides.
                let ratio = measured / reported.largest;
                assert!(
                    (0.2..5.0).contains(&ratio),
                    "{solver:?}: {measured} {reported:?}"
                );
            }
        }
    }
}
