//! Surfaces in GIFTI files against nibabel.

use std::fs;

use braintune_fmri::{Gifti, SurfaceMesh};
use ndarray::Array2;

use crate::{expected, fixture, full_message};

#[test]
fn vertices_and_triangles_equal_those_of_nibabel() {
    let expected = expected("surface/expected.json");
    let rows = |name: &str| -> Vec<Vec<f64>> {
        let rows = expected[name].as_array().unwrap().iter();
        let row = |row: &serde_json::Value| {
            row.as_array()
                .unwrap()
                .iter()
                .map(|x| x.as_f64().unwrap())
                .collect()
        };
        rows.map(row).collect()
    };
    for encoding in ["ascii", "b64bin", "b64gz"] {
        let gifti = Gifti::read(&fixture(&format!("surface/{encoding}.surf.gii"))).unwrap();
        let mesh = gifti.mesh().unwrap();
        assert_eq!(mesh.n_vertices(), 9);
        for (point, expected) in mesh.points().rows().into_iter().zip(rows("points")) {
            for (x, expected) in point.iter().zip(expected) {
                // Six digits are what is written as text.
                assert!(
                    (f64::from(*x) - expected).abs() < 1e-6,
                    "{encoding}: {x} {expected}"
                );
            }
        }
        let triangles: Vec<Vec<f64>> = mesh
            .triangles()
            .iter()
            .map(|t| t.map(|v| v as f64).to_vec())
            .collect();
        assert_eq!(triangles, rows("triangles"));
    }
}

#[test]
fn what_is_no_surface_is_said() {
    let ascii = fs::read_to_string(fixture("surface/ascii.surf.gii")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lh.flat.gii");
    let says = |from: &str, to: &str, part: &str| {
        assert!(ascii.contains(from), "{from} is in the file");
        fs::write(&path, ascii.replacen(from, to, 1)).unwrap();
        let error = Gifti::read(&path)
            .and_then(|gifti| gifti.mesh())
            .unwrap_err();
        let message = full_message(&error);
        assert!(
            message.contains(part) && message.contains("lh.flat.gii"),
            "{message}"
        );
    };
    says(
        "NIFTI_INTENT_TRIANGLE",
        "NIFTI_INTENT_SHAPE",
        "0 arrays NIFTI_INTENT_TRIANGLE",
    );
    says(
        "NIFTI_INTENT_TRIANGLE",
        "NIFTI_INTENT_POINTSET",
        "2 arrays NIFTI_INTENT_POINTSET",
    );
    says(
        "NIFTI_TYPE_INT32",
        "NIFTI_TYPE_FLOAT32",
        "triangles are not NIFTI_TYPE_INT32",
    );
    says("Dim0=\"9\"", "Dim0=\"27\"", "27");
    let triangles = ascii.rfind("<Data>").unwrap();
    for (vertex, part) in [("9 ", "vertex 9, there are 9"), ("-1 ", "names vertex -1")] {
        let (before, after) = ascii.split_at(triangles);
        fs::write(
            &path,
            format!("{before}{}", after.replacen("0 ", vertex, 1)),
        )
        .unwrap();
        let error = Gifti::read(&path).unwrap().mesh().unwrap_err();
        assert!(full_message(&error).contains(part), "{error}");
    }
    let label = Gifti::read(&fixture("gifti/ascii.label.gii")).unwrap();
    assert!(label.mesh().is_err());
}

#[test]
fn surfaces_of_arrays_are_checked() {
    let points = Array2::zeros((3, 3));
    assert!(SurfaceMesh::new(points.clone(), vec![[0, 1, 2]]).is_ok());
    assert!(SurfaceMesh::new(points.clone(), vec![[0, 1, 3]]).is_err());
    assert!(SurfaceMesh::new(points.clone(), vec![]).is_err());
    assert!(SurfaceMesh::new(Array2::zeros((3, 2)), vec![[0, 1, 2]]).is_err());
    assert!(SurfaceMesh::new(points * f32::NAN, vec![[0, 1, 2]]).is_err());
}
