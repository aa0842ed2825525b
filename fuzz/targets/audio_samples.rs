//! WAV and NIST SPHERE: what a file says of itself, and its samples.

#![no_main]

use braintune_audio::{decode_audio, probe_audio};
use braintune_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = file("audio", data);
    let _ = probe_audio(&path);
    let _ = decode_audio(&path);
});
