//! Voxels before and after, binned: what a scatter plot of any number of voxels needs.

use std::collections::BTreeMap;

use ndarray::ArrayView1;

use super::results::VoxelChange;

/// Bins of r for each unit of r.
const PER_UNIT: f64 = 50.0;

/// Bins of one layer, r of each voxel under the reference and the condition, `[n_voxels]` each; names are left empty.
pub(super) fn change(
    layer: usize,
    before: ArrayView1<'_, f32>,
    after: ArrayView1<'_, f32>,
) -> VoxelChange {
    let both = || before.iter().chain(&after).map(|&r| bin(r));
    let (low, high) = (both().min().unwrap_or(0), both().max().unwrap_or(0));
    let place = |r: f32| usize::try_from(bin(r) - low).unwrap_or(0);
    let n_bins = usize::try_from(high - low).unwrap_or(0) + 1;
    let mut change = VoxelChange {
        model: String::new(),
        condition: String::new(),
        reference: String::new(),
        participant: String::new(),
        layer,
        edges: (low..=high + 1).map(|k| k as f64 / PER_UNIT).collect(),
        before: vec![0; n_bins],
        after: vec![0; n_bins],
        joint: Vec::new(),
    };
    let mut joint: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    for (&b, &a) in before.iter().zip(&after) {
        let (b, a) = (place(b), place(a));
        change.before[b] += 1;
        change.after[a] += 1;
        *joint.entry((b, a)).or_default() += 1;
    }
    change.joint = joint.into_iter().map(|((b, a), n)| (b, a, n)).collect();
    change
}

/// Number of the bin of a correlation; bin 0 begins at 0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "correlations have a hundred bins"
)]
fn bin(r: f32) -> i64 {
    (f64::from(r) * PER_UNIT).floor() as i64
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn every_voxel_is_in_one_bin_of_both_axes() {
        let (before, after) = (
            array![-0.01, 0.03, 0.031, 0.5],
            array![0.05, 0.03, 0.1, 0.5],
        );
        let found = change(3, before.view(), after.view());
        assert_eq!(found.edges.len(), found.before.len() + 1);
        assert_eq!((found.edges[0], found.edges[1]), (-0.02, 0.0));
        assert_eq!(found.before.iter().sum::<usize>(), 4);
        assert_eq!(found.after.iter().sum::<usize>(), 4);
        assert_eq!(found.joint.iter().map(|(.., n)| n).sum::<usize>(), 4);
        assert!(found.joint.contains(&(2, 2, 1)));
    }
}
