//! linfa's traits.

use braintune_probing::{AdamProbe, LinearProbe, Logistic, ProbingError};
use linfa::{
    Dataset, ParamGuard,
    traits::{Fit, Predict},
};
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
