//! NIfTI images: single files, compressed ones, and pairs whose two files are the same bytes.

#![no_main]

use std::ops::ControlFlow;

use braintune_fmri::{NiftiFile, VoxelMask, VoxelOrder};
use braintune_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    file("image.img", data);
    let path = file("image.hdr", data);
    let Ok(image) = NiftiFile::open(&path) else {
        return;
    };
    let _ = image.for_each_volume(&mut |_, _| ControlFlow::Continue(()));
    let _ = image.read_volume(image.header().n_volumes() - 1);
    let _ = image.read_labels();
    if let Ok(mask) = VoxelMask::read(&path, VoxelOrder::FirstAxisFastest) {
        let _ = mask.read_series(&image, 0..mask.n_voxels());
    }
});
