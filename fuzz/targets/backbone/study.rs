//! The file of a study.

#![no_main]

use braintune::study::Study;
use braintune_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(study) = Study::read(&file("study.toml", data)) {
        let _ = (study.title(), study.default_out());
    }
});
