//! `model.safetensors.index.json` beside one shard, `a.safetensors`.

#![no_main]

use braintune::backbone::Checkpoint;
use braintune_fuzz::{file, folder, parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        let [config, _, weights] = parts(include_bytes!("../../corpus/checkpoint/wav2vec2"));
        file("config.json", config);
        file("a.safetensors", weights);
    },
    |data: &[u8]| {
        file("model.safetensors.index.json", data);
        let _ = Checkpoint::open(folder());
    }
);
