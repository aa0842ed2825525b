//! The ridge solver at named sizes.
//!
//! `cargo bench -p braintune-benches --bench ridge -- story` runs those whose name holds `story`.
//! Without a filter the sizes that take minutes are left out; `-- large` asks for them.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{hint::black_box, time::Duration};

use braintune_encoding::{DesignMatrix, EncodingModel, Folds, Ridge};
use criterion::{Criterion, criterion_group, criterion_main};
use linfa::ParamGuard;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

struct Size {
    name: &'static str,
    n_samples: usize,
    n_features: usize,
    n_voxels: usize,
    n_groups: usize,
    alphas: &'static str,
}

const SIZES: [Size; 4] = [
    Size {
        name: "small",
        n_samples: 600,
        n_features: 200,
        n_voxels: 1024,
        n_groups: 5,
        alphas: "logspace:1:4:15",
    },
    // One layer of the encode command on the ten-story set.
    Size {
        name: "stories",
        n_samples: 3744,
        n_features: 1536,
        n_voxels: 200,
        n_groups: 10,
        alphas: "logspace:1:4:15",
    },
    // As `peers/ridge_vs_himalaya.py`.
    Size {
        name: "large-peers",
        n_samples: 3000,
        n_features: 1536,
        n_voxels: 10_000,
        n_groups: 5,
        alphas: "logspace:1:4:15",
    },
    // The size of himalaya's own benchmarks.
    Size {
        name: "large-himalaya",
        n_samples: 3000,
        n_features: 1000,
        n_voxels: 30_000,
        n_groups: 5,
        alphas: "logspace:1:4:20",
    },
];

fn normal(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n_rows, n_columns), || rng.sample(StandardNormal))
}

fn ridge(criterion: &mut Criterion) {
    let large = std::env::args().any(|argument| argument.contains("large"));
    let mut group = criterion.benchmark_group("ridge");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for size in SIZES
        .iter()
        .filter(|size| large || !size.name.starts_with("large"))
    {
        group.bench_function(size.name, |bencher| {
            let x = DesignMatrix::from(normal(size.n_samples, size.n_features, 1));
            let y = normal(size.n_samples, size.n_voxels, 2);
            let group = |row| i64::try_from(row * size.n_groups / size.n_samples).unwrap();
            let groups: Vec<i64> = (0..size.n_samples).map(group).collect();
            let model = Ridge::params(size.alphas.parse().unwrap())
                .folds(Folds::leave_one_group_out(&groups).unwrap())
                .check()
                .unwrap();
            bencher.iter(|| black_box(model.fit(&x, y.view()).unwrap().coef()));
        });
    }
    group.finish();
}

criterion_group!(benches, ridge);
criterion_main!(benches);
