//! How long blocks must be for what they cut to be nearly independent.

use ndarray::ArrayView2;

use super::standardised;
use crate::{Result, check};

/// Length of blocks, TRs, for products of `prediction` and `y`, `[n_trs, n_voxels]`.
///
/// Where both follow AR(1) processes, their products' autocorrelation falls as `ρ^lag`, `ρ` the product
/// of their lag-1 autocorrelations. Blocks of `L` lose a part of about `2ρ / ((1 - ρ²) L)` of the
/// variance of a sum over TRs; the length returned keeps that part at 5 % for three quarters of the
/// voxels, and at most a tenth of the TRs, so that there are ten blocks.
///
/// # Errors
/// Arrays that do not match or are not finite.
pub fn suggest_block_length(
    y: ArrayView2<'_, f32>,
    prediction: ArrayView2<'_, f32>,
) -> Result<usize> {
    check::pair(["y", "prediction"], y, prediction)?;
    let columns = y.columns().into_iter().zip(prediction.columns());
    let mut rhos: Vec<f64> = columns
        .map(|(y, p)| lag_one(&standardised(y)) * lag_one(&standardised(p)))
        .map(|rho| rho.clamp(0.0, 0.95))
        .collect();
    rhos.sort_unstable_by(f64::total_cmp);
    let rho = rhos[(rhos.len() - 1) * 3 / 4];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to a few hundred"
    )]
    let length = (40.0 * rho / (1.0 - rho * rho)).ceil() as usize;
    Ok(length.min(y.nrows() / 10).max(1))
}

fn lag_one(z: &[f64]) -> f64 {
    let products = z.iter().zip(z.iter().skip(1)).map(|(a, b)| a * b);
    products.sum::<f64>() / z.len() as f64
}
