//! Attention where tensors are plain host memory: one pass per block of queries that stays in cache.
//!
//! `[batch, n, d_model]` queries, keys and values as the projections give them → the same shape. No
//! tensor of scores is made: those of [`QUERIES`] queries of one head are, column by column of the
//! keys, so that neither product copies its larger factor. Sums have one order whatever the number
//! of threads. Held by the test below and `tests/it/families.rs`.

use std::array::from_fn;
use std::ops::Range;

use burn::tensor::{Tensor, TensorData};
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::{LANES, exp, to_values};

/// Queries at once: six vectors, the height of faer's kernel; 0.6 MB of scores for 1,500 keys.
pub(crate) const QUERIES: usize = 96;

/// Keys whose weights are summed before the sum joins the others: a thousand equal ones, one after
/// another, round the same way each time.
const KEYS: usize = 64;

/// `softmax(q kᵀ / √d_head + mask) v` for each head, the heads side by side in `d_model`.
///
/// `mask` is added to the scores of each key, `[batch, 1, 1, n_keys]`.
pub(crate) fn attend(
    queries: Tensor<3>,
    keys: Tensor<3>,
    values: Tensor<3>,
    mask: Option<&Tensor<4>>,
    n_heads: usize,
) -> Tensor<3> {
    let device = queries.device();
    let [batch, n_queries, d_model] = queries.dims();
    let (n_keys, d_head) = (keys.dims()[1], d_model / n_heads);
    let (queries, keys, values) = (to_values(queries), to_values(keys), to_values(values));
    let mask = mask.map_or_else(|| vec![0.0; batch * n_keys], |m| to_values(m.clone()));
    let mut attended = vec![0.0; queries.len()];
    let blocks: Vec<(usize, usize, &mut [f32])> = attended
        .chunks_mut((n_queries * d_model).max(1))
        .enumerate()
        .flat_map(|(clip, rows)| {
            let blocks = rows.chunks_mut(QUERIES * d_model).enumerate();
            blocks.map(move |(i, block)| (clip, clip * n_queries + i * QUERIES, block))
        })
        .collect();
    blocks
        .into_par_iter()
        .for_each_init(Scratch::default, |scratch, (clip, first_row, block)| {
            let of_clip = clip * n_keys * d_model..(clip + 1) * n_keys * d_model;
            let clip = Clip {
                keys: &keys[of_clip.clone()],
                values: &values[of_clip],
                mask: &mask[clip * n_keys..(clip + 1) * n_keys],
                d_model,
            };
            let queries = &queries[first_row * d_model..][..block.len()];
            for start in (0..d_model).step_by(d_head) {
                let columns = start..start + d_head;
                clip.attend(queries, columns, scratch, block);
            }
        });
    Tensor::from_data(
        TensorData::new(attended, [batch, n_queries, d_model]),
        &device,
    )
}

/// Buffers of one thread, in columns of [`height`] values, one for each query of the block.
#[derive(Default)]
struct Scratch {
    /// `[d_head]` columns.
    queries: Vec<f32>,
    /// `[n_keys]` columns: scores, then weights before they are divided by their sums.
    scores: Vec<f32>,
    /// `[d_head]` columns.
    attended: Vec<f32>,
}

/// Whole vectors for `n` queries; what is added is zero and not used.
pub(crate) fn height(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Keys and values `[n_keys, d_model]` of one clip.
struct Clip<'a> {
    keys: &'a [f32],
    values: &'a [f32],
    mask: &'a [f32],
    d_model: usize,
}

impl Clip<'_> {
    /// One head, in `columns`, of a block of `queries` `[n, d_model]`, into the same place of `out`.
    fn attend(
        &self,
        queries: &[f32],
        columns: Range<usize>,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let height = height(queries.len() / self.d_model);
        let (n_keys, d_head) = (self.mask.len(), columns.len());
        scratch.queries.clear();
        scratch.queries.resize(height * d_head, 0.0);
        scratch.scores.resize(height * n_keys, 0.0);
        scratch.attended.resize(height * d_head, 0.0);
        #[expect(clippy::cast_precision_loss, reason = "a head's width")]
        let scale = (d_head as f32).sqrt().recip();
        for (i, row) in queries.chunks_exact(self.d_model).enumerate() {
            let places = scratch.queries[i..].iter_mut().step_by(height);
            for (to, q) in places.zip(&row[columns.clone()]) {
                *to = q * scale;
            }
        }
        let keys = self.head(self.keys, &columns).transpose();
        product(&mut scratch.scores, &scratch.queries, height, keys);
        let mut sums = [[0.0; LANES]; QUERIES / LANES];
        pulp::Arch::new().dispatch(Weights {
            scores: &mut scratch.scores,
            mask: self.mask,
            sums: &mut sums[..height / LANES],
        });
        let values = self.head(self.values, &columns);
        product(&mut scratch.attended, &scratch.scores, height, values);
        let scales = sums.map(|sums| sums.map(f32::recip));
        for (i, row) in out.chunks_exact_mut(self.d_model).enumerate() {
            let scale = scales.as_flattened()[i];
            let places = scratch.attended[i..].iter().step_by(height);
            for (to, x) in row[columns.clone()].iter_mut().zip(places) {
                *to = x * scale;
            }
        }
    }

    /// `columns` of keys or values, `[n_keys, d_head]`.
    fn head<'a>(&self, rows: &'a [f32], columns: &Range<usize>) -> MatRef<'a, f32> {
        let used = &rows[columns.start..rows.len() - (self.d_model - columns.end)];
        MatRef::from_row_major_slice_with_stride(used, self.mask.len(), columns.len(), self.d_model)
    }
}

