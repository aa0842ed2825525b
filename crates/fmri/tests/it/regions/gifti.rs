//! GIFTI files against nibabel.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use base64::Engine;
use braintune_fmri::{Gifti, GiftiData};
use serde_json::Value;

use crate::{expected, fixture, full_message};

/// Shape and row-major values; f64 holds every value of the three types.
fn flat(data: &GiftiData) -> (Vec<usize>, Vec<f64>) {
    match data {
        GiftiData::U8(a) => (
            a.shape().to_vec(),
            a.iter().map(|&v| f64::from(v)).collect(),
        ),
        GiftiData::I32(a) => (
            a.shape().to_vec(),
            a.iter().map(|&v| f64::from(v)).collect(),
        ),
        GiftiData::F32(a) => (
            a.shape().to_vec(),
            a.iter().map(|&v| f64::from(v)).collect(),
        ),
        _ => panic!("another type"),
    }
}

#[test]
fn arrays_equal_those_of_nibabel() {
    let expected = expected("gifti/expected.json");
    assert_eq!(expected.as_object().unwrap().len(), 15);
    for (file, expected) in expected.as_object().unwrap() {
        let gifti = Gifti::read(&fixture(&format!("gifti/{file}"))).unwrap();
        let arrays = expected["arrays"].as_array().unwrap();
        assert_eq!(gifti.arrays.len(), arrays.len(), "{file}");
        for (array, expected) in gifti.arrays.iter().zip(arrays) {
            assert_eq!(array.intent, expected["intent"].as_str().unwrap(), "{file}");
            let (shape, values) = flat(&array.data);
            assert_eq!(serde_json::to_value(shape).unwrap(), expected["shape"]);
            let expected = expected["values"].as_array().unwrap();
            let expected = expected
                .iter()
                .map(|v| v.as_str().unwrap().parse().unwrap());
            let expected: Vec<f64> = expected.collect();
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&values), bits(&expected), "{file}");
        }
        let labels: Value = serde_json::to_value(&gifti.labels).unwrap();
        assert_eq!(labels, expected["labels"], "{file}");
    }
}

#[test]
fn labels_become_parcels() {
    let expected = expected("gifti/expected.json");
    for file in ["ascii.label.gii", "b64bin.label.gii", "b64gz.label.gii"] {
        let gifti = Gifti::read(&fixture(&format!("gifti/{file}"))).unwrap();
        let parcels = gifti.parcellation().unwrap();
        let labels = expected[file]["arrays"][0]["values"].as_array().unwrap();
        assert_eq!(parcels.n_places(), labels.len());
        for (vertex, label) in labels.iter().enumerate() {
            let label = label.as_str().unwrap().trim_end_matches(".0");
            let name = expected[file]["labels"].get(label).and_then(Value::as_str);
            assert_eq!(parcels.name_of(vertex), name);
        }
        let without = parcels.parcels().iter().filter(|p| p.is_none()).count();
        assert!(without > 0, "label 99 has no name");
    }
    let map = Gifti::read(&fixture("gifti/b64gz.func.gii")).unwrap();
    let message = map.parcellation().unwrap_err().to_string();
    assert!(message.contains("b64gz.func.gii"), "{message}");
    assert!(message.contains("it has 0 arrays of labels"), "{message}");
}

#[test]
fn maps_are_rows() {
    let expected = expected("gifti/expected.json");
    for file in ["b64gz.func.gii", "b64bin.shape.gii", "ascii.label.gii"] {
        let values = Gifti::read(&fixture(&format!("gifti/{file}"))).unwrap();
        let values = values.values().unwrap();
        let arrays = expected[file]["arrays"].as_array().unwrap();
        assert_eq!(values.dim(), (arrays.len(), 30));
        for (row, array) in values.rows().into_iter().zip(arrays) {
            for (value, expected) in row.iter().zip(array["values"].as_array().unwrap()) {
                let expected: f32 = expected.as_str().unwrap().parse().unwrap();
                assert!(*value == expected || (value.is_nan() && expected.is_nan()));
            }
        }
    }
    // Matrices have more than one value per vertex.
    let matrix = Gifti::read(&fixture("gifti/hand_ascii_row.gii")).unwrap();
    let message = matrix.values().unwrap_err().to_string();
    assert!(message.contains("shape [5, 3]"), "{message}");
}

/// A file of one array with these attributes, as well as those that they do not replace.
fn with(changes: &[(&str, &str)], data: &str) -> String {
    let mut attributes = vec![
        ("Intent", "NIFTI_INTENT_SHAPE"),
        ("DataType", "NIFTI_TYPE_INT32"),
        ("ArrayIndexingOrder", "RowMajorOrder"),
        ("Dimensionality", "1"),
        ("Dim0", "2"),
        ("Encoding", "ASCII"),
        ("Endian", "LittleEndian"),
    ];
    attributes.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    let mut text = "<GIFTI><DataArray".to_owned();
    for (name, value) in attributes.iter().chain(changes) {
        write!(text, " {name}=\"{value}\"").unwrap();
    }
    text + &format!("><Data>{data}</Data></DataArray></GIFTI>")
}

