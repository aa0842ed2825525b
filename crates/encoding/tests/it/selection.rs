//! The chosen alpha is the grid's best: shared filters and f32 against every filter alone in f64.

use braintune_encoding::{EncodingModel, Precision, Solver};
use linfa::ParamGuard;
use ndarray::Array2;

use crate::problem::{Problem, normal};

/// Score difference below which two alphas are as good as each other.
const TIE: f64 = 1e-6;

#[test]
fn chosen_alphas_are_the_best_of_the_grid() {
    let (n_samples, n_features, n_voxels) = (240, 96, 4_000);
    for (solver, spread) in [
        (Solver::Primal, 0.0),
        (Solver::Primal, 3.0),
        (Solver::Dual, 2.0),
    ] {
        let mut problem = Problem::new(n_samples, n_features, n_voxels, 11);
        // Eigenvalues from flat to over six decades; half of the voxels are noise.
        for (j, mut column) in problem.x.columns_mut().into_iter().enumerate() {
            column *= 10f32.powf(-spread * j as f32 / n_features as f32);
        }
        let noise = normal(n_samples, n_voxels / 2, 12);
        problem
            .y
            .slice_mut(ndarray::s![.., ..n_voxels / 2])
            .assign(&noise);
        let fit = |precision| {
            let params = problem
                .params("logspace:0:3:15")
                .solver(solver)
                .precision(precision);
            params
                .check()
                .unwrap()
                .fit(&problem.design(), problem.y.view())
                .unwrap()
        };
        let (exact, ours) = (fit(Precision::Double), fit(Precision::Single));
        let scores: Array2<f64> = exact.cv_scores().to_owned();
        let alphas = "logspace:0:3:15"
            .parse::<braintune_encoding::Alphas>()
            .unwrap();
        let place = |alpha: f64| alphas.as_slice().iter().position(|&a| a == alpha).unwrap();
        let pairs = exact.best_alphas().iter().zip(ours.best_alphas());
        let wrong = pairs
            .enumerate()
            .filter(|(voxel, (best, chosen))| {
                let lost = scores[(place(**best), *voxel)] - scores[(place(**chosen), *voxel)];
                lost > TIE
            })
            .count();
        assert_eq!(wrong, 0, "{solver:?} {spread}");
        let error = (&scores - &ours.cv_scores()).mapv(f64::abs);
        let worst = error.iter().copied().fold(0.0, f64::max);
        // Eigenvalues err by some 2^-24 of the largest (about 500), next to a smallest penalty of 1.
        assert!(worst < 1e-4, "{solver:?} {spread}: {worst}");
    }
}
