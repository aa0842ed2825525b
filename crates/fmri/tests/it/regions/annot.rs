//! `FreeSurfer` annotations against nibabel.

use std::fs;

use braintune_fmri::read_annot;
use serde_json::Value;

use crate::{expected, fixture, full_message};

#[test]
fn parcels_equal_those_of_nibabel() {
    let expected = expected("annot/expected.json");
    for (file, names) in expected.as_object().unwrap() {
        let read = read_annot(&fixture(&format!("annot/{file}"))).unwrap();
        let names = names.as_array().unwrap();
        assert_eq!(read.n_places(), names.len(), "{file}");
        for (vertex, name) in names.iter().enumerate() {
            assert_eq!(read.name_of(vertex), name.as_str(), "{file} {vertex}");
        }
        assert_eq!(read.names().len(), 6);
        let n_without = read.parcels().iter().filter(|p| p.is_none()).count();
        let nulls = names.iter().filter(|name| **name == Value::Null).count();
        assert_eq!(n_without, nulls);
    }
}

fn read(bytes: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lh.annot");
    fs::write(&path, bytes).unwrap();
    let message = full_message(&read_annot(&path).unwrap_err());
    assert!(message.contains("lh.annot"), "{message}");
    message
}

fn ints(values: &[i32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

#[test]
fn what_is_wrong_with_an_annotation_is_said() {
    let name = i32::from_be_bytes(*b"abc\0");
    let colour = [10, 20, 30, 0];
    let table = [&[1, 1, 4, name, 4, name][..], &colour].concat();
    for (values, says) in [
        (vec![], "it ends within vertices"),
        (
            vec![i32::MAX, 0, 0],
            "it says 2147483647 vertices and has 8 bytes",
        ),
        (vec![-1], "it says -1 vertices"),
        (vec![1, 1, 0], "it names vertex 1 of 1"),
        (vec![1, -1, 0], "it names vertex -1 of 1"),
        (vec![2, 0, 0, 0, 0], "vertex 0 is there twice"),
        (vec![1, 0, 0], "it has no table"),
        (vec![1, 0, 0, 0], "it has no table"),
        (vec![1, 0, 0, 1, 0], "has version 0"),
        (vec![1, 0, 0, 1, -3], "has version 3"),
        (
            vec![0, 1, i32::MAX, 4, name],
            "it ends within bytes of a name",
        ),
        (
            vec![0, 1, 1, i32::MAX, name],
            "it says 2147483647 bytes of a name",
        ),
        (vec![0, 1, 1, -4, name], "it says -4 bytes of a name"),
        (
            vec![0, 1, -2, 5, 4, name, i32::MAX],
            "it ends within the number of a parcel",
        ),
        (vec![0, 1, -2, 5, 4, name, 1, 5], "it names parcel 5 of 5"),
        (
            vec![1, 0, 0, 1, -2, 5, 4, name, 0],
            "has 0 entries, expected 1 or more",
        ),
        (
            vec![1, 0, 0, 1, -2, 5, 4, name, -3],
            "has -3 entries, expected 1 or more",
        ),
        (
            vec![0, 1, 1, 4, name, 4, name, 256, 0, 0, 0],
            "has a colour of 256",
        ),
        (
            [&[0][..], &table[..9]].concat(),
            "it ends within a transparency",
        ),
    ] {
        let message = read(&ints(&values));
        assert!(message.contains(says), "{values:?}: {message}");
    }
}

#[test]
fn vertices_may_be_in_any_order_and_colours_without_a_name() {
    let name = i32::from_be_bytes(*b"abc\0");
    let colour = 10 + (20 << 8) + (30 << 16);
    let vertices = [3, 2, colour, 0, 99, 1, 0];
    // Two entries of one colour: the first counts.
    let table = [1, 2, 4, name, 4, name, 10, 20, 30, 0, 3, 0, 10, 20, 30, 0];
    let mut bytes = ints(&[&vertices[..], &table].concat());
    let second = bytes.len() - 20;
    bytes[second..second + 4].copy_from_slice(b"xyz\0");
    // A name of three bytes has no zero at its end and shifts what follows by one.
    bytes.remove(second + 3);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lh.annot");
    fs::write(&path, bytes).unwrap();
    let read = read_annot(&path).unwrap();
    assert_eq!(read.names(), ["abc", "xyz"]);
    assert_eq!(read.parcels(), [None, None, Some(0)]);
}
