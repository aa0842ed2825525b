//! Where weights and reference values are; real ones lie beside the repository, and tests that
//! need them skip elsewhere.

use std::path::{Path, PathBuf};

use braintune_audio::{SampleRate, Waveform};
use ndarray::Array2;
use safetensors::SafeTensors;

/// `../shared/<path>` of the repository, or `None` with a message.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(path);
    if full.exists() {
        return Some(full);
    }
    eprintln!("skipped: {} is not there", full.display());
    None
}

/// The small committed checkpoint.
pub(crate) fn micro() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/whisper-micro")
}

/// A copy of the committed checkpoint that a test may damage.
pub(crate) fn micro_copy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
    ] {
        std::fs::copy(micro().join(name), folder.path().join(name)).unwrap();
    }
    folder
}

/// The committed clip, 2.35 s.
pub(crate) fn clip() -> Waveform {
    samples(&micro().join("clip.safetensors"), "samples")
}

/// A committed checkpoint of the wav2vec 2.0 family.
pub(crate) fn family(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/families")
        .join(name)
}

/// The clip of the families' reference values, 0.4 s.
pub(crate) fn short_clip() -> Waveform {
    samples(&family("clip.safetensors"), "audio")
}

fn samples(path: &Path, name: &str) -> Waveform {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let samples = floats(file.tensor(name).unwrap().data());
    Waveform::from_samples(samples, SampleRate::SPEECH).unwrap()
}

/// `hidden_states.0`, `.1`, … of a reference file.
pub(crate) fn reference(path: &Path) -> Vec<Array2<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    (0..)
        .map_while(|i| file.tensor(&format!("hidden_states.{i}")).ok())
        .map(|view| {
            let shape = (view.shape()[0], view.shape()[1]);
            Array2::from_shape_vec(shape, floats(view.data())).unwrap()
        })
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

pub(crate) fn max_abs_difference(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
    assert_eq!(a.dim(), b.dim());
    a.iter()
        .zip(b)
        .map(|(x, y)| (x - y).abs())
        .fold(0.0, f32::max)
}
