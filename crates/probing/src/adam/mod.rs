//! Probes trained by Adam, as papers on speech models train them: a linear layer, and one hidden layer.
//!
//! [`AdamProbe`]: one linear layer on all rows at once, as in brain-tuning (Moussa & Toneva 2025): learning
//! rate 1e-3, 50 or 100 epochs, features as they are. [`Mlp`]: 64 rectified units, mini-batches if wanted, early
//! stopping on validation rows. Losses as PyTorch's with `reduction="mean"`: cross-entropy over rows for
//! classes, `BCEWithLogitsLoss` over rows and labels, `MSELoss` over rows and targets. Layers start as
//! `torch.nn.Linear` does, uniform within ±1/√`fan_in`, from a seed of our own. f32, sums over rows in f64.
//! Held by `tests/it/adam.rs` (PyTorch).

mod linear;
mod mlp;
mod net;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use self::{
    linear::{AdamProbe, AdamProbeParams, AdamProbeValidParams},
    mlp::{FittedMlp, Mlp, MlpParams, MlpValidParams},
};
use crate::targets::Truth;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f32 = 1e-8;

/// Adam (Kingma & Ba 2015) in PyTorch's order of operations, betas 0.9 and 0.999, epsilon 1e-8.
struct Adam {
    learning_rate: f64,
    step: i32,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    fn new(n_parameters: usize, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            step: 0,
            first: vec![0.0; n_parameters],
            second: vec![0.0; n_parameters],
        }
    }

    /// One step down `gradient` times `scale`.
    #[allow(clippy::cast_possible_truncation)] // PyTorch's scalars are doubles, its tensors f32
    fn step(&mut self, w: &mut [f32], gradient: &[f64], scale: f64) {
        self.step += 1;
        let size = (self.learning_rate / (1.0 - BETA1.powi(self.step))) as f32;
        let root = (1.0 - BETA2.powi(self.step)).sqrt() as f32;
        let (keep1, keep2) = (BETA1 as f32, BETA2 as f32);
        let (take1, take2) = ((1.0 - BETA1) as f32, (1.0 - BETA2) as f32);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((w, gradient), (first, second)) in w.iter_mut().zip(gradient).zip(moments) {
            let gradient = (gradient * scale) as f32;
            *first = keep1 * *first + take1 * gradient;
            *second = keep2 * *second + take2 * gradient * gradient;
            *w -= size * *first / (second.sqrt() / root + EPSILON);
        }
    }
}

/// A layer's `[n_in, n_out]` weights and `[n_out]` biases, as `torch.nn.Linear` starts.
fn linear_layer(rng: &mut ChaCha8Rng, n_in: usize, n_out: usize) -> Vec<f32> {
    #[allow(clippy::cast_possible_truncation)] // weights are f32
    let bound = (n_in as f64).sqrt().recip() as f32;
    let n = n_in * n_out + n_out;
    (0..n).map(|_| rng.random_range(-bound..=bound)).collect()
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// What the sum of losses is divided by for the mean, for `n_rows` rows.
fn n_terms(truth: &Truth<'_>, n_rows: usize) -> f64 {
    let per_row = match truth {
        Truth::Classes(_) => 1,
        Truth::Labels(_) | Truth::Values(_) => truth.n_outputs(),
    };
    (n_rows * per_row) as f64
}
