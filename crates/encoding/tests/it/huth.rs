//! Bootstrap ridge on given held-out chunks, against NumPy in f64 from its definition.

use braintune_encoding::{
    Alphas, CvScore, DesignMatrix, EncodingModel, FittedRidge, Folds, Precision, Ridge, Solver,
    pearson_r, signed_sqrt_r2,
};
use linfa::ParamGuard;
use ndarray::{Array1, Array2, Array3, Ix1, Ix2, Ix3};

use crate::fixture::Fixture;

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/huth/data.safetensors"));

fn matrix(problem: &str, name: &str) -> Array2<f64> {
    let values = FIXTURE.get(&format!("{problem}.{name}"));
    values.into_dimensionality::<Ix2>().unwrap()
}

fn vector(problem: &str, name: &str) -> Array1<f64> {
    let values = FIXTURE.get(&format!("{problem}.{name}"));
    values.into_dimensionality::<Ix1>().unwrap()
}

#[allow(clippy::cast_possible_truncation)] // stored as f32
fn single(problem: &str, name: &str) -> Array2<f32> {
    matrix(problem, name).mapv(|x| x as f32)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn held_out(problem: &str) -> Vec<Vec<usize>> {
    let rows = matrix(problem, "held");
    let rows = rows.rows().into_iter();
    rows.map(|row| row.iter().map(|&row| row as usize).collect())
        .collect()
}

fn fit(problem: &str, solver: Solver, held_out: Vec<Vec<usize>>) -> FittedRidge {
    let (x, y) = (single(problem, "x"), single(problem, "y"));
    let folds = Folds::from_validation_rows(held_out, x.nrows()).unwrap();
    Ridge::params(Alphas::logspace(1.0, 4.0, 15).unwrap())
        .folds(folds)
        .score(CvScore::SignedSqrtR2)
        .precision(Precision::Double)
        .solver(solver)
        .check()
        .unwrap()
        .fit(&DesignMatrix::from(x), y.view())
        .unwrap()
}

fn worst<'a>(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = &'a f64>) -> f64 {
    let pairs = a.into_iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn a_boot_has_the_same_r2_before_the_root() {
    for problem in ["primal", "dual"] {
        let expected: Array3<f64> = FIXTURE
            .get(&format!("{problem}.r2"))
            .into_dimensionality::<Ix3>()
            .unwrap();
        for solver in [Solver::Primal, Solver::Dual] {
            for (boot, rows) in held_out(problem).into_iter().enumerate() {
                let fitted = fit(problem, solver, vec![rows]);
                let r2 = fitted
                    .cv_scores()
                    .mapv(|score| score.signum() * score * score);
                let worst = worst(r2, expected.index_axis(ndarray::Axis(0), boot));
                // f64 on both sides; condition numbers of at most 1e5.
                assert!(worst < 1e-10, "{problem} {solver:?} {boot}: {worst}");
            }
        }
    }
}

#[test]
fn alphas_weights_and_test_scores_are_the_same() {
    for problem in ["primal", "dual"] {
        for solver in [Solver::Auto, Solver::Primal, Solver::Dual] {
            let fitted = fit(problem, solver, held_out(problem));
            let scores = fitted.cv_scores().to_owned();
            // The root amplifies what is left near R² = 0.
            assert!(worst(scores, &matrix(problem, "scores")) < 1e-6);
            let alphas = vector(problem, "alphas");
            for (ours, theirs) in fitted.best_alphas().iter().zip(&alphas) {
                // No ties in these data: a tie would be all that could differ.
                assert!((ours / theirs - 1.0).abs() < 1e-12, "{ours} {theirs}");
            }
            let coef = fitted.coef().mapv(f64::from);
            // Weights up to 1, as f32.
            assert!(worst(coef, &matrix(problem, "weights")) < 1e-7);
            let (x, y) = (single(problem, "x_test"), single(problem, "y_test"));
            let predicted = fitted.predict(x.view()).unwrap();
            for (ours, name) in [
                (signed_sqrt_r2(y.view(), predicted.view()), "test_score"),
                (pearson_r(y.view(), predicted.view()), "test_r"),
            ] {
                // Predictions and scores are f32; squared, so that a root near 0 does not count.
                let square = |score: f64| score.signum() * score * score;
                let ours = ours.unwrap().mapv(f64::from).mapv(square);
                let worst = worst(ours, &vector(problem, name).mapv(square));
                assert!(worst < 1e-6, "{problem} {solver:?} {name}: {worst}");
            }
        }
    }
}

#[test]
fn the_shape_chooses_the_form() {
    for (problem, primal) in [("primal", true), ("dual", false)] {
        let x = single(problem, "x");
        let params = Ridge::params("10".parse().unwrap()).check().unwrap();
        assert_eq!(params.prepare(&x.into()).unwrap().is_primal(), primal);
    }
}