fn read(path: &Path, text: &str) -> Result<Gifti, String> {
    fs::write(path, text).unwrap();
    Gifti::read(path).map_err(|error| {
        let message = full_message(&error);
        assert!(message.contains("map.gii"), "{message}");
        message
    })
}

#[test]
fn what_is_not_read_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("map.gii");
    assert!(read(&path, &with(&[], "1 2")).is_ok());
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let eight = base64(&[0; 8]);
    assert!(read(&path, &with(&[("Encoding", "Base64Binary")], &eight)).is_ok());
    let nine = base64(&[0; 9]);
    let huge = "9999999999999999999";
    for (text, says) in [
        (
            with(&[("Encoding", "ExternalFileBinary")], ""),
            "ExternalFileBinary",
        ),
        (with(&[("Encoding", "Base85")], ""), "`Base85`"),
        (
            with(&[("DataType", "NIFTI_TYPE_FLOAT64")], "1 2"),
            "`NIFTI_TYPE_FLOAT64`",
        ),
        (
            with(&[("ArrayIndexingOrder", "Hilbert")], "1 2"),
            "`Hilbert`",
        ),
        (
            with(&[("Encoding", "Base64Binary"), ("Endian", "Middle")], ""),
            "`Middle`",
        ),
        (with(&[("Dimensionality", "0")], "1 2"), "0 axes"),
        (with(&[("Dimensionality", "7")], "1 2"), "7 axes"),
        (with(&[("Dimensionality", "2")], "1 2"), "Dim1 is ``"),
        (with(&[("Dim0", "-2")], "1 2"), "Dim0 is `-2`"),
        (
            with(&[("Dim0", "3")], "1 2"),
            "its shape says 3 values, it has 2",
        ),
        (with(&[("Dim0", "1")], "1 2"), "more than the 1 values"),
        (with(&[], "1 2.5"), "`2.5` is not a value"),
        (
            with(&[("Dim0", "1000000000")], "1 2"),
            "takes the file over what is read",
        ),
        (
            with(&[("Dim0", huge)], "1 2"),
            "takes the file over what is read",
        ),
        (
            with(
                &[("Dimensionality", "2"), ("Dim0", huge), ("Dim1", huge)],
                "1",
            ),
            "over",
        ),
        (
            with(&[("Encoding", "Base64Binary")], "????"),
            "base64 is damaged",
        ),
        (
            with(&[("Encoding", "Base64Binary")], &eight[..4]),
            "says 8 bytes, it has 3",
        ),
        (
            with(&[("Encoding", "Base64Binary")], &nine),
            "more than the 8 bytes",
        ),
        (
            with(&[("Encoding", "GZipBase64Binary")], &eight),
            "compressed data is damaged",
        ),
        (with(&[], "1 <b/> 2"), "`Data` holds more than text"),
        (
            "<GIFTI><DataArray/></GIFTI>".into(),
            "encoding `` is not one of GIFTI's",
        ),
        ("<svg/>".into(), "`svg`, expected GIFTI"),
        ("<GIFTI>".into(), "not XML"),
        (
            "<!DOCTYPE GIFTI [<!ENTITY a \"b\">]><GIFTI/>".into(),
            "it defines entities",
        ),
        (
            "<GIFTI><LabelTable><Label>a</Label></LabelTable></GIFTI>".into(),
            "no number",
        ),
    ] {
        let message = read(&path, &text).unwrap_err();
        assert!(message.contains(says), "{text}: {message}");
    }
}

#[test]
fn little_data_that_becomes_much_is_stopped() {
    let zeros = vec![0; 1 << 26];
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    let small = encoder.finish().unwrap();
    assert!(small.len() < 1 << 17);
    let data = base64::engine::general_purpose::STANDARD.encode(small);
    let text = with(&[("Encoding", "GZipBase64Binary")], &data);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("map.gii");
    let message = read(&path, &text).unwrap_err();
    assert!(message.contains("more than the 8 bytes"), "{message}");

    let mut text = "<GIFTI".to_owned();
    for k in 0..2000 {
        write!(text, " a{k}=''").unwrap();
    }
    let message = read(&path, &(text + "/>")).unwrap_err();
    assert!(message.contains("attributes in an element"), "{message}");
    let many = format!("<GIFTI>{}</GIFTI>", "<a b='' c=''/>".repeat(200_000));
    let message = read(&path, &many).unwrap_err();
    assert!(message.contains("262144 in all"), "{message}");
    let nodes = format!("<GIFTI>{}</GIFTI>", "<a/>".repeat(1_100_000));
    let message = read(&path, &nodes).unwrap_err();
    assert!(message.contains("not XML that can be read"), "{message}");
    let deep = format!(
        "<GIFTI>{}</GIFTI>",
        "<a>".repeat(400_000) + &"</a>".repeat(400_000)
    );
    assert!(read(&path, &deep).is_ok_and(|gifti| gifti.arrays.is_empty()));
}
