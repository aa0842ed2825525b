//! Means against numpy.

use braintune_fmri::{FmriError, Regions, mean_of_parcels, voxel_mean};

const VALUES: [f32; 6] = [0.25, f32::NAN, -0.5, 0.75, f32::NAN, 0.125];

/// `numpy.nanmean(values[region])`, numpy 2.4.6; exact in binary.
#[test]
fn voxels_without_a_value_are_left_out() {
    assert_eq!(
        voxel_mean(&VALUES, &[0, 1, 2, 3, 5]).unwrap(),
        Some(0.15625)
    );
    assert_eq!(voxel_mean(&VALUES, &[3]).unwrap(), Some(0.75));
    assert_eq!(voxel_mean(&VALUES, &[1, 4]).unwrap(), None);
    assert_eq!(voxel_mean(&VALUES, &[]).unwrap(), None);
    let outside = voxel_mean(&VALUES, &[6]);
    assert!(matches!(outside, Err(FmriError::Regions { .. })));
}

/// `numpy.nanmean([numpy.nanmean(values[parcel]) for parcel in parcels])`, numpy 2.4.6.
#[test]
fn parcels_count_the_same_and_those_without_a_value_do_not() {
    let parcels = |lists: &[&[usize]]| {
        let lists = lists.iter().enumerate();
        Regions::new(lists.map(|(k, list)| (format!("p{k}"), list.to_vec()))).unwrap()
    };
    let three = parcels(&[&[0, 1, 2, 3], &[5], &[4]]);
    assert_eq!(
        mean_of_parcels(&VALUES, &three).unwrap(),
        // The mean of (0.25 - 0.5 + 0.75) / 3 and 0.125.
        Some(f64::midpoint(0.5 / 3.0, 0.125))
    );
    assert_eq!(
        mean_of_parcels(&VALUES, &parcels(&[&[1], &[4]])).unwrap(),
        None
    );
    assert!(mean_of_parcels(&VALUES, &parcels(&[&[1], &[9]])).is_err());
}
