//! A model: `config.json`, a zero byte, `preprocessor_config.json`, a zero byte, `model.safetensors`.

#![no_main]

use braintune::backbone::PretrainedModel;
use braintune_fuzz::{file, folder, parts};
use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [config, preprocessor, weights] = parts(data);
    file("config.json", config);
    file("preprocessor_config.json", preprocessor);
    file("model.safetensors", weights);
    let _ = PretrainedModel::load(folder(), Device::flex());
});
