//! The few dense operations the solver is made of, each sequential: threads go over folds and
//! voxels, so that no sum depends on their number.

use faer::{
    Accum, Mat, MatMut, MatRef, Par,
    diag::Diag,
    dyn_stack::{MemBuffer, MemStack},
    linalg::{
        evd::{self, ComputeEigenvectors},
        matmul::matmul,
    },
};
use ndarray::{Array2, ArrayView2, ShapeBuilder};
use rayon::prelude::*;

use super::{
    panels::{self, Panels},
    real::Real,
};

/// Width of the blocks of columns that threads share out.
const BLOCK: usize = 256;

/// `dst += scale * lhs * rhs`, or `=` with [`Accum::Replace`].
pub(crate) fn gemm<T: Real>(
    dst: MatMut<'_, T>,
    accum: Accum,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
    scale: T,
) {
    matmul(dst, accum, lhs, rhs, scale, Par::Seq);
}

/// `lhs * rhs`.
pub(crate) fn product<T: Real>(lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) -> Mat<T> {
    let mut dst = Mat::zeros(lhs.nrows(), rhs.ncols());
    gemm(dst.as_mut(), Accum::Replace, lhs, rhs, T::one());
    dst
}

/// `lhs * rhs`, blocks of columns in parallel.
pub(crate) fn par_product<T: Real>(lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) -> Mat<T> {
    par_columns(rhs, |block| product(lhs, block))
}

