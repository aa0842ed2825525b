//! Alignment as a part of the noise ceiling, low-ceiling voxels left out.

use ndarray::{Array1, ArrayView1};

use super::check_voxels;
use crate::{EncodingError, Result, check};

/// What becomes of voxels whose ceiling is too low to divide by.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LowCeiling {
    /// NaN, and no part in means: nothing is known about them.
    #[default]
    Exclude,
    /// 0, which enters means, as in the released code of the brain-tuning papers.
    Zero,
}

/// Mean alignment over some voxels and how many had a ceiling.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct NormalizedMean {
    /// The mean; none if no voxel took part.
    pub mean: Option<f64>,
    /// Voxels that took part.
    pub n_voxels: usize,
}

/// `r / ceiling` of each voxel whose ceiling is above `threshold` (0.05 and 0.4 are in use),
/// `[n_voxels]`; a NaN ceiling is a low one.
///
/// ```
/// use braintune_encoding::{LowCeiling, normalized_alignment, normalized_mean};
/// use ndarray::array;
///
/// let (r, ceiling) = (array![0.2, 0.1, 0.3], array![0.4, 0.0, 0.5]);
/// let a = normalized_alignment(r.view(), ceiling.view(), 0.05, LowCeiling::Exclude)?;
/// assert!((a[0] - 0.5).abs() < 1e-6 && a[1].is_nan());
/// let mean = normalized_mean(a.view(), &[0, 1, 2])?;
/// assert_eq!(mean.n_voxels, 2);
/// assert!((mean.mean.unwrap_or(0.0) - 0.55).abs() < 1e-6);
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
///
/// # Errors
/// [`EncodingError::Voxels`] for arrays of unequal length, [`EncodingError::Threshold`] for a
/// threshold below 0 or NaN, by which a ceiling of 0 would be divided.
pub fn normalized_alignment(
    r: ArrayView1<'_, f32>,
    ceiling: ArrayView1<'_, f32>,
    threshold: f32,
    low: LowCeiling,
) -> Result<Array1<f64>> {
    check_voxels("ceiling", ceiling.len(), r.len())?;
    check::ceiling_threshold(threshold)?;
    let of_voxel = |(&r, &ceiling): (&f32, &f32)| match low {
        _ if ceiling > threshold => f64::from(r) / f64::from(ceiling),
        LowCeiling::Exclude => f64::NAN,
        LowCeiling::Zero => 0.0,
    };
    Ok(r.iter().zip(ceiling).map(of_voxel).collect())
}

/// Mean of [`normalized_alignment`] over `voxels`, those that are NaN left out.
///
/// # Errors
/// [`EncodingError::VoxelOutOfRange`].
pub fn normalized_mean(alignment: ArrayView1<'_, f64>, voxels: &[usize]) -> Result<NormalizedMean> {
    let n = alignment.len();
    if let Some(&voxel) = voxels.iter().find(|&&voxel| voxel >= n) {
        return Err(EncodingError::VoxelOutOfRange { voxel, n_voxels: n });
    }
    let known = voxels.iter().map(|&voxel| alignment[voxel]);
    let (sum, n_voxels) = known
        .filter(|a| !a.is_nan())
        .fold((0.0, 0_usize), |(sum, n), a| (sum + a, n + 1));
    Ok(NormalizedMean {
        mean: (n_voxels > 0).then(|| sum / n_voxels as f64),
        n_voxels,
    })
}
