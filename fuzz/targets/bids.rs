//! A run of BIDS: `events.tsv`, a zero byte, the sidecar of the image.

#![no_main]

use braintune_fmri::{BidsDataset, BidsOptions, StoryDataset};
use braintune_fuzz::{file, folder, parts};
use libfuzzer_sys::fuzz_target;

const RUN: &str = "derivatives/fmriprep/sub-1/func/sub-1_task-tale";

fuzz_target!(
    init: {
        let bold = include_bytes!("../corpus/nifti/bold.nii.gz");
        let mask = include_bytes!("../corpus/nifti/mask.nii.gz");
        file(&format!("{RUN}_desc-preproc_bold.nii.gz"), bold);
        file(&format!("{RUN}_desc-brain_mask.nii.gz"), mask);
    },
    |data: &[u8]| {
        let [events, sidecar] = parts(data);
        file("sub-1/func/sub-1_task-tale_events.tsv", events);
        file("sub-1/func/sub-1_task-tale_bold.json", sidecar);
        file(&format!("{RUN}_desc-preproc_bold.json"), sidecar);
        if let Ok(dataset) = BidsDataset::open(folder(), BidsOptions::new()) {
            for story in dataset.stories() {
                let _ = dataset.timing(story.name());
                let _ = dataset.response_shape("sub-1", story.name());
            }
        }
    }
);
