use braintune_encoding::{Delays, EncodingError, zscore};
use ndarray::{Array2, Axis, array, concatenate};

fn delays(text: &str) -> Delays {
    text.parse().unwrap()
}

#[test]
fn blocks_come_in_the_order_given() {
    let x = array![[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]];
    let expected = array![
        [0.0, 0.0, 1.0, 10.0],
        [0.0, 0.0, 2.0, 20.0],
        [1.0, 10.0, 3.0, 30.0],
    ];
    assert_eq!(delays("2,0").apply(x.view()), expected);
    assert_eq!(delays(" 2, 0 ").to_string(), "2,0");
}

#[test]
fn stories_do_not_leak_into_each_other_and_a_concatenation_does() {
    let (a, b) = (array![[1.0], [2.0]], array![[3.0], [4.0]]);
    let apart = delays("1").apply_stories(&[a.view(), b.view()]).unwrap();
    assert_eq!(apart, array![[0.0], [1.0], [0.0], [3.0]]);
    let together = concatenate![Axis(0), a, b];
    assert_eq!(
        delays("1").apply(together.view()),
        array![[0.0], [1.0], [2.0], [3.0]]
    );
}

#[test]
fn a_delay_beyond_the_story_is_all_zeros() {
    let x = Array2::<f32>::ones((2, 1));
    assert_eq!(delays("5,2").apply(x.view()), Array2::<f32>::zeros((2, 2)));
}

#[test]
fn bad_delays_are_named() {
    let message = |text: &str| text.parse::<Delays>().unwrap_err().to_string();
    assert_eq!(message("1,2,1"), "delay 1 is given twice");
    assert!(message("1,-2").starts_with("'1,-2' is no list of delays"));
    assert!(message("").starts_with("'' is no list of delays"));
    assert!(matches!(
        Delays::from_samples(vec![]),
        Err(EncodingError::NoDelays)
    ));
    let (a, b) = (Array2::<f32>::zeros((2, 3)), Array2::zeros((2, 4)));
    let error = delays("1")
        .apply_stories(&[a.view(), b.view()])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a story has shape [2, 4], expected 3 columns"
    );
    assert!(delays("1").apply_stories::<f32>(&[]).is_err());
}

#[test]
fn zscore_uses_the_population_deviation_and_zeroes_constants() {
    let x = array![[1.0_f32, 0.1, -5.0], [3.0, 0.1, 0.0], [5.0, 0.1, 5.0]];
    let z = zscore(x.view());
    let unit = 1.5f32.sqrt();
    assert_eq!(
        z,
        array![[-unit, 0.0, -unit], [0.0, 0.0, 0.0], [unit, 0.0, unit]]
    );
    assert_eq!(zscore(Array2::<f32>::zeros((0, 3)).view()).dim(), (0, 3));
}
