//! Where responses come from when they are too many to hold at once.

use std::{error::Error, ops::Range};

use ndarray::{Array2, ArrayView2, s};

/// Responses read voxel range by voxel range. Implemented here for a view in memory; datasets and
/// array files implement it elsewhere.
pub trait ResponseSource {
    /// Number of rows.
    fn n_samples(&self) -> usize;

    /// Number of voxels.
    fn n_voxels(&self) -> usize;

    /// Responses of the voxels asked for, `[n_samples, voxels.len()]`.
    ///
    /// # Errors
    /// Whatever keeps the source from reading.
    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>>;
}

const _: fn(&dyn ResponseSource) = |_| {};

impl ResponseSource for ArrayView2<'_, f32> {
    fn n_samples(&self) -> usize {
        self.nrows()
    }

    fn n_voxels(&self) -> usize {
        self.ncols()
    }

    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        if voxels.start > voxels.end || voxels.end > self.ncols() {
            return Err(format!("voxels {voxels:?} of {}", self.ncols()).into());
        }
        Ok(self.slice(s![.., voxels]).to_owned())
    }
}

impl ResponseSource for Array2<f32> {
    fn n_samples(&self) -> usize {
        self.nrows()
    }

    fn n_voxels(&self) -> usize {
        self.ncols()
    }

    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        self.view().read(voxels)
    }
}
