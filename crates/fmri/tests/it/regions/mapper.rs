//! Maps from voxels to vertices against scipy.

use braintune_fmri::{FmriError, Parcellation, SurfaceMapper};
use serde_json::Value;

use crate::{expected, fixture, full_message};

const NAME: &str = "voxel_to_fsaverage";
const FILES: [&str; 4] = ["whole", "gzip", "left", "lh"];

fn open(file: &str) -> SurfaceMapper {
    SurfaceMapper::open(&fixture(&format!("mapper/{file}.hdf")), NAME).unwrap()
}

fn parcels(list: &Value) -> Vec<Option<u32>> {
    serde_json::from_value(list.clone()).unwrap()
}

fn names() -> Vec<String> {
    ["a", "b", "c"].map(String::from).to_vec()
}

#[test]
fn the_surface_equals_scipys() {
    let expected = expected("mapper/expected.json");
    let values: Vec<f32> = serde_json::from_value(expected["values"].clone()).unwrap();
    let surface: Vec<Option<f32>> = serde_json::from_value(expected["surface"].clone()).unwrap();
    for file in FILES {
        let mapper = open(file);
        assert_eq!((mapper.n_vertices(), mapper.n_voxels()), (80, 25));
        let got = mapper.to_surface(&values).unwrap();
        assert_eq!(got.len(), surface.len());
        for (vertex, (&got, expected)) in got.iter().zip(&surface).enumerate() {
            match expected {
                None => assert!(got.is_nan(), "{file} {vertex}: {got}"),
                // scipy adds up to five terms of up to 2 in f32, we in f64.
                Some(expected) => assert!(
                    (got - expected).abs() < 1e-6,
                    "{file} {vertex}: {got}, {expected}"
                ),
            }
        }
    }
}

#[test]
fn a_voxel_without_value_leaves_none_where_it_reaches() {
    let mapper = open("whole");
    let mut values = vec![1.0; 25];
    let all = mapper.to_surface(&values).unwrap();
    values[1] = f32::NAN;
    let one_less = mapper.to_surface(&values).unwrap();
    let lost = all
        .iter()
        .zip(&one_less)
        .filter(|(a, b)| a.is_finite() && b.is_nan());
    assert!(lost.count() > 0);
    let kept = all
        .iter()
        .zip(&one_less)
        .filter(|(a, b)| a.is_finite() && a == b);
    assert!(kept.count() > 40);
}

#[test]
fn a_voxel_belongs_where_more_than_half_of_it_lies() {
    let expected = expected("mapper/expected.json");
    let vertices = Parcellation::new(names(), parcels(&expected["parcels"])).unwrap();
    for file in FILES {
        let voxels = open(file).to_voxels(&vertices).unwrap();
        assert_eq!(voxels.names(), names());
        assert_eq!(voxels.parcels(), parcels(&expected["voxels"]), "{file}");
    }
}

#[test]
fn one_hemisphere_is_opened_by_its_name() {
    let path = fixture("mapper/lh.hdf");
    let left = SurfaceMapper::open(&path, "voxel_to_fsaverage_lh").unwrap();
    assert_eq!(left.n_vertices(), 40);
    let both = open("whole").to_surface(&[1.0; 25]).unwrap();
    let left = left.to_surface(&[1.0; 25]).unwrap();
    let same = left
        .iter()
        .zip(&both)
        .all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
    assert!(same);
}

#[test]
fn counts_that_differ_are_said() {
    let mapper = open("whole");
    let message = mapper.to_surface(&[1.0; 24]).unwrap_err().to_string();
    assert_eq!(
        message,
        "24 values of a voxel map, the surface mapper has 25"
    );
    let one_hemisphere = Parcellation::new(names(), vec![Some(0); 40]).unwrap();
    let error = mapper.to_voxels(&one_hemisphere).unwrap_err();
    assert!(matches!(
        error,
        FmriError::PlaceCount {
            expected: 80,
            got: 40,
            ..
        }
    ));
}

#[test]
fn what_is_no_matrix_is_said() {
    for (file, says) in [
        ("falls", "`indptr` falls"),
        ("begin", "`indptr` does not begin with 0"),
        ("end", "`indptr` ends at 2"),
        ("rows", "`shape` says 3 vertices, `indptr` 2"),
        ("index", "`indices` names voxel 3, `shape` says 3"),
        ("negative", "`m_indices` holds other than whole numbers"),
        ("floats", "`m_indices` holds other than whole numbers"),
        ("nan", "`data` holds NaN"),
        ("lengths", "`data` has 2 values, `indices` 3"),
        ("three", "`shape` is [2, 3, 1]"),
        ("voxels", "no volume has so many"),
        ("axes", "`m_data` of"),
        ("missing", "has no `m_indices`"),
        (
            "hemispheres",
            "the left hemisphere's matrix has 3 voxels, the right one's 4",
        ),
    ] {
        let path = fixture(&format!("mapper/bad_{file}.hdf"));
        let message = full_message(&SurfaceMapper::open(&path, "m").unwrap_err());
        assert!(message.contains(says), "{file}: {message}");
        assert!(message.contains(&format!("bad_{file}.hdf")), "{message}");
    }
    let none = SurfaceMapper::open(&fixture("none.hdf"), "m").unwrap_err();
    let message = none.to_string();
    assert!(message.starts_with("surface mapper not found"), "{message}");
    let unknown = SurfaceMapper::open(&fixture("mapper/whole.hdf"), "voxel_to_moon");
    let message = unknown.unwrap_err().to_string();
    assert!(message.contains("has no `voxel_to_moon_"), "{message}");
    assert!(message.contains("voxel_to_flatmap_data"), "{message}");
}

#[test]
fn matrices_have_names_and_can_be_made_of_rows() {
    for (file, expected) in [("whole", NAME), ("lh", NAME)] {
        let path = fixture(&format!("mapper/{file}.hdf"));
        assert!(
            SurfaceMapper::names(&path)
                .unwrap()
                .iter()
                .any(|name| name == expected)
        );
    }
    let rows = [vec![(0, 0.5), (1, 0.5)], vec![], vec![(2, 2.0)]];
    let mapper = SurfaceMapper::from_rows(3, &rows).unwrap();
    assert_eq!((mapper.n_vertices(), mapper.n_voxels()), (3, 3));
    let surface = mapper.to_surface(&[1.0, 3.0, 5.0]).unwrap();
    assert!(surface[0] == 2.0 && surface[1].is_nan() && surface[2] == 10.0);
    assert!(SurfaceMapper::from_rows(2, &rows).is_err());
    assert!(SurfaceMapper::from_rows(3, &[vec![(0, f64::NAN)]]).is_err());
}

#[test]
fn maps_from_rows_are_checked_without_rows_too() {
    let most = 1 << 24;
    for rows in [vec![], vec![vec![(0, 1.0)], vec![]]] {
        let mapper = SurfaceMapper::from_rows(most, &rows).unwrap();
        assert_eq!((mapper.n_vertices(), mapper.n_voxels()), (rows.len(), most));
        let refused = SurfaceMapper::from_rows(most + 1, &rows).unwrap_err();
        assert!(matches!(refused, FmriError::Regions { .. }), "{refused}");
    }
    for (voxel, weight) in [(3, 1.0), (0, f64::NAN)] {
        let refused = SurfaceMapper::from_rows(3, &[vec![(voxel, weight)]]);
        assert!(matches!(refused, Err(FmriError::Regions { .. })));
    }
}
