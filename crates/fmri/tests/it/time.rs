use braintune_fmri::{FmriError, Modality, StoryTiming, Tr, Trim};

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
fn a_trim_beside_the_stored_rows_keeps_none() {
    let timing = StoryTiming::new(30, 2.0, -9.0, 10..25).unwrap();
    assert_eq!(timing.kept(Trim::new(5, 8)).unwrap(), 10..22);
    assert_eq!(timing.kept(Trim::new(24, 0)).unwrap(), 24..25);
    for trim in [
        Trim::new(25, 0),
        Trim::new(27, 0),
        Trim::new(0, 20),
        Trim::new(0, 26),
        Trim::new(20, 15),
    ] {
        let kept = timing.kept(trim);
        assert!(
            matches!(kept, Err(FmriError::TrimTooLong { n_trs: 30, .. })),
            "{trim}: {kept:?}"
        );
    }
}

#[test]
fn other_texts_are_no_trims() {
    for text in ["", "10", "10,", ",5", "10,5,1", "-1,5", "a,b", "1.5,2"] {
        let message = text.parse::<Trim>().unwrap_err().to_string();
        assert!(message.contains(&format!("`{text}`")), "{message}");
    }
}

#[test]
fn delays_cover_a_window_of_seconds() {
    let timing = |rate_hz: f64| StoryTiming::new(1000, 1.0 / rate_hz, 0.0, 0..1000).unwrap();
    // 128 Hz: 0.6 s is 76.8 samples; 100 Hz: exactly 60, which 1 / 100 misses in binary.
    assert_eq!(
        timing(128.0).delays_within(0.0, 0.6),
        (0..=76).collect::<Vec<_>>()
    );
    for (rate_hz, last) in [(100.0, 60), (10.0, 6), (1000.0, 600)] {
        let delays = timing(rate_hz).delays_within(0.1, 0.6);
        assert_eq!(delays.first(), Some(&(last / 6)), "{rate_hz} Hz");
        assert_eq!(delays.last(), Some(&last), "{rate_hz} Hz");
    }
    assert_eq!(timing(100.0).delays_within(-1.0, 0.0), [0]);
    assert!(timing(100.0).delays_within(0.5, 0.2).is_empty());
    assert!(timing(100.0).delays_within(f64::NAN, f64::NAN).is_empty());
    assert_eq!(timing(100.0).delays_within(0.0, f64::INFINITY).len(), 1000);
}

#[test]
fn modalities_are_written_as_in_a_file() {
    for (modality, text, name) in [
        (Modality::Fmri, "\"fmri\"", "fMRI"),
        (Modality::Ecog, "\"ecog\"", "ECoG"),
    ] {
        assert_eq!(serde_json::to_string(&modality).unwrap(), text);
        assert_eq!(serde_json::from_str::<Modality>(text).unwrap(), modality);
        assert_eq!(modality.to_string(), name);
    }
}
