//! Arrays of a folder dataset: `.npy` and `.npz`, responses and repeats, in either order of the axes.

#![no_main]

use braintune_fmri::{FolderDataset, StoryDataset};
use braintune_fuzz::{file, folder};
use libfuzzer_sys::fuzz_target;

const TOML: &str =
    "name = \"a\"\nmodality = \"eeg\"\nrate_hz = 100\nfirst_time_s = 0.005\nsubjects = [\"S1\"]\n";

fuzz_target!(|data: &[u8]| {
    for (axes, extension) in [("time-channel", "npy"), ("channel-time", "npz")] {
        let responses =
            format!("axes = \"{axes}\"\nresponses = \"{{subject}}/{{story}}.{extension}\"\n");
        let stories = "[[story]]\nname = \"tale\"\n";
        file(
            "dataset.toml",
            format!("{TOML}{responses}{stories}").as_bytes(),
        );
        file(&format!("S1/tale.{extension}"), data);
        file("S1/tale_repeats.npy", data);
        if let Ok(dataset) = FolderDataset::open(folder()) {
            let _ = dataset.responses("S1", "tale");
            let _ = dataset.responses_columns("S1", "tale", 1..2);
            let _ = dataset.repeats("S1", "tale");
        }
    }
});
