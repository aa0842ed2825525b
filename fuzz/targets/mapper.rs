//! Sparse matrices from voxels to vertices in HDF5.

#![no_main]

use braintune_fmri::SurfaceMapper;
use braintune_fuzz::{allow_caught_panics, file, uncaught};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: allow_caught_panics(), |data: &[u8]| uncaught(|| {
    let path = file("mapper.hdf", data);
    for name in SurfaceMapper::names(&path).unwrap_or_default() {
        if let Ok(mapper) = SurfaceMapper::open(&path, &name) {
            let _ = mapper.to_surface(&vec![1.0; mapper.n_voxels()]);
        }
    }
}));
