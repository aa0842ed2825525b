//! One pass over the rows for a linear layer: the sum of losses and its gradient.
//!
//! `scores = (x - shift) W + offsets`, `[n_samples, n_outputs]`, a block of rows at a time; the gradient
//! of a block is a product in the precision asked for, sums over blocks are in f64. Memory beside `x`:
//! one block per thread and at most 64 MB of sums. Held by `tests/it/threads.rs`.

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::{
    blocks::{self, Design, ROWS, Rows},
    loss::loss_and_slopes,
    real::Real,
    targets::Truth,
};

/// Sums over rows; not divided by their number.
#[derive(Debug, Clone)]
pub(crate) struct Sums {
    pub(crate) loss: f64,
    /// `[n_features, n_outputs]`, then `[n_outputs]` for the offsets.
    pub(crate) gradient: Vec<f64>,
}

impl Sums {
    pub(crate) fn zeros(n_parameters: usize) -> Self {
        Self {
            loss: 0.0,
            gradient: vec![0.0; n_parameters],
        }
    }
}

/// Sums of all chunks, added up in order.
pub(crate) fn add_up(parts: Vec<Sums>, n_parameters: usize) -> Sums {
    let mut parts = parts.into_iter();
    let mut total = parts.next().unwrap_or_else(|| Sums::zeros(n_parameters));
    for part in parts {
        total.loss += part.loss;
        for (sum, value) in total.gradient.iter_mut().zip(part.gradient) {
            *sum += value;
        }
    }
    total
}

struct Scratch<T> {
    x: Vec<T>,
    scores: Vec<T>,
    gradient: Vec<T>,
}

impl<T> Default for Scratch<T> {
    fn default() -> Self {
        let (x, scores, gradient) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            x,
            scores,
            gradient,
        }
    }
}

/// Losses of all rows under `w`: `[n_features, n_outputs]`, then `[n_outputs]` offsets.
pub(crate) fn loss_and_gradient<T: Real>(
    design: Design<'_>,
    truth: &Truth<'_>,
    w: &[T],
    k: usize,
) -> Sums {
    let chunks = blocks::chunks(design.x.nrows(), w.len());
    let of_chunk = |chunk: std::ops::Range<usize>| {
        let mut sums = Sums::zeros(w.len());
        let mut scratch = Scratch::default();
        for rows in blocks::blocks(chunk) {
            add_block(
                &mut sums,
                design,
                truth,
                &Rows::Range(rows),
                w,
                k,
                &mut scratch,
            );
        }
        sums
    };
    let parts: Vec<Sums> = chunks.into_par_iter().map(of_chunk).collect();
    add_up(parts, w.len())
}

fn add_block<T: Real>(
    sums: &mut Sums,
    design: Design<'_>,
    truth: &Truth<'_>,
    rows: &Rows<'_>,
    w: &[T],
    k: usize,
    scratch: &mut Scratch<T>,
) {
    let (b, d) = (rows.len(), design.x.ncols());
    let (weights, offsets) = w.split_at(d * k);
    let x = design.block(rows, &mut scratch.x);
    blocks::fill_rows(&mut scratch.scores, offsets, b);
    blocks::add_scores(&mut scratch.scores, x, weights, [b, d, k]);
    sums.loss += loss_and_slopes(truth, rows, &mut scratch.scores, k);
    scratch.gradient.resize(d * k, T::zero());
    blocks::gradient(&mut scratch.gradient, x, &scratch.scores, [b, d, k]);
    let (of_weights, of_offsets) = sums.gradient.split_at_mut(d * k);
    for (sum, &value) in of_weights.iter_mut().zip(&scratch.gradient) {
        *sum += value.into();
    }
    for slopes in scratch.scores.chunks_exact(k) {
        for (sum, &slope) in of_offsets.iter_mut().zip(slopes) {
            *sum += slope.into();
        }
    }
}

/// Scores of all rows, `[n_samples, n_outputs]`.
pub(crate) fn scores(
    design: Design<'_>,
    weights: ArrayView2<'_, f32>,
    offsets: &[f32],
) -> Array2<f32> {
    let (n, d) = design.x.dim();
    let k = offsets.len();
    let weights = weights.as_standard_layout();
    let w = weights.as_slice().unwrap_or_default();
    let mut scores = vec![0.0; n * k];
    let blocks = scores.par_chunks_mut(ROWS * k).enumerate();
    blocks.for_each_init(Vec::new, |scratch, (i, into)| {
        let b = into.len() / k;
        let x = design.block(&Rows::Range(i * ROWS..i * ROWS + b), scratch);
        for row in into.chunks_exact_mut(k) {
            row.copy_from_slice(offsets);
        }
        blocks::add_scores(into, x, w, [b, d, k]);
    });
    Array2::from_shape_vec((n, k), scores).expect("k scores per row")
}

/// Mean loss of scores that are there, `[n_samples, n_outputs]`, over rows.
pub(crate) fn mean_loss(truth: &Truth<'_>, scores: Array2<f32>) -> f64 {
    let (n, k) = scores.dim();
    let mut scores = scores.into_raw_vec_and_offset().0;
    let losses: Vec<f64> = scores
        .par_chunks_mut(ROWS * k)
        .enumerate()
        .map(|(i, block)| {
            let rows = Rows::Range(i * ROWS..i * ROWS + block.len() / k);
            loss_and_slopes(truth, &rows, block, k)
        })
        .collect();
    losses.iter().sum::<f64>() / n as f64
}
