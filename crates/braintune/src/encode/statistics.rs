//! What holds for regions of a layer: the interval of mean r and its test.
//!
//! Gathered from one range of voxels after another; memory holds numbers by permutation and TR, not
//! by voxel.

use std::ops::Range;

use braintune_encoding::{
    BlockBootstrap, CorrelationNull, NullScheme, Region, RegionStatistics as Gathered,
};
use serde::{Deserialize, Serialize};

use super::config::EncodeConfig;
use super::units::UnitResult;
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

/// Of a layer; grows by runs of voxels, in rising order.
pub(super) struct Statistics {
    gathered: Gathered,
    n_permutations: usize,
    n_trs: usize,
}

impl Statistics {
    /// `story_lengths`: kept TRs of each test story; `block_len` TRs.
    pub(super) fn new(
        config: &EncodeConfig,
        n_voxels: usize,
        story_lengths: &[usize],
        block_len: usize,
    ) -> Result<Self> {
        let regions = config.regions.with_all(n_voxels).into_iter();
        let regions: Vec<Region> = regions.map(|(_, voxels)| Region::new(voxels)).collect();
        let n_trs = story_lengths.iter().sum();
        let mut gathered = Gathered::new(n_trs, n_voxels, &regions)?;
        if config.n_permutations > 0 {
            let scheme = NullScheme::BlockPermutation { block_len };
            let n = config.n_permutations;
            let null = CorrelationNull::new(story_lengths, scheme, n, config.seed)?;
            gathered = gathered.with_null(null)?;
        }
        if config.n_bootstraps > 0 {
            gathered = gathered.with_bootstrap(BlockBootstrap {
                block_len,
                n_boots: config.n_bootstraps,
                level: LEVEL,
                seed: config.seed,
            })?;
        }
        Ok(Self {
            gathered,
            n_permutations: config.n_permutations,
            n_trs,
        })
    }

    /// For gathering one run of voxels.
    pub(super) fn of_run(&self, voxels: Range<usize>) -> Result<Gathered> {
        Ok(self.gathered.clone().only(voxels)?)
    }

    /// The next run of voxels as it was gathered.
    pub(super) fn add(&mut self, voxels: Range<usize>, piece: &UnitResult) -> Result<()> {
        let sums = piece.sums(self.n_permutations, self.n_trs);
        Ok(self.gathered.add_sums(voxels, &sums)?)
    }

    /// In the order of the regions, `all` first.
    pub(super) fn finish(self) -> Result<Vec<RegionStatistics>> {
        let found = self.gathered.finish()?.into_iter();
        Ok(found
            .map(|region| RegionStatistics {
                interval: region.interval,
                p_value: region.p_greater,
            })
            .collect())
    }
}
