//! Noise ceilings, scores of repeats and residuals against `NumPy`, `SciPy` and scikit-learn.

use braintune_encoding::{
    BlockBootstrap, DesignMatrix, EncodingError, EncodingModel, Folds, Intervals, LowCeiling,
    NoiseCeiling, TestScore, TotalPower, alignment_intervals, ceiling_intervals, low_level_impact,
    mean_of_repeats, normalized_alignment, normalized_mean, residual_ridge, residuals, split_half,
    split_half_interval,
};
use linfa::ParamGuard;
use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView3, Ix1, Ix2, Ix3, array, s};

use crate::fixture::Fixture;
use crate::problem::normal;

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/ceiling/data.safetensors"));

fn repeats() -> Array3<f32> {
    FIXTURE.f32("repeats").into_dimensionality::<Ix3>().unwrap()
}

fn matrix(name: &str) -> Array2<f32> {
    FIXTURE.f32(name).into_dimensionality::<Ix2>().unwrap()
}

fn vector(name: &str) -> Array1<f64> {
    FIXTURE.get(name).into_dimensionality::<Ix1>().unwrap()
}

/// Largest difference; NaN where the other is NaN counts as none.
fn differ(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> f64 {
    assert_eq!(a.len(), b.len());
    let one = |(a, b): (&f64, &f64)| {
        if a.is_nan() && b.is_nan() {
            0.0
        } else {
            (a - b).abs()
        }
    };
    // Not `f64::max`, which would drop a NaN on one side only.
    a.iter()
        .zip(b)
        .map(one)
        .fold(0.0, |most, x| if x <= most { most } else { x })
}

#[test]
fn ceilings_are_those_of_the_equations() {
    let (repeats, prediction) = (repeats(), matrix("prediction"));
    let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
    let r = TestScore::PearsonR
        .score(mean_of_repeats(repeats.view()).view(), prediction.view())
        .unwrap();
    let unit = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Unit).unwrap();
    let spe = ceiling.signal_power_explained(prediction.view(), repeats.view());
    for (name, ours, tolerance) in [
        // f64 on both sides, in another order.
        ("signal_power", ceiling.signal_power(), 1e-10),
        ("total_power", ceiling.total_power(), 1e-10),
        ("cc_max", ceiling.cc_max(), 1e-9),
        ("cc_max_unit", unit.cc_max(), 1e-9),
        ("explainable_variance", ceiling.explainable_variance(), 1e-9),
        ("spe", spe.unwrap(), 1e-8),
        // r comes as f32, of a mean that is f32 near 1000 in the last voxel.
        ("r", r.mapv(f64::from), 2e-5),
    ] {
        let difference = differ(ours.view(), vector(name).view());
        assert!(difference < tolerance, "{name}: {difference}");
    }
    // NaN in both where the signal power is below 0.
    let ours = ceiling
        .cc_norm(vector("r").mapv(|r| r as f32).view())
        .unwrap();
    assert!(differ(ours.view(), vector("cc_norm").view()) < 1e-6);
    assert_eq!(ceiling.n_repeats(), 5);
}

#[test]
fn power_explained_takes_the_repeats_of_the_ceiling() {
    let (repeats, prediction) = (repeats(), matrix("prediction"));
    let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
    let fewer = repeats.slice(s![..4, .., ..]);
    let refused = ceiling.signal_power_explained(prediction.view(), fewer);
    assert!(matches!(
        refused,
        Err(EncodingError::RepeatCount {
            got: 4,
            expected: 5
        })
    ));
}

#[test]
fn voxel_ranges_give_the_same_numbers() {
    let repeats = repeats();
    let all = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
    let some = repeats.slice(s![.., .., 2..4]);
    let part = NoiseCeiling::from_repeats(some, TotalPower::Measured).unwrap();
    assert_eq!(all.cc_max().slice(s![2..4]), part.cc_max());
    let interval = |x| ceiling_intervals(x, &blocks(10)).unwrap().cc_max;
    let (all, part) = (interval(repeats.view()), interval(some));
    assert_eq!(all.low.slice(s![2..4]), part.low);
}

