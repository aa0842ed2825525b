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
    if a.nrows() == b.nrows() {
        return Ok(());
    }
    Err(EncodingError::Rows {
        left,
        left_shape: [a.nrows(), a.ncols()],
        right,
        right_shape: [b.nrows(), b.ncols()],
    })
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
