//! HDF5 files of responses: headers and all values, of every layout and filter.

#![no_main]

use braintune_fmri::ResponseFile;
use braintune_fuzz::{allow_caught_panics, file, uncaught};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: allow_caught_panics(), |data: &[u8]| uncaught(|| read(data)));

fn read(data: &[u8]) {
    let Ok(file) = ResponseFile::open(&file("responses.hf5", data)) else {
        return;
    };
    for key in file.keys().unwrap_or_default() {
        let _ = file.info(&key);
    }
    if let Ok([n_trs, n_voxels]) = file.shape() {
        let _ = file.read(0..n_trs, 0..n_voxels);
        let _ = file.read(n_trs / 2..n_trs, n_voxels / 2..n_voxels);
    }
    if let Ok([n_repeats, n_trs, n_voxels]) = file.repeats_shape() {
        let _ = file.read_repeat(n_repeats - 1, 0..n_trs, 0..n_voxels);
    }
}
