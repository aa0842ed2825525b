//! Smoothing of volumes with a Gaussian whose width is given in millimetres.
//!
//! `[x, y, z]` → the same shape, one axis after another, in f64 along an axis and f32 between axes. The
//! kernel ends at four standard deviations and sums to 1; beyond its faces the volume is mirrored
//! (`c b a | a b c`). NaN and infinite values become 0 first: they would spread.
//!
//! Equals `nilearn.image.smooth_img` of nilearn 0.14, which is `scipy.ndimage.gaussian_filter1d` along
//! each axis in its default mode. Held by `tests/it/smoothing.rs`.

use ndarray::{Array3, ArrayView3, Axis};

use crate::{FmriError, Result};

/// Standard deviations at which the kernel ends.
const TRUNCATE: f64 = 4.0;
/// Kernels wider than this are a mistake in a unit, and would take memory without end.
const MAX_RADIUS: f64 = 500.0;

/// A Gaussian for volumes of one grid.
///
/// ```
/// use braintune_fmri::GaussianSmoother;
/// use ndarray::Array3;
///
/// let mm_2 = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
/// let smoother = GaussianSmoother::new(6.0, &mm_2)?;
/// let mut volume = Array3::zeros((21, 21, 21));
/// volume[[10, 10, 10]] = 1.0;
/// let smooth = smoother.smooth(volume.view());
/// // Half as high 3 mm, that is 1.5 voxels, away: so between the two.
/// let relative = |x: usize| smooth[[x, 10, 10]] / smooth[[10, 10, 10]];
/// assert!(relative(11) > 0.5 && relative(12) < 0.5);
/// assert!((smooth.sum() - 1.0).abs() < 1e-5);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct GaussianSmoother {
    /// Weights of each axis, from the centre outwards.
    kernels: [Vec<f64>; 3],
}

impl GaussianSmoother {
    /// A Gaussian of `fwhm_mm` full width at half maximum, on the grid of `affine` (from voxel indices
    /// to millimetres).
    ///
    /// # Errors
    ///
    /// [`FmriError::Smoothing`] if the width is not a positive number, the affine gives voxels no
    /// size, or the kernel would reach over more than 500 voxels.
    pub fn new(fwhm_mm: f64, affine: &[[f64; 4]; 4]) -> Result<Self> {
        let impossible = |reason| FmriError::Smoothing { fwhm_mm, reason };
        if !(fwhm_mm.is_finite() && fwhm_mm > 0.0) {
            return Err(impossible("expected a positive number".into()));
        }
        let mut kernels = [const { Vec::new() }; 3];
        for (axis, kernel) in kernels.iter_mut().enumerate() {
            let squares = affine[..3].iter().map(|row| row[axis].powi(2));
            let size_mm = squares.sum::<f64>().sqrt();
            if !(size_mm.is_finite() && size_mm > 0.0) {
                return Err(impossible(format!(
                    "voxels of {size_mm} mm, see the affine"
                )));
            }
            let sigma = fwhm_mm / ((8.0 * std::f64::consts::LN_2).sqrt() * size_mm);
            let radius = (TRUNCATE * sigma + 0.5).floor();
            if radius > MAX_RADIUS {
                return Err(impossible(format!(
                    "it reaches over {radius} voxels of {size_mm} mm, are those millimetres?"
                )));
            }
            *kernel = half_kernel(sigma, radius);
        }
        Ok(Self { kernels })
    }

    /// `volume`, `[x, y, z]`, smoothed.
    #[must_use]
    pub fn smooth(&self, volume: ArrayView3<'_, f32>) -> Array3<f32> {
        let mut smooth = volume.mapv(|value| if value.is_finite() { value } else { 0.0 });
        let mut padded = Vec::new();
        for (axis, kernel) in self.kernels.iter().enumerate() {
            let radius = kernel.len() - 1;
            let n = smooth.len_of(Axis(axis));
            if n == 0 {
                continue;
            }
            for mut lane in smooth.lanes_mut(Axis(axis)) {
                padded.clear();
                padded.extend(mirrored(n, radius).map(|at| f64::from(lane[at])));
                for (at, out) in lane.iter_mut().enumerate() {
                    *out = weighted(&padded[at..], kernel);
                }
            }
        }
        smooth
    }
}

/// Weights at 0, 1, … voxels from the centre; with both sides they sum to 1.
fn half_kernel(sigma: f64, radius: f64) -> Vec<f64> {
    let mut weights = Vec::new();
    let mut x = 0.0;
    while x <= radius {
        weights.push((-0.5 / (sigma * sigma) * x * x).exp());
        x += 1.0;
    }
    let total = 2.0 * weights.iter().sum::<f64>() - 1.0;
    weights.iter().map(|weight| weight / total).collect()
}

/// Indices of an axis of length `n` with `radius` more on either side, mirrored at the faces.
fn mirrored(n: usize, radius: usize) -> impl Iterator<Item = usize> {
    let period = 2 * n.max(1);
    // Index 0 of the axis is at `radius`; whole periods are added so that nothing is negative.
    let start = (period - radius % period) % period;
    (0..n + 2 * radius).map(move |k| {
        let at = (start + k) % period;
        at.min(period - 1 - at)
    })
}

/// The weighted sum around the middle of the first `2 * radius + 1` values.
fn weighted(values: &[f64], kernel: &[f64]) -> f32 {
    let radius = kernel.len() - 1;
    // From the ends inwards, as scipy sums.
    let sides = (1..=radius).rev();
    let middle = values[radius] * kernel[0];
    let sum = sides.fold(middle, |sum, k| {
        sum + (values[radius - k] + values[radius + k]) * kernel[k]
    });
    #[expect(
        clippy::cast_possible_truncation,
        reason = "f32 is the stored precision"
    )]
    let rounded = sum as f32;
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_axes_are_mirrored_over_and_over() {
        let indices = |n, radius| mirrored(n, radius).collect::<Vec<_>>();
        assert_eq!(indices(3, 2), [1, 0, 0, 1, 2, 2, 1]);
        assert_eq!(indices(2, 5), [0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1]);
        assert_eq!(indices(1, 2), [0; 5]);
    }
}
