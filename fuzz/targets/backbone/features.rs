//! Features of layers that were kept, and the output of frozen parts, both in safetensors.

#![no_main]

use std::fs::{read_dir, write};
use std::path::PathBuf;
use std::sync::LazyLock;

use braintune::backbone::{FrozenCache, LayerFeatures};
use braintune_fuzz::{file, folder};
use burn::tensor::{Device, Tensor};
use libfuzzer_sys::fuzz_target;

/// A cache, and the file of its one entry.
static CACHE: LazyLock<(FrozenCache, PathBuf)> = LazyLock::new(|| {
    let folder = folder().join("frozen");
    let cache = FrozenCache::new(&folder, "weights".to_owned(), 1).expect("a cache");
    output(&cache);
    let entry = read_dir(folder)
        .expect("a folder")
        .next()
        .expect("an entry");
    (cache, entry.expect("an entry").path())
});

fn output(cache: &FrozenCache) {
    let samples = Tensor::zeros([2, 8], &Device::flex());
    cache.output(samples, &[8, 8], |_| {
        Tensor::zeros([2, 3, 4], &Device::flex())
    });
}

fuzz_target!(|data: &[u8]| {
    let _ = LayerFeatures::read(&file("features.safetensors", data));
    write(&CACHE.1, data).expect("a file");
    output(&CACHE.0);
});
