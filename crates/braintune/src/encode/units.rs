//! Pieces of the ridge of a layer: runs of voxels, which are what processes share out and what is kept on disk.
//!
//! They lie on a grid of [`UNIT`] voxels whatever the number of processes, threads and bytes of memory, so that sums over
//! voxels are taken in the same order everywhere.

use std::ops::Range;

use braintune_encoding::{RegionSums, RidgeSolver};
use serde::{Deserialize, Serialize};

/// Voxels of a piece: a multiple of the solver's tile, so that fits have the same bits wherever a process begins.
pub(super) const UNIT: usize = 16 * RidgeSolver::TILE;

/// A run of voxels of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) layer: usize,
    pub(super) voxels: Range<usize>,
}

/// All pieces, layer by layer: neighbours share the decomposition of their layer.
pub(super) fn units(n_layers: usize, n_voxels: usize) -> Vec<Unit> {
    let of_layer = |layer| {
        (0..n_voxels).step_by(UNIT).map(move |start| Unit {
            layer,
            voxels: start..n_voxels.min(start + UNIT),
        })
    };
    (0..n_layers).flat_map(of_layer).collect()
}

/// What the ridge finds for the voxels of a piece.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct UnitResult {
    /// Pearson r on the test rows.
    pub(super) r: Vec<f32>,
    /// The alpha that was chosen.
    pub(super) best_alpha: Vec<f64>,
    /// Pearson r on the rows of each test story alone, `[n_test_stories][n_voxels]`; empty where there is one story.
    pub(super) stories: Vec<Vec<f32>>,
    /// TRs of a block of the layer's tests and intervals.
    pub(super) block_len: usize,
    /// What its voxels add to each region, in the order of [`Regions::with_all`](super::Regions); none for regions
    /// that have none of them.
    sums: Vec<Option<Sums>>,
}

/// [`RegionSums`], on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sums {
    r: f64,
    null: Vec<f64>,
    contributions: Vec<f64>,
}

impl UnitResult {
    pub(super) fn new(n_stories: usize, n_voxels: usize, block_len: usize) -> Self {
        Self {
            r: Vec::with_capacity(n_voxels),
            best_alpha: Vec::with_capacity(n_voxels),
            stories: vec![Vec::with_capacity(n_voxels); n_stories],
            block_len,
            sums: Vec::new(),
        }
    }

    /// Keeps `sums`, one for each region.
    pub(super) fn set_sums(&mut self, sums: Vec<RegionSums>) {
        let is_empty = |of: &RegionSums| {
            let zero = |values: &[f64]| values.iter().all(|value| *value == 0.0);
            of.r == 0.0 && zero(&of.null) && zero(&of.contributions)
        };
        let kept = |of: RegionSums| {
            (!is_empty(&of)).then_some(Sums {
                r: of.r,
                null: of.null,
                contributions: of.contributions,
            })
        };
        self.sums = sums.into_iter().map(kept).collect();
    }

    /// One for each region, of so many orders and TRs.
    pub(super) fn sums(&self, n_permutations: usize, n_trs: usize) -> Vec<RegionSums> {
        let of = |sums: &Option<Sums>| match sums {
            None => RegionSums::zero(n_permutations, n_trs),
            Some(sums) => RegionSums {
                r: sums.r,
                null: sums.null.clone(),
                contributions: sums.contributions.clone(),
            },
        };
        self.sums.iter().map(of).collect()
    }

    /// Whether it is of so many voxels, stories and regions.
    pub(super) fn fits(&self, n_voxels: usize, n_stories: usize, n_regions: usize) -> bool {
        self.r.len() == n_voxels
            && self.best_alpha.len() == n_voxels
            && self.sums.len() == n_regions
            && self.stories.len() == n_stories
            && self.stories.iter().all(|r| r.len() == n_voxels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_cover_every_voxel_of_every_layer_once() {
        let all = units(2, 2 * UNIT + 3);
        let runs = [0..UNIT, UNIT..2 * UNIT, 2 * UNIT..2 * UNIT + 3];
        let expected = (0..2).flat_map(|layer| runs.clone().map(|voxels| Unit { layer, voxels }));
        assert_eq!(all, expected.collect::<Vec<_>>());
        assert!(UNIT.is_multiple_of(RidgeSolver::TILE));
    }

    #[test]
    fn sums_of_regions_without_voxels_take_no_place() {
        let some = RegionSums {
            r: 0.5,
            null: vec![0.25, -0.125],
            contributions: vec![1e-300, 0.1],
        };
        let mut result = UnitResult::new(0, 0, 1);
        result.set_sums(vec![RegionSums::zero(2, 2), some.clone()]);
        assert_eq!(result.sums[0], None);
        let text = serde_json::to_string(&result).expect("JSON");
        let read: UnitResult = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read.sums(2, 2), [RegionSums::zero(2, 2), some]); // to the bit
    }
}
