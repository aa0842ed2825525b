//! `encode` on the simulated participant against `tools/encode_reference.py` (NumPy, PyTorch).

use std::ops::ControlFlow;
use std::path::Path;

use braintune::audio::SampleRate;
use braintune::encode::{EncodeConfig, Regions};
use braintune::encoding::pearson_r;
use braintune::{BraintuneError, Event};
use ndarray::{Array2, Axis};
use ndarray_npy::read_npy;

use crate::simulated::{config, correlations, go_on, means, outputs, participant, run};

#[test]
fn agrees_with_an_independent_implementation() {
    assert_eq!(SampleRate::SPEECH.as_hz(), 16_000);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&participant(folder.path()));
    let rows = means(run(folder.path(), &config, &mut go_on).unwrap());
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/simulated-encode/r.npy");
    let expected: Array2<f32> = read_npy(fixture).unwrap();
    let r = correlations(folder.path());
    assert_eq!(r.dim(), expected.dim());
    let mean = expected.mean_axis(Axis(1)).unwrap();
    // f32 against f64 all the way: near-equal scores may choose neighbouring alphas for a voxel.
    for (row, mean) in rows.iter().zip(&mean) {
        assert!(
            (row.mean_r - f64::from(*mean)).abs() < 0.002,
            "layer {}: {}",
            row.layer,
            row.mean_r
        );
    }
    let same = pearson_r(r.t(), expected.t()).unwrap();
    assert!(same.iter().all(|same| *same > 0.999), "{same}");
}

#[test]
fn a_stopped_run_goes_on_and_ends_with_the_same_bytes() {
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let participant_of_whole = participant(whole.path());
    let config = EncodeConfig {
        regions: Regions::read(&participant_of_whole.rois_path()).unwrap(),
        ..config(&participant_of_whole)
    };
    participant(stopped.path());
    run(whole.path(), &config, &mut go_on).unwrap();
    // Stops while features are made, then while the second layer is fitted.
    let in_features = run(stopped.path(), &config, &mut |event| match event {
        Event::Extracting {
            stories_done: 1,
            done: 16..,
            ..
        } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(
        matches!(in_features, Err(BraintuneError::Cancelled)),
        "{in_features:?}"
    );
    let in_layer = run(stopped.path(), &config, &mut |event| match event {
        Event::Decomposing { layer: 1, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(
        matches!(in_layer, Err(BraintuneError::Cancelled)),
        "{in_layer:?}"
    );
    assert!(!stopped.path().join("out/alignment.csv").exists());
    let mut layers = Vec::new();
    run(stopped.path(), &config, &mut |event| {
        if let Event::Decomposing { layer, .. } = event {
            layers.push(layer);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(
        !layers.contains(&0) && layers.contains(&1),
        "layer 0 was kept: {layers:?}"
    );
    assert!(outputs(whole.path()) == outputs(stopped.path()));
}

#[test]
fn regions_that_follow_the_sound_are_told_from_those_that_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let participant = participant(folder.path());
    let config = EncodeConfig {
        regions: Regions::read(&participant.rois_path()).unwrap(),
        ..config(&participant)
    };
    let rows = means(run(folder.path(), &config, &mut go_on).unwrap());
    for row in &rows {
        let (low, high) = row.interval.unwrap();
        let q = row.q_value.unwrap();
        assert!(low < row.mean_r && row.mean_r < high, "{row:?}");
        assert!(
            (0.0..=1.0).contains(&q) && -1.0 < low && high < 1.0,
            "{row:?}"
        );
        match row.roi.as_str() {
            "noise" => assert!(q > 0.05 && low < 0.0, "{row:?}"),
            "auditory" | "envelope" => assert!(q < 0.05, "{row:?}"),
            // A backbone with random weights need not have phones, and meaning is not in sound.
            _ => {}
        }
    }
    assert_eq!(rows.len(), 3 * 6);
}

#[test]
fn statistics_can_be_left_out_and_change_nothing_else() {
    let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(&participant(with.path()));
    participant(without.path());
    let rows = means(run(with.path(), &config, &mut go_on).unwrap());
    let none = EncodeConfig {
        n_permutations: 0,
        n_bootstraps: 0,
        ..config
    };
    let bare = means(run(without.path(), &none, &mut go_on).unwrap());
    assert_eq!(correlations(with.path()), correlations(without.path()));
    for (row, bare) in rows.iter().zip(&bare) {
        assert!(bare.interval.is_none() && bare.q_value.is_none());
        assert_eq!(row.mean_r_normalized, bare.mean_r_normalized);
    }
    let single = EncodeConfig {
        n_bootstraps: 1,
        ..none
    };
    let refused = run(without.path(), &single, &mut go_on).unwrap_err();
    assert!(refused.to_string().contains("--bootstraps"), "{refused}");
}
