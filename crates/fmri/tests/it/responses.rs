use braintune_fmri::{Responses, StoryTiming};
use ndarray::{Array2, array};

fn timing() -> StoryTiming {
    StoryTiming::new(20, 2.0, -9.0, 10..14).unwrap()
}

#[test]
fn rows_are_counted_on_the_grid() {
    let bold = Array2::from_shape_fn((4, 2), |(row, column)| (10 * row + column) as f32);
    let responses = Responses::from_bold(bold, &timing()).unwrap();
    assert_eq!(responses.first_tr().as_index(), 10);
    assert_eq!(responses.tr_times().to_vec(), [11.0, 13.0, 15.0, 17.0]);

    let rows = responses.rows(11..13).unwrap();
    assert_eq!(rows.bold(), array![[10.0, 11.0], [20.0, 21.0]]);
    assert_eq!(rows.tr_times().to_vec(), [13.0, 15.0]);
    assert_eq!(rows.first_tr().as_index(), 11);
    assert_eq!(rows.rows(11..13).unwrap(), rows);

    #[expect(clippy::reversed_empty_ranges)]
    for outside in [9..13, 10..15, 12..12, 13..11, 0..4] {
        let message = responses.rows(outside.clone()).unwrap_err().to_string();
        let asked = format!("TRs {}..{}", outside.start, outside.end);
        assert!(
            message.contains(&asked) && message.contains("10..14"),
            "{message}"
        );
    }
}

#[test]
fn another_number_of_rows_than_stored_is_refused() {
    let message = Responses::from_bold(Array2::zeros((5, 2)), &timing()).unwrap_err();
    assert_eq!(
        message.to_string(),
        "the timing says 4 rows are stored, the array has 5"
    );
}

#[test]
fn bad_values_are_found_and_nan_becomes_zero() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    let bold = array![
        [1.0, 5.0, nan, 0.0, 1.0, nan],
        [2.0, 5.0, nan, -0.0, inf, nan],
        [3.0, 5.0, nan, 0.0, -inf, 7.0],
        [4.0, 5.0, nan, 0.0, 2.0, 7.0],
    ];
    let responses = Responses::from_bold(bold, &timing()).unwrap();
    let bad = responses.bad_values();
    assert_eq!(bad.n_nan, 6);
    assert_eq!(bad.n_infinite, 2);
    assert_eq!(bad.nan_voxels, [2, 5]);
    assert_eq!(bad.infinite_voxels, [4]);
    assert_eq!(bad.constant_voxels, [1, 3]);
    assert_eq!(bad.first, Some((0, 2)));
    assert!(!bad.is_empty());

    let filled = responses.nan_to_zero();
    assert_eq!(filled.bold().column(5).to_vec(), [0.0, 0.0, 7.0, 7.0]);
    assert_eq!(filled.bold()[[1, 4]], inf);
    assert_eq!(filled.bad_values().constant_voxels, [1, 2, 3]);
}

#[test]
fn varying_voxels_are_not_bad() {
    let bold = Array2::from_shape_fn((4, 3), |(row, _)| row as f32);
    let responses = Responses::from_bold(bold, &timing()).unwrap();
    assert!(responses.bad_values().is_empty());
}
