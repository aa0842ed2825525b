//! A study of a dataset that has surfaces: maps of voxels in its report.

use std::fmt::Write as _;
use std::path::Path;

use braintune::study::StudyResults;
use rust_hdf5::H5File;

use crate::study::{Place, STUDY};

const N_VOXELS: usize = 12;
/// Vertices of a hemisphere.
const SIDE: usize = 9;

/// A square of 3 x 3 vertices as GIFTI.
fn write_square(path: &Path) {
    let mut points = String::new();
    for k in 0..SIDE {
        let _ = writeln!(points, "{} {} 0", 10 * (k % 3), 10 * (k / 3));
    }
    let corners = [0, 1, 3, 4].into_iter();
    let triangles: String = corners.fold(String::new(), |mut text, k| {
        let _ = writeln!(
            text,
            "{k} {} {}\n{} {} {}",
            k + 1,
            k + 3,
            k + 1,
            k + 4,
            k + 3
        );
        text
    });
    let array = |intent: &str, kind: &str, n: usize, data: &str| {
        format!(
            "<DataArray Intent=\"{intent}\" DataType=\"{kind}\" ArrayIndexingOrder=\"RowMajorOrder\" Dimensionality=\"2\" \
             Dim0=\"{n}\" Dim1=\"3\" Encoding=\"ASCII\" Endian=\"LittleEndian\" ExternalFileName=\"\" ExternalFileOffset=\"\">\
             <Data>{data}</Data></DataArray>\n"
        )
    };
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<GIFTI Version=\"1.0\" NumberOfDataArrays=\"2\">\n{}{}</GIFTI>\n",
        array("NIFTI_INTENT_POINTSET", "NIFTI_TYPE_FLOAT32", SIDE, &points),
        array("NIFTI_INTENT_TRIANGLE", "NIFTI_TYPE_INT32", 8, &triangles),
    );
    std::fs::write(path, text).unwrap();
}

/// A matrix of `2 * SIDE` vertices x `n_voxels`, one voxel for each vertex, as pycortex writes it.
fn write_mapper(path: &Path, n_voxels: usize) {
    let n_vertices = 2 * SIDE;
    let file = H5File::create(path).unwrap();
    let ints = |name: &str, values: Vec<i32>| {
        let array = file.new_dataset::<i32>().shape([values.len()]);
        array.create(name).unwrap().write_raw(&values).unwrap();
    };
    let whole = |n: usize| i32::try_from(n).unwrap();
    ints(
        "m_indices",
        (0..n_vertices).map(|k| whole(k % n_voxels)).collect(),
    );
    ints("m_indptr", (0..=n_vertices).map(whole).collect());
    ints("m_shape", vec![whole(n_vertices), whole(n_voxels)]);
    let data = file.new_dataset::<f64>().shape([n_vertices]);
    let data = data.create("m_data").unwrap();
    data.write_raw(&vec![1.0_f64; n_vertices]).unwrap();
    drop(data);
    file.close().unwrap();
}

fn short(text: &str) -> String {
    // No probes and no impact: they have no surfaces.
    let cut = text.find("[probes]").unwrap();
    text[..cut].to_owned()
}

fn read(place: &Place) -> StudyResults {
    let text = std::fs::read(place.path("out/study.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn surfaces_are_drawn_before_and_as_changes_and_those_that_do_not_fit_are_said() {
    let place = Place::new();
    let folder = place.path("dataset/surfaces");
    std::fs::create_dir(&folder).unwrap();
    write_square(&folder.join("lh.flat.gii"));
    write_square(&folder.join("rh.flat.gii"));
    write_mapper(&folder.join("SIM01.mapper.hdf5"), N_VOXELS);
    let study = short(STUDY);
    place.run(&study, "out").unwrap();
    let found = read(&place);
    let captions: Vec<&str> = found.surfaces.iter().map(|view| &*view.caption).collect();
    assert_eq!(
        captions,
        [
            "SIM01, tiny, layer 2: r of held-out stories, pretrained",
            "SIM01, tiny, layer 2: r brain-tuned less r pretrained",
        ]
    );
    for view in &found.surfaces {
        let png = std::fs::read(place.path("out").join(&view.png)).unwrap();
        assert!(png.starts_with(b"\x89PNG"), "{}", view.png);
    }
    let report = std::fs::read_to_string(place.path("out/report.html")).unwrap();
    assert_eq!(report.matches("data:image/png").count(), 2);

    // Another mapper: everything else stands, and the report says why there is no map.
    write_mapper(&folder.join("SIM01.mapper.hdf5"), N_VOXELS - 1);
    place.run(&study, "out").unwrap();
    let found = read(&place);
    assert!(found.surfaces.is_empty() && !found.curves.is_empty());
    let left_out = found
        .excluded
        .iter()
        .find(|left| left.what == "SIM01: surfaces");
    assert_eq!(
        left_out.unwrap().why,
        "its mapper takes 11 voxels, the participant has 12"
    );
    std::fs::write(folder.join("lh.flat.gii"), "no XML").unwrap();
    place.run(&study, "out").unwrap();
    let found = read(&place);
    let left_out = found
        .excluded
        .iter()
        .find(|left| left.what == "SIM01: surfaces");
    let why = &left_out.unwrap().why;
    assert!(why.contains("lh.flat.gii"), "{why}");
}
