//! The backward pass of attention: scores are made again, a block of queries after another, and never
//! kept.
//!
//! With weights `P` and output `O = P V`: `dV = P' dO`, `dS = P ∘ (dO V' - rows(dO ∘ O))`, `dQ = dS K`,
//! `dK = dS' Q` (as Dao et al. 2022, algorithm 4). A clip's head is the work of one
//! thread, so that sums have one order. Held by the test below.

use burn::tensor::Tensor;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::attention::{self, QUERIES, Weights, height, product};
use super::recorded::{Operation, Plain, into_values, of_values, plain, record, recorded, slice};
use super::{LANES, flushed, to_values};

/// [`attention::attend`], recorded.
pub(crate) fn with_gradient(
    queries: Tensor<3>,
    keys: Tensor<3>,
    values: Tensor<3>,
    mask: Option<&Tensor<4>>,
    n_heads: usize,
) -> Tensor<3> {
    let shape = queries.dims();
    let n_keys = keys.dims()[1];
    let mask = mask.map(|mask| mask.clone().inner());
    let inputs = [queries, keys, values];
    let [q, k, v] = inputs.clone().map(Tensor::inner);
    let out = attention::attend(q.clone(), k.clone(), v.clone(), mask.as_ref(), n_heads);
    let saved = Attention {
        inputs: [q, k, v].map(plain),
        out: plain(out.clone()),
        mask: mask.map(to_values),
        batch: shape[0],
        n_queries: shape[1],
        n_keys,
        d_model: shape[2],
        n_heads,
    };
    let inputs = inputs.map(recorded);
    record(inputs.each_ref(), out, saved)
}

#[derive(Clone, Debug)]
struct Attention {
    inputs: [Plain; 3],
    out: Plain,
    mask: Option<Vec<f32>>,
    batch: usize,
    n_queries: usize,
    n_keys: usize,
    d_model: usize,
    n_heads: usize,
}

impl Operation<3> for Attention {
    fn backward(self, gradient: Plain, _wanted: [bool; 3]) -> [Option<Plain>; 3] {
        let gradient = into_values(gradient);
        let heads: Vec<(usize, usize)> = (0..self.batch)
            .flat_map(|clip| (0..self.n_heads).map(move |head| (clip, head)))
            .collect();
        let done: Vec<Gradients> = heads
            .par_iter()
            .map(|&(clip, head)| self.head(clip, head, &gradient))
            .collect();
        let gather = |n: usize, part: fn(&Gradients) -> &[f32]| {
            let mut all = vec![0.0; self.batch * n * self.d_model];
            for (&(clip, head), gradients) in heads.iter().zip(&done) {
                let rows = all[clip * n * self.d_model..].chunks_exact_mut(self.d_model);
                let found = part(gradients).chunks_exact(self.d_head());
                for (row, found) in rows.zip(found) {
                    row[head * self.d_head()..][..self.d_head()].copy_from_slice(found);
                }
            }
            Some(plain(of_values(all, [self.batch, n, self.d_model])))
        };
        [
            gather(self.n_queries, |g| &g.queries),
            gather(self.n_keys, |g| &g.keys),
            gather(self.n_keys, |g| &g.values),
        ]
    }
}

/// Of one head of one clip, `[n, d_head]` each.
struct Gradients {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
}

/// Buffers for a block of queries, in columns of `height` values.
struct Block {
    height: usize,
    queries: Vec<f32>,
    gradient: Vec<f32>,
    weights: Vec<f32>,
    slopes: Vec<f32>,
    of_queries: Vec<f32>,
}

impl Attention {
    fn d_head(&self) -> usize {
        self.d_model / self.n_heads
    }