/// `f(rhs)`, which works on each column by itself, blocks of columns in parallel.
pub(crate) fn par_columns<T: Real>(
    rhs: MatRef<'_, T>,
    f: impl Fn(MatRef<'_, T>) -> Mat<T> + Sync,
) -> Mat<T> {
    let parts: Vec<Mat<T>> = blocks(rhs.ncols())
        .into_par_iter()
        .map(|(start, len)| f(rhs.subcols(start, len)))
        .collect();
    let n_rows = parts.first().map_or(0, Mat::nrows);
    let mut dst = Mat::zeros(n_rows, rhs.ncols());
    for (part, (start, len)) in parts.iter().zip(blocks(rhs.ncols())) {
        dst.as_mut().subcols_mut(start, len).copy_from(part);
    }
    dst
}

/// `lhs * rhs` of arrays, blocks of columns in parallel.
pub(crate) fn product_of(lhs: ArrayView2<'_, f32>, rhs: ArrayView2<'_, f32>) -> Array2<f32> {
    let (lhs, rhs) = (from_array::<f32>(lhs, None), from_array::<f32>(rhs, None));
    let product = par_product(lhs.as_ref(), rhs.as_ref());
    Array2::from_shape_fn((product.nrows(), product.ncols()).f(), |(i, j)| {
        product[(i, j)]
    })
}

/// `x' * x`, blocks of rows in parallel; both triangles.
pub(crate) fn par_gram<T: Real>(x: MatRef<'_, T>) -> Mat<T> {
    par_symmetric(x.transpose(), x)
}

/// `lhs * rhs` that is symmetric, blocks of rows in parallel; both triangles.
pub(crate) fn par_symmetric<T: Real>(lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) -> Mat<T> {
    /// Rows of a block: whole kernels, few enough that little is computed twice.
    const ROWS: usize = 4 * panels::ROWS;
    let n = rhs.ncols();
    let starts: Vec<usize> = (0..n).step_by(ROWS).collect();
    let block = |&start: &usize| {
        let end = n.min(start + ROWS);
        let rows = Panels::new(lhs.subrows(start, end - start));
        rows.times(rhs.subcols(0, end))
    };
    let blocks: Vec<Mat<T>> = starts.par_iter().map(block).collect();
    let mut whole = Mat::zeros(n, n);
    for (block, start) in blocks.iter().zip(starts) {
        let (len, end) = block.shape();
        let mut above = whole.as_mut().submatrix_mut(0, start, end, len);
        above.copy_from(block.transpose());
        let mut left = whole.as_mut().submatrix_mut(start, 0, len, end);
        left.copy_from(block);
    }
    whole
}

fn blocks(n: usize) -> Vec<(usize, usize)> {
    (0..n)
        .step_by(BLOCK)
        .map(|start| (start, BLOCK.min(n - start)))
        .collect()
}

/// Eigenvectors in columns and eigenvalues, ascending and not below 0, of a positive semidefinite
/// matrix, of which the lower triangle is read. None if it did not converge.
pub(crate) fn eigh<T: Real>(matrix: MatRef<'_, T>) -> Option<(Mat<T>, Vec<f64>)> {
    let n = matrix.nrows();
    let mut vectors = Mat::zeros(n, n);
    let mut values = Diag::zeros(n);
    let compute = ComputeEigenvectors::Yes;
    let scratch =
        evd::self_adjoint_evd_scratch::<T>(n, compute, Par::Seq, faer::prelude::default());
    evd::self_adjoint_evd(
        matrix,
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        faer::prelude::default(),
    )
    .ok()?;
    let values: Vec<f64> = (0..n).map(|i| values[i].into()).collect();
    if values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    Some((vectors, values.iter().map(|value| value.max(0.0)).collect()))
}

/// The largest eigenvalue of a positive semidefinite matrix, to a few per cent: power iteration from a
/// vector along all axes, unlike any eigenvector. From one axis it would never leave the rows and
/// columns that have something to do with it.
pub(crate) fn largest_eigenvalue<T: Real>(matrix: MatRef<'_, T>) -> f64 {
    const STEPS: usize = 30;
    let n = matrix.nrows();
    // Heavier axes more, so that few steps do; signs as the digits of √2 have them.
    let mut vector = Mat::from_fn(n, 1, |i, _| {
        let heaviness: f64 = matrix[(i, i)].into();
        let digits = (std::f64::consts::SQRT_2 * (i + 1) as f64).fract();
        T::rounded(heaviness.max(0.0).sqrt() * (digits - 0.5))
    });
    let diagonal = (0..n).map(|i| -> f64 { matrix[(i, i)].into() });
    let heaviest = diagonal.fold(0.0, f64::max);
    let mut largest = 0.0;
    for _ in 0..STEPS {
        let norm: f64 = vector.norm_l2().into();
        if norm == 0.0 || !norm.is_finite() {
            break;
        }
        let unit = Mat::from_fn(n, 1, |i, _| T::rounded(vector[(i, 0)].into() / norm));
        vector = product(matrix, unit.as_ref());
        largest = vector.norm_l2().into();
    }
    heaviest.max(largest) // no entry of the diagonal is above it
}

/// A column-major copy of `x`, less `means` of its columns if given. Rows of a few columns at a time: a row
/// of `x` is read a cache line at a time, whichever its order.
pub(crate) fn from_array<T: Real>(x: ArrayView2<'_, f32>, means: Option<&[f64]>) -> Mat<T> {
    const COLUMNS: usize = 16;
    let (n_rows, n_columns) = x.dim();
    let mut copy = Mat::zeros(n_rows, n_columns);
    for start in (0..n_columns).step_by(COLUMNS) {
        let columns = start..n_columns.min(start + COLUMNS);
        for i in 0..n_rows {
            for j in columns.clone() {
                let value = x[(i, j)];
                copy[(i, j)] = means.map_or_else(
                    || T::widened(value),
                    |means| T::rounded(f64::from(value) - means[j]),
                );
            }
        }
    }
    copy
}

/// Rows of `x`, less `shift` of its columns if given.
pub(crate) fn gather_rows<T: Real>(x: MatRef<'_, T>, rows: &[usize], shift: &[T]) -> Mat<T> {
    let mut gathered = Mat::zeros(rows.len(), x.ncols());
    for j in 0..x.ncols() {
        let into = gathered.col_as_slice_mut(j);
        let column = x.col(j);
        match column.try_as_col_major() {
            // Neighbouring rows, as those of a story are, are copied in one piece.
            Some(column) => {
                let (column, mut done) = (column.as_slice(), 0);
                for run in rows.chunk_by(|a, b| a + 1 == *b) {
                    into[done..done + run.len()]
                        .copy_from_slice(&column[run[0]..=run[run.len() - 1]]);
                    done += run.len();
                }
            }
            None => {
                for (into, &row) in into.iter_mut().zip(rows) {
                    *into = column[row];
                }
            }
        }
        if let Some(&shift) = shift.get(j) {
            for value in into {
                *value -= shift;
            }
        }
    }
    gathered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gram_and_product_agree_across_blocks() {
        let x = Mat::from_fn(5, BLOCK + 3, |i, j| (((i * 31 + j * 17) % 13) as f64) - 6.0);
        let gram = par_gram(x.as_ref());
        let dense = par_product(x.as_ref().transpose(), x.as_ref());
        assert!((&gram - &dense).norm_max() < 1e-12);
    }

    #[test]
    fn power_iteration_finds_the_largest_eigenvalue() {
        let x = Mat::from_fn(20, 7, |i, j| ((i * 5 + j * 3) % 11) as f64 - 4.0);
        let gram = par_gram(x.as_ref());
        let (_, values) = eigh(gram.as_ref()).expect("it converges");
        let largest = largest_eigenvalue(gram.as_ref());
        assert!((largest / values[6] - 1.0).abs() < 0.02);
    }
}
