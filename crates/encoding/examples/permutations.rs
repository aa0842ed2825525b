//! Time and memory of 1,000 permutations of a whole brain's correlations, tile after tile:
//! `cargo run --release -p braintune-encoding --example permutations` (its output is in
//! `docs/statistics.md`).
#![allow(clippy::print_stdout, missing_docs)]

use std::time::Instant;

use braintune_encoding::{
    BlockBootstrap, CorrelationNull, NullScheme, Region, RegionStatistics, benjamini_hochberg,
};
use ndarray::{Array1, Array2};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const N_VOXELS: usize = 100_000;
const TILE: usize = 10_000;
const N_REGIONS: usize = 50;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "| test TRs | threads | 1,000 permutations of {N_VOXELS} voxels, {N_REGIONS} regions |"
    );
    println!("|---|---|---|");
    for n_trs in [251, 291] {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let y: Array2<f32> =
            Array2::from_shape_simple_fn((n_trs, TILE), || rng.sample(StandardNormal));
        let prediction: Array2<f32> =
            Array2::from_shape_simple_fn((n_trs, TILE), || rng.sample(StandardNormal));
        let start = Instant::now();
        let block_len = 10;
        let scheme = NullScheme::BlockPermutation { block_len };
        let bootstrap = BlockBootstrap {
            block_len,
            n_boots: 1_000,
            level: 0.95,
            seed: 0,
        };
        let regions: Vec<Region> = (0..N_REGIONS)
            .map(|region| Region::new((region..N_VOXELS).step_by(N_REGIONS / 2)))
            .collect();
        let mut statistics = RegionStatistics::new(n_trs, N_VOXELS, &regions)?
            .with_null(CorrelationNull::new(&[n_trs], scheme, 1_000, 0)?)?
            .with_bootstrap(bootstrap)?;
        let mut p = Vec::with_capacity(N_VOXELS);
        for first in (0..N_VOXELS).step_by(TILE) {
            let test = statistics.add(first..first + TILE, y.view(), prediction.view())?;
            p.extend(test.p_greater);
        }
        let q = benjamini_hochberg(Array1::from(p).view());
        let found = statistics.finish()?;
        let seconds = start.elapsed().as_secs_f64();
        assert!(q.len() == N_VOXELS && found.len() == N_REGIONS);
        println!(
            "| {n_trs} | {} | {seconds:.1} s |",
            rayon::current_num_threads()
        );
    }
    Ok(())
}
