//! Noise ceilings: those that are given can be correlations, and `CCmax` of repeats, a few voxels at a time.
//!
//! `[n_voxels]` of one participant; `[n_repeats, n_trs, n]` of some voxels. Held by `tests/it/ceilings.rs`.

use std::ops::Range;

use braintune_encoding::{NoiseCeiling, TotalPower};
use ndarray::{ArrayView1, ArrayView3};

use crate::error::Result;

/// Values of repeats in memory at once: 64 MB.
const VALUES: usize = 1 << 24;
/// What rounding may add to a correlation of 1.
const ROUNDING: f32 = 1e-3;

/// Whether given ceilings are one for each voxel and can be correlations; NaN is a voxel without one.
///
/// # Errors
/// What is wrong with them, in words.
pub(crate) fn check_ceiling(values: ArrayView1<'_, f32>, n_voxels: usize) -> Result<(), String> {
    if values.len() != n_voxels {
        return Err(format!(
            "the noise ceiling has {} values for {n_voxels} voxels",
            values.len()
        ));
    }
    let is_none = |c: &f32| c.abs() > 1.0 + ROUNDING;
    match values.iter().position(is_none) {
        None => Ok(()),
        Some(voxel) => Err(format!(
            "the noise ceiling of voxel {voxel} is {}: expected a correlation, -1 to 1 (the root of an explainable variance), NaN or 0 where there is none",
            values[voxel]
        )),
    }
}

/// Voxels in parts whose repeats fit into memory, each voxel with so many values.
pub(crate) fn tiles(n_voxels: usize, of_voxel: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (VALUES / of_voxel.max(1)).max(1);
    let starts = (0..n_voxels).step_by(step);
    starts.map(move |start| start..n_voxels.min(start.saturating_add(step)))
}

/// `CCmax` of each voxel of `[n_repeats, n_trs, n]`.
pub(crate) fn cc_max(repeats: ArrayView3<'_, f32>, power: TotalPower) -> Result<Vec<f32>> {
    let ceiling = NoiseCeiling::from_repeats(repeats, power)?;
    #[expect(clippy::cast_possible_truncation, reason = "correlations")]
    Ok(ceiling.cc_max().iter().map(|&c| c as f32).collect())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn ceilings_are_correlations_give_or_take_their_rounding() {
        let fine = array![0.4, f32::NAN, 0.0, 1.0005, -1.0005];
        assert_eq!(check_ceiling(fine.view(), 5), Ok(()));
        for value in [1.01, -1.01, 40.0, f32::INFINITY, f32::NEG_INFINITY] {
            let refused = check_ceiling(array![0.5, value].view(), 2).expect_err("too far");
            let place = format!("voxel 1 is {value}");
            assert!(refused.contains(&place), "{refused}");
        }
        let short = check_ceiling(fine.view(), 12).expect_err("too few");
        assert!(
            short.contains('5') && short.contains("12 voxels"),
            "{short}"
        );
    }

    #[test]
    fn tiles_hold_every_voxel_once() {
        let found: Vec<_> = tiles(5, VALUES / 2).collect();
        assert_eq!(found, [0..2, 2..4, 4..5]);
        assert_eq!(tiles(3, 0).collect::<Vec<_>>(), vec![0..3; 1]);
        assert_eq!(tiles(2, 2 * VALUES).count(), 2);
    }
}
