//! Checkpoints of the wav2vec 2.0 family and audio as they go wrong, one message each, no panic.

use std::path::Path;

use braintune_audio::{SampleRate, Waveform};
use braintune_backbone::{FeatureExtractor, PretrainedModel, Windows};
use burn::tensor::Device;
use proptest::prelude::*;

use crate::shared::{family, short_clip};

fn copy(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(family(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn load(folder: &Path) -> Result<PretrainedModel, String> {
    PretrainedModel::load(folder, Device::flex()).map_err(|e| e.to_string())
}

#[track_caller]
fn refused(folder: &Path, parts: &[&str]) {
    let error = load(folder).unwrap_err();
    for part in parts {
        assert!(error.contains(part), "expected `{part}` in: {error}");
    }
}

#[test]
fn options_and_sizes_that_do_not_fit_are_named() {
    for (name, from, to, parts) in [
        (
            "wavlm-stable",
            "\"hidden_act\": \"gelu\"",
            "\"hidden_act\": \"relu\"",
            vec!["hidden_act", "relu"],
        ),
        (
            "wavlm-stable",
            "\"num_buckets\": 12",
            "\"num_buckets\": 16",
            vec!["rel_attn_embed", "[16, 3]", "[12, 3]"],
        ),
        (
            "wavlm-stable",
            "\"add_adapter\": false",
            "\"add_adapter\": true",
            vec!["add_adapter"],
        ),
        (
            "wavlm-stable",
            "\"model_type\": \"wavlm\"",
            "\"model_type\": \"wav2vec2\"",
            vec!["config.json does not call for", "gru_rel_pos_const"],
        ),
        (
            "wavlm-stable",
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 1",
            vec!["encoder.layers.1."],
        ),
        (
            "wavlm-stable",
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 3",
            vec!["encoder.layers.2."],
        ),
        (
            "wavlm-stable",
            "\"num_attention_heads\": 3",
            "\"num_attention_heads\": 5",
            vec!["num_attention_heads", "divisor"],
        ),
        (
            "wavlm-stable",
            "\"conv_bias\": true",
            "\"conv_bias\": false",
            vec!["conv_layers.0.conv.bias"],
        ),
        (
            "wavlm-stable",
            "\"num_hidden_layers\": 2",
            "\"num_hidden_layers\": 4000000000",
            vec!["num_hidden_layers"],
        ),
        (
            "wavlm-stable",
            "\"hidden_size\": 24",
            "\"hidden_size\": 16368",
            vec!["feature_projection.projection.weight", "[24, 12]"],
        ),
        (
            "data2vec-even",
            "\"conv_pos_kernel_size\": 4",
            "\"conv_pos_kernel_size\": 5",
            vec!["pos_conv_embed", "5]", "4]"],
        ),
        (
            "hubert-batch-norm",
            "\"conv_pos_batch_norm\": true",
            "\"conv_pos_batch_norm\": false",
            vec!["weight_v"],
        ),
        (
            "wav2vec2-ctc-bin",
            "\"model_type\": \"wav2vec2\"",
            "\"model_type\": \"wav2vec2-bert\"",
            vec!["wav2vec2-bert", "not supported"],
        ),
    ] {
        let folder = copy(name);
        let path = folder.path().join("config.json");
        let config = std::fs::read_to_string(&path).unwrap();
        assert!(config.contains(from), "{name} has {from}");
        std::fs::write(&path, config.replace(from, to)).unwrap();
        refused(folder.path(), &parts);
    }
}

#[test]
fn the_newer_processor_file_does_as_well() {
    let folder = copy("wavlm-stable");
    let plain = folder.path().join("preprocessor_config.json");
    let text = std::fs::read_to_string(&plain).unwrap();
    std::fs::remove_file(&plain).unwrap();
    refused(folder.path(), &["preprocessor_config.json"]);
    let newer = format!("{{\"feature_extractor\": {text}, \"processor_class\": \"P\"}}");
    std::fs::write(folder.path().join("processor_config.json"), newer).unwrap();
    let states = |folder: &Path| {
        load(folder)
            .unwrap()
            .into_whole_clip()
            .extract(&short_clip())
    };
    assert_eq!(
        states(folder.path()).unwrap(),
        states(&family("wavlm-stable")).unwrap()
    );
}

#[test]
fn weights_that_are_damaged_are_named() {
    let folder = copy("wav2vec2-ctc-bin");
    let path = folder.path().join("pytorch_model.bin");
    let bytes = std::fs::read(&path).unwrap();
    for n in [0, 3, 1000, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..n]).unwrap();
        refused(folder.path(), &["pytorch_model.bin"]);
    }
    std::fs::write(
        &path,
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    )
    .unwrap();
    refused(folder.path(), &["pointer"]);
    let folder = copy("data2vec-even");
    let path = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let n = bytes.len();
    bytes[n - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    refused(folder.path(), &["model.safetensors", "NaN"]);
    let folder = copy("hubert-batch-norm");
    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    refused(folder.path(), &["model-00002-of-00002.safetensors"]);
}

#[test]
fn short_silent_and_tiny_clips_give_states_or_a_reason() {
    let silence = |n| Waveform::from_samples(vec![0.0; n], SampleRate::SPEECH).unwrap();
    for name in [
        "wav2vec2-ctc-bin",
        "wavlm-stable",
        "hubert-batch-norm",
        "data2vec-even",
    ] {
        let extractor = load(&family(name)).unwrap().into_whole_clip();
        let least = extractor.spec().min_samples;
        let error = extractor
            .extract(&silence(least - 1))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&least.to_string()), "{error}");
        for n in [least, 1600, 16_000] {
            let features = extractor.extract(&silence(n)).unwrap();
            assert!(
                features.layers().iter().flatten().all(|x| x.is_finite()),
                "{name}, {n}"
            );
            assert_eq!(features.layers()[0].nrows(), features.times().len());
        }
        let windowed = load(&family(name))
            .unwrap()
            .into_windowed(Windows::default());
        assert_eq!(windowed.extract(&silence(1600)).unwrap().times(), [0.1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A model whose files were changed anywhere loads and runs, or is refused; it never panics.
    #[test]
    fn changed_bytes_never_panic(which in 0_usize..4, at in 0.0..1.0, byte: u8, header: bool) {
        let (name, file) = [
            ("data2vec-even", "config.json"),
            ("wavlm-stable", "model.safetensors"),
            ("wav2vec2-ctc-bin", "pytorch_model.bin"),
            ("data2vec-even", "preprocessor_config.json"),
        ][which];
        let folder = copy(name);
        let path = folder.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        // Most of a weights file is values: its beginning is what is parsed.
        let n = if header { bytes.len().min(3000) } else { bytes.len() };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = ((n - 1) as f64 * at) as usize;
        bytes[at] = byte;
        std::fs::write(&path, bytes).unwrap();
        if let Ok(model) = load(folder.path()) {
            let _ = model.into_whole_clip().extract(&short_clip());
        }
    }
}
