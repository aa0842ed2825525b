use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, SystemTime};

use braintune_fmri::{CheckStatus, Ds003020, Fix, StoryDataset, check_dataset, fix_dataset};

use super::layout::{self, SUBJECTS, response_path};

fn fix(dir: &Path) -> Vec<Fix> {
    let subjects = SUBJECTS.map(ToOwned::to_owned);
    fix_dataset(&Ds003020::open(dir).unwrap(), &subjects).unwrap()
}

fn messages(dir: &Path) -> Vec<String> {
    let dataset = Ds003020::open(dir).unwrap();
    let subjects = SUBJECTS.map(ToOwned::to_owned);
    let go_on = &mut |_: braintune_fmri::CheckEvent<'_>| ControlFlow::Continue(());
    let report = check_dataset(&dataset, &subjects, false, go_on);
    let remarks = report.entries.into_iter();
    let remarks = remarks.filter(|entry| entry.status != CheckStatus::Ok);
    remarks.map(|entry| entry.message).collect()
}

#[test]
fn files_under_another_name_are_named_and_renamed() {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    let stimuli = dir.path().join("stimuli");
    let grids = dir.path().join("derivative/TextGrids");
    let responses = response_path(dir.path(), "UTS01", "souls");
    fs::rename(stimuli.join("souls.wav"), stimuli.join("Souls .WAV")).unwrap();
    fs::rename(grids.join("souls.TextGrid"), grids.join("SOULS.textgrid")).unwrap();
    fs::rename(&responses, responses.with_extension("h5")).unwrap();

    let before = messages(dir.path());
    assert_eq!(before.len(), 3, "{before:#?}");
    assert!(before[0].contains("Souls .WAV: call it souls.wav, or let `check --fix` do so"));
    assert!(before[1].contains("SOULS.textgrid: call it souls.TextGrid"));
    assert!(before[2].contains("souls.h5: call it souls.hf5"));

    let fixes = fix(dir.path());
    assert_eq!(fixes.len(), 3, "{fixes:?}");
    assert!(fixes.contains(&Fix::Renamed {
        from: responses.with_extension("h5"),
        to: responses.clone()
    }));
    assert!(messages(dir.path()).is_empty());
    assert!(fix(dir.path()).is_empty(), "nothing is left to do");
    let dataset = Ds003020::open(dir.path()).unwrap();
    assert_eq!(dataset.response_shape("UTS01", "souls").unwrap().1, 6);
}

#[test]
fn nothing_is_renamed_where_it_is_not_sure() {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    let responses = response_path(dir.path(), "UTS01", "souls");
    fs::copy(&responses, responses.with_extension("h5")).unwrap();
    assert!(fix(dir.path()).is_empty(), "the expected file is there");
    fs::rename(&responses, responses.with_extension("hdf5")).unwrap();
    assert!(fix(dir.path()).is_empty(), "two files fit");
    assert!(responses.with_extension("h5").exists() && responses.with_extension("hdf5").exists());
}

#[test]
fn the_file_of_another_story_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    let path = dir.path().join("derivative/respdict.json");
    let lengths = fs::read_to_string(&path).unwrap();
    fs::write(&path, lengths.replacen('{', "{\"SOULS\": 40, ", 1)).unwrap();
    assert!(fix(dir.path()).is_empty(), "souls needs its own files");
    let remarks = messages(dir.path());
    assert!(
        remarks.iter().all(|remark| !remark.contains("--fix")),
        "{remarks:?}"
    );
    assert!(response_path(dir.path(), "UTS01", "souls").exists());
}

#[test]
fn only_files_of_the_subjects_asked_for_are_renamed() {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    let responses = response_path(dir.path(), "UTS01", "souls");
    fs::rename(&responses, responses.with_extension("h5")).unwrap();
    let dataset = Ds003020::open(dir.path()).unwrap();
    assert!(
        fix_dataset(&dataset, &["UTS02".to_owned()])
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        fix_dataset(&dataset, &["UTS01".to_owned()]).unwrap().len(),
        1
    );
}

#[test]
fn only_abandoned_parts_of_writes_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    let folder = response_path(dir.path(), "UTS01", "souls").with_file_name("");
    let long_ago = SystemTime::now() - Duration::from_hours(2);
    for (name, modified) in [
        (".souls.hf5.4242.partial", long_ago),
        (".souls.hf5.4243.partial", SystemTime::now()),
        ("souls.hf5.4242.partial", long_ago),
        (".souls.hf5.partial", long_ago),
        (".notes", long_ago),
    ] {
        let file = File::create(folder.join(name)).unwrap();
        file.set_modified(modified).unwrap();
    }
    let path = folder.join(".souls.hf5.4242.partial");
    assert_eq!(fix(dir.path()), [Fix::Removed { path: path.clone() }]);
    assert!(!path.exists() && folder.join(".notes").exists());
    assert!(folder.join(".souls.hf5.4243.partial").exists());
}