/// `dst = lhs rhs` for `dst` and `lhs` of `height` rows, column by column.
pub(crate) fn product(dst: &mut [f32], lhs: &[f32], height: usize, rhs: MatRef<'_, f32>) {
    let lhs = MatRef::from_column_major_slice(lhs, height, rhs.nrows());
    let dst = MatMut::from_column_major_slice_mut(dst, height, rhs.ncols());
    matmul(dst, Accum::Replace, lhs, rhs, 1.0, Par::Seq);
}

/// Scores, a column for each key, become `exp(score + mask - largest)`, and `sums` their sums.
pub(crate) struct Weights<'a> {
    pub(crate) scores: &'a mut [f32],
    pub(crate) mask: &'a [f32],
    pub(crate) sums: &'a mut [[f32; LANES]],
}

impl pulp::WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let n_vectors = self.sums.len();
        let columns = self.scores.as_chunks_mut::<LANES>().0;
        let mut largest = [[f32::NEG_INFINITY; LANES]; QUERIES / LANES];
        for (column, shift) in columns.chunks_exact(n_vectors).zip(self.mask) {
            for (largest, scores) in largest.iter_mut().zip(column) {
                // Not in place: the compiler then keeps to one value at a time.
                let x = scores.map(|x| x + shift);
                *largest = from_fn(|i| if x[i] > largest[i] { x[i] } else { largest[i] });
            }
        }
        let columns = columns.chunks_mut(n_vectors * KEYS);
        for (columns, mask) in columns.zip(self.mask.chunks(KEYS)) {
            let mut sums = [[0.0; LANES]; QUERIES / LANES];
            for (column, shift) in columns.chunks_exact_mut(n_vectors).zip(mask) {
                for ((scores, sums), largest) in column.iter_mut().zip(&mut sums).zip(&largest) {
                    for ((x, sum), most) in scores.iter_mut().zip(sums).zip(largest) {
                        *x = exp(*x + shift - most);
                        *sum += *x;
                    }
                }
            }
            let totals = self.sums.as_flattened_mut().iter_mut();
            for (total, sum) in totals.zip(sums.as_flattened()) {
                *total += sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::softmax;
    use burn::tensor::Device;

    fn tensor(shape: [usize; 3], step: f32) -> Tensor<3> {
        let n: usize = shape.iter().product();
        let values: Vec<f32> = (0_u16..)
            .map(|i| (f32::from(i) * step).sin() * 3.0)
            .take(n)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// Fewer queries than a vector, whole blocks, a block and a rest; one head and several.
    #[test]
    fn is_burns_operations_one_after_another() {
        for (batch, n, d_model, n_heads) in [(1, 5, 12, 3), (2, 96, 64, 1), (2, 131, 48, 4)] {
            let shape = [batch, n, d_model];
            let (q, k, v) = (tensor(shape, 0.7), tensor(shape, 1.3), tensor(shape, 0.11));
            let behind: Vec<f32> = (0..batch * n)
                .map(|i| if i % n > n - 3 { -1e30 } else { 0.0 })
                .collect();
            let mask = TensorData::new(behind, [batch, 1, 1, n]);
            let mask: Tensor<4> = Tensor::from_data(mask, &Device::flex());
            let d_head = d_model / n_heads;
            let split = |x: &Tensor<3>| {
                let x = x.clone().reshape([batch, n, n_heads, d_head]);
                x.swap_dims(1, 2)
            };
            let scores = split(&q).matmul(split(&k).swap_dims(2, 3)) * (d_head as f64).powf(-0.5);
            let exact = softmax(scores + mask.clone()).matmul(split(&v));
            let exact = exact.swap_dims(1, 2).reshape(shape);
            let found = attend(q, k, v, Some(&mask), n_heads);
            let difference = (found - exact).abs().max().into_scalar::<f32>();
            assert!(
                difference < 2e-6,
                "{shape:?}, {n_heads} heads: {difference}"
            );
        }
    }
}
