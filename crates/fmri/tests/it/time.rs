use braintune_fmri::{FmriError, StoryTiming, Tr, Trim};

#[test]
fn midpoints_are_evenly_spaced_from_the_first() {
    let timing = StoryTiming::new(5, 1.5, -0.75, 1..4).unwrap();
    assert_eq!(timing.tr_times().to_vec(), [-0.75, 0.75, 2.25, 3.75, 5.25]);
    assert_eq!(timing.end_s(), 6.0);
    assert_eq!(timing.stored(), 1..4);
    assert_eq!(Tr::from_index(3).to_string(), "TR 3");
}

#[test]
fn impossible_timings_are_refused() {
    for (tr_s, first_tr_s, stored) in [
        (0.0, 0.0, 0..5),
        (-2.0, 0.0, 0..5),
        (f64::NAN, 0.0, 0..5),
        (2.0, f64::INFINITY, 0..5),
        (2.0, 0.0, 0..6),
        (2.0, 0.0, 3..3),
    ] {
        let timing = StoryTiming::new(5, tr_s, first_tr_s, stored);
        assert!(matches!(timing, Err(FmriError::Timing { .. })));
    }
}

#[test]
fn trims_are_read_and_applied() {
    let trim: Trim = " 50, 5".parse().unwrap();
    assert_eq!(trim, Trim::new(50, 5));
    assert_eq!(trim.to_string(), "50,5");
    assert_eq!(trim.rows(306).unwrap(), 50..301);
    assert_eq!(trim.rows(56).unwrap(), 50..51);
    assert_eq!(
        trim.rows(55).unwrap_err().to_string(),
        "a trim of 50,5 leaves no row of 55"
    );
    assert!(Trim::new(0, 10).rows(5).is_err());
}

#[test]
fn other_texts_are_no_trims() {
    for text in ["", "10", "10,", ",5", "10,5,1", "-1,5", "a,b", "1.5,2"] {
        let message = text.parse::<Trim>().unwrap_err().to_string();
        assert!(message.contains(&format!("`{text}`")), "{message}");
    }
}
