//! Low-rank updates: `adapter_config.json`, a zero byte, `adapter_model.safetensors`.

#![no_main]

use std::sync::LazyLock;

use braintune::backbone::{CheckpointBackbone, Wav2Vec2Config, Wav2Vec2Model};
use braintune_fuzz::{file, folder, parts};
use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;

static MODEL: LazyLock<Wav2Vec2Model> = LazyLock::new(|| {
    let [config, ..] = parts::<3>(include_bytes!("../../corpus/checkpoint/wav2vec2"));
    let config: Wav2Vec2Config = serde_json::from_slice(config).expect("a configuration");
    Wav2Vec2Model::random(&config, 1, &Device::flex()).expect("a model")
});

fuzz_target!(|data: &[u8]| {
    let [config, weights] = parts(data);
    file("adapter_config.json", config);
    file("adapter_model.safetensors", weights);
    let _ = MODEL.clone().with_adapter(folder());
});
