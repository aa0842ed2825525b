//! Against scikit-learn, and what a fit promises.

use std::ops::ControlFlow;

use braintune_probing::{Classes, FitProgress, Logistic, ProbingError};
use linfa::ParamGuard;
use ndarray::{Array2, s};

use crate::{
    fixture::{Fixture, largest_difference},
    problem::problem,
};

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/logistic/data.safetensors"));

/// Of probabilities: what the tolerance of 1e-6 leaves. Coefficients and intercepts are off by more where
/// features go together, without that predictions are.
const TOLERANCE: f64 = 1e-4;

fn proba(name: &str, standardise: bool, c: f64) -> Array2<f32> {
    let (x, x_test) = (
        FIXTURE.f32(&format!("{name}.x")),
        FIXTURE.f32(&format!("{name}.x_test")),
    );
    let params = Logistic::params(c)
        .standardise(standardise)
        .check()
        .unwrap();
    let key = format!("{name}.y");
    if name == "labels" {
        let probe = params.fit(x.view(), FIXTURE.bools(&key).view()).unwrap();
        assert!(probe.report().converged, "{name} {c}");
        return probe.predict_proba(x_test.view()).unwrap();
    }
    let labels = FIXTURE.classes(&key);
    let n_classes = 1 + labels.iter().max().unwrap();
    let probe = params
        .fit(x.view(), Classes::new(&labels, n_classes).unwrap())
        .unwrap();
    assert!(probe.report().converged, "{name} {c}");
    probe.predict_proba(x_test.view()).unwrap()
}

#[test]
fn probabilities_are_scikit_learns() {
    for name in ["classes", "two", "labels"] {
        for (i, c) in FIXTURE.vector("cs").into_iter().enumerate() {
            for (kind, standardise) in [("plain", false), ("scaled", true)] {
                let expected = FIXTURE.matrix(&format!("{name}.{kind}.{i}.proba"));
                let difference = largest_difference(&proba(name, standardise, c), &expected);
                assert!(difference < TOLERANCE, "{name} {kind} C={c}: {difference}");
            }
        }
    }
}

#[test]
fn coefficients_are_those_of_the_features_as_given() {
    for name in ["classes", "two"] {
        let (x, labels) = (
            FIXTURE.f32(&format!("{name}.x")),
            FIXTURE.classes(&format!("{name}.y")),
        );
        let classes = Classes::new(&labels, 1 + labels.iter().max().unwrap()).unwrap();
        let params = Logistic::params(1.0).tolerance(1e-8).check().unwrap();
        let probe = params.fit(x.view(), classes).unwrap();
        // What f32 coefficients and a gradient of 1e-8 leave.
        let coef = FIXTURE.matrix(&format!("{name}.plain.1.coef"));
        let difference = largest_difference(&probe.coef().to_owned(), &coef);
        assert!(difference < 1e-5, "{name}: {difference} of {coef}");
        let intercept = FIXTURE.vector(&format!("{name}.plain.1.intercept"));
        for (a, b) in probe.intercept().iter().zip(&intercept) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        let scores = probe.scores(x.view()).unwrap();
        let by_hand = x.mapv(f64::from).dot(&probe.coef().mapv(f64::from)) + probe.intercept();
        assert!(largest_difference(&scores, &by_hand) < 1e-4);
    }
}

#[test]
fn a_tight_tolerance_is_reached_in_double_precision() {
    let problem = problem(300, 8, 4, 1.0, 1);
    let classes = Classes::new(&problem.labels, 4).unwrap();
    let params = Logistic::params(10.0).tolerance(1e-10).check().unwrap();
    let report = params.fit(problem.x.view(), classes).unwrap().report();
    assert!(report.converged && report.gradient <= 1e-10, "{report:?}");
}

