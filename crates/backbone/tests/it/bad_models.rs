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
            "\"num_buckets\": \"12\"",
            vec!["config.json", "num_buckets: invalid type: string"],
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
fn weights_of_another_family_are_refused() {
    for (config, weights) in [
        ("whisper-128", "data2vec-even"),
        ("data2vec-even", "whisper-128"),
        ("wavlm-stable", "data2vec-even"),
        ("data2vec-even", "wavlm-stable"),
    ] {
        let folder = copy(config);
        let file = "model.safetensors";
        std::fs::copy(family(weights).join(file), folder.path().join(file)).unwrap();
        let error = load(folder.path()).unwrap_err();
        let named = ["missing", "has shape", "does not call for"];
        assert!(named.iter().any(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn values_that_are_no_numbers_are_found_in_every_type_of_float() {
    // The last value of each file; the types are those of the fixtures.
    for (name, bytes) in [
        ("data2vec-even", &f32::INFINITY.to_le_bytes()[..]),
        ("wavlm-stable", &half::bf16::NAN.to_le_bytes()),
        ("whisper-128", &half::f16::NEG_INFINITY.to_le_bytes()),
    ] {
        let folder = copy(name);
        let path = folder.path().join("model.safetensors");
        let mut file = std::fs::read(&path).unwrap();
        let n = file.len();
        file[n - bytes.len()..].copy_from_slice(bytes);
        std::fs::write(&path, file).unwrap();
        refused(folder.path(), &["model.safetensors", "damaged"]);
    }
}

#[test]
fn stereo_at_another_rate_is_what_its_mono_recording_is() {
    let tone = |rate: u32, parts: &[f64]| {
        let frames = (0..rate).map(|i| f64::from(i) / f64::from(rate));
        let wave = frames.map(|s| 0.3 * (1_000.0 * s).sin() + 0.2 * (2_700.0 * s).sin());
        let samples = wave.flat_map(|x| parts.iter().map(move |part| x * part));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tone.wav");
        std::fs::write(&path, wav(rate, parts.len(), samples)).unwrap();
        braintune_audio::load_audio(&path).unwrap()
    };
    // Left and right differ; their mean is the wave.
    let (stereo, mono) = (tone(44_100, &[0.5, 1.5]), tone(16_000, &[1.0]));
    assert_eq!(stereo.samples().len(), mono.samples().len());
    for name in ["wav2vec2-ctc-bin", "whisper-128"] {
        let states = |audio: &Waveform| {
            let model = load(&family(name)).unwrap();
            model.into_whole_clip().extract(audio).unwrap()
        };
        let (stereo, mono) = (states(&stereo), states(&mono));
        for (a, b) in stereo.layers().iter().zip(mono.layers()) {
            let scale = b.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
            // At its ends a resampled clip rings.
            let rms = (a - b).mapv(|x| x * x).mean().unwrap().sqrt();
            eprintln!("{name}: {:.1e}", rms / scale);
            assert!(rms < 0.05 * scale, "{name}: {rms} of {scale}");
        }
    }
}

/// A WAV file of 16-bit samples, channels interleaved.
fn wav(rate: u32, n_channels: usize, samples: impl Iterator<Item = f64>) -> Vec<u8> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "samples lie within -1 to 1"
    )]
    let samples: Vec<u8> = samples
        .flat_map(|x| ((x * 32_767.0).round() as i16).to_le_bytes())
        .collect();
    let n_channels = u16::try_from(n_channels).unwrap();
    let n = u32::try_from(samples.len()).unwrap();
    let frame = n_channels * 2;
    [
        b"RIFF".as_slice(),
        &(36 + n).to_le_bytes(),
        b"WAVEfmt ",
        &16_u32.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &n_channels.to_le_bytes(),
        &rate.to_le_bytes(),
        &(rate * u32::from(frame)).to_le_bytes(),
        &frame.to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &n.to_le_bytes(),
        &samples,
    ]
    .concat()
}

#[test]
fn short_silent_and_tiny_clips_give_states_or_a_reason() {
    let silence = |n| Waveform::from_samples(vec![0.0; n], SampleRate::SPEECH).unwrap();
    for name in [
        "wav2vec2-ctc-bin",
        "wavlm-stable",
        "hubert-batch-norm",
        "data2vec-even",
        "whisper-128",
    ] {
        let extractor = load(&family(name)).unwrap().into_whole_clip();
        let least = extractor.spec().min_samples;
        if least > 1 {
            let error = extractor.extract(&silence(least - 1)).unwrap_err();
            assert!(error.to_string().contains(&least.to_string()), "{error}");
        }
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

    /// Any key of the configuration with any value: as before.
    #[test]
    fn changed_settings_never_panic(which in 0_usize..5, key in 0.0..1.0, value in setting()) {
        let names = ["wav2vec2-ctc-bin", "hubert-batch-norm", "wavlm-stable", "data2vec-even", "whisper-128"];
        let folder = copy(names[which]);
        let path = folder.path().join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        *any_of(config.as_object_mut().unwrap(), key) = value;
        std::fs::write(&path, config.to_string()).unwrap();
        if let Ok(model) = load(folder.path()) {
            let _ = model.into_whole_clip().extract(&short_clip());
        }
    }

    /// A tensor of another type, shape or place in the file: as before.
    #[test]
    fn changed_headers_never_panic(tensor in 0.0..1.0, field in 0.0..1.0, value in setting()) {
        let folder = copy("wavlm-stable");
        let path = folder.path().join("model.safetensors");
        let file = std::fs::read(&path).unwrap();
        let (n, rest) = file.split_first_chunk::<8>().unwrap();
        let (header, values) = rest.split_at(usize::try_from(u64::from_le_bytes(*n)).unwrap());
        let mut header: serde_json::Value = serde_json::from_slice(header).unwrap();
        let tensor = any_of(header.as_object_mut().unwrap(), tensor);
        *any_of(tensor.as_object_mut().unwrap(), field) = value;
        let header = header.to_string();
        let n = (header.len() as u64).to_le_bytes();
        std::fs::write(&path, [&n, header.as_bytes(), values].concat()).unwrap();
        if let Ok(model) = load(folder.path()) {
            let _ = model.into_whole_clip().extract(&short_clip());
        }
    }
}

/// The value that lies `part` of the way through an object.
fn any_of(
    object: &mut serde_json::Map<String, serde_json::Value>,
    part: f64,
) -> &mut serde_json::Value {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 1"
    )]
    let at = (object.len() as f64 * part) as usize;
    object.values_mut().nth(at).unwrap()
}

/// What a key of JSON might hold.
fn setting() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    let sizes = prop::collection::vec(0_u64..30, 0..6).prop_map(|sizes| json!(sizes));
    let huge = prop::collection::vec(any::<u64>(), 1..4).prop_map(|sizes| json!(sizes));
    let texts = prop::sample::select(vec!["F32", "F16", "I64", "U8", "group", "layer", ""]);
    prop_oneof![
        (0_u64..70).prop_map(|n| json!(n)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|x| json!(x)),
        any::<bool>().prop_map(|x| json!(x)),
        sizes,
        huge,
        texts.prop_map(|text| json!(text)),
        Just(json!(null)),
        Just(json!({})),
    ]
}
