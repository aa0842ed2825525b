//! The ridge solvers at named sizes.
//!
//! `cargo bench -p benches` runs the small and medium sizes of every solver; `cargo bench -p benches -- large`
//! those that take minutes; any other word those whose name holds it (`-- dual`).
#![allow(clippy::unwrap_used, missing_docs)]

use std::{hint::black_box, ops::ControlFlow, time::Duration};

use braintune_encoding::{
    BandedRidge, Delays, DesignMatrix, EncodingModel, FeatureSpace, FirDesign, Folds, Ridge,
    RidgeParams, Solver, SpaceWeights,
};
use criterion::{Criterion, criterion_group, criterion_main};
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// What is fitted.
#[derive(Clone, Copy)]
enum Kind {
    Primal,
    Dual,
    /// Four delays inside the solver; features are counted before them.
    Fir,
    /// Two feature spaces, so many candidates of weights.
    Banded(usize),
}

/// A fit of responses `[n_samples, n_voxels]`.
type FitOf = dyn Fn(ArrayView2<'_, f32>);

struct Size {
    name: &'static str,
    kind: Kind,
    n_samples: usize,
    n_features: usize,
    n_voxels: usize,
    n_groups: usize,
    n_alphas: usize,
}

const fn size(name: &'static str, kind: Kind, sizes: [usize; 5]) -> Size {
    let [n_samples, n_features, n_voxels, n_groups, n_alphas] = sizes;
    Size {
        name,
        kind,
        n_samples,
        n_features,
        n_voxels,
        n_groups,
        n_alphas,
    }
}

/// Samples, features, voxels, groups, alphas.
const SIZES: [Size; 13] = [
    size("primal-small", Kind::Primal, [600, 200, 1_024, 5, 15]),
    // One layer of `encode` on ten stories and 200 components.
    size("primal-stories", Kind::Primal, [3_744, 1_536, 200, 10, 15]),
    // As `peers/ridge_vs_himalaya.py`.
    size(
        "primal-large-peers",
        Kind::Primal,
        [3_000, 1_536, 10_000, 5, 15],
    ),
    // The size of himalaya's own benchmarks.
    size(
        "primal-large-himalaya",
        Kind::Primal,
        [3_000, 1_000, 30_000, 5, 20],
    ),
    size("dual-small", Kind::Dual, [300, 1_000, 1_024, 5, 20]),
    size("dual-medium", Kind::Dual, [1_000, 4_000, 1_024, 5, 20]),
    size("dual-large", Kind::Dual, [3_000, 6_144, 10_000, 5, 20]),
    size("fir-small", Kind::Fir, [600, 50, 1_024, 5, 15]),
    size("fir-medium", Kind::Fir, [2_000, 192, 1_024, 5, 15]),
    size("fir-large", Kind::Fir, [4_000, 768, 20_000, 5, 15]),
    size("banded-small", Kind::Banded(10), [400, 100, 512, 5, 10]),
    size(
        "banded-medium",
        Kind::Banded(10),
        [1_000, 300, 1_024, 5, 10],
    ),
    size(
        "banded-large",
        Kind::Banded(50),
        [3_000, 1_000, 10_000, 5, 15],
    ),
];

fn normal(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_simple_fn((n_rows, n_columns), || rng.sample(StandardNormal))
}

impl Size {
    fn params(&self) -> RidgeParams {
        let group = |row| i64::try_from(row * self.n_groups / self.n_samples).unwrap();
        let groups: Vec<i64> = (0..self.n_samples).map(group).collect();
        let alphas = format!("logspace:1:4:{}", self.n_alphas);
        Ridge::params(alphas.parse().unwrap()).folds(Folds::leave_one_group_out(&groups).unwrap())
    }

    /// The fit that is timed, coefficients included.
    fn fit(&self, x: &Array2<f32>) -> Box<FitOf> {
        match self.kind {
            Kind::Primal => whole(self.params().solver(Solver::Primal), x),
            Kind::Dual => whole(self.params().solver(Solver::Dual), x),
            Kind::Fir => {
                let params = self.params().check().unwrap();
                let delays: Delays = "1,2,3,4".parse().unwrap();
                let stories: Vec<_> = x
                    .axis_chunks_iter(Axis(0), self.n_samples.div_ceil(self.n_groups))
                    .collect();
                let x = FirDesign::new(&stories, delays).unwrap();
                Box::new(move |y| {
                    let solver = params.prepare_fir(&x, &mut |_| ControlFlow::Continue(()));
                    black_box(solver.unwrap().fit_voxels(y).unwrap().coef());
                })
            }
            Kind::Banded(n_candidates) => {
                let weights = SpaceWeights::random(n_candidates, 0);
                let model = BandedRidge::params(self.params(), weights).check().unwrap();
                let half = self.n_features / 2;
                let space = |name: &str, columns| FeatureSpace {
                    name: name.to_owned(),
                    columns,
                };
                let spaces = vec![space("a", 0..half), space("b", half..self.n_features)];
                let x = DesignMatrix::new(x.clone(), spaces).unwrap();
                Box::new(move |y| {
                    black_box(EncodingModel::fit(&model, &x, y).unwrap());
                })
            }
        }
    }
}

fn whole(params: RidgeParams, x: &Array2<f32>) -> Box<FitOf> {
    let (model, x) = (params.check().unwrap(), DesignMatrix::from(x.clone()));
    Box::new(move |y| {
        black_box(EncodingModel::fit(&model, &x, y).unwrap().coef());
    })
}

fn ridge(criterion: &mut Criterion) {
    let large = std::env::args().any(|argument| argument.contains("large"));
    let mut group = criterion.benchmark_group("ridge");
    group.sample_size(10).warm_up_time(Duration::from_secs(1));
    for size in SIZES
        .iter()
        .filter(|size| large || !size.name.contains("large"))
    {
        group.bench_function(size.name, |bencher| {
            let fit = size.fit(&normal(size.n_samples, size.n_features, 1));
            let y = normal(size.n_samples, size.n_voxels, 2);
            bencher.iter(|| fit(y.view()));
        });
    }
    group.finish();
}

criterion_group!(benches, ridge);
criterion_main!(benches);
