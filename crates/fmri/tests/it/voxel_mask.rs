use std::fs;

use braintune_fmri::{FmriError, NiftiFile, VoxelMask, VoxelOrder};
use ndarray::{Array3, ArrayView2};

use super::fixture;
use super::tensors::Tensors;

const ORDERS: [(VoxelOrder, &str); 2] = [
    (VoxelOrder::LastAxisFastest, "last_axis_fastest"),
    (VoxelOrder::FirstAxisFastest, "first_axis_fastest"),
];

fn mask(order: VoxelOrder) -> VoxelMask {
    VoxelMask::read(&fixture("voxel_mask/mask.nii.gz"), order).unwrap()
}

fn bold() -> NiftiFile {
    NiftiFile::open(&fixture("voxel_mask/bold.nii.gz")).unwrap()
}

#[test]
fn series_are_nilearns_and_pycortexs() {
    let tensors = Tensors::open("voxel_mask");
    for (order, name) in ORDERS {
        let mask = mask(order);
        let expected = tensors.f32s(name);
        let expected = ArrayView2::from_shape((6, mask.n_voxels()), &expected).unwrap();
        let series = mask.read_series(&bold(), 0..mask.n_voxels()).unwrap();
        assert_eq!(series, expected);
        let some = mask.read_series(&bold(), 3..7).unwrap();
        assert_eq!(some, expected.slice(ndarray::s![.., 3..7]));
        let none = mask.read_series(&bold(), 2..2).unwrap();
        assert_eq!(none.dim(), (6, 0));
    }
}

#[test]
fn voxels_are_numbered_as_numpy_does() {
    let tensors = Tensors::open("voxel_mask");
    let mask = mask(VoxelOrder::LastAxisFastest);
    let expected = tensors.counts("voxels");
    assert_eq!(mask.n_voxels() * 3, expected.len());
    for (column, expected) in expected.chunks(3).enumerate() {
        assert_eq!(mask.voxel(column).unwrap(), expected);
    }
    assert_eq!(mask.voxel(mask.n_voxels()), None);
    assert_eq!(mask.shape(), [5, 4, 3]);
    // The file holds f32.
    for (got, expected) in mask
        .affine()
        .as_flattened()
        .iter()
        .zip(tensors.f64s("affine"))
    {
        assert_eq!(*got as f32, expected as f32);
    }
}

#[test]
fn a_volume_in_any_layout_is_selected_from_alike() {
    let volume = bold().read_volume(2).unwrap();
    let series = mask(VoxelOrder::default())
        .read_series(&bold(), 0..20)
        .unwrap();
    for volume in [volume.clone(), volume.as_standard_layout().to_owned()] {
        let values = mask(VoxelOrder::default()).select(volume.view()).unwrap();
        assert_eq!(values[..20], series.row(2).to_vec());
    }
    let wrong = Array3::<i64>::zeros((4, 5, 3));
    let error = mask(VoxelOrder::default())
        .select(wrong.view())
        .unwrap_err();
    assert!(matches!(error, FmriError::VoxelGrid { .. }), "{error}");
}

#[test]
fn voxels_that_are_not_there_are_refused() {
    let mask = mask(VoxelOrder::default());
    let n = mask.n_voxels();
    let error = mask.read_series(&bold(), n - 1..n + 1).unwrap_err();
    assert!(
        matches!(error, FmriError::Selection { available, .. } if available == n),
        "{error}"
    );
}

#[test]
fn masks_on_another_grid_are_refused_with_both_named() {
    let inside = Array3::from_elem((5, 4, 3), true);
    let mut affine = mask(VoxelOrder::default()).affine();
    let fits = |affine| {
        let mask = VoxelMask::from_array(inside.view(), affine, VoxelOrder::default()).unwrap();
        mask.check_grid(&bold())
    };
    fits(affine).unwrap();
    // Voxels of 2 mm: 0.01 mm is within 1 %, 0.03 mm is not.
    affine[0][3] += 0.01;
    fits(affine).unwrap();
    affine[0][3] += 0.02;
    let error = fits(affine).unwrap_err().to_string();
    assert!(
        error.contains("the mask") && error.contains("bold.nii.gz"),
        "{error}"
    );
    assert!(
        error.contains("90.03") && error.contains("90.0]"),
        "{error}"
    );
    // A rotation that moves the far corner only.
    affine[0][3] -= 0.03;
    affine[2][0] += 0.006;
    assert!(fits(affine).is_err());
    affine[2][0] = f64::NAN;
    assert!(fits(affine).is_err());

    let wrong = Array3::from_elem((5, 4, 2), true);
    let mask = VoxelMask::from_array(
        wrong.view(),
        bold().header().affine(),
        VoxelOrder::default(),
    );
    let error = mask
        .unwrap()
        .read_series(&bold(), 0..1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("[5, 4, 2] against [5, 4, 3, 6]"), "{error}");
}

#[test]
fn what_is_no_mask_is_refused() {
    let error = VoxelMask::read(&fixture("voxel_mask/bold.nii.gz"), VoxelOrder::default());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("[5, 4, 3, 6], expected a mask")
    );
    let empty = Array3::from_elem((2, 2, 2), false);
    let error = VoxelMask::from_array(empty.view(), [[0.0; 4]; 4], VoxelOrder::default());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no voxel is inside")
    );
}

#[test]
fn values_that_are_not_finite_are_outside() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mask.nii");
    fs::write(&path, tensors.bytes("file.not_labels_nan").unwrap()).unwrap();
    let error = VoxelMask::read(&path, VoxelOrder::default()).unwrap_err();
    assert!(error.to_string().contains("no voxel is inside"), "{error}");
}
