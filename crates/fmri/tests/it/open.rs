use std::fs;
use std::path::Path;

use braintune_fmri::{BidsOptions, BidsRuns, FmriError, Trim, VoxelOrder, open_dataset};

use super::{full_message, layout};

/// The message of a folder that cannot be opened.
fn refusal(dir: &Path) -> String {
    let error = open_dataset(dir).err().unwrap();
    full_message(&error)
}

#[test]
fn a_folder_is_opened_as_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    assert_eq!(open_dataset(dir.path()).unwrap().name(), "ds003020");
    // What describes itself is believed first.
    let toml = "name = \"plain\"\ntr_s = 2\nfirst_time_s = 1\nsubjects = [\"S1\"]\n\
                [[story]]\nname = \"tale\"\nn_times = 20\n";
    fs::write(dir.path().join("dataset.toml"), toml).unwrap();
    assert_eq!(open_dataset(dir.path()).unwrap().name(), "plain");
    fs::write(dir.path().join("dataset.toml"), "nme = \"plain\"\n").unwrap();
    assert!(refusal(dir.path()).contains("nme"));
}

#[test]
fn what_is_no_dataset_is_told_what_one_looks_like() {
    let dir = tempfile::tempdir().unwrap();
    let message = refusal(dir.path());
    for part in ["dataset.toml", "respdict.json", "sub-*"] {
        assert!(message.contains(part), "{message}");
    }
    let nowhere = open_dataset(&dir.path().join("nowhere"));
    assert!(matches!(nowhere.err(), Some(FmriError::Missing { .. })));
    fs::create_dir(dir.path().join("sub-01")).unwrap();
    assert!(refusal(dir.path()).contains("derivatives"));
}

#[test]
fn options_of_bids_are_read_from_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let read = |text: &str| {
        fs::write(dir.path().join("bids.toml"), text).unwrap();
        BidsOptions::read(dir.path())
    };
    let options = read(
        "derivatives = \"prep\"\ntasks = [\"pieman\"]\norder = \"pycortex\"\nruns = \"parts\"\n\
         onset_s = 3\nsmoothing_mm = 6.0\ndetrend = true\n[n_trs]\npieman = 300\n\
         [trim]\ntrain = [5, 4]\ntest = [9, 4]\n",
    );
    let expected = BidsOptions::new()
        .with_derivatives(&dir.path().join("prep"))
        .with_tasks(&["pieman"])
        .with_order(VoxelOrder::FirstAxisFastest)
        .with_runs(BidsRuns::Parts)
        .with_onset_s(3.0)
        .with_smoothing_mm(6.0)
        .with_detrend()
        .with_n_trs("pieman", 300)
        .with_default_trims(Trim::new(5, 4), Trim::new(9, 4));
    assert_eq!(options.unwrap(), expected);
    for (text, part) in [
        ("smothing_mm = 6", "smothing_mm"),
        ("high_pass_s = -1", "high_pass_s"),
        ("high_pass_s = nan", "high_pass_s"),
        ("onset_s = inf", "onset_s"),
        ("order = \"c\"", "nilearn"),
        ("[n_trs]\npieman = 1000000000000000000\n", "n_trs.pieman"),
        ("space = 4", "space"),
        ("[trim]\ntrain = [1]\n", "train"),
    ] {
        let message = full_message(&read(text).unwrap_err());
        assert!(
            message.contains("bids.toml") && message.contains(part),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
    let message = full_message(&read("detrend = true\nsmothing_mm = 6\n").unwrap_err());
    assert!(
        message.contains("line 2 (smothing_mm = 6): unknown field"),
        "{message}"
    );
}
