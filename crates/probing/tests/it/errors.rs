//! Bad input of a logistic fit, each with one message that says what to do.

use braintune_probing::{Classes, Logistic, ProbingError};
use linfa::ParamGuard;
use ndarray::{Array2, array};

fn fit(x: &Array2<f32>, labels: &[usize], n_classes: usize) -> String {
    let params = Logistic::params(1.0).check().unwrap();
    let fitted = Classes::new(labels, n_classes).and_then(|classes| params.fit(x.view(), classes));
    fitted.unwrap_err().to_string()
}

#[test]
fn settings_are_named() {
    for (c, text) in [
        (0.0, "0"),
        (-1.0, "-1"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "inf"),
    ] {
        let error = Logistic::params(c).check().unwrap_err().to_string();
        assert_eq!(
            error,
            format!("C is {text}, expected a finite number above 0")
        );
    }
    assert!(Logistic::params(1.0).tolerance(0.0).check().is_err());
    assert!(Logistic::params(1.0).max_steps(0).check().is_err());
}

#[test]
fn labels_are_checked() {
    let x = array![[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]];
    assert_eq!(
        fit(&x, &[0, 1, 3], 3),
        "row 2 has label 3, expected one below 3"
    );
    assert_eq!(
        fit(&x, &[0, 0, 0], 1),
        "1 class(es), at least two are needed to tell them apart"
    );
    assert_eq!(
        fit(&x, &[1, 1, 1], 2),
        "1 class(es), at least two are needed to tell them apart"
    );
    let empty = "class 1 has no training rows: leave it out and number the others anew";
    assert_eq!(fit(&x, &[0, 2, 2], 3), empty);
    assert_eq!(
        fit(&x, &[0, 1], 2),
        "x has 3 rows and the targets has 2: both need the same number"
    );
    let flags = array![[true, false], [true, true], [true, false]];
    let params = Logistic::params(1.0).check().unwrap();
    let error = params.fit(x.view(), flags.view()).unwrap_err().to_string();
    assert_eq!(error, "label 0 is true in every training row: leave it out");
}

#[test]
fn features_are_checked() {
    let mut x = array![[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]];
    let params = Logistic::params(1.0).check().unwrap();
    let probe = params
        .fit(x.view(), Classes::new(&[0, 1, 1], 2).unwrap())
        .unwrap();
    let wide = Array2::zeros((2, 3));
    assert!(matches!(
        probe.predict(wide.view()),
        Err(ProbingError::Columns {
            got: 3,
            expected: 2,
            ..
        })
    ));
    let none = Array2::zeros((0, 2));
    assert!(matches!(
        probe.scores(none.view()),
        Err(ProbingError::Empty { .. })
    ));
    x[(1, 1)] = f32::NAN;
    assert!(fit(&x, &[0, 1, 1], 2).starts_with("x is NaN at row 1, column 1"));
    assert!(matches!(
        probe.predict_proba(x.view()),
        Err(ProbingError::NonFinite { row: 1, .. })
    ));
    assert!(fit(&Array2::zeros((0, 2)), &[], 2).starts_with("x has shape [0, 2]"));
}