#[test]
fn single_repeats_are_scored_one_by_one() {
    let (repeats, prediction) = (repeats(), matrix("prediction"));
    for (score, name) in [
        (TestScore::PearsonR, "r_single"),
        (TestScore::R2, "r2_single"),
        (TestScore::SignedSqrtR2, "signed_single"),
    ] {
        let ours = score
            .score_single_repeats(repeats.view(), prediction.view())
            .unwrap();
        // Scores are f32; R² of the voxel at 1000 is some -1e6.
        let expected = vector(name);
        for (ours, expected) in ours.iter().zip(&expected) {
            let difference = (f64::from(*ours) - expected).abs();
            assert!(
                difference < 1e-6 * (1.0 + expected.abs()),
                "{name} {ours} {expected}"
            );
        }
    }
    // The mean of the repeats, which is f32 here; the voxel at 1000 keeps fewer digits.
    let mean = mean_of_repeats(repeats.view());
    for (score, name) in [
        (TestScore::SignedSqrtR2, "signed_mean"),
        (TestScore::R2, "r2_mean"),
    ] {
        let ours = score.score(mean.view(), prediction.view()).unwrap();
        for (ours, expected) in ours.iter().zip(&vector(name)) {
            let difference = (f64::from(*ours) - expected).abs();
            assert!(difference < 1e-4 * (1.0 + expected.abs()), "{name}");
        }
    }
    let none = Array3::zeros((0, 60, 6));
    let refused = TestScore::R2.score_single_repeats(none.view(), prediction.view());
    assert!(matches!(
        refused,
        Err(EncodingError::Repeats { n_repeats: 0, .. })
    ));
}

#[test]
fn halves_of_two_repeats_are_the_repeats() {
    let repeats = repeats();
    let two = repeats.slice(s![..2, .., ..]);
    let ours = split_half(two, 3, 1).unwrap();
    assert!(differ(ours.view(), vector("split_half_of_two").view()) < 1e-9);
    // Its square root and CCmax estimate the same (here from five repeats of 60 TRs).
    let halves = split_half(repeats.view(), 200, 1)
        .unwrap()
        .mapv(|r| r.max(0.0).sqrt());
    let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
    assert!(differ(halves.slice(s![..3]), ceiling.cc_max().slice(s![..3])) < 0.03);
}

fn blocks(block_len: usize) -> BlockBootstrap {
    BlockBootstrap {
        block_len,
        n_boots: 400,
        level: 0.95,
        seed: 5,
    }
}

/// Voxels whose interval holds the truth.
fn inside(intervals: &Intervals, truth: &[f64]) -> usize {
    let ends = intervals.low.iter().zip(&intervals.high).zip(truth);
    ends.filter(|&((&low, &high), truth)| (low..=high).contains(truth))
        .count()
}

/// Repeats of signals with known ceilings: AR(1) signal and noise.
fn planted(n_repeats: usize, n_trs: usize, ceilings: &[f64], seed: u64) -> Array3<f32> {
    let smooth = |mut x: Array2<f32>| {
        for t in 1..x.nrows() {
            let before = x.row(t - 1).to_owned() * 0.4;
            let mut now = x.row_mut(t);
            now *= 0.84_f32.sqrt();
            now += &before;
        }
        x
    };
    let n = ceilings.len();
    let signal = smooth(normal(n_trs, n, seed));
    let mut repeats = Array3::zeros((n_repeats, n_trs, n));
    for (i, mut repeat) in repeats.outer_iter_mut().enumerate() {
        let noise = smooth(normal(n_trs, n, seed + 1 + i as u64));
        for (voxel, &ceiling) in ceilings.iter().enumerate() {
            // CCmax² = SP / (SP + NP / N), with SP = 1.
            let power = n_repeats as f64 * (ceiling.powi(-2) - 1.0);
            #[allow(clippy::cast_possible_truncation)]
            let scaled = &noise.column(voxel) * (power.sqrt() as f32);
            repeat
                .column_mut(voxel)
                .assign(&(&signal.column(voxel) + &scaled));
        }
    }
    repeats
}

