//! A left factor that many products share, laid out once the way the matrix product reads it.
//!
//! `[n_rows, n_columns]` as blocks of [`ROWS`] x [`COLUMNS`], each contiguous and column-major: a
//! block stays in the second cache while the right factor passes, where faer's own blocks of a
//! plain matrix are copied at every product and reach three quarters of the speed
//! (`docs/benchmarks.md`). Held by the test below.

use std::ops::Range;

use faer::{Accum, Mat, MatMut, MatRef};

use super::{matrix::gemm, real::Real};

/// Rows of the fastest kernel of the product.
pub(crate) const ROWS: usize = 96;
/// With the rows 147 kB in f32.
const COLUMNS: usize = 384;

/// The left factor.
pub(crate) struct Panels<T> {
    values: Vec<T>,
    n_rows: usize,
    n_columns: usize,
}

impl<T: Real> Panels<T> {
    pub(crate) fn new(matrix: MatRef<'_, T>) -> Self {
        let (n_rows, n_columns) = (matrix.nrows(), matrix.ncols());
        let mut values = Vec::with_capacity(n_rows * n_columns);
        for first_column in (0..n_columns).step_by(COLUMNS) {
            let columns = first_column..n_columns.min(first_column + COLUMNS);
            for rows in heights(n_rows) {
                for column in columns.clone() {
                    let column = matrix.col(column).subrows(rows.start, rows.len());
                    match column.try_as_col_major() {
                        Some(column) => values.extend_from_slice(column.as_slice()),
                        None => values.extend(column.iter()),
                    }
                }
            }
        }
        Self {
            values,
            n_rows,
            n_columns,
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// `self * rhs`.
    pub(crate) fn times(&self, rhs: MatRef<'_, T>) -> Mat<T> {
        let mut dst = Mat::zeros(self.n_rows, rhs.ncols());
        self.multiply(dst.as_mut(), rhs);
        dst
    }

    /// `dst = self * rhs`.
    pub(crate) fn multiply(&self, mut dst: MatMut<'_, T>, rhs: MatRef<'_, T>) {
        assert_eq!(rhs.nrows(), self.n_columns, "inner sizes of a product");
        if self.n_columns == 0 {
            dst.fill(T::zero());
        }
        for first_column in (0..self.n_columns).step_by(COLUMNS) {
            self.add(dst.as_mut(), rhs, first_column);
        }
    }

    /// [`multiply`](Self::multiply) for several left factors of one shape, results one after another in
    /// `into`: a block of `rhs` stays in cache for all of them.
    pub(crate) fn multiply_all(factors: &[Self], into: &mut [T], rhs: MatRef<'_, T>) {
        let Some(first) = factors.first() else {
            return;
        };
        for first_column in (0..first.n_columns).step_by(COLUMNS) {
            for (factor, into) in factors
                .iter()
                .zip(into.chunks_exact_mut(first.n_rows * rhs.ncols()))
            {
                let dst = MatMut::from_column_major_slice_mut(into, first.n_rows, rhs.ncols());
                factor.add(dst, rhs, first_column);
            }
        }
    }

    /// What the columns of one block give; `dst` is overwritten by the first.
    fn add(&self, mut dst: MatMut<'_, T>, rhs: MatRef<'_, T>, first_column: usize) {
        let n_columns = COLUMNS.min(self.n_columns - first_column);
        let rhs = rhs.subrows(first_column, n_columns);
        let accum = if first_column == 0 {
            Accum::Replace
        } else {
            Accum::Add
        };
        for rows in heights(self.n_rows) {
            let (first_row, n_rows) = (rows.start, rows.len());
            let start = first_column * self.n_rows + first_row * n_columns;
            let block = &self.values[start..start + n_rows * n_columns];
            gemm(
                dst.as_mut().subrows_mut(first_row, n_rows),
                accum,
                MatRef::from_column_major_slice(block, n_rows, n_columns),
                rhs,
                T::one(),
            );
        }
    }
}

/// Rows of each panel: [`ROWS`], but that the last two share what would leave little for the last,
/// whose kernel would be slow.
fn heights(n_rows: usize) -> impl Iterator<Item = Range<usize>> {
    /// Rows of the kernel's vectors.
    const LANES: usize = 16;
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next;
        let left = n_rows - start;
        next += match left {
            0 => return None,
            left if left > ROWS && left < ROWS + ROWS / 2 => (left / 2).next_multiple_of(LANES),
            left => left.min(ROWS),
        };
        Some(start..next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ridge::matrix::product;

    #[test]
    fn is_the_plain_product() {
        for (n_rows, n_columns) in [
            (1, 1),
            (ROWS, COLUMNS),
            (2 * ROWS + 5, 2 * COLUMNS + 7),
            (3, 0),
        ] {
            let lhs = Mat::from_fn(n_rows, n_columns, |i, j| {
                ((i * 7 + j * 5) % 11) as f64 - 5.0
            });
            let rhs = Mat::from_fn(n_columns, 3, |i, j| ((i * 3 + j) % 7) as f64 - 3.0);
            let found = Panels::new(lhs.as_ref()).times(rhs.as_ref());
            // Whole numbers: both are exact.
            assert_eq!(found, product(lhs.as_ref(), rhs.as_ref()));
        }
    }
}
