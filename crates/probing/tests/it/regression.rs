//! Ridge probes against scikit-learn.

use braintune_encoding::{Alphas, Precision};
use braintune_probing::{ProbingError, RidgeProbe, RidgeProbeValidParams, pearson_r};
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, s};

use crate::fixture::{Fixture, largest_difference};

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/regression/data.safetensors"));
const N: usize = 80;
const N_BOTH: usize = 110;

fn params(alphas: Vec<f64>) -> RidgeProbeValidParams {
    let alphas = Alphas::from_values(alphas).unwrap();
    RidgeProbe::params(alphas)
        .precision(Precision::Double)
        .check()
        .unwrap()
}

/// Relative to the largest; f64 inside, f32 coefficients out: half a unit in their last place is 6e-8.
fn assert_close(a: &Array2<f32>, b: &Array2<f64>) {
    let largest = b.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    let difference = largest_difference(a, b) / largest;
    assert!(difference < 1e-6, "{difference}");
}

#[test]
fn a_single_alpha_is_scikit_learns() {
    let (x, y) = (FIXTURE.f32("x"), FIXTURE.f32("y"));
    for (i, alpha) in FIXTURE.vector("alphas").into_iter().enumerate() {
        let probe = params(vec![alpha])
            .fit(x.slice(s![..N, ..]), y.slice(s![..N, ..]))
            .unwrap();
        assert_close(&probe.coef(), &FIXTURE.matrix(&format!("{i}.coef")));
        let test = x.slice(s![N_BOTH.., ..]);
        assert_close(
            &probe.predict(test).unwrap(),
            &FIXTURE.matrix(&format!("{i}.predicted")),
        );
        let intercept = probe.intercept().insert_axis(ndarray::Axis(0));
        let expected = FIXTURE
            .get(&format!("{i}.intercept"))
            .insert_axis(ndarray::Axis(0));
        assert_close(&intercept, &expected.into_dimensionality().unwrap());
        let scores = probe.score(test, y.slice(s![N_BOTH.., ..])).unwrap();
        for (a, b) in scores.r2.iter().zip(FIXTURE.vector(&format!("{i}.r2"))) {
            // Of f32 predictions.
            assert!((f64::from(*a) - b).abs() < 1e-6, "{a} {b}");
        }
    }
}

#[test]
fn alphas_are_chosen_on_validation_rows() {
    let (x, y) = (FIXTURE.f32("x"), FIXTURE.f32("y"));
    let part = |a: &Array2<f32>, from: usize, to: usize| a.slice(s![from..to, ..]).to_owned();
    let (train, valid) = (
        (part(&x, 0, N), part(&y, 0, N)),
        (part(&x, N, N_BOTH), part(&y, N, N_BOTH)),
    );
    let probe = params(FIXTURE.vector("alphas"))
        .fit_best(
            (train.0.view(), train.1.view()),
            (valid.0.view(), valid.1.view()),
        )
        .unwrap();
    assert_eq!(probe.best_alphas(), FIXTURE.vector("best"));
    assert_close(&probe.coef(), &FIXTURE.matrix("best.coef"));
    let scores = probe.validation_scores().to_owned() - FIXTURE.matrix("scores");
    assert!(
        scores.iter().all(|difference| difference.abs() < 1e-6),
        "{scores}"
    );
    let (x, y) = (x.slice(s![N_BOTH.., ..]), y.slice(s![N_BOTH.., ..]));
    let r = probe.score(x, y).unwrap().r;
    let again = pearson_r(y, probe.predict(x).unwrap().view()).unwrap();
    for ((a, b), c) in r.iter().zip(FIXTURE.vector("best.r")).zip(again) {
        assert!(
            (f64::from(*a) - b).abs() < 1e-6 && (c - b).abs() < 1e-6,
            "{a} {b} {c}"
        );
    }
}

#[test]
fn errors_are_passed_on() {
    let x = Array2::<f32>::zeros((5, 2));
    let fit = |alphas, y: ArrayView2<'_, f32>| params(alphas).fit(x.view(), y).err().unwrap();
    let y = Array2::zeros((4, 1));
    assert!(matches!(fit(vec![1.0], y.view()), ProbingError::Ridge(_)));
    assert!(matches!(
        fit(vec![1.0, 2.0], Array2::zeros((5, 1)).view()),
        ProbingError::Ridge(_)
    ));
    let narrow = x.slice(s![.., ..1]);
    let y = Array2::zeros((5, 1));
    let error = params(vec![1.0]).fit_best((x.view(), y.view()), (narrow, y.view()));
    assert!(matches!(error.err().unwrap(), ProbingError::Columns { .. }));
}
