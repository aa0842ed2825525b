//! Checks of arrays, made once where they enter the crate.

use ndarray::ArrayView2;

use crate::{ProbingError, Result};

pub(crate) fn not_empty<T>(what: &'static str, x: ArrayView2<'_, T>) -> Result<()> {
    if x.is_empty() {
        return Err(ProbingError::Empty {
            what,
            shape: [x.nrows(), x.ncols()],
        });
    }
    Ok(())
}

pub(crate) fn same_rows(
    left: &'static str,
    n_left: usize,
    right: &'static str,
    n_right: usize,
) -> Result<()> {
    if n_left == n_right {
        return Ok(());
    }
    Err(ProbingError::Rows {
        left,
        n_left,
        right,
        n_right,
    })
}

pub(crate) fn columns(what: &'static str, got: usize, expected: usize) -> Result<()> {
    if got == expected {
        return Ok(());
    }
    Err(ProbingError::Columns {
        what,
        got,
        expected,
    })
}

pub(crate) fn finite(what: &'static str, x: ArrayView2<'_, f32>) -> Result<()> {
    for (row, values) in x.rows().into_iter().enumerate() {
        if let Some((column, &value)) = values.indexed_iter().find(|(_, value)| !value.is_finite())
        {
            return Err(ProbingError::NonFinite {
                what,
                row,
                column,
                value,
            });
        }
    }
    Ok(())
}

/// A setting that must be finite and above 0.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(ProbingError::Setting {
        name,
        value,
        expected: "a finite number above 0",
    })
}

/// A count that must not be 0.
pub(crate) fn at_least_one(name: &'static str, value: usize) -> Result<()> {
    if value > 0 {
        return Ok(());
    }
    Err(ProbingError::Setting {
        name,
        value: 0.0,
        expected: "1 or more",
    })
}
