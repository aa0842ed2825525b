//! Levels of the tests and coverage of the intervals on simulated autocorrelated noise: the tables
//! of `docs/statistics.md`. `cargo run --release -p braintune-encoding --example levels` (minutes).
//!
//! Predictions and responses are AR(1) with the same coefficient; 2,000 replicates are 2,000 voxels.
#![allow(clippy::print_stdout, missing_docs)]

use braintune_encoding::{
    BlockBootstrap, BlockSignFlips, CorrelationNull, NullScheme, correlation_interval,
    mean_correlation_interval, paired_test, suggest_block_length,
};
use ndarray::{Array1, Array2, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const REPLICATES: usize = 2_000;
/// Voxels of a region, whose noise is partly shared.
const REGION: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "| T | AR(1) | block | block permutation r > 0 | r ≠ 0 | circular shift r > 0 | r ≠ 0 | paired, r 0 | paired, r 0.4 |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (n_trs, phi) in cases() {
        levels(n_trs, phi)?;
    }
    println!("\n| T | AR(1) | r 0 | r 0.2 | r 0.5 | mean of {REGION} voxels, r 0.2 |");
    println!("|---|---|---|---|---|---|");
    for (n_trs, phi) in cases() {
        coverage(n_trs, phi)?;
    }
    Ok(())
}

fn cases() -> impl Iterator<Item = (usize, f32)> {
    [250, 1_000]
        .into_iter()
        .flat_map(|n_trs| [0.3, 0.6].map(|phi| (n_trs, phi)))
}

fn levels(n_trs: usize, phi: f32) -> Result<(), Box<dyn std::error::Error>> {
    let noise = |seed| autoregressive(n_trs, REPLICATES, phi, seed);
    let (y, p) = (noise(1), noise(2));
    let block_len = suggest_block_length(y.view(), p.view())?;
    let mut row = format!("| {n_trs} | {phi} | {block_len} |");
    for scheme in [
        NullScheme::BlockPermutation { block_len },
        NullScheme::CircularShift {
            min_shift: block_len,
        },
    ] {
        let test = CorrelationNull::new(&[n_trs], scheme, 499, 3)?.test(y.view(), p.view())?;
        row += &format!(
            " {} | {} |",
            share(&test.p_greater),
            share(&test.p_two_sided)
        );
    }
    for r in [0.0, 0.4_f32] {
        let model = |seed| &y * r + noise(seed) * (1.0 - r * r).sqrt();
        let flips = BlockSignFlips {
            block_len,
            n_flips: 499,
            seed: 5,
        };
        let test = paired_test(y.view(), model(6).view(), model(7).view(), &flips)?;
        row += &format!(" {} |", share(&test.p_two_sided));
    }
    println!("{row}");
    Ok(())
}

fn coverage(n_trs: usize, phi: f32) -> Result<(), Box<dyn std::error::Error>> {
    let noise = |seed| autoregressive(n_trs, REPLICATES, phi, seed);
    let y = noise(11);
    let block_len = suggest_block_length(y.view(), noise(12).view())?;
    let bootstrap = BlockBootstrap {
        block_len,
        n_boots: 500,
        level: 0.95,
        seed: 13,
    };
    let mut row = format!("| {n_trs} | {phi} |");
    for r in [0.0, 0.2, 0.5_f32] {
        let p = &y * r + noise(14) * (1.0 - r * r).sqrt();
        let interval = correlation_interval(y.view(), p.view(), &bootstrap)?;
        let holds = |&v: &usize| (interval.low[v]..=interval.high[v]).contains(&f64::from(r));
        let inside = (0..REPLICATES).filter(holds).count();
        row += &format!(" {:.1} % |", 100.0 * inside as f64 / REPLICATES as f64);
    }
    // A region: its voxels share half of the variance of their noise.
    let mut inside = 0;
    let regions = REPLICATES / 4;
    for region in 0..regions as u64 {
        let noise = |n, seed| autoregressive(n_trs, n, phi, 1_000 + 10 * region + seed);
        let mixed = |seed| (&noise(REGION, seed) + &noise(1, seed + 1)) * 0.5_f32.sqrt();
        let y = mixed(1);
        let p = &y * 0.2 + mixed(3) * 0.96_f32.sqrt();
        let (low, high) = mean_correlation_interval(y.view(), p.view(), &bootstrap)?;
        inside += usize::from((low..=high).contains(&0.2));
    }
    println!(
        "{row} {:.1} % |",
        100.0 * f64::from(u32::try_from(inside)?) / regions as f64
    );
    Ok(())
}

fn share(p: &Array1<f64>) -> String {
    let rejected = p.iter().filter(|&&p| p <= 0.05).count();
    format!("{:.1} %", 100.0 * rejected as f64 / p.len() as f64)
}

fn autoregressive(n_trs: usize, n: usize, phi: f32, seed: u64) -> Array2<f32> {
    const BURN_IN: usize = 30;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut x: Array2<f32> =
        Array2::from_shape_simple_fn((n_trs + BURN_IN, n), || rng.sample(StandardNormal));
    for t in 1..n_trs + BURN_IN {
        let before = x.row(t - 1).to_owned() * phi;
        let mut now = x.row_mut(t);
        now *= (1.0 - phi * phi).sqrt();
        now += &before;
    }
    x.slice(s![BURN_IN.., ..]).to_owned()
}
