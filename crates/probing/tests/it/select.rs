//! C chosen on validation rows.

use braintune_probing::{BestFit, Classes, Criterion, LabelCounts, Logistic, ProbingError};
use linfa::ParamGuard;
use ndarray::{Array1, Axis};

use crate::{fixture::largest_difference, problem::problem};

const CS: [f64; 4] = [10.0, 0.001, 1000.0, 0.1];

fn best(criterion: Criterion) -> (BestFit<Array1<usize>>, Vec<Array1<usize>>, Vec<usize>) {
    let problem = problem(400, 8, 4, 3.0, 11);
    let (train, valid) = problem.x.view().split_at(Axis(0), 250);
    let (y_train, y_valid) = problem.labels.split_at(250);
    let (y_train, truth) = (
        Classes::new(y_train, 4).unwrap(),
        Classes::new(y_valid, 4).unwrap(),
    );
    let params = Logistic::params(1.0).check().unwrap();
    let best = params
        .fit_best(&CS, (train, y_train), (valid, truth), criterion)
        .unwrap();
    let alone = CS.map(|c| {
        Logistic::params(c)
            .check()
            .unwrap()
            .fit(train, y_train)
            .unwrap()
    });
    let losses = alone.iter().map(|probe| probe.loss(valid, truth).unwrap());
    if criterion == Criterion::Loss {
        for (loss, value) in losses.zip(&best.values) {
            // Both within the tolerance of the minimum.
            assert!((loss - value).abs() < 1e-4, "{loss} {value}");
        }
    }
    let place = CS.iter().position(|&c| c == best.c).unwrap();
    let (a, b) = (
        best.probe.predict_proba(valid).unwrap(),
        alone[place].predict_proba(valid).unwrap(),
    );
    assert!(largest_difference(&a, &b.mapv(f64::from)) < 1e-4);
    let predicted = alone
        .iter()
        .map(|probe| probe.predict(valid).unwrap())
        .collect();
    (best, predicted, y_valid.to_vec())
}

#[test]
fn the_lowest_loss_is_chosen_and_warm_starts_change_nothing() {
    let (best, ..) = best(Criterion::Loss);
    let lowest = best.values.iter().copied().fold(f64::INFINITY, f64::min);
    let place = CS.iter().position(|&c| c == best.c).unwrap();
    assert_eq!(best.values[place], lowest);
    assert!(!best.at_edge, "{:?}", best.values);
}

#[test]
fn scores_choose_the_highest() {
    for criterion in [Criterion::Accuracy, Criterion::MacroF1, Criterion::MicroF1] {
        let (best, predicted, y) = best(criterion);
        let truth = Classes::new(&y, 4).unwrap();
        let score = |predicted: &Array1<usize>| {
            let counts = LabelCounts::of(truth, predicted).unwrap();
            match criterion {
                Criterion::MacroF1 => counts.macro_f1(),
                _ => counts.accuracy(),
            }
        };
        let highest = predicted.iter().map(score).fold(0.0, f64::max);
        let found = best.values.iter().copied().fold(0.0, f64::max);
        // One row of 150 more or less right, where warm and cold starts differ in the last digits.
        assert!((highest - found).abs() < 0.02, "{highest} {found}");
    }
}

#[test]
fn labels_are_chosen_for_too() {
    let problem = problem(300, 6, 3, 1.0, 12);
    let (train, valid) = problem.x.view().split_at(Axis(0), 200);
    let (y_train, y_valid) = problem.flags.view().split_at(Axis(0), 200);
    let params = Logistic::params(1.0).standardise(true).check().unwrap();
    let best = params
        .fit_best(&CS, (train, y_train), (valid, y_valid), Criterion::MacroF1)
        .unwrap();
    let counts = LabelCounts::of(y_valid, &best.probe.predict(valid).unwrap()).unwrap();
    assert!(counts.macro_f1() > 0.6);
    assert!(best.values.contains(&counts.macro_f1()));
}

#[test]
fn validation_rows_must_suit() {
    let problem = problem(60, 3, 3, 1.0, 13);
    let (x, classes) = (problem.x.view(), Classes::new(&problem.labels, 3).unwrap());
    let params = Logistic::params(1.0).check().unwrap();
    let two: Vec<usize> = vec![0; 60];
    let other = Classes::new(&two, 2).unwrap();
    let fit =
        |cs: &[f64], validation| params.fit_best(cs, (x, classes), validation, Criterion::Loss);
    assert!(matches!(
        fit(&[], (x, classes)),
        Err(ProbingError::NoCandidates { .. })
    ));
    assert!(matches!(
        fit(&[1.0, -1.0], (x, classes)),
        Err(ProbingError::Setting { .. })
    ));
    assert!(matches!(
        fit(&[1.0], (x, other)),
        Err(ProbingError::Columns { .. })
    ));
    let narrow = x.slice(ndarray::s![.., ..2]);
    assert!(matches!(
        fit(&[1.0], (narrow, classes)),
        Err(ProbingError::Columns { .. })
    ));
}
