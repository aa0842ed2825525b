//! Seeded features with classes that depend on them.

use ndarray::{Array2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) struct Problem {
    pub(crate) x: Array2<f32>,
    pub(crate) labels: Vec<usize>,
    pub(crate) flags: Array2<bool>,
}

/// `noise` 0: separable.
pub(crate) fn problem(n: usize, d: usize, n_classes: usize, noise: f32, seed: u64) -> Problem {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut uniform = |shape: (usize, usize)| {
        Array2::from_shape_simple_fn(shape, || rng.random_range(-1.0_f32..1.0))
    };
    let (x, w) = (uniform((n, d)), uniform((d, n_classes)));
    let scores = x.dot(&w) + uniform((n, n_classes)) * noise;
    let best = |row: ndarray::ArrayView1<'_, f32>| {
        (1..n_classes).fold(0, |best, i| if row[i] > row[best] { i } else { best })
    };
    Problem {
        labels: scores.axis_iter(Axis(0)).map(best).collect(),
        flags: scores.mapv(|score| score > 0.0),
        x,
    }
}
