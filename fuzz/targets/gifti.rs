//! GIFTI: arrays of any encoding, and the labels, maps and surfaces made of them.

#![no_main]

use braintune_fmri::Gifti;
use braintune_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(gifti) = Gifti::read(&file("surface.gii", data)) {
        let _ = gifti.parcellation().and_then(|parcels| parcels.regions());
        let _ = gifti.values();
        let _ = gifti.mesh();
    }
});