    /// One head's columns of rows `[n, d_model]` of one clip.
    fn columns<'a>(&self, x: &'a [f32], n: usize, clip: usize, head: usize) -> MatRef<'a, f32> {
        let rows = &x[clip * n * self.d_model..(clip + 1) * n * self.d_model];
        MatRef::from_row_major_slice(rows, n, self.d_model)
            .subcols(head * self.d_head(), self.d_head())
    }

    fn head(&self, clip: usize, head: usize, gradient: &[f32]) -> Gradients {
        let d_head = self.d_head();
        #[allow(clippy::cast_precision_loss)] // a head's width
        let scale = (d_head as f32).sqrt().recip();
        let of_clip = |x, n| self.columns(x, n, clip, head);
        let [queries, keys, values] = self.inputs.each_ref().map(slice);
        let (keys, values) = (of_clip(keys, self.n_keys), of_clip(values, self.n_keys));
        let queries = of_clip(queries, self.n_queries);
        let gradient = of_clip(gradient, self.n_queries);
        let out = of_clip(slice(&self.out), self.n_queries);
        let none = vec![0.0; self.n_keys];
        let mask = self.mask.as_ref().map_or(none.as_slice(), |mask| {
            &mask[clip * self.n_keys..(clip + 1) * self.n_keys]
        });
        let mut found = Gradients {
            queries: vec![0.0; self.n_queries * d_head],
            keys: vec![0.0; self.n_keys * d_head],
            values: vec![0.0; self.n_keys * d_head],
        };
        for first in (0..self.n_queries).step_by(QUERIES) {
            let n = QUERIES.min(self.n_queries - first);
            let rows = |x: MatRef<'_, f32>, scale| columns_of(x.subrows(first, n), scale);
            let mut block = Block {
                height: height(n),
                queries: rows(queries, scale),
                gradient: rows(gradient, 1.0),
                weights: vec![0.0; height(n) * self.n_keys],
                slopes: vec![0.0; height(n) * self.n_keys],
                of_queries: vec![0.0; height(n) * d_head],
            };
            let along = along_rows(&block.gradient, &rows(out, 1.0), block.height);
            block.differentiate(keys, values, mask, &along);
            block.add(&mut found, d_head);
            product(&mut block.of_queries, &block.slopes, block.height, keys);
            let into = found.queries[first * d_head..].chunks_exact_mut(d_head);
            for (i, row) in into.take(n).enumerate() {
                let values = block.of_queries[i..].iter().step_by(block.height);
                for (to, value) in row.iter_mut().zip(values) {
                    *to = value * scale;
                }
            }
        }
        found
    }
}

impl Block {
    /// Makes weights and the slopes of scores.
    fn differentiate(
        &mut self,
        keys: MatRef<'_, f32>,
        values: MatRef<'_, f32>,
        mask: &[f32],
        along: &[f32],
    ) {
        let height = self.height;
        product(&mut self.weights, &self.queries, height, keys.transpose());
        product(&mut self.slopes, &self.gradient, height, values.transpose());
        let mut sums = [[0.0; LANES]; QUERIES / LANES];
        pulp::Arch::new().dispatch(Weights {
            scores: &mut self.weights,
            mask,
            sums: &mut sums[..height / LANES],
        });
        let scales = sums.map(|sums| sums.map(f32::recip));
        pulp::Arch::new().dispatch(Scores {
            weights: &mut self.weights,
            slopes: &mut self.slopes,
            scales: &scales.as_flattened()[..height],
            along,
        });
    }

    /// Adds to the gradients of keys and values.
    fn add(&self, found: &mut Gradients, d_head: usize) {
        let n_keys = found.keys.len() / d_head;
        let add = |into: &mut [f32], lhs: &[f32], rhs: &[f32]| {
            let lhs = MatRef::from_column_major_slice(lhs, self.height, n_keys);
            let rhs = MatRef::from_column_major_slice(rhs, self.height, d_head);
            let into = MatMut::from_row_major_slice_mut(into, n_keys, d_head);
            matmul(into, Accum::Add, lhs.transpose(), rhs, 1.0, Par::Seq);
        };
        add(&mut found.values, &self.weights, &self.gradient);
        add(&mut found.keys, &self.slopes, &self.queries);
    }
}

