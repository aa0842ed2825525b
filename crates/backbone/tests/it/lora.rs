//! Low-rank updates: adapters that `peft` wrote, adapters written for it, merging.

use braintune_backbone::{
    BackboneError, Checkpoint, CheckpointBackbone, FeatureExtractor, LoraConfig, LoraTarget,
    Wav2Vec2Model, WhisperConfig, WhisperEncoder, WholeClipExtractor,
};
use burn::tensor::Device;
use ndarray::Array2;

use crate::shared::{family, max_abs_difference, reference, short_clip};

fn model() -> Wav2Vec2Model {
    let checkpoint = Checkpoint::open(&family("data2vec-even")).unwrap();
    Wav2Vec2Model::from_checkpoint(&checkpoint, &Device::flex()).unwrap()
}

fn states(model: Wav2Vec2Model) -> Vec<Array2<f32>> {
    let extractor = WholeClipExtractor::new(model, Device::flex());
    extractor.extract(&short_clip()).unwrap().layers().to_vec()
}

#[track_caller]
fn assert_close(found: &[Array2<f32>], expected: &[Array2<f32>]) {
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = max_abs_difference(found, expected);
        assert!(difference < 5e-5, "state {i}: {difference}"); // as for the families
    }
}

#[test]
fn an_adapter_of_peft_gives_the_states_of_peft() {
    let folder = family("data2vec-even-adapter");
    let expected = reference(&folder.join("reference.safetensors"));
    let plain = states(model());
    let adapted = model().with_adapter(&folder).unwrap();
    assert_close(&states(adapted.clone()), &expected);
    assert_close(&states(adapted.merge_lora()), &expected);
    assert!(
        max_abs_difference(&plain[1], &expected[1]) > 0.01,
        "the adapter matters"
    );
}

#[test]
fn an_adapter_that_was_written_is_read_back() {
    let folder = family("data2vec-even-adapter");
    let adapted = model().with_adapter(&folder).unwrap();
    let out = tempfile::tempdir().unwrap();
    adapted.save_adapter(out.path()).unwrap();
    let again = model().with_adapter(out.path()).unwrap();
    assert_eq!(states(again), states(adapted.clone()));
    // A checkpoint has the updates in its weights.
    adapted.save(&out.path().join("merged")).unwrap();
    let merged = Checkpoint::open(&out.path().join("merged")).unwrap();
    let merged = Wav2Vec2Model::from_checkpoint(&merged, &Device::flex()).unwrap();
    assert_close(&states(merged), &states(adapted));
}

#[test]
fn new_updates_change_nothing_and_come_from_their_seed() {
    let config = LoraConfig {
        r: 2,
        target_modules: LoraTarget::ALL.to_vec(),
        ..LoraConfig::default()
    };
    let updated = model().with_lora(&config, 3).unwrap();
    assert_eq!(states(updated), states(model()));
    let written = |seed| {
        let folder = tempfile::tempdir().unwrap();
        let updated = model().with_lora(&config, seed).unwrap();
        updated.save_adapter(folder.path()).unwrap();
        std::fs::read(folder.path().join("adapter_model.safetensors")).unwrap()
    };
    assert_eq!(written(3), written(3));
    assert_ne!(written(3), written(4));
}

#[test]
fn adapters_that_do_not_fit_are_refused() {
    let source = family("data2vec-even-adapter");
    let read = |name: &str| std::fs::read(source.join(name)).unwrap();
    let config = String::from_utf8(read("adapter_config.json")).unwrap();
    let refused = |config: &str, weights: &[u8], part: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("adapter_config.json"), config).unwrap();
        std::fs::write(folder.path().join("adapter_model.safetensors"), weights).unwrap();
        let error = model().with_adapter(folder.path()).unwrap_err().to_string();
        assert!(error.contains(part), "expected `{part}` in: {error}");
    };
    let weights = read("adapter_model.safetensors");
    refused("{", &weights, "adapter_config.json");
    refused(
        &config.replace("\"use_dora\": false", "\"use_dora\": true"),
        &weights,
        "use_dora",
    );
    refused(
        &config.replace(
            "\"init_lora_weights\": false",
            "\"init_lora_weights\": \"pissa\"",
        ),
        &weights,
        "init_lora_weights",
    );
    let name = b"out_proj.lora_B.weight";
    let at = weights.windows(name.len()).position(|w| w == name).unwrap();
    let mut other = weights.clone();
    other[at..at + 8].copy_from_slice(b"out_pro_");
    refused(&config, &other, "not both");
    refused(&config.replace("\"r\": 3", "\"r\": 4"), &weights, "lora_A");
    refused(
        &config.replace("\"LORA\"", "\"IA3\""),
        &weights,
        "peft_type",
    );
    refused(&config, &weights[..weights.len() / 2], "truncated");
    let absent = model().with_adapter(&source.join("nowhere")).unwrap_err();
    assert!(matches!(absent, BackboneError::Io { .. }), "{absent}");
    assert!(
        model().save_adapter(&source).is_err(),
        "no updates to write"
    );
    // Another family's modules have other names.
    let whisper = WhisperEncoder::random(&WhisperConfig::new(1, 24, 3, 80), 0, &Device::flex());
    let error = whisper
        .unwrap()
        .with_adapter(&source)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no projection of the model takes"),
        "{error}"
    );
}
