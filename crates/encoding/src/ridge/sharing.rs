//! Which voxels share an alpha, and the choice for those that do.

use ndarray::ArrayView2;

use crate::{EncodingError, Result};

/// Which voxels get their alpha chosen together: the one with the highest mean of their
/// cross-validated scores, the smaller one of equals.
///
/// [`PerVoxel`](Self::PerVoxel) is himalaya's `local_alpha=True`, [`OneForAll`](Self::OneForAll)
/// its `local_alpha=False`.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AlphaSharing {
    /// Each voxel has its own.
    #[default]
    PerVoxel,
    /// One for all voxels.
    OneForAll,
    /// One for each group: the group of each voxel, numbered from 0, `[n_voxels]`.
    PerGroup(Vec<usize>),
}

/// Sums of scores over the voxels of each group, added up voxel by voxel in order, so that they
/// do not depend on how voxels are split.
pub(crate) struct SharedScores<'a> {
    sharing: &'a AlphaSharing,
    /// `[n_groups][n_alphas]`.
    sums: Vec<Vec<f64>>,
}

impl<'a> SharedScores<'a> {
    /// None where every voxel has its own alpha, or there is one alpha only.
    pub(crate) fn new(
        sharing: &'a AlphaSharing,
        n_alphas: usize,
        n_voxels: usize,
    ) -> Result<Option<Self>> {
        let n_groups = match sharing {
            AlphaSharing::PerVoxel => return Ok(None),
            AlphaSharing::OneForAll => 1,
            AlphaSharing::PerGroup(groups) if groups.len() != n_voxels => {
                let n_labels = groups.len();
                return Err(EncodingError::AlphaGroups { n_labels, n_voxels });
            }
            // Numbers may be large and few: only those up to the number of voxels get a place.
            AlphaSharing::PerGroup(groups) => match groups.iter().copied().max() {
                Some(largest) if largest >= n_voxels => {
                    return Err(EncodingError::AlphaGroup { largest, n_voxels });
                }
                largest => largest.map_or(0, |largest| largest + 1),
            },
        };
        let sums = vec![vec![0.0; n_alphas]; n_groups];
        Ok((n_alphas > 1).then_some(Self { sharing, sums }))
    }

    fn group(&self, voxel: usize) -> usize {
        match self.sharing {
            AlphaSharing::PerGroup(groups) => groups[voxel],
            _ => 0,
        }
    }

    /// Adds scores `[n_alphas, n_voxels]` of voxels from `first` on.
    pub(crate) fn add(&mut self, scores: ArrayView2<'_, f64>, first: usize) {
        for (voxel, scores) in scores.columns().into_iter().enumerate() {
            let group = self.group(first + voxel);
            for (sum, score) in self.sums[group].iter_mut().zip(scores) {
                *sum += score;
            }
        }
    }

    /// The alpha of each of `n_voxels` voxels from `first` on, as a place in the grid.
    pub(crate) fn best(&self, first: usize, n_voxels: usize) -> Vec<usize> {
        let best: Vec<usize> = self.sums.iter().map(|sums| first_largest(sums)).collect();
        let of_voxel = |voxel| best[self.group(first + voxel)];
        (0..n_voxels).map(of_voxel).collect()
    }
}

fn first_largest(sums: &[f64]) -> usize {
    let mut best = 0;
    for (place, sum) in sums.iter().enumerate() {
        if *sum > sums[best] {
            best = place;
        }
    }
    best
}
