//! Regions: as lists of voxels, and from the files that they come from.

mod annot;
mod damage;
mod gifti;
mod hcp;
mod label_table;
mod label_volume;
mod mapper;
mod means;
mod mesh;
mod parcellation;

use std::fs;

use braintune_fmri::{FmriError, Regions};

use super::full_message;

fn read(json: &str) -> Result<Regions, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rois.json");
    fs::write(&path, json).unwrap();
    Regions::read(&path).map_err(|error| {
        let message = full_message(&error);
        assert!(message.contains("rois.json"), "{message}");
        message
    })
}

#[test]
fn regions_are_read_and_written() {
    let regions = read(r#"{"b": [2, 0], "a": [1]}"#).unwrap();
    assert_eq!(regions.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(regions.get("b"), Some(&[2, 0][..]));
    assert_eq!(regions.get("c"), None);
    let all = regions.with_all(3);
    assert_eq!(
        all,
        [("all", vec![0, 1, 2]), ("a", vec![1]), ("b", vec![2, 0])]
    );

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rois.json");
    regions.write(&path).unwrap();
    assert_eq!(Regions::read(&path).unwrap(), regions);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert_eq!(
        serde_json::to_string(&regions).unwrap(),
        r#"{"a":[1],"b":[2,0]}"#
    );
    assert_eq!(read("{}").unwrap(), Regions::default());
}

#[test]
fn what_cannot_be_regions_is_said() {
    for (json, says) in [
        (
            r#"{"all": [0]}"#,
            "region `all` always stands for every voxel",
        ),
        (r#"{" ": [0]}"#, "a region has no name"),
        (r#"{"a": [0], "a": [1]}"#, "region a is there twice"),
        (r#"{"a": []}"#, "region a is empty"),
        (r#"{"a": [1, 2, 1]}"#, "region a names a voxel twice"),
        (
            r#"{"a": [-1]}"#,
            "expected {\"region\": [voxel indices from 0",
        ),
        (r#"{"a": 1}"#, "expected {\"region\""),
        (r#"{"a": [1]} x"#, "trailing characters"),
        ("[]", "expected {\"region\""),
        ("", "expected {\"region\""),
    ] {
        let error = read(json).unwrap_err();
        assert!(error.contains(says), "{json}: {error}");
    }
    let missing = Regions::read(&super::fixture("none.json"));
    assert!(matches!(missing, Err(FmriError::Missing { .. })));
}

#[test]
fn a_voxel_that_is_not_there_is_said() {
    let regions = Regions::new([("a".to_owned(), vec![4, 9])]).unwrap();
    regions.check(10).unwrap();
    let error = regions.check(9).unwrap_err().to_string();
    assert_eq!(
        error,
        "region a names voxel 9, the participant has voxels 0 to 8"
    );
}
