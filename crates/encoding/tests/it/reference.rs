//! Against himalaya, scikit-learn and a transcription of `ridge_corr`'s score.

use braintune_encoding::{
    Alphas, CvScore, DesignMatrix, EncodingModel, FittedRidge, Folds, Ridge, Solver,
};
use linfa::ParamGuard;
use ndarray::{Array2, s};
use safetensors::SafeTensors;

use crate::problem::largest_difference;

const FIXTURE: &[u8] = include_bytes!("../fixtures/ridge/data.safetensors");
const FORMS: [(&str, Solver); 2] = [("primal", Solver::Primal), ("dual", Solver::Dual)];
const SCORES: [(&str, CvScore); 3] = [
    ("r2", CvScore::R2),
    ("neg_mse", CvScore::NegMse),
    ("corr", CvScore::Correlation),
];

/// Both sides compute the same formula, ours in f32. The eigenvalues err by some `2^-24 λ_max`, here
/// up to a thousand times the smallest penalty: a few times `1000 * 2^-24` of each number remain.
const TOLERANCE: f64 = 1e-4;

fn numbers(name: &str) -> (Vec<usize>, Vec<f64>) {
    let file = SafeTensors::deserialize(FIXTURE).unwrap();
    let tensor = file.tensor(name).unwrap();
    let values = match tensor.dtype() {
        safetensors::Dtype::F64 => floats(tensor.data(), f64::from_le_bytes),
        safetensors::Dtype::F32 => floats(tensor.data(), |b| f64::from(f32::from_le_bytes(b))),
        safetensors::Dtype::I64 => floats(tensor.data(), |b| i64::from_le_bytes(b) as f64),
        other => panic!("{other:?}"),
    };
    (tensor.shape().to_vec(), values)
}

fn floats<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| read(bytes))
        .collect()
}

fn array(name: &str) -> Array2<f64> {
    let (shape, values) = numbers(name);
    Array2::from_shape_vec((shape[0], shape[1]), values).unwrap()
}

#[allow(clippy::cast_possible_truncation)]
fn single(name: &str) -> Array2<f32> {
    array(name).mapv(|value| value as f32)
}

#[allow(clippy::cast_possible_truncation)]
fn fit(form: &str, solver: Solver, score: CvScore, intercept: bool) -> FittedRidge {
    let groups: Vec<i64> = numbers(&format!("{form}.groups"))
        .1
        .iter()
        .map(|&g| g as i64)
        .collect();
    Ridge::params(Alphas::from_values(numbers("alphas").1).unwrap())
        .folds(Folds::leave_one_group_out(&groups).unwrap())
        .score(score)
        .solver(solver)
        .intercept(intercept)
        .check()
        .unwrap()
        .fit(
            &DesignMatrix::from(single(&format!("{form}.x"))),
            single(&format!("{form}.y")).view(),
        )
        .unwrap()
}

fn assert_scores(got: &FittedRidge, expected: &Array2<f64>, what: &str) {
    assert_eq!(got.cv_scores().dim(), expected.dim());
    let worst = got
        .cv_scores()
        .iter()
        .zip(expected)
        .map(|(got, expected)| (got - expected).abs() / (1.0 + expected.abs()))
        .fold(0.0, f64::max);
    assert!(worst < TOLERANCE, "{what}: {worst}");
}

#[test]
fn scores_and_alphas_are_himalayas() {
    for (form, _) in FORMS {
        for (_, solver) in FORMS {
            for (kind, intercept) in [("plain", false), ("intercept", true)] {
                for (name, score) in SCORES {
                    let what = format!("{form}.{kind}.{name}");
                    let fitted = fit(form, solver, score, intercept);
                    assert_scores(&fitted, &array(&what), &what);
                    let best = numbers(&format!("{what}.best")).1;
                    for (got, expected) in fitted.best_alphas().iter().zip(best) {
                        assert!((got / expected - 1.0).abs() < 1e-9, "{what}");
                    }
                }
            }
        }
    }
}

#[test]
fn weights_and_predictions_are_scikit_learns() {
    for (form, _) in FORMS {
        for (_, solver) in FORMS {
            for (kind, intercept) in [("plain", false), ("intercept", true)] {
                let fitted = fit(form, solver, CvScore::R2, intercept);
                let what = format!("{form}.{kind}");
                let coef = largest_difference(&fitted.coef(), &array(&format!("{what}.coef")));
                assert!(coef < TOLERANCE, "{what}: {coef}");
                let x_test = single(&format!("{form}.x_test"));
                let predicted = fitted.predict(x_test.view()).unwrap();
                let worst = largest_difference(&predicted, &array(&format!("{what}.predicted")));
                assert!(worst < TOLERANCE, "{what}: {worst}");
                assert_eq!(fitted.intercept().is_some(), intercept);
                if let Some(offset) = fitted.intercept() {
                    let by_hand = x_test.dot(&fitted.coef()) + &offset;
                    let worst = (by_hand - predicted)
                        .iter()
                        .fold(0.0f32, |w, d| w.max(d.abs()));
                    assert!(worst < 1e-4, "{what}: {worst}");
                }
            }
        }
    }
}

#[test]
fn signed_sqrt_r2_is_huthlabs() {
    for (form, solver) in FORMS {
        let fitted = fit(form, solver, CvScore::SignedSqrtR2, false);
        let expected = array(&format!("{form}.plain.signed_sqrt"));
        // The root magnifies differences near 0, where it is steep: compare the squares.
        let squared = |score: f64| score * score.abs();
        let worst = fitted
            .cv_scores()
            .iter()
            .zip(&expected)
            .map(|(&a, &b)| (squared(a) - squared(b)).abs())
            .fold(0.0, f64::max);
        assert!(worst < TOLERANCE, "{form}: {worst}");
        assert!(expected.slice(s![0, ..]).iter().any(|&score| score < 0.0) || form == "primal");
    }
}
