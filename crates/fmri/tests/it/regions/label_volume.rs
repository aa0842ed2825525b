//! Volumes of labels inside a mask, against numpy.

use std::collections::BTreeMap;

use braintune_fmri::{FmriError, LabelTable, NiftiFile, Parcellation, VoxelMask, VoxelOrder};

use crate::{expected, fixture, full_message};

fn read(file: &str, names: &LabelTable, order: VoxelOrder) -> Result<Parcellation, FmriError> {
    let mask = VoxelMask::read(&fixture("voxel_mask/mask.nii.gz"), order).unwrap();
    let labels = NiftiFile::open(&fixture(&format!("label_volume/{file}_dseg.nii.gz"))).unwrap();
    Parcellation::of_volume(&labels, names, &mask)
}

fn names() -> LabelTable {
    LabelTable::read(&fixture("label_volume/dseg.tsv")).unwrap()
}

#[test]
fn voxels_are_numbered_as_the_mask_numbers_them() {
    let expected = expected("label_volume/expected.json");
    for (key, order) in [
        ("last_axis_fastest", VoxelOrder::LastAxisFastest),
        ("first_axis_fastest", VoxelOrder::FirstAxisFastest),
    ] {
        let labels: Vec<i64> = serde_json::from_value(expected[key].clone()).unwrap();
        for file in ["whole", "floats"] {
            let parcels = read(file, &names(), order).unwrap();
            assert_eq!(parcels.n_places(), labels.len());
            for (voxel, label) in labels.iter().enumerate() {
                assert_eq!(parcels.name_of(voxel), names().get(*label), "{file} {key}");
            }
            let regions = parcels.regions().unwrap();
            // V2 has no voxel.
            assert_eq!(regions.names().collect::<Vec<_>>(), ["A1", "V1"]);
            let of = |wanted| {
                let voxels = labels.iter().enumerate();
                let voxels = voxels.filter(move |&(_, &label)| label == wanted);
                voxels.map(|(voxel, _)| voxel).collect::<Vec<_>>()
            };
            assert_eq!(regions.get("A1").unwrap(), of(3));
            assert_eq!(regions.get("V1").unwrap(), of(1001));
        }
    }
}

#[test]
fn volumes_that_do_not_fit_are_refused() {
    let order = VoxelOrder::default();
    let moved = read("moved", &names(), order).unwrap_err();
    assert!(matches!(moved, FmriError::VoxelGrid { .. }), "{moved}");
    let message = full_message(&read("halves", &names(), order).unwrap_err());
    assert!(message.contains("halves_dseg.nii.gz"), "{message}");
    assert!(message.contains("is no label"), "{message}");
    let other = LabelTable::new(BTreeMap::from([(77, "A1".to_owned())]));
    let message = full_message(&read("whole", &other, order).unwrap_err());
    assert!(message.contains("whole_dseg.nii.gz"), "{message}");
    assert!(
        message.contains("no voxel of the mask has a label of the table"),
        "{message}"
    );
}
