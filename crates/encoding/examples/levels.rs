//! Levels of the tests and coverage of the intervals on simulated autocorrelated noise: the tables
//! of `docs/statistics.md`. `cargo run --release -p braintune-encoding --example levels` (minutes).
//!
//! Predictions, responses, signals and noise are AR(1) with the same coefficient; 2,000 replicates are
//! 2,000 voxels, or 2,000 regions.
#![allow(clippy::print_stdout, missing_docs)]

use std::error::Error;

use braintune_encoding::{
    BlockBootstrap, BlockSignFlips, CorrelationNull, Intervals, NullScheme, PairedTest, Region,
    RegionStatistic, RegionStatistics, alignment_intervals, ceiling_intervals,
    correlation_interval, mean_of_repeats, paired_test, paired_test_of_contributions,
    paired_test_of_mean, split_half_interval, suggest_block_length,
};
use ndarray::{Array1, Array2, Array3, ArrayView3, Axis, s};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const REPLICATES: usize = 2_000;
/// Voxels of a region, which share half of the variance of their noise.
const REGION: usize = 20;
const PERMUTATIONS: usize = 499;

fn main() -> Result<(), Box<dyn Error>> {
    println!("Rejected at 5 %, voxels:\n");
    header(&[
        "block",
        "block permutation r > 0",
        "r ≠ 0",
        "circular shift r > 0",
        "r ≠ 0",
        "paired, both r 0: greater",
        "two-sided",
        "paired, both r 0.4: greater",
        "two-sided",
    ]);
    for (n_trs, phi) in cases() {
        levels(n_trs, phi)?;
    }
    println!("\nRejected at 5 %, means over {REGION} voxels, and intervals of the mean:\n");
    header(&[
        "block permutation mean r > 0",
        "≠ 0",
        "circular shift mean r > 0",
        "≠ 0",
        "paired of mean, both r 0.2",
        "paired of contributions",
        "interval, r 0",
        "interval, r 0.2",
    ]);
    for (n_trs, phi) in cases() {
        regions(n_trs, phi)?;
    }
    println!("\nCoverage of 95 % intervals of r:\n");
    header(&["r 0", "r 0.2", "r 0.5", "r 0.8"]);
    for (n_trs, phi) in cases() {
        coverage(n_trs, phi)?;
    }
    for n_repeats in [2, 3, 5, 10] {
        println!("\nCoverage of 95 % intervals, {n_repeats} repeats:\n");
        header(&[
            "block",
            "CCmax 0",
            "CCmax 0.4",
            "CCmax 0.7",
            "CCmax 0.9",
            "split half 0.4",
            "0.7",
            "0.9",
            "CCnorm 0.5 at CCmax 0.7",
            "at 0.9",
            "SPE at 0.7",
            "at 0.9",
        ]);
        for (n_trs, phi) in cases() {
            ceilings(n_trs, phi, n_repeats)?;
        }
    }
    Ok(())
}

fn header(columns: &[&str]) {
    println!("| T | AR(1) | {} |", columns.join(" | "));
    println!("|---|---|{}", "---|".repeat(columns.len()));
}

fn cases() -> impl Iterator<Item = (usize, f32)> {
    [250, 1_000]
        .into_iter()
        .flat_map(|n_trs| [0.3, 0.6].map(|phi| (n_trs, phi)))
}

fn schemes(block_len: usize) -> [NullScheme; 2] {
    [
        NullScheme::BlockPermutation { block_len },
        NullScheme::CircularShift {
            min_shift: block_len,
        },
    ]
}

fn flips(block_len: usize) -> BlockSignFlips {
    BlockSignFlips {
        block_len,
        n_flips: PERMUTATIONS,
        seed: 5,
    }
}

fn blocks(block_len: usize) -> BlockBootstrap {
    BlockBootstrap {
        block_len,
        n_boots: 500,
        level: 0.95,
        seed: 13,
    }
}

