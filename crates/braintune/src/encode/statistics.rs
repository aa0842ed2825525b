//! What holds for regions of a layer: the interval of mean r and its test.

use std::ops::Range;

use braintune_encoding::{BlockBootstrap, CorrelationNull, NullScheme, mean_correlation_interval};
use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use super::config::EncodeConfig;
use crate::error::Result;

/// Level of intervals.
const LEVEL: f64 = 0.95;

/// Of the mean r of a region.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct RegionStatistics {
    /// Ends of its interval.
    pub(super) interval: Option<(f64, f64)>,
    /// p value of its being above 0.
    pub(super) p_value: Option<f64>,
}

/// Grows by ranges of voxels, in rising order.
pub(super) struct Statistics {
    regions: Vec<Vec<usize>>,
    y: Array2<f32>,
    prediction: Array2<f32>,
    bootstrap: Option<BlockBootstrap>,
    null: Option<CorrelationNull>,
}

impl Statistics {
    pub(super) fn new(
        config: &EncodeConfig,
        n_voxels: usize,
        story_lengths: &[usize],
        block_len: usize,
    ) -> Result<Self> {
        let n_rows = story_lengths.iter().sum();
        let scheme = NullScheme::BlockPermutation { block_len };
        Ok(Self {
            regions: config
                .regions
                .with_all(n_voxels)
                .into_iter()
                .map(|(_, voxels)| voxels)
                .collect(),
            y: Array2::zeros((n_rows, n_voxels)),
            prediction: Array2::zeros((n_rows, n_voxels)),
            bootstrap: (config.n_bootstraps > 0).then_some(BlockBootstrap {
                block_len,
                n_boots: config.n_bootstraps,
                level: LEVEL,
                seed: config.seed,
            }),
            null: (config.n_permutations > 0)
                .then(|| {
                    CorrelationNull::new(story_lengths, scheme, config.n_permutations, config.seed)
                })
                .transpose()?,
        })
    }

    pub(super) fn add(
        &mut self,
        voxels: Range<usize>,
        y: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
    ) -> Result<()> {
        self.y.slice_mut(s![.., voxels.clone()]).assign(&y);
        self.prediction
            .slice_mut(s![.., voxels])
            .assign(&prediction);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Vec<RegionStatistics>> {
        let of_region = |voxels: &Vec<usize>| {
            let y = self.y.select(Axis(1), voxels);
            let p = self.prediction.select(Axis(1), voxels);
            let interval = self
                .bootstrap
                .map(|b| mean_correlation_interval(y.view(), p.view(), &b))
                .transpose()?;
            let test = self
                .null
                .as_ref()
                .map(|null| null.test_mean(y.view(), p.view()))
                .transpose()?;
            Ok(RegionStatistics {
                interval,
                p_value: test.map(|test| test.p_greater),
            })
        };
        self.regions.iter().map(of_region).collect()
    }
}