#[test]
fn planted_ceilings_are_found_and_lie_in_their_intervals() {
    let ceilings: Vec<f64> = (0..200)
        .map(|i| 0.4 + 0.55 * f64::from(i) / 200.0)
        .collect();
    for n_repeats in [5, 10] {
        let repeats = planted(n_repeats, 280, &ceilings, 40);
        let found = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
        let errors: Vec<f64> = found
            .cc_max()
            .iter()
            .zip(&ceilings)
            .map(|(a, b)| a - b)
            .collect();
        let mean = errors.iter().sum::<f64>() / 200.0;
        assert!(mean.abs() < 0.03, "{n_repeats} repeats: mean error {mean}");
        let intervals = ceiling_intervals(repeats.view(), &blocks(10)).unwrap();
        let reliable: Vec<f64> = ceilings.iter().map(|c| c * c).collect();
        let n = n_repeats as f64;
        let explainable: Vec<f64> = reliable.iter().map(|c| c / (c + n * (1.0 - c))).collect();
        let halves = split_half_interval(repeats.view(), 4, 1, &blocks(10)).unwrap();
        for (what, found, truth) in [
            ("CCmax", &intervals.cc_max, &ceilings),
            ("explainable", &intervals.explainable_variance, &explainable),
            ("split half", &halves, &reliable),
        ] {
            // Nominal 190, measured 186 (`docs/statistics.md`); three standard errors are 9.
            let inside = inside(found, truth);
            assert!(
                inside >= 177,
                "{what}, {n_repeats} repeats: {inside} of 200"
            );
        }
    }
}

#[test]
fn intervals_hold_their_estimates() {
    let (repeats, prediction) = (repeats(), matrix("prediction"));
    let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
    let found = ceiling_intervals(repeats.view(), &blocks(6)).unwrap();
    assert_eq!(inside(&found.cc_max, &ceiling.cc_max().to_vec()), 6);
    let explainable = ceiling.explainable_variance().to_vec();
    assert_eq!(inside(&found.explainable_variance, &explainable), 6);
    let found = alignment_intervals(prediction.view(), repeats.view(), &blocks(6)).unwrap();
    let known: Vec<usize> = (0..6)
        .filter(|&v| ceiling.signal_power()[v] > 0.0)
        .collect();
    for (found, name) in [
        (&found.cc_norm, "cc_norm"),
        (&found.signal_power_explained, "spe"),
    ] {
        assert_eq!(inside(found, &vector(name).to_vec()), known.len(), "{name}");
        let middle = (&found.low + &found.high) / 2.0;
        assert!(differ(middle.view(), vector(name).view()) < 1e-9, "{name}");
    }
    let halves = split_half(repeats.view(), 7, 1).unwrap();
    let found = split_half_interval(repeats.view(), 7, 1, &blocks(6)).unwrap();
    assert_eq!(inside(&found, &halves.to_vec()), 6);
    // A prediction that does not vary explains nothing, surely.
    let constant = Array2::zeros(prediction.dim());
    let found = alignment_intervals(constant.view(), repeats.view(), &blocks(6)).unwrap();
    assert_eq!((found.cc_norm.low[0], found.cc_norm.high[0]), (0.0, 0.0));
    assert!(
        alignment_intervals(prediction.slice(s![1.., ..]), repeats.view(), &blocks(6)).is_err()
    );
}