fn levels(n_trs: usize, phi: f32) -> Result<(), Box<dyn Error>> {
    let noise = |seed| autoregressive(n_trs, REPLICATES, phi, seed);
    let (y, p) = (noise(1), noise(2));
    let block_len = suggest_block_length(y.view(), p.view())?;
    let mut row = format!("| {n_trs} | {phi} | {block_len} |");
    for scheme in schemes(block_len) {
        let mut null = CorrelationNull::new(&[n_trs], scheme, PERMUTATIONS, 3)?;
        let test = null.test(y.view(), p.view())?;
        row += &rejected(&test.p_greater);
        row += &rejected(&test.p_two_sided);
    }
    for r in [0.0, 0.4_f32] {
        let model = |seed| &y * r + noise(seed) * (1.0 - r * r).sqrt();
        let (first, second) = (model(6), model(7));
        let test = paired_test(y.view(), first.view(), second.view(), &flips(block_len))?;
        row += &rejected(&test.p_greater);
        row += &rejected(&test.p_two_sided);
    }
    println!("{row}");
    Ok(())
}

fn regions(n_trs: usize, phi: f32) -> Result<(), Box<dyn Error>> {
    let mut block_len = 0;
    let mut p: [Vec<f64>; 6] = Default::default();
    let mut inside = [0_u32; 2];
    for region in 0..REPLICATES as u64 {
        let noise = |n, seed| autoregressive(n_trs, n, phi, 1_000 + 20 * region + seed);
        let mixed = |seed| (&noise(REGION, seed) + &noise(1, seed + 1)) * 0.5_f32.sqrt();
        let (y, unrelated) = (mixed(1), mixed(3));
        if region == 0 {
            block_len = suggest_block_length(y.view(), unrelated.view())?;
        }
        let model = |seed| &y * 0.2 + mixed(seed) * 0.96_f32.sqrt();
        let (first, second) = (model(5), model(7));
        for (i, scheme) in schemes(block_len).into_iter().enumerate() {
            let null = CorrelationNull::new(&[n_trs], scheme, PERMUTATIONS, region)?;
            let test = null.test_mean(y.view(), unrelated.view())?;
            p[2 * i].push(test.p_greater);
            p[2 * i + 1].push(test.p_two_sided);
        }
        let of = |prediction: &Array2<f32>| -> Result<RegionStatistic, Box<dyn Error>> {
            let all = [Region::new(0..REGION)];
            let statistics = RegionStatistics::new(n_trs, REGION, &all)?;
            let mut statistics = statistics.with_bootstrap(blocks(block_len))?;
            statistics.add(0..REGION, y.view(), prediction.view())?;
            Ok(statistics.finish()?.remove(0))
        };
        let flips = flips(block_len);
        let test = paired_test_of_mean(y.view(), first.view(), second.view(), &flips)?;
        p[4].push(test.p_two_sided[0]);
        let (first, second) = (of(&first)?, of(&second)?);
        let [a, b] = [&first, &second].map(|found| found.contributions.view());
        let test: PairedTest = paired_test_of_contributions(a, b, &flips)?;
        p[5].push(test.p_two_sided[0]);
        for (inside, (found, truth)) in inside
            .iter_mut()
            .zip([(of(&unrelated)?, 0.0), (first, 0.2)])
        {
            let (low, high) = found.interval.unwrap_or_default();
            *inside += u32::from((low..=high).contains(&truth));
        }
    }
    let mut row = format!("| {n_trs} | {phi} |");
    for p in p {
        row += &rejected(&p.into());
    }
    for inside in inside {
        row += &percent(inside as usize);
    }
    println!("{row}");
    Ok(())
}

fn coverage(n_trs: usize, phi: f32) -> Result<(), Box<dyn Error>> {
    let noise = |seed| autoregressive(n_trs, REPLICATES, phi, seed);
    let y = noise(11);
    let block_len = suggest_block_length(y.view(), noise(12).view())?;
    let mut row = format!("| {n_trs} | {phi} |");
    for r in [0.0, 0.2, 0.5, 0.8_f32] {
        let p = &y * r + noise(14) * (1.0 - r * r).sqrt();
        let interval = correlation_interval(y.view(), p.view(), &blocks(block_len))?;
        row += &percent(covered(&interval, r.into()));
    }
    println!("{row}");
    Ok(())
}