#[test]
fn large_means_cost_no_digits() {
    let problem = problem(300, 6, 3, 1.0, 2);
    let classes = Classes::new(&problem.labels, 3).unwrap();
    // Multiples of 2^-10 stay exact in f32 when 4096 is added.
    let x = problem.x.mapv(|x| (x * 1024.0).round() / 1024.0);
    let params = Logistic::params(1.0).check().unwrap();
    let near = params
        .fit(x.view(), classes)
        .unwrap()
        .predict_proba(x.view())
        .unwrap();
    let far = &x + 4096.0;
    let far = params
        .fit(far.view(), classes)
        .unwrap()
        .predict_proba(far.view())
        .unwrap();
    assert!(largest_difference(&near, &far.mapv(f64::from)) < 1e-5);
}

#[test]
fn any_view_gives_the_same_fit() {
    let problem = problem(600, 5, 3, 1.0, 3);
    let labels: Vec<usize> = problem.labels.iter().step_by(2).copied().collect();
    let classes = Classes::new(&labels, 3).unwrap();
    let params = Logistic::params(1.0).check().unwrap();
    let strided = problem.x.slice(s![..;2, ..;-1]);
    let a = params.fit(strided, classes).unwrap();
    let b = params.fit(strided.to_owned().view(), classes).unwrap();
    assert_eq!(a.coef(), b.coef());
    let columns = strided.reversed_axes().to_owned();
    let c = params.fit(columns.t(), classes).unwrap();
    assert_eq!(a.coef(), c.coef());
}

#[test]
fn a_fit_can_be_watched_and_stopped() {
    let problem = problem(200, 5, 3, 1.0, 4);
    let classes = Classes::new(&problem.labels, 3).unwrap();
    let params = Logistic::params(1.0).check().unwrap();
    let mut losses = Vec::new();
    let probe = params
        .fit_observed(problem.x.view(), classes, &mut |progress| {
            if let FitProgress::Step { loss, .. } = progress {
                losses.push(loss);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(losses.len(), probe.report().n_steps);
    // Near the minimum by what f32 leaves of a loss.
    assert!(losses.is_sorted_by(|a, b| *b <= a + 1e-8), "{losses:?}");
    let stopped = params.fit_observed(problem.x.view(), classes, &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(ProbingError::Cancelled)));
}

#[test]
fn constant_and_repeated_features_do_no_harm() {
    let problem = problem(200, 4, 3, 1.0, 5);
    let classes = Classes::new(&problem.labels, 3).unwrap();
    let mut x = ndarray::concatenate![
        ndarray::Axis(1),
        problem.x,
        problem.x,
        Array2::from_elem((200, 1), 7.3)
    ];
    x.column_mut(0).fill(0.0);
    for standardise in [false, true] {
        let params = Logistic::params(1.0)
            .standardise(standardise)
            .check()
            .unwrap();
        let probe = params.fit(x.view(), classes).unwrap();
        assert!(probe.report().converged);
        assert_eq!(probe.coef()[(8, 0)], 0.0);
        assert!(
            probe
                .predict_proba(x.view())
                .unwrap()
                .iter()
                .all(|p| p.is_finite())
        );
    }
}

#[test]
fn separable_classes_have_a_finite_fit() {
    let problem = problem(300, 6, 3, 0.0, 6);
    let classes = Classes::new(&problem.labels, 3).unwrap();
    let params = Logistic::params(1e4).check().unwrap();
    let probe = params.fit(problem.x.view(), classes).unwrap();
    assert!(probe.report().converged);
    assert_eq!(
        probe.predict(problem.x.view()).unwrap().to_vec(),
        problem.labels
    );
}

#[test]
fn few_steps_end_unfinished() {
    let problem = problem(300, 6, 3, 1.0, 7);
    let classes = Classes::new(&problem.labels, 3).unwrap();
    let params = Logistic::params(1.0).max_steps(2).check().unwrap();
    let report = params.fit(problem.x.view(), classes).unwrap().report();
    assert!(!report.converged && report.n_steps == 2);
}
