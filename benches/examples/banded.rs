//! CPU time of banded ridge, for `peers/banded_vs_himalaya.py`.
//!
//! `banded N_SAMPLES N_FEATURES N_VOXELS N_SPACES N_CANDIDATES N_ALPHAS` fits random arrays in five
//! groups of neighbouring samples and prints the CPU seconds of the fit, weights included.
#![allow(clippy::print_stdout, clippy::cast_possible_wrap, missing_docs)]

use std::hint::black_box;

use anyhow::{Context, bail};
use benches::cpu_s;
use braintune_encoding::{
    BandedRidge, DesignMatrix, EncodingModel, FeatureSpace, Folds, Ridge, SpaceWeights,
};
use linfa::ParamGuard;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const N_GROUPS: usize = 5;

fn main() -> anyhow::Result<()> {
    let sizes: Vec<usize> = std::env::args()
        .skip(1)
        .map(|size| size.parse().context("sizes are whole numbers"))
        .collect::<anyhow::Result<_>>()?;
    let [n, f, v, n_spaces, n_candidates, n_alphas] = sizes[..] else {
        bail!("usage: banded N_SAMPLES N_FEATURES N_VOXELS N_SPACES N_CANDIDATES N_ALPHAS");
    };
    let space = |i: usize| FeatureSpace {
        name: i.to_string(),
        columns: i * f / n_spaces..(i + 1) * f / n_spaces,
    };
    let x = DesignMatrix::new(normal(n, f, 0), (0..n_spaces).map(space).collect())?;
    let y = normal(n, v, 1);
    let groups: Vec<i64> = (0..n).map(|row| (row * N_GROUPS / n) as i64).collect();
    let alphas = format!("logspace:1:4:{n_alphas}").parse()?;
    let ridge = Ridge::params(alphas).folds(Folds::leave_one_group_out(&groups)?);
    let model = BandedRidge::params(ridge, SpaceWeights::random(n_candidates, 0)).check()?;
    let before = cpu_s()?;
    let fitted = model.fit(&x, y.view())?;
    black_box(fitted.coef());
    println!("{:.2}", cpu_s()? - before);
    Ok(())
}

fn normal(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n_rows, n_columns), || rng.sample(StandardNormal))
}
