//! Weights in `PyTorch`'s format, `pytorch_model.bin`, for a configuration that is whole.

#![no_main]

use braintune::backbone::PretrainedModel;
use braintune_fuzz::{file, folder, parts};
use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        let [config, preprocessor, _] = parts(include_bytes!("../../corpus/checkpoint/wav2vec2"));
        file("config.json", config);
        file("preprocessor_config.json", preprocessor);
    },
    |data: &[u8]| {
        file("pytorch_model.bin", data);
        let _ = PretrainedModel::load(folder(), Device::flex());
    }
);
