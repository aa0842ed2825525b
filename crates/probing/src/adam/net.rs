//! One hidden layer of rectified units: its scores, and the gradient of its losses.
//!
//! Parameters in one vector: weights `[n_features, n_hidden]`, biases, weights `[n_hidden, n_outputs]`,
//! biases. A block of rows at a time, as `pass.rs`.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::{
    blocks::{self, Design, ROWS, Rows},
    loss::loss_and_slopes,
    pass::{self, Sums},
    targets::Truth,
};

/// Widths of a network.
#[allow(clippy::struct_field_names)] // counts are n_foos everywhere
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Widths {
    pub(super) n_features: usize,
    pub(super) n_hidden: usize,
    pub(super) n_outputs: usize,
}

/// Parameters, or their gradient, part by part.
struct Parts<'a, T> {
    weights: &'a [T],
    biases: &'a [T],
    out_weights: &'a [T],
    out_biases: &'a [T],
}

impl Widths {
    fn bounds(self) -> [usize; 3] {
        let first = self.n_features * self.n_hidden;
        let second = first + self.n_hidden;
        [first, second, second + self.n_hidden * self.n_outputs]
    }

    fn parts<T>(self, w: &[T]) -> Parts<'_, T> {
        let [a, b, c] = self.bounds();
        Parts {
            weights: &w[..a],
            biases: &w[a..b],
            out_weights: &w[b..c],
            out_biases: &w[c..],
        }
    }
}

#[derive(Default)]
struct Scratch {
    x: Vec<f32>,
    hidden: Vec<f32>,
    scores: Vec<f32>,
    back: Vec<f32>,
    gradient: Vec<f32>,
}

/// The sum of losses over `rows` and its gradient.
pub(super) fn loss_and_gradient(
    design: Design<'_>,
    truth: &Truth<'_>,
    rows: &Rows<'_>,
    widths: Widths,
    w: &[f32],
) -> Sums {
    let chunks = blocks::chunks(rows.len(), w.len());
    let of_chunk = |chunk: Range<usize>| {
        let mut sums = Sums::zeros(w.len());
        let mut scratch = Scratch::default();
        for block in blocks::blocks(chunk) {
            add_block(
                &mut sums,
                design,
                truth,
                &rows.part(block),
                widths,
                w,
                &mut scratch,
            );
        }
        sums
    };
    let parts: Vec<Sums> = chunks.into_par_iter().map(of_chunk).collect();
    pass::add_up(parts, w.len())
}

fn add_block(
    sums: &mut Sums,
    design: Design<'_>,
    truth: &Truth<'_>,
    rows: &Rows<'_>,
    widths: Widths,
    w: &[f32],
    scratch: &mut Scratch,
) {
    let Widths {
        n_features,
        n_hidden,
        n_outputs,
    } = widths;
    let Scratch {
        x,
        hidden,
        scores,
        back,
        gradient,
    } = scratch;
    let b = rows.len();
    let parts = widths.parts(w);
    let x = design.block(rows, x);
    forward(x, b, widths, &parts, hidden, scores);
    sums.loss += loss_and_slopes(truth, rows, scores, n_outputs);
    let (inner, out) = ([b, n_features, n_hidden], [b, n_hidden, n_outputs]);
    back.resize(b * n_hidden, 0.0);
    blocks::back(back, scores, parts.out_weights, out);
    for (back, &hidden) in back.iter_mut().zip(hidden.iter()) {
        if hidden <= 0.0 {
            *back = 0.0;
        }
    }
    gradient.resize(w.len(), 0.0);
    let [first, second, third] = widths.bounds();
    blocks::gradient(&mut gradient[..first], x, back, inner);
    column_sums(&mut gradient[first..second], back);
    blocks::gradient(&mut gradient[second..third], hidden, scores, out);
    column_sums(&mut gradient[third..], scores);
    for (sum, &value) in sums.gradient.iter_mut().zip(gradient.iter()) {
        *sum += f64::from(value);
    }
}

fn forward(
    x: &[f32],
    b: usize,
    widths: Widths,
    parts: &Parts<'_, f32>,
    hidden: &mut Vec<f32>,
    scores: &mut Vec<f32>,
) {
    let Widths {
        n_features,
        n_hidden,
        n_outputs,
    } = widths;
    blocks::fill_rows(hidden, parts.biases, b);
    blocks::add_scores(hidden, x, parts.weights, [b, n_features, n_hidden]);
    for value in hidden.iter_mut() {
        *value = value.max(0.0);
    }
    blocks::fill_rows(scores, parts.out_biases, b);
    blocks::add_scores(scores, hidden, parts.out_weights, [b, n_hidden, n_outputs]);
}

fn column_sums(into: &mut [f32], rows: &[f32]) {
    into.fill(0.0);
    for row in rows.chunks_exact(into.len()) {
        into.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += value);
    }
}

/// Scores of all rows of `x`, `[n_samples, n_outputs]`.
pub(super) fn scores(x: ArrayView2<'_, f32>, widths: Widths, w: &[f32]) -> Array2<f32> {
    let parts = widths.parts(w);
    let design = Design::plain(x);
    let k = widths.n_outputs;
    let mut all = vec![0.0; x.nrows() * k];
    let blocks = all.par_chunks_mut(ROWS * k).enumerate();
    blocks.for_each_init(Scratch::default, |scratch, (i, into)| {
        let b = into.len() / k;
        let x = design.block(&Rows::Range(i * ROWS..i * ROWS + b), &mut scratch.x);
        forward(
            x,
            b,
            widths,
            &parts,
            &mut scratch.hidden,
            &mut scratch.scores,
        );
        into.copy_from_slice(&scratch.scores);
    });
    Array2::from_shape_vec((x.nrows(), k), all).expect("k scores per row")
}