/// `scale x` in columns of [`height`] values, zeros below.
fn columns_of(x: MatRef<'_, f32>, scale: f32) -> Vec<f32> {
    let height = height(x.nrows());
    let mut columns = vec![0.0; height * x.ncols()];
    for i in 0..x.nrows() {
        let places = columns[i..].iter_mut().step_by(height);
        for (to, x) in places.zip(x.row(i).iter()) {
            *to = x * scale;
        }
    }
    columns
}

/// Sums of products along each row of columns of `height` values.
fn along_rows(a: &[f32], b: &[f32], height: usize) -> Vec<f32> {
    let mut sums = vec![0.0; height];
    for (a, b) in a.chunks_exact(height).zip(b.chunks_exact(height)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums
}

/// Weights are divided by their sums, and `slopes`, those of weights, become those of scores.
struct Scores<'a> {
    weights: &'a mut [f32],
    slopes: &'a mut [f32],
    scales: &'a [f32],
    along: &'a [f32],
}

impl pulp::WithSimd for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let height = self.scales.len();
        let columns = self.weights.chunks_exact_mut(height);
        for (weights, slopes) in columns.zip(self.slopes.chunks_exact_mut(height)) {
            let rows = self.scales.iter().zip(self.along);
            for ((weight, slope), (scale, along)) in weights.iter_mut().zip(slopes).zip(rows) {
                *weight = flushed(*weight * scale);
                *slope = flushed(*weight * (*slope - along));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, activation::softmax};

    /// Fewer queries than a vector, whole blocks, a block and a rest; with and without a mask.
    #[test]
    fn gradients_are_those_of_burns_operations() {
        let device = Device::flex().autodiff();
        for (batch, n, d_model, n_heads) in [(1, 5, 12, 3), (2, 96, 64, 1), (2, 131, 48, 4)] {
            let shape = [batch, n, d_model];
            let tensor = |step: f32| {
                let wave = (0_u16..).map(|i| (f32::from(i) * step).sin() * 2.0);
                let values: Vec<f32> = wave.take(batch * n * d_model).collect();
                Tensor::<3>::from_data(TensorData::new(values, shape), &device)
            };
            let behind: Vec<f32> = (0..batch * n)
                .map(|i| if i % n > n - 3 { -1e30 } else { 0.0 })
                .collect();
            let mask = TensorData::new(behind, [batch, 1, 1, n]);
            let mask: Tensor<4> = Tensor::from_data(mask, &device);
            let d_head = d_model / n_heads;
            let split = |x: Tensor<3>| {
                let x = x.reshape([batch, n, n_heads, d_head]);
                x.swap_dims(1, 2)
            };
            let by_burn = |q, k: Tensor<3>, v| {
                let scores = split(q).matmul(split(k).swap_dims(2, 3));
                let scores = scores * (d_head as f64).powf(-0.5) + mask.clone();
                let out = softmax(scores, 3).matmul(split(v));
                out.swap_dims(1, 2).reshape(shape)
            };
            let run = |f: &dyn Fn(Tensor<3>, Tensor<3>, Tensor<3>) -> Tensor<3>| {
                let inputs = [0.7, 1.3, 0.11].map(|step| tensor(step).require_grad());
                let [q, k, v] = inputs.clone();
                let loss = (f(q, k, v) * tensor(0.31)).sum();
                let gradients = loss.backward();
                inputs.map(|x| x.grad(&gradients).expect("a gradient"))
            };
            let found = run(&|q, k, v| with_gradient(q, k, v, Some(&mask), n_heads));
            let exact = run(&by_burn);
            for (found, exact) in found.into_iter().zip(exact) {
                let largest = exact.clone().abs().max().into_scalar::<f32>();
                let difference = (found - exact).abs().max().into_scalar::<f32>();
                // Sums over 131 keys in another order, of terms that cancel in part.
                assert!(
                    difference <= 2e-5 * largest,
                    "{shape:?}: {difference} of {largest}"
                );
            }
        }
    }
}
