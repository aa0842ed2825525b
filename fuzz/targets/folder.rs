//! `dataset.toml` of a folder of arrays, and `bids.toml`.

#![no_main]

use braintune_fmri::{BidsOptions, FolderDataset, StoryDataset};
use braintune_fuzz::{file, folder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        let array: &[u8] = include_bytes!("../corpus/numpy/channel_time.npy");
        file("responses/S1/tale.npy", array);
        file("responses/S1/other.npy", array);
    },
    |data: &[u8]| {
        file("bids.toml", data);
        let _ = BidsOptions::read(folder());
        file("dataset.toml", data);
        let Ok(dataset) = FolderDataset::open(folder()) else {
            return;
        };
        for story in dataset.stories() {
            let _ = dataset.timing(story.name());
            for subject in dataset.subjects() {
                let _ = dataset.responses(subject, story.name());
            }
        }
    }
);