fn ceilings(n_trs: usize, phi: f32, n_repeats: usize) -> Result<(), Box<dyn Error>> {
    let signal = autoregressive(n_trs, REPLICATES, phi, 21);
    let make = |ceiling: f32| {
        let mut repeats = Array3::zeros((n_repeats, n_trs, REPLICATES));
        // CCmax² = SP / (SP + NP / N), NP = 1 without a signal.
        let noise = if ceiling > 0.0 {
            n_repeats as f32 * (ceiling.powi(-2) - 1.0)
        } else {
            1.0
        };
        for (seed, mut repeat) in (31..).zip(repeats.outer_iter_mut()) {
            repeat.assign(&(autoregressive(n_trs, REPLICATES, phi, seed) * noise.sqrt()));
            if ceiling > 0.0 {
                repeat += &signal;
            }
        }
        repeats
    };
    // Each as the user would choose it: of the mean of the repeats.
    let length = |repeats: ArrayView3<'_, f32>| {
        let mean = mean_of_repeats(repeats);
        suggest_block_length(mean.view(), mean.view())
    };
    let prediction =
        &signal * 0.3 + autoregressive(n_trs, REPLICATES, phi, 22) * 0.3 * 3_f32.sqrt();
    let (mut row, mut halves, mut norms, mut spes) =
        (String::new(), String::new(), String::new(), String::new());
    let mut block_len = 0;
    for ceiling in [0.0, 0.4, 0.7, 0.9_f32] {
        let repeats = make(ceiling);
        block_len = length(repeats.view())?;
        let bootstrap = blocks(block_len);
        let found = ceiling_intervals(repeats.view(), &bootstrap)?;
        row += &percent(covered(&found.cc_max, ceiling.into()));
        if ceiling > 0.0 {
            let found = split_half_interval(repeats.view(), 10, 1, &bootstrap)?;
            halves += &percent(covered(&found, f64::from(ceiling).powi(2)));
        }
        if ceiling > 0.5 {
            let found = alignment_intervals(prediction.view(), repeats.view(), &bootstrap)?;
            // Correlation of prediction and signal; 2 cov(s, p) - var(p).
            norms += &percent(covered(&found.cc_norm, 0.5));
            spes += &percent(covered(&found.signal_power_explained, 0.6 - 0.36));
        }
    }
    println!("| {n_trs} | {phi} | {block_len} |{row}{halves}{norms}{spes}");
    Ok(())
}

fn covered(intervals: &Intervals, truth: f64) -> usize {
    let ends = intervals.low.iter().zip(&intervals.high);
    // Simulated as f32.
    ends.filter(|&(&low, &high)| low - 1e-6 <= truth && truth <= high + 1e-6)
        .count()
}

fn rejected(p: &Array1<f64>) -> String {
    percent(p.iter().filter(|&&p| p <= 0.05).count())
}

fn percent(count: usize) -> String {
    format!(" {:.1} |", 100.0 * count as f64 / REPLICATES as f64)
}

fn autoregressive(n_trs: usize, n: usize, phi: f32, seed: u64) -> Array2<f32> {
    const BURN_IN: usize = 30;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut x: Array2<f32> =
        Array2::from_shape_simple_fn((n_trs + BURN_IN, n), || rng.sample(StandardNormal));
    for t in 1..n_trs + BURN_IN {
        let (before, mut now) = x.multi_slice_mut((s![t - 1, ..], s![t, ..]));
        now *= (1.0 - phi * phi).sqrt();
        now.scaled_add(phi, &before);
    }
    x.slice_axis(Axis(0), (BURN_IN..).into()).to_owned()
}
