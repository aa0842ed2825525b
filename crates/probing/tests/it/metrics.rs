//! Scores against scikit-learn and NumPy.

use braintune_probing::{
    Classes, LabelCounts, ProbingError, majority_baseline, pearson_r, r2_scores,
};
use ndarray::{Array1, Array2, array};

use crate::fixture::Fixture;

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/metrics/data.safetensors"));

fn assert_scores(name: &str, counts: &LabelCounts) {
    let found = [counts.accuracy(), counts.macro_f1(), counts.micro_f1()];
    for (a, b) in found.iter().zip(FIXTURE.vector(name)) {
        // The same ratios of whole numbers.
        assert!((a - b).abs() < 1e-14, "{name}: {found:?}");
    }
}

#[test]
fn scores_of_classes_and_labels_are_scikit_learns() {
    let y = FIXTURE.classes("classes.true");
    let predicted = Array1::from(FIXTURE.classes("classes.predicted"));
    let counts = LabelCounts::of(Classes::new(&y, 7).unwrap(), &predicted).unwrap();
    assert_scores("classes.scores", &counts);
    assert_eq!(counts.f1_per_label()[4..6], [0.0, 0.0]);
    let labels = FIXTURE.bools("labels.true");
    let counts = LabelCounts::of(labels.view(), &FIXTURE.bools("labels.predicted")).unwrap();
    assert_scores("labels.scores", &counts);
}

#[test]
fn scores_of_numbers_are_scikit_learns() {
    let (y, p) = (FIXTURE.f32("values.true"), FIXTURE.f32("values.predicted"));
    let r2 = r2_scores(y.view(), p.view()).unwrap();
    for (a, b) in r2.iter().zip(FIXTURE.vector("values.r2")) {
        // f64 sums in another order; the first target has a mean of 1,000.
        assert!((a - b).abs() < 1e-10, "{r2}");
    }
    let r = pearson_r(y.view(), p.view()).unwrap();
    for (a, b) in r.iter().zip(FIXTURE.vector("values.r")) {
        assert!((a - b).abs() < 1e-10, "{r}");
    }
    assert_eq!((r[3], r[4]), (0.0, 0.0), "constant targets");
}

#[test]
fn the_majority_is_of_the_training_rows() {
    let (train, test) = ([0, 2, 2, 1], [0, 0, 2]);
    let (train, test) = (
        Classes::new(&train, 3).unwrap(),
        Classes::new(&test, 3).unwrap(),
    );
    assert_eq!(majority_baseline(train, test).unwrap(), 1.0 / 3.0);
    let none = Classes::new(&[], 3).unwrap();
    assert!(majority_baseline(none, test).is_err());
    assert!(majority_baseline(train, none).is_err());
}

#[test]
fn what_does_not_match_is_an_error() {
    let labels = [0, 1];
    let classes = Classes::new(&labels, 2).unwrap();
    assert!(matches!(
        LabelCounts::of(classes, &array![0]),
        Err(ProbingError::Rows { .. })
    ));
    let beyond = LabelCounts::of(classes, &array![0, 2]);
    assert!(matches!(
        beyond,
        Err(ProbingError::LabelOutOfRange {
            row: 1,
            label: 2,
            ..
        })
    ));
    let (a, b) = (
        Array2::<bool>::default((2, 2)),
        Array2::<bool>::default((2, 3)),
    );
    assert!(matches!(
        LabelCounts::of(a.view(), &b),
        Err(ProbingError::Columns { .. })
    ));
    let (a, b) = (
        Array2::<f32>::zeros((2, 2)),
        Array2::from_elem((2, 2), f32::NAN),
    );
    assert!(matches!(
        r2_scores(a.view(), b.view()),
        Err(ProbingError::NonFinite { .. })
    ));
}
