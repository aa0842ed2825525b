//! Settings of tuning.

#![no_main]

use braintune::tuning::TuningConfig;
use braintune_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = TuningConfig::from_file(&file("tuning.toml", data));
});
