//! What is done to the volumes and to the time series of a run: smoothing, then drifts, then z-scores,
//! in the order of nilearn's `NiftiMasker`.

use ndarray::{Array2, ArrayView3};

use super::options::Filter;
use crate::{Drift, DriftFilter, GaussianSmoother, Result, VoxelMask, zscore_run};

impl Filter {
    /// Whether anything is done to time series.
    pub(super) fn is_over_time(&self) -> bool {
        self.high_pass_s.is_some() || self.detrend || self.z_score
    }

    /// The smoother of volumes on the grid of `mask`, if they are smoothed.
    pub(super) fn smoother(&self, mask: &VoxelMask) -> Result<Option<GaussianSmoother>> {
        let smoother = self
            .smoothing_mm
            .map(|fwhm_mm| GaussianSmoother::new(fwhm_mm, &mask.affine()));
        smoother.transpose()
    }

    /// The filter of drifts of runs of `n_trs` rows, if there is one.
    pub(super) fn drifts(&self, n_trs: usize, tr_s: f64) -> Result<Option<DriftFilter>> {
        let line = self.detrend.then_some(Drift::Polynomial { degree: 1 });
        let cosines = self
            .high_pass_s
            .map(|cutoff_s| Drift::Cosines { tr_s, cutoff_s });
        let drifts: Vec<Drift> = line.into_iter().chain(cosines).collect();
        let filter = (!drifts.is_empty()).then(|| DriftFilter::new(n_trs, &drifts));
        filter.transpose()
    }

    /// Some voxels over time, `[n_trs, n_voxels]`, without drifts and z-scored as asked for.
    pub(super) fn tile(
        &self,
        drifts: Option<&DriftFilter>,
        tile: Array2<f32>,
    ) -> Result<Array2<f32>> {
        let tile = match drifts {
            Some(drifts) => drifts.clean(tile.view())?,
            None => tile,
        };
        Ok(if self.z_score {
            zscore_run(tile.view())
        } else {
            tile
        })
    }
}

/// The voxels of a volume inside the mask, `[n_voxels]`, smoothed if there is a smoother.
pub(super) fn row(
    smoother: Option<&GaussianSmoother>,
    mask: &VoxelMask,
    volume: ArrayView3<'_, f32>,
) -> Result<Vec<f32>> {
    match smoother {
        Some(smoother) => mask.select(smoother.smooth(volume).view()),
        None => mask.select(volume),
    }
}
