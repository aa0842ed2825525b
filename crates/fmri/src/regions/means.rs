//! Means over the voxels of regions.
//!
//! A voxel without a value (NaN: below the noise ceiling's threshold, or never scored) is left out
//! of a mean, it does not count as 0, and neither does a region in which no voxel has a value.
//! Differs there from the published code, which turns such voxels to 0 before it takes means.
//! Held by `tests/it/regions/means.rs` against numpy.

use crate::{FmriError, Regions, Result};

/// Mean of one value per voxel, `[n_voxels]`, over the voxels of a region; none if no voxel of it
/// has a value.
///
/// # Errors
///
/// [`FmriError::Regions`] if the region names a voxel that has no place in `values`.
pub fn voxel_mean(values: &[f32], region: &[usize]) -> Result<Option<f64>> {
    let mut with_value = Vec::with_capacity(region.len());
    for &voxel in region {
        match values.get(voxel) {
            Some(value) if value.is_nan() => {}
            Some(&value) => with_value.push(f64::from(value)),
            None => {
                return Err(FmriError::Regions {
                    reason: format!(
                        "a region names voxel {voxel}, there are values of {}",
                        values.len()
                    ),
                });
            }
        }
    }
    Ok(mean(&with_value))
}

/// Mean over parcels of the mean over each one's voxels, [`voxel_mean`]: a parcel counts the same
/// whatever its size. `parcels` are those of one region, each with its voxels of both hemispheres,
/// such as [`hcp_parcels`](crate::hcp_parcels) gives.
///
/// # Errors
///
/// As [`voxel_mean`].
///
/// ```
/// use braintune_fmri::{Regions, mean_of_parcels};
///
/// let parcels = [("44".to_owned(), vec![0, 1, 2]), ("45".to_owned(), vec![3, 4])];
/// let mean = mean_of_parcels(&[0.0, 0.5, 1.0, f32::NAN, 0.0], &Regions::new(parcels)?)?;
/// assert_eq!(mean, Some(0.25));
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
pub fn mean_of_parcels(values: &[f32], parcels: &Regions) -> Result<Option<f64>> {
    let means = parcels.iter().map(|(_, voxels)| voxel_mean(values, voxels));
    let means: Vec<Option<f64>> = means.collect::<Result<_>>()?;
    Ok(mean(&means.into_iter().flatten().collect::<Vec<_>>()))
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
