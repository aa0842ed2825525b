//! Low-level features taken out of a model's features: the residual analysis of Oota et al. 2024 and
//! Moussa et al. 2025.
//!
//! Each feature is predicted from low-level ones (power spectrum, phones, articulation) by ridge; what
//! remains is encoded again, and the fall in alignment is the low-level impact.

use ndarray::{Array2, ArrayView2};

use crate::{Alphas, FittedEncodingModel, Folds, Result, Ridge, RidgeParams, check};

/// The ridge of the residual analysis over `n_rows` training rows: ten contiguous folds, penalties
/// 10^-6 to 10^9 in 16 steps (alphas are their roots), R², no intercept, one penalty per feature.
///
/// Fit it with low-level features as `x` and the model's features as `y`, then call [`residuals`] for
/// training and test rows.
///
/// # Errors
/// Less than ten rows.
pub fn residual_ridge(n_rows: usize) -> Result<RidgeParams> {
    let params = Ridge::params(Alphas::logspace(-3.0, 4.5, 16)?);
    Ok(params.folds(Folds::contiguous_blocks(n_rows, 10)?))
}

/// What a fitted model leaves of `features`, `[n_samples, n_features]`, given `low`, `[n_samples,
/// n_low]`.
///
/// # Errors
/// Arrays that do not match each other or the fit.
pub fn residuals<M: FittedEncodingModel + ?Sized>(
    fitted: &M,
    low: ArrayView2<'_, f32>,
    features: ArrayView2<'_, f32>,
) -> Result<Array2<f32>> {
    check::same_rows("low-level features", low, "features", features)?;
    let predicted = fitted.predict(low)?;
    check::columns("features", features, predicted.ncols())?;
    Ok(&features - &predicted)
}

/// Percentage of the alignment that is lost with the low-level features: `100 (full - residual) /
/// full`. NaN where the full alignment is 0.
#[must_use]
pub fn low_level_impact(full: f64, residual: f64) -> f64 {
    if full == 0.0 {
        f64::NAN
    } else {
        100.0 * (full - residual) / full
    }
}
