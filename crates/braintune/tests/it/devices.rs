//! Hidden states against `transformers` on every device that this build has.
//!
//! The CPU in pure Rust always; with `--features tch`, `vulkan` or `cuda` those too.

use std::path::{Path, PathBuf};

use braintune::audio::{SampleRate, Waveform, load_audio};
use braintune::backbone::{FeatureExtractor, PretrainedModel, Windows};
use braintune::device;
use burn::tensor::Device;
use ndarray::{Array2, s};
use safetensors::SafeTensors;

/// The project's limit for hidden states of unit size.
const TOLERANCE: f32 = 2e-4;

fn devices() -> impl Iterator<Item = (&'static str, Device)> {
    assert!(device::available().contains(&"flex"));
    device::available().iter().map(|&name| {
        let device = device::by_name(name);
        (
            name,
            device.unwrap_or_else(|| panic!("{name} is in this build, not in this machine")),
        )
    })
}

fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../backbone/tests/fixtures")
        .join(path)
}

fn floats(file: &Path, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).ok()?;
    let values = tensor.data().as_chunks().0.iter();
    let values = values.map(|b| f32::from_le_bytes(*b)).collect();
    Some((tensor.shape().to_vec(), values))
}

/// Checks all states of a folder with `reference.safetensors`.
#[track_caller]
fn check(model: &Path, audio: &Waveform, (name, device): (&str, &Device)) {
    let extractor = PretrainedModel::load(model, device.clone()).unwrap();
    let found = extractor.into_whole_clip().extract(audio).unwrap();
    let mut worst = 0.0_f32;
    for (i, found) in found.layers().iter().enumerate() {
        let file = model.join("reference.safetensors");
        let (shape, values) = floats(&file, &format!("hidden_states.{i}")).unwrap();
        let expected = Array2::from_shape_vec((shape[0], shape[1]), values).unwrap();
        // Whisper's convolutions give one more frame that saw audio than the file holds.
        worst = worst.max(difference(found, &expected));
    }
    let model = model.file_name().unwrap_or_default().display();
    eprintln!("{name}, {model}: {worst:.1e}");
    assert!(worst < TOLERANCE, "{name}, {model}: {worst}");
}

/// Of the rows that `expected` has; extractors refuse states that are not finite.
fn difference(found: &Array2<f32>, expected: &Array2<f32>) -> f32 {
    let difference = &found.slice(s![..expected.nrows(), ..]) - expected;
    // A NaN must not pass for small.
    difference
        .iter()
        .fold(0.0, |most, x| if x.abs() <= most { most } else { x.abs() })
}

fn clip(file: &str, name: &str) -> Waveform {
    let (_, samples) = floats(&fixture(file), name).unwrap();
    Waveform::from_samples(samples, SampleRate::SPEECH).unwrap()
}

#[test]
fn odd_shapes_give_the_states_of_transformers() {
    let audio = clip("families/clip.safetensors", "audio");
    for (name, device) in devices() {
        for model in [
            "wav2vec2-ctc-bin",
            "hubert-batch-norm",
            "wavlm-stable",
            "data2vec-even",
            "whisper-128",
        ] {
            let model = fixture("families").join(model);
            check(&model, &audio, (name, &device));
        }
    }
}

#[test]
fn the_nine_small_checkpoints_give_the_states_of_transformers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/hf-tiny");
    if !folder.exists() {
        eprintln!("skipped: {} is not there", folder.display());
        return;
    }
    let audio = load_audio(&folder.join("audio.wav")).unwrap();
    for (name, device) in devices() {
        let entries = std::fs::read_dir(&folder).unwrap();
        let models = entries.map(|entry| entry.unwrap().path());
        let models: Vec<_> = models.filter(|path| path.is_dir()).collect();
        assert_eq!(models.len(), 9);
        for model in models {
            check(&model, &audio, (name, &device));
        }
    }
}

#[test]
fn windows_are_the_same_on_every_device() {
    let audio = clip("whisper-micro/clip.safetensors", "samples");
    for model in [
        "whisper-micro",
        "families/wav2vec2-ctc-bin",
        "families/wavlm-stable",
    ] {
        let extract = |device| {
            let model = PretrainedModel::load(&fixture(model), device).unwrap();
            let windows = Windows::new(0.9, 0.3).unwrap();
            model.into_windowed(windows).extract(&audio).unwrap()
        };
        let expected = extract(Device::flex());
        for (name, device) in devices() {
            let found = extract(device);
            assert_eq!(found.times(), expected.times());
            for (i, (found, expected)) in found.layers().iter().zip(expected.layers()).enumerate() {
                let difference = difference(found, expected);
                assert!(
                    difference < TOLERANCE,
                    "{name}, {model}, state {i}: {difference}"
                );
            }
        }
    }
}
