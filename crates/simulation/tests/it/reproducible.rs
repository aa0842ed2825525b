//! Same configuration, same bytes; and what interrupted, repeated and refused runs leave behind.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_fmri::Ds003020;
use braintune_simulation::{SimulationConfig, SimulationError, SimulationEvent, simulate};

use crate::{run, small};

/// Content of every file below `dir` by its path from there.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(dir).unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn the_seed_decides_every_byte() {
    let [a, b, c] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    run(&small(), a.path());
    run(&small(), b.path());
    run(&small().with_seed(1), c.path());
    let [a, b, c] = [a, b, c].map(|dir| files(dir.path()));
    // Three stories of three files, respdict.json, word_classes.csv and the three files of the truth.
    assert_eq!(a.len(), 14);
    assert!(a == b);
    let same: Vec<_> = a.keys().filter(|&name| a[name] == c[name]).collect();
    assert_eq!(
        same,
        [
            Path::new("derivative/respdict.json"),
            Path::new("rois.json")
        ]
    );
}

#[test]
fn a_stopped_run_leaves_no_dataset_and_can_be_repeated() {
    let [stopped, whole] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let mut events = Vec::new();
    let result = simulate(&small(), stopped.path(), &mut |event| {
        events.push(event);
        if events.len() == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(result, Err(SimulationError::Cancelled)));
    let story = "paperboats".to_owned();
    let written = SimulationEvent::StoryWritten {
        n_written: 1,
        story,
    };
    assert_eq!(events, [SimulationEvent::Started { n_stories: 3 }, written]);
    assert!(Ds003020::open(stopped.path()).is_err());
    assert_eq!(files(stopped.path()).len(), 7);

    run(&small(), stopped.path());
    run(&small(), whole.path());
    assert!(files(stopped.path()) == files(whole.path()));
    run(&small(), whole.path());
    assert!(files(stopped.path()) == files(whole.path()));
}

#[test]
fn another_dataset_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    run(&small(), dir.path());
    let before = files(dir.path());
    let refuse = |dir: &Path| {
        let config = small().with_seed(1);
        let result = simulate(&config, dir, &mut |_| ControlFlow::Continue(()));
        let error = result.unwrap_err();
        assert!(matches!(error, SimulationError::Occupied { .. }), "{error}");
        assert!(error.to_string().contains(&dir.display().to_string()));
    };
    refuse(dir.path());
    assert!(files(dir.path()) == before);

    let foreign = tempfile::tempdir().unwrap();
    fs::create_dir(foreign.path().join("stimuli")).unwrap();
    refuse(foreign.path());
    assert!(files(foreign.path()).is_empty());
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let result = simulate(&small(), &file.join("out"), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(matches!(result, Err(SimulationError::Io { .. })));
}

#[test]
fn settings_that_cannot_be_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let default = SimulationConfig::default;
    let cases = [
        (
            default().with_n_train_stories(0),
            "number of training stories is 0, expected 1 to 200",
        ),
        (
            default().with_story_s(f64::NAN),
            "length of a training story in seconds is NaN",
        ),
        (
            default().with_test_story_s(29.0),
            "length of the test story in seconds is 29",
        ),
        (
            default().with_n_voxels(4),
            "number of voxels is 4, expected 5 to 20000",
        ),
        (default().with_n_repeats(0), "number of repeats is 0"),
        (
            default().with_n_participants(0),
            "number of participants is 0, expected 1 to 99",
        ),
        (
            default().with_n_test_stories(21),
            "number of test stories is 21, expected 1 to 20",
        ),
        (
            default().with_single_ceiling(0.0..=0.5),
            "ceilings is 0 to 0.5",
        ),
        (
            default().with_single_ceiling(0.8..=0.5),
            "ceilings is 0.8 to 0.5",
        ),
        (
            default().with_single_ceiling(0.8..=f64::NAN),
            "ceilings is 0.8 to NaN",
        ),
    ];
    for (config, expected) in cases {
        let result = simulate(&config, dir.path(), &mut |_| ControlFlow::Continue(()));
        let message = result.unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert!(files(dir.path()).is_empty());
}
