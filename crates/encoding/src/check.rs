//! Checks of arrays, made once where they enter the crate.

use ndarray::ArrayView2;

use crate::{EncodingError, Result};

pub(crate) fn not_empty(what: &'static str, x: ArrayView2<'_, f32>) -> Result<()> {
    if x.is_empty() {
        return Err(EncodingError::Empty {
            what,
            shape: [x.nrows(), x.ncols()],
        });
    }
    Ok(())
}

pub(crate) fn same_rows(
    left: &'static str,
    a: ArrayView2<'_, f32>,
    right: &'static str,
    b: ArrayView2<'_, f32>,
) -> Result<()> {
    rows(
        [left, right],
        [[a.nrows(), a.ncols()], [b.nrows(), b.ncols()]],
    )
}

/// As [`same_rows`], of arrays that are not at hand.
pub(crate) fn rows(names: [&'static str; 2], shapes: [[usize; 2]; 2]) -> Result<()> {
    let ([left, right], [left_shape, right_shape]) = (names, shapes);
    if left_shape[0] == right_shape[0] {
        return Ok(());
    }
    Err(EncodingError::Rows {
        left,
        left_shape,
        right,
        right_shape,
    })
}

/// Both are `[n_samples, n_voxels]`, finite and of one shape.
pub(crate) fn pair(
    names: [&'static str; 2],
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
) -> Result<()> {
    not_empty(names[0], a)?;
    same_rows(names[0], a, names[1], b)?;
    columns(names[1], b, a.ncols())?;
    finite(names[0], a)?;
    finite(names[1], b)
}

/// Features that a fitted model predicts from: some rows, finite, and the columns of the fit.
pub(crate) fn features(x: ArrayView2<'_, f32>, n_features: usize) -> Result<()> {
    not_empty("x", x)?;
    columns("x", x, n_features)?;
    finite("x", x)
}

pub(crate) fn columns(what: &'static str, x: ArrayView2<'_, f32>, expected: usize) -> Result<()> {
    if x.ncols() == expected {
        return Ok(());
    }
    Err(EncodingError::Columns {
        what,
        shape: [x.nrows(), x.ncols()],
        expected,
    })
}

pub(crate) fn finite(what: &'static str, x: ArrayView2<'_, f32>) -> Result<()> {
    for (row, values) in x.rows().into_iter().enumerate() {
        if let Some((column, &value)) = values.indexed_iter().find(|(_, value)| !value.is_finite())
        {
            return Err(EncodingError::NonFinite {
                what,
                row,
                column,
                value,
            });
        }
    }
    Ok(())
}

/// A ceiling above the threshold is divided by, so it must keep 0 out.
pub(crate) fn ceiling_threshold(threshold: f32) -> Result<()> {
    if threshold.is_nan() || threshold < 0.0 {
        return Err(EncodingError::Threshold { threshold });
    }
    Ok(())
}