#[test]
fn edge_cases_have_the_documented_values() {
    // Voxels: constant, no noise, repeats that contradict each other.
    let repeats = Array3::from_shape_fn((2, 40, 3), |(n, t, v)| match v {
        0 => 3.0,
        1 => 1e6 + (t as f32).sin().round(),
        _ => (t as f32).sin() * if n == 0 { 1.0 } else { -1.0 },
    });
    let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
    assert_eq!(ceiling.cc_max().to_vec(), [0.0, 1.0, 0.0]);
    assert_eq!(ceiling.explainable_variance()[0], 0.0);
    assert!(ceiling.explainable_variance()[2] < 0.0);
    assert!(ceiling.cc_norm(array![0.1, 0.2, 0.3].view()).unwrap()[2].is_nan());
    let halves = split_half(repeats.view(), 2, 0).unwrap();
    assert!(differ(halves.view(), array![0.0, 1.0, -1.0].view()) < 1e-12);
    let interval = ceiling_intervals(repeats.view(), &blocks(5)).unwrap();
    assert_eq!(interval.cc_max.low.to_vec(), [0.0, 1.0, 0.0]);
    assert_eq!(interval.cc_max.high.to_vec(), [0.0, 1.0, 0.0]);
    assert_eq!(interval.explainable_variance.high[1], 1.0);
    let halves = split_half_interval(repeats.view(), 2, 0, &blocks(5)).unwrap();
    for ends in [&halves.low, &halves.high] {
        assert!((ends[1] - 1.0).abs() < 1e-6 && ends[0] == 0.0);
    }
    assert!((halves.low[2] + 1.0).abs() < 1e-6);
}

#[test]
fn what_has_no_ceiling_is_refused() {
    fn estimate(x: ArrayView3<'_, f32>) -> Result<NoiseCeiling, EncodingError> {
        NoiseCeiling::from_repeats(x, TotalPower::Measured)
    }
    let repeats = repeats();
    assert!(matches!(
        estimate(repeats.slice(s![..1, .., ..])),
        Err(EncodingError::Repeats {
            n_repeats: 1,
            n_trs: 60
        })
    ));
    assert!(matches!(
        estimate(repeats.slice(s![.., ..1, ..])),
        Err(EncodingError::Repeats { n_trs: 1, .. })
    ));
    assert!(matches!(
        estimate(repeats.slice(s![.., .., ..0])),
        Err(EncodingError::Empty { .. })
    ));
    for bad in [f32::NAN, f32::INFINITY] {
        let mut damaged = repeats.clone();
        damaged[(2, 7, 1)] = bad;
        assert!(matches!(
            estimate(damaged.view()),
            Err(EncodingError::NonFinite {
                row: 7,
                column: 1,
                ..
            })
        ));
    }
    let interval = |block_len, n_boots, level| {
        let seed = 0;
        let bootstrap = BlockBootstrap {
            block_len,
            n_boots,
            level,
            seed,
        };
        ceiling_intervals(repeats.view(), &bootstrap)
    };
    assert!(matches!(
        interval(0, 9, 0.9),
        Err(EncodingError::Blocks { .. })
    ));
    assert!(matches!(
        interval(31, 9, 0.9),
        Err(EncodingError::Blocks { block_len: 31, .. })
    ));
    for n_boots in [0, 1] {
        let refused = interval(5, n_boots, 0.9).unwrap_err();
        assert!(
            matches!(refused, EncodingError::TooFewDraws { got, least: 2 } if got == n_boots),
            "{refused}"
        );
    }
    assert!(matches!(
        interval(usize::MAX, 9, 0.9),
        Err(EncodingError::Blocks { .. })
    ));
    assert!(matches!(
        interval(5, 9, f64::NAN),
        Err(EncodingError::Level { .. })
    ));
    assert!(matches!(
        split_half(repeats.view(), 0, 0),
        Err(EncodingError::TooFewDraws { got: 0, .. })
    ));
    let ceiling = estimate(repeats.view()).unwrap();
    assert!(matches!(
        ceiling.cc_norm(array![0.1].view()),
        Err(EncodingError::Voxels {
            found: 1,
            expected: 6,
            ..
        })
    ));
}

