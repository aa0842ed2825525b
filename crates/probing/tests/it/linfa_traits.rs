//! linfa's traits.

use braintune_probing::{AdamProbe, Classes, LinearProbe, Logistic, ProbingError};
use linfa::{
    Dataset, ParamGuard,
    traits::{Fit, Predict},
};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};

use crate::problem::problem;

fn accuracy(predicted: &Array1<usize>, labels: &[usize]) -> f64 {
    let right = predicted.iter().zip(labels).filter(|(a, b)| a == b);
    right.count() as f64 / labels.len() as f64
}

#[test]
fn classes_fit_and_predict_through_the_traits() {
    let problem = problem(300, 5, 3, 0.3, 51);
    let labels = Array1::from(problem.labels.clone());
    let data = Dataset::new(problem.x.clone(), labels.clone());
    let ours: LinearProbe<Array1<usize>> = Fit::fit(&Logistic::params(1.0), &data).unwrap();
    let ours: Array1<usize> = ours.predict(problem.x.view()).unwrap();
    let ours = accuracy(&ours, &problem.labels);
    assert!(ours > 0.85, "{ours}");
}

#[test]
fn labels_fit_and_predict_through_the_traits() {
    let problem = problem(200, 4, 3, 0.3, 52);
    let data = Dataset::new(problem.x.clone(), problem.flags.clone());
    let params = Logistic::params(1.0).check().unwrap();
    let probe: LinearProbe<Array2<bool>> = Fit::fit(&params, &data).unwrap();
    let predicted: Array2<bool> = Predict::predict(&probe, &problem.x);
    assert_eq!(predicted, probe.predict(problem.x.view()).unwrap());
    let adam: LinearProbe<Array2<bool>> = Fit::fit(&AdamProbe::params(3), &data).unwrap();
    assert_eq!(adam.report().n_steps, 3);
}

#[test]
fn unchecked_parameters_are_checked_by_fit() {
    let problem = problem(50, 2, 2, 0.3, 53);
    let data = Dataset::new(problem.x, Array1::from(problem.labels));
    let error = Logistic::params(0.0).fit(&data).unwrap_err();
    assert!(matches!(error, ProbingError::Setting { name: "C", .. }));
}

/// linfa-logistic minimises the same objective, its alpha being 1 / C.
#[test]
fn the_minimum_is_that_of_linfa_logistic() {
    let problem = problem(300, 6, 4, 0.5, 54);
    let x = problem.x.mapv(f64::from);
    let labels = Array1::from(problem.labels.clone());
    let theirs = MultiLogisticRegression::default()
        .alpha(0.5)
        .gradient_tolerance(1e-9)
        .max_iterations(10_000)
        .fit(&Dataset::new(x.clone(), labels))
        .unwrap();
    assert_eq!(theirs.classes(), [0, 1, 2, 3]);
    let ours = Logistic::params(2.0).tolerance(1e-9).check().unwrap();
    let classes = Classes::new(&problem.labels, 4).unwrap();
    let ours = ours.fit(problem.x.view(), classes).unwrap();
    let ours = ours.predict_proba(problem.x.view()).unwrap();
    let theirs = theirs.predict_probabilities(&x);
    for (ours, theirs) in ours.iter().zip(&theirs) {
        // Scores in f32; linfa's line search ends a little before its tolerance.
        assert!((f64::from(*ours) - theirs).abs() < 1e-4, "{ours} {theirs}");
    }
}
