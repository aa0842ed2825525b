use braintune_encoding::{EncodingError, pearson_r, r2_score};
use ndarray::{Array2, array};

#[test]
fn pearson_r_of_hand_made_columns() {
    let a = array![
        [1.0, 1.0, 0.1, 2.0],
        [2.0, 2.0, 0.1, 1.0],
        [3.0, 3.0, 0.1, 3.0]
    ];
    let b = array![
        [2.0, 3.0, 1.0, 5.0],
        [4.0, 2.0, 2.0, 5.0],
        [6.0, 1.0, 3.0, 5.0]
    ];
    let r = pearson_r(a.view(), b.view()).unwrap();
    assert_eq!(r.to_vec(), [1.0, -1.0, 0.0, 0.0]);
}

#[test]
fn a_large_mean_does_not_hurt() {
    let a = Array2::from_shape_fn((400, 1), |(i, _)| 1e6 + (i % 7) as f32);
    let b = Array2::from_shape_fn((400, 1), |(i, _)| -3e6 + 2.0 * (i % 7) as f32);
    assert!((pearson_r(a.view(), b.view()).unwrap()[0] - 1.0).abs() < 1e-6);
}

#[test]
fn r2_of_hand_made_columns() {
    let y = array![[1.0, 1.0, 4.0], [2.0, 2.0, 4.0], [3.0, 3.0, 4.0]];
    let p = array![[1.0, 2.0, 4.0], [2.0, 2.0, 5.0], [3.0, 2.0, 4.0]];
    assert_eq!(
        r2_score(y.view(), p.view()).unwrap().to_vec(),
        [1.0, 0.0, 0.0]
    );
}

#[test]
fn arrays_that_do_not_match_are_errors() {
    let zeros = |shape: (usize, usize)| Array2::<f32>::zeros(shape);
    let error = pearson_r(zeros((3, 2)).view(), zeros((4, 2)).view()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a has shape [3, 2] and b has shape [4, 2]: both need the same number of rows"
    );
    let error = r2_score(zeros((3, 2)).view(), zeros((3, 5)).view()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "y_pred has shape [3, 5], expected 2 columns"
    );
    assert!(matches!(
        pearson_r(zeros((0, 2)).view(), zeros((0, 2)).view()),
        Err(EncodingError::Empty { .. })
    ));
    let mut broken = zeros((3, 2));
    broken[(1, 1)] = f32::INFINITY;
    let error = pearson_r(zeros((3, 2)).view(), broken.view()).unwrap_err();
    assert!(error.to_string().starts_with("b is inf at row 1, column 1"));
}
