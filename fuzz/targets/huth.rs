//! The layout of ds003020: `respdict.json`, a zero byte, the TR report of story `tale`.

#![no_main]

use std::fs::create_dir_all;

use braintune_fmri::{Ds003020, MissingTriggers, StoryDataset, TrReport};
use braintune_fuzz::{file, folder, parts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: create_dir_all(folder().join("derivative/preprocessed_data/S1")).expect("a folder"),
    |data: &[u8]| {
        let [respdict, report] = parts(data);
        file("derivative/respdict.json", respdict);
        let report = file("derivative/TRfiles/tale.report", report);
        let _ = TrReport::read(&report, MissingTriggers::Refuse);
        if let Ok(report) = TrReport::read(&report, MissingTriggers::Fill) {
            let _ = report.timing(0..report.trigger_times().len());
        }
        if let Ok(dataset) = Ds003020::open(folder()) {
            for story in dataset.stories() {
                let _ = dataset.timing(story.name());
            }
        }
    }
);