#[test]
fn alignment_is_that_of_numpy_with_and_without_the_authors_zeros() {
    let [r, ceiling] = ["r", "cc_max"].map(|name| vector(name).mapv(|x| x as f32));
    let all: Vec<usize> = (0..6).collect();
    let align = |low| normalized_alignment(r.view(), ceiling.view(), 0.4, low).unwrap();
    let (a, zeros) = (align(LowCeiling::Exclude), align(LowCeiling::Zero));
    // r and ceilings are f32 here.
    assert!(differ(a.view(), vector("aligned").view()) < 1e-6);
    for (aligned, name) in [(a, "aligned_mean"), (zeros, "aligned_zeros_mean")] {
        let mean = normalized_mean(aligned.view(), &all).unwrap().mean.unwrap();
        assert!((mean - vector(name)[0]).abs() < 1e-6, "{name}");
    }
}

#[test]
fn low_ceilings_are_left_out_or_counted_as_zero() {
    let (r, ceiling) = (array![0.3, 0.2, 0.1, 0.4], array![0.6, 0.05, f32::NAN, 0.0]);
    let a = normalized_alignment(r.view(), ceiling.view(), 0.05, LowCeiling::Exclude).unwrap();
    let zeros = normalized_alignment(r.view(), ceiling.view(), 0.05, LowCeiling::Zero).unwrap();
    assert!((a[0] - 0.5).abs() < 1e-6 && a.slice(s![1..]).iter().all(|a| a.is_nan()));
    assert_eq!(zeros.slice(s![1..]).to_vec(), [0.0; 3]);
    let mean = normalized_mean(a.view(), &[0, 1, 2]).unwrap();
    assert_eq!((mean.mean, mean.n_voxels), (Some(a[0]), 1));
    let mean = normalized_mean(zeros.view(), &[0, 1]).unwrap();
    assert_eq!((mean.mean, mean.n_voxels), (Some(a[0] / 2.0), 2));
    let mean = normalized_mean(a.view(), &[1, 2]).unwrap();
    assert_eq!((mean.mean, mean.n_voxels), (None, 0));
    assert!(matches!(
        normalized_mean(a.view(), &[4]),
        Err(EncodingError::VoxelOutOfRange {
            voxel: 4,
            n_voxels: 4
        })
    ));
    for threshold in [-0.1, f32::NAN] {
        let refused = normalized_alignment(r.view(), ceiling.view(), threshold, LowCeiling::Zero);
        assert!(matches!(refused, Err(EncodingError::Threshold { .. })));
    }
}

#[test]
fn residuals_and_folds_are_those_of_scikit_learn() {
    let labels = vector("kfold");
    let folds = Folds::contiguous_blocks(103, 10).unwrap();
    for fold in 0..10 {
        let rows: Vec<usize> = (0..103).filter(|&row| labels[row] == fold as f64).collect();
        assert_eq!(folds.validation(fold), rows);
    }
    for (n_rows, n_folds) in [(5, 1), (5, 6), (0, 2)] {
        let refused = Folds::contiguous_blocks(n_rows, n_folds);
        assert!(matches!(refused, Err(EncodingError::FewRows { .. })));
    }
    let (low, features) = (matrix("low"), matrix("features"));
    let (train, test) = (s![..103, ..], s![103.., ..]);
    let params = residual_ridge(103).unwrap().check().unwrap();
    let x = DesignMatrix::from(low.slice(train).to_owned());
    let fitted = params.fit(&x, features.slice(train)).unwrap();
    for (alpha, penalty) in fitted.best_alphas().iter().zip(vector("penalties")) {
        assert!(
            (alpha * alpha / penalty - 1.0).abs() < 1e-9,
            "{alpha} {penalty}"
        );
    }
    for (rows, name) in [(train, "residual_train"), (test, "residual_test")] {
        let ours = residuals(&fitted, low.slice(rows), features.slice(rows)).unwrap();
        let difference = (&ours - &matrix(name)).mapv(f32::abs);
        // Values up to 4, as f32.
        assert!(difference.iter().all(|&x| x < 2e-6), "{name}");
    }
    let short = low.slice(s![..3, ..]);
    assert!(residuals(&fitted, short, features.slice(test)).is_err());
    assert_eq!(low_level_impact(0.2, 0.05), 75.0);
    assert!(low_level_impact(0.0, 0.1).is_nan());
}
