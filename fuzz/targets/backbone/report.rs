//! Results: `study.json`, a zero byte, and in a folder of their own `alignment.csv`, a zero byte, `probes.csv`.

#![no_main]

use braintune::encode::TunedOn;
use braintune::report::{html, read};
use braintune_fuzz::{file, folder, parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [study, alignment, probes] = parts(data);
    file("study/study.json", study);
    file("study/provenance.json", study);
    file("tables/alignment.csv", alignment);
    file("tables/probes.csv", probes);
    let _ = TunedOn::read(&folder().join("study"));
    for dir in ["study", "tables"].map(|name| folder().join(name)) {
        if let Ok(results) = read(&dir) {
            let _ = html(&results, &dir);
        }
    }
});
