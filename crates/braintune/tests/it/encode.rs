//! `encode` on the simulated participant against `tools/encode_reference.py` (NumPy, PyTorch).

use std::ops::ControlFlow;
use std::path::Path;

use braintune::audio::SampleRate;
use braintune::backbone::{PretrainedModel, Windows};
use braintune::encode::{self, AlignmentRow, EncodeConfig, ModelFeatures, Outcome};
use braintune::encoding::pearson_r;
use braintune::fmri::Ds003020;
use braintune::simulation::{SimulatedParticipant, SimulationConfig, simulate};
use braintune::{BraintuneError, Event};
use burn::tensor::Device;
use ndarray::{Array2, Axis};
use ndarray_npy::{NpzReader, read_npy};

fn participant(folder: &Path) -> SimulatedParticipant {
    let config = SimulationConfig::default().with_seed(42);
    simulate(&config, &folder.join("dataset"), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

fn config(participant: &SimulatedParticipant) -> EncodeConfig {
    let test = vec![participant.test_story().to_owned()];
    EncodeConfig {
        alphas: "logspace:0:4:15".parse().unwrap(),
        memory_budget: 1 << 28,
        ..EncodeConfig::new(participant.subject(), test).unwrap()
    }
}

fn run(
    folder: &Path,
    config: &EncodeConfig,
    on: &mut braintune::OnEvent<'_>,
) -> Result<Outcome, BraintuneError> {
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures/whisper-micro");
    encode::run(
        &Ds003020::open(&folder.join("dataset")).unwrap(),
        ModelFeatures::windowed(
            "micro",
            PretrainedModel::load(&model, Device::flex()).unwrap(),
            Windows::new(4.0, 2.0).unwrap(),
        )
        .unwrap(),
        config,
        (&folder.join("cache"), &folder.join("out")),
        vec!["test".to_owned()],
        on,
    )
}

fn correlations(folder: &Path) -> Array2<f32> {
    let file = std::fs::File::open(folder.join("out/voxels.npz")).unwrap();
    NpzReader::new(file).unwrap().by_name("r").unwrap()
}

fn means(outcome: Outcome) -> Vec<AlignmentRow> {
    match outcome {
        Outcome::Computed(rows) => rows,
        Outcome::AlreadyDone => panic!("a fresh folder"),
    }
}

#[test]
fn agrees_with_an_independent_implementation() {
    assert_eq!(SampleRate::SPEECH.as_hz(), 16_000);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&participant(folder.path()));
    let rows = means(run(folder.path(), &config, &mut |_| ControlFlow::Continue(())).unwrap());
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
fn a_stopped_run_goes_on_and_ends_with_the_same_bits() {
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(&participant(whole.path()));
    participant(stopped.path());
    run(whole.path(), &config, &mut |_| ControlFlow::Continue(())).unwrap();
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
    assert_eq!(correlations(whole.path()), correlations(stopped.path()));
}
