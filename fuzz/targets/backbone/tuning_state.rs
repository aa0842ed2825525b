//! Where a run of tuning stands: `state.json` of a checkpoint, but for what says whose run it is.

#![no_main]

use std::collections::BTreeMap;
use std::fs::{read, read_dir, remove_dir_all};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::LazyLock;

use braintune::backbone::{Wav2Vec2Config, Wav2Vec2Model};
use braintune::tuning::{
    BrainTuner, MeanSquaredError, TuningBatch, TuningConfig, TuningEvent, TuningModel,
};
use braintune_fuzz::{file, folder, parts};
use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use ndarray::Array2;
use serde_json::{Map, Value};

/// A model, and the files of the checkpoint that a step of it left.
struct Run {
    model: TuningModel<Wav2Vec2Model>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    state: (PathBuf, Map<String, Value>),
}

static RUN: LazyLock<Run> = LazyLock::new(|| {
    let [config, ..] = parts::<3>(include_bytes!("../../corpus/checkpoint/wav2vec2"));
    let config: Wav2Vec2Config = serde_json::from_slice(config).expect("a configuration");
    let device = Device::flex().autodiff();
    let backbone = Wav2Vec2Model::random(&config, 1, &device).expect("a backbone");
    let model = TuningModel::new(backbone, &[3], &settings(), &device).expect("a model");
    fit(&model);
    let mut files = BTreeMap::new();
    for dir in read_dir(folder().join("state")).expect("a folder") {
        let dir = dir.expect("a checkpoint").path();
        for path in read_dir(dir).into_iter().flatten() {
            let path = path.expect("a file").path();
            files.insert(
                path.strip_prefix(folder()).expect("in it").to_owned(),
                read(&path).expect("bytes"),
            );
        }
    }
    let state = files.keys().find(|path| path.ends_with("state.json"));
    let state = state.expect("a checkpoint").clone();
    let text = serde_json::from_slice(&files[&state]).expect("an object");
    Run {
        model,
        files,
        state: (state, text),
    }
});

fn settings() -> TuningConfig {
    let mut config = TuningConfig::default();
    config.epochs = 2;
    config.checkpoint_every = 1;
    config
}

/// Goes on from what is there, for a step at most.
fn fit(model: &TuningModel<Wav2Vec2Model>) {
    let samples =
        Array2::from_shape_fn((2, 400), |(i, j)| ((i + 1) as f32 * j as f32 * 0.01).sin());
    let bold = Array2::from_shape_fn((2, 3), |(i, j)| (i as f32 - 0.5) * (j as f32 - 1.0));
    let batch = TuningBatch::new(0, "S1/tale".to_owned(), samples, bold);
    let tuner = BrainTuner::new(settings(), MeanSquaredError).expect("a tuner");
    let tuner = tuner.with_state(&folder().join("state"), true);
    let device = Device::flex().autodiff();
    let _ = tuner.fit(
        model.clone(),
        &vec![batch],
        None,
        &device,
        &mut |event| match event {
            TuningEvent::Step(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
    );
}

fuzz_target!(|data: &[u8]| {
    let run = &*RUN;
    remove_dir_all(folder().join("state")).expect("a folder");
    for (name, bytes) in &run.files {
        file(&name.to_string_lossy(), bytes);
    }
    let mut text = data.to_vec();
    if let Ok(mut state) = serde_json::from_slice::<Map<String, Value>>(data) {
        for key in ["run", "files"] {
            state.insert(key.to_owned(), run.state.1[key].clone());
        }
        text = serde_json::to_vec(&state).expect("JSON");
    }
    file(&run.state.0.to_string_lossy(), &text);
    fit(&run.model);
});
