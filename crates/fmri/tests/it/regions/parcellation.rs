//! Parcels by name.

use braintune_fmri::Parcellation;

fn parcellation(names: &[&str], parcels: &[i64]) -> Parcellation {
    let names = names.iter().map(|&name| name.into()).collect();
    let parcels = parcels.iter().map(|&parcel| u32::try_from(parcel).ok());
    Parcellation::new(names, parcels.collect()).unwrap()
}

#[test]
fn entries_of_one_name_are_one_parcel() {
    let parcels = parcellation(&["a", "b", "a"], &[2, 1, 0, -1]);
    assert_eq!(parcels.names(), ["a", "b"]);
    assert_eq!(parcels.parcels(), [Some(0), Some(1), Some(0), None]);
    let outside = Parcellation::new(vec!["a".into()], vec![Some(0), Some(1)]);
    let message = outside.unwrap_err().to_string();
    assert_eq!(message, "place 1 belongs to parcel 1, there are names of 1");
}

#[test]
fn hemispheres_are_joined_left_first() {
    let left = parcellation(&["???", "L_A1", "both"], &[1, 2, -1]);
    let right = parcellation(&["???", "R_A1", "both"], &[2, 1, 0]);
    let joined = Parcellation::join(left, right).unwrap();
    assert_eq!(joined.names(), ["???", "L_A1", "both", "R_A1"]);
    let names: Vec<_> = (0..7).map(|place| joined.name_of(place)).collect();
    let expected = [
        Some("L_A1"),
        Some("both"),
        None,
        Some("both"),
        Some("R_A1"),
        Some("???"),
        None,
    ];
    assert_eq!(names, expected);
    let regions = joined.regions().unwrap();
    assert_eq!(
        regions.iter().collect::<Vec<_>>(),
        [
            ("L_A1", &[0][..]),
            ("R_A1", &[4][..]),
            ("both", &[1, 3][..])
        ]
    );
}
