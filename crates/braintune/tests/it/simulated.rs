//! The simulated participant and the small backbone that tests of `encode` run on.

use std::ops::ControlFlow;
use std::path::Path;

use braintune::backbone::{PretrainedModel, Windows};
use braintune::encode::{self, AlignmentRow, EncodeConfig, ModelFeatures, Outcome};
use braintune::fmri::{Ds003020, StoryDataset};
use braintune::simulation::{SimulatedDataset, SimulationConfig, simulate};
use braintune::{BraintuneError, Event, Folders, OnEvent};
use burn::tensor::Device;
use ndarray::{Array, Array2, Dimension};
use ndarray_npy::{NpzReader, ReadableElement};

/// In `folder/dataset`.
pub(crate) fn participant(folder: &Path) -> SimulatedDataset {
    let config = SimulationConfig::default().with_seed(42);
    simulate(&config, &folder.join("dataset"), &mut |_| {
        ControlFlow::Continue(())
    })
    .unwrap()
}

pub(crate) fn config(participant: &SimulatedDataset) -> EncodeConfig {
    let test = vec![participant.test_story().to_owned()];
    EncodeConfig {
        alphas: "logspace:0:4:15".parse().unwrap(),
        memory_budget: 1 << 28,
        ..EncodeConfig::new(participant.subject(), test).unwrap()
    }
}

pub(crate) fn run(
    folder: &Path,
    config: &EncodeConfig,
    on: &mut OnEvent<'_>,
) -> Result<Outcome, BraintuneError> {
    let dataset = Ds003020::open(&folder.join("dataset")).unwrap();
    run_on(&dataset, folder, config, on)
}

/// Into `folder/out`.
pub(crate) fn run_on(
    dataset: &dyn StoryDataset,
    folder: &Path,
    config: &EncodeConfig,
    on: &mut OnEvent<'_>,
) -> Result<Outcome, BraintuneError> {
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures/whisper-micro");
    let model = PretrainedModel::load(&model, Device::flex()).unwrap();
    encode::run(
        dataset,
        ModelFeatures::windowed("micro", model, Windows::new(4.0, 2.0).unwrap()).unwrap(),
        config,
        Folders {
            cache: &folder.join("cache"),
            out: &folder.join("out"),
        },
        &["test".to_owned()],
        on,
    )
}

pub(crate) fn go_on(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// An array of `voxels.npz`, if it is there.
pub(crate) fn array<T: ReadableElement, D: Dimension>(
    folder: &Path,
    name: &str,
) -> Option<Array<T, D>> {
    let file = std::fs::File::open(folder.join("out/voxels.npz")).unwrap();
    NpzReader::new(file).unwrap().by_name(name).ok()
}

pub(crate) fn correlations(folder: &Path) -> Array2<f32> {
    array(folder, "r").unwrap()
}

/// The bytes of both result files.
pub(crate) fn outputs(folder: &Path) -> [Vec<u8>; 2] {
    ["out/alignment.csv", "out/voxels.npz"].map(|name| std::fs::read(folder.join(name)).unwrap())
}

pub(crate) fn means(outcome: Outcome) -> Vec<AlignmentRow> {
    match outcome {
        Outcome::Computed(rows) => rows,
        other => panic!("a fresh folder: {other:?}"),
    }
}
