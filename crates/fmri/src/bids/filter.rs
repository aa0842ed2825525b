//! What is done to volumes and to the time series of voxels, in the order smoothing, detrending,
//! high-pass filter, z-score: that of `nilearn.signal.clean` and `NiftiMasker`.

use ndarray::{Array2, ArrayView3, ArrayViewMut1, Axis};

use super::options::Filter;
use crate::{NiftiFile, Result, VoxelMask};

impl Filter {
    /// Whether anything is done to time series.
    pub(super) fn is_over_time(&self) -> bool {
        self.high_pass_s.is_some() || self.detrend || self.z_score
    }
}

/// What is done to each volume.
pub(super) struct VolumeFilter;

impl VolumeFilter {
    pub(super) fn new(_filter: &Filter, _mask: &VoxelMask, _image: &NiftiFile) -> Result<Self> {
        Ok(Self)
    }

    /// The voxels inside the mask, `[n_voxels]`.
    pub(super) fn row(&self, mask: &VoxelMask, volume: ArrayView3<'_, f32>) -> Result<Vec<f32>> {
        mask.select(volume)
    }
}

/// Filters the time series of some voxels, `[n_trs, n_voxels]`.
pub(super) fn filter_tile(filter: &Filter, _tr_s: f64, tile: &mut Array2<f32>) -> Result<()> {
    // Rounding would leave something of a constant voxel that a z-score makes large.
    let columns = tile.columns().into_iter();
    let constant: Vec<bool> = columns
        .map(|column| column.iter().all(|value| Some(value) == column.first()))
        .collect();
    if filter.detrend {
        tile.axis_iter_mut(Axis(1)).for_each(detrend);
    }
    if filter.z_score {
        for (column, is_constant) in tile.axis_iter_mut(Axis(1)).zip(constant) {
            z_score(column, is_constant);
        }
    }
    Ok(())
}

/// Takes out the straight line of least squares. Sums run in f64.
#[expect(
    clippy::cast_possible_truncation,
    reason = "f32 is the stored precision"
)]
fn detrend(mut values: ArrayViewMut1<'_, f32>) {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
    let (mut with_time, mut of_time) = (0.0, 0.0);
    for (k, &value) in values.iter().enumerate() {
        let time = k as f64 - middle;
        with_time += time * (f64::from(value) - mean);
        of_time += time * time;
    }
    let slope = if of_time > 0.0 {
        with_time / of_time
    } else {
        0.0
    };
    for (k, value) in values.iter_mut().enumerate() {
        *value = (f64::from(*value) - mean - slope * (k as f64 - middle)) as f32;
    }
}

/// Mean 0 and population standard deviation 1, or all 0. Sums run in f64.
#[expect(
    clippy::cast_possible_truncation,
    reason = "f32 is the stored precision"
)]
fn z_score(mut values: ArrayViewMut1<'_, f32>, is_constant: bool) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
    let squares = values
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2));
    let sd = (squares.sum::<f64>() / n).sqrt();
    let is_constant = is_constant || sd == 0.0;
    values.mapv_inplace(|value| {
        if is_constant {
            return 0.0;
        }
        ((f64::from(value) - mean) / sd) as f32
    });
}
