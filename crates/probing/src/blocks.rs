//! Blocks of rows of a matrix of features, and the products that go over them.
//!
//! `x` `[n_samples, n_features]` is never copied as a whole: a block of [`ROWS`] rows is read in place
//! where it can be, and into scratch memory where rows are gathered, centred or widened. All matrices
//! are row-major. Blocks are joined into chunks whose number depends on the sizes alone, and chunks
//! are added up in order: no result depends on the number of threads. Held by `tests/it/threads.rs`.

use std::ops::Range;

use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};
use ndarray::{ArrayView2, s};

use crate::real::Real;

/// Rows of a block: with 768 features 0.8 MB, which both products read from the caches.
pub(crate) const ROWS: usize = 256;
/// Most chunks that sums are kept for.
const MAX_CHUNKS: usize = 16;
/// Bytes that the sums of all chunks may take.
const SUMS_BYTES: usize = 64 << 20;

/// Some rows of a matrix.
#[derive(Debug, Clone)]
pub(crate) enum Rows<'a> {
    Range(Range<usize>),
    List(&'a [usize]),
}

impl Rows<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::List(list) => list.len(),
        }
    }

    pub(crate) fn get(&self, i: usize) -> usize {
        match self {
            Self::Range(range) => range.start + i,
            Self::List(list) => list[i],
        }
    }

    /// The `i`-th to `end`-th of them.
    pub(crate) fn part(&self, part: Range<usize>) -> Self {
        match self {
            Self::Range(range) => Self::Range(range.start + part.start..range.start + part.end),
            Self::List(list) => Self::List(&list[part]),
        }
    }
}

/// Features, less a shift of each column if there is one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Design<'a> {
    pub(crate) x: ArrayView2<'a, f32>,
    /// `[n_features]`.
    pub(crate) shift: Option<&'a [f32]>,
}

impl<'a> Design<'a> {
    pub(crate) fn plain(x: ArrayView2<'a, f32>) -> Self {
        Self { x, shift: None }
    }

    /// Rows of it, `[rows.len(), n_features]`.
    pub(crate) fn block<'s, T: Real>(
        &'s self,
        rows: &Rows<'_>,
        scratch: &'s mut Vec<T>,
    ) -> &'s [T] {
        if let (None, Rows::Range(range)) = (self.shift, rows)
            && let Some(values) = self.contiguous(range.clone())
            && let Some(values) = T::borrowed(values)
        {
            return values;
        }
        scratch.clear();
        for i in 0..rows.len() {
            let row = self.x.row(rows.get(i));
            match (self.shift, row.to_slice()) {
                (Some(shift), Some(row)) => {
                    let values = row.iter().zip(shift);
                    scratch.extend(values.map(|(&x, &shift)| T::widened(x) - T::widened(shift)));
                }
                (Some(shift), None) => {
                    let values = row.iter().zip(shift);
                    scratch.extend(values.map(|(&x, &shift)| T::widened(x) - T::widened(shift)));
                }
                (None, _) => scratch.extend(row.iter().map(|&x| T::widened(x))),
            }
        }
        scratch
    }

    fn contiguous(&self, rows: Range<usize>) -> Option<&[f32]> {
        self.x.slice(s![rows, ..]).to_slice()
    }
}

/// Chunks of `n` rows, each of whole blocks; `n_sums` sums in f64 are kept for each.
pub(crate) fn chunks(n: usize, n_sums: usize) -> Vec<Range<usize>> {
    let n_blocks = n.div_ceil(ROWS);
    let most = (SUMS_BYTES / (8 * n_sums.max(1))).clamp(1, MAX_CHUNKS);
    let n_chunks = n_blocks.min(most);
    let bound = |chunk: usize| (chunk * n_blocks / n_chunks * ROWS).min(n);
    (0..n_chunks).map(|i| bound(i)..bound(i + 1)).collect()
}

/// The blocks of some rows.
pub(crate) fn blocks(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(ROWS)
        .map(move |start| start..end.min(start + ROWS))
}

/// `into += x * w`: `[b, d]` times `[d, k]`. The classes are what the kernel's vectors run along: faster
/// than along the rows, by a half and more for 39 classes.
pub(crate) fn add_scores<T: Real>(into: &mut [T], x: &[T], w: &[T], [b, d, k]: [usize; 3]) {
    matmul(
        MatMut::from_column_major_slice_mut(into, k, b),
        Accum::Add,
        MatRef::from_column_major_slice(w, k, d),
        MatRef::from_column_major_slice(x, d, b),
        T::one(),
        Par::Seq,
    );
}

/// `into = x' * r`: `[d, b]` times `[b, k]`.
pub(crate) fn gradient<T: Real>(into: &mut [T], x: &[T], r: &[T], [b, d, k]: [usize; 3]) {
    matmul(
        MatMut::from_column_major_slice_mut(into, k, d),
        Accum::Replace,
        MatRef::from_column_major_slice(r, k, b),
        MatRef::from_row_major_slice(x, b, d),
        T::one(),
        Par::Seq,
    );
}

/// `into = r * w'`: `[b, k]` times `[k, d]`.
pub(crate) fn back<T: Real>(into: &mut [T], r: &[T], w: &[T], [b, d, k]: [usize; 3]) {
    matmul(
        MatMut::from_column_major_slice_mut(into, d, b),
        Accum::Replace,
        MatRef::from_row_major_slice(w, d, k),
        MatRef::from_column_major_slice(r, k, b),
        T::one(),
        Par::Seq,
    );
}

/// Makes `scores` `[n_rows, n_outputs]`, each row the offsets.
pub(crate) fn fill_rows<T: Copy>(scores: &mut Vec<T>, offsets: &[T], n_rows: usize) {
    scores.clear();
    for _ in 0..n_rows {
        scores.extend_from_slice(offsets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_rows_in_whole_blocks() {
        for (n, n_sums) in [(1, 1), (ROWS, 5), (100_000, 768 * 39), (5_000, 1 << 30)] {
            let chunks = chunks(n, n_sums);
            assert_eq!(chunks.iter().map(Range::len).sum::<usize>(), n);
            assert!(
                chunks
                    .iter()
                    .all(|chunk| chunk.start % ROWS == 0 && !chunk.is_empty())
            );
            assert!(chunks.len() <= MAX_CHUNKS);
        }
    }

    #[test]
    fn products_are_the_plain_ones() {
        let size = [3, 5, 2];
        let x: Vec<f64> = (0..15).map(f64::from).collect();
        let w: Vec<f64> = (0..10).map(|i| f64::from(i) - 4.0).collect();
        let mut scores = vec![1.0; 6];
        add_scores(&mut scores, &x, &w, size);
        // Whole numbers: exact.
        let score =
            |i: usize, c: usize| 1.0 + (0..5).map(|j| x[5 * i + j] * w[2 * j + c]).sum::<f64>();
        assert_eq!(
            scores,
            [
                score(0, 0),
                score(0, 1),
                score(1, 0),
                score(1, 1),
                score(2, 0),
                score(2, 1)
            ]
        );
        let mut slope = vec![0.0; 10];
        gradient(&mut slope, &x, &scores, size);
        let expected = (0..3)
            .map(|i| x[5 * i + 4] * scores[2 * i + 1])
            .sum::<f64>();
        assert_eq!(slope[9].to_bits(), expected.to_bits());
        let mut hidden = vec![0.0; 15];
        back(&mut hidden, &scores, &w, size);
        let expected = scores[2] * w[6] + scores[3] * w[7];
        assert_eq!(hidden[5 + 3].to_bits(), expected.to_bits());
    }
}
