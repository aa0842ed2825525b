//! Tests and intervals against `SciPy` and `NumPy`, and their levels on simulated noise.

use braintune_encoding::{
    BlockBootstrap, BlockSignFlips, CorrelationNull, EncodingError, NullScheme, benjamini_hochberg,
    benjamini_yekutieli, correlation_interval, mean_correlation_interval, paired_test,
    paired_test_of_mean, suggest_block_length, wilcoxon_signed_rank,
};
use ndarray::{Array1, Array2, Ix1, Ix2, array, s};

use crate::fixture::Fixture;
use crate::problem::normal;

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/stats/data.safetensors"));

fn vector(name: &str) -> Array1<f64> {
    FIXTURE.get(name).into_dimensionality::<Ix1>().unwrap()
}

fn matrix(name: &str) -> Array2<f32> {
    FIXTURE.f32(name).into_dimensionality::<Ix2>().unwrap()
}

/// Both sides count or sum the same numbers in f64.
fn assert_same(ours: &Array1<f64>, theirs: &Array1<f64>, what: &str) {
    let difference = (ours - theirs).mapv(f64::abs);
    assert!(
        difference.iter().all(|&x| x < 1e-12),
        "{what}: {ours} {theirs}"
    );
}

/// AR(1) noise of unit variance, `[n_trs, n]`.
fn autoregressive(n_trs: usize, n: usize, phi: f32, seed: u64) -> Array2<f32> {
    let mut x = normal(n_trs, n, seed);
    for t in 1..n_trs {
        let before = x.row(t - 1).to_owned() * phi;
        let mut now = x.row_mut(t);
        now *= (1.0 - phi * phi).sqrt();
        now += &before;
    }
    x
}

#[test]
fn q_values_are_those_of_scipy() {
    let p = vector("p");
    assert_same(&benjamini_hochberg(p.view()), &vector("bh"), "bh");
    assert_same(&benjamini_yekutieli(p.view()), &vector("by"), "by");
    // NaN is no test: the others get what they get without it.
    let mut with_nan = p.to_vec();
    with_nan.insert(3, f64::NAN);
    let mut q = benjamini_yekutieli(Array1::from(with_nan).view()).to_vec();
    assert!(q.remove(3).is_nan());
    assert_same(&q.into(), &vector("by"), "by with NaN");
    assert!(benjamini_hochberg(array![].view()).is_empty());
}

#[test]
fn permutation_p_values_are_those_of_numpy_on_the_same_orders() {
    let orders = FIXTURE.get("orders").into_dimensionality::<Ix2>().unwrap();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let orders = orders
        .rows()
        .into_iter()
        .map(|row| row.iter().map(|&i| i as usize).collect());
    let mut null = CorrelationNull::from_orders(orders.collect()).unwrap();
    let (y, prediction) = (matrix("y"), matrix("prediction"));
    let whole = null.clone().test(y.view(), prediction.view()).unwrap();
    assert_same(&whole.p_greater, &vector("p_greater"), "greater");
    assert_same(&whole.p_two_sided, &vector("p_two_sided"), "two-sided");
    let r = (&whole.r - &vector("r")).mapv(f64::abs);
    assert!(r.iter().all(|&x| x < 1e-12), "{r}");
    // In parts; the maximum is over all of them.
    for voxels in [0..3, 3..7] {
        let part = s![.., voxels];
        null.test(y.slice(part), prediction.slice(part)).unwrap();
    }
    assert_same(&null.fwe(whole.r.view()), &vector("p_fwe"), "fwe");
    let mean = null.test_mean(y.view(), prediction.view()).unwrap();
    assert_same(
        &array![mean.p_greater, mean.p_two_sided],
        &vector("p_mean"),
        "mean",
    );
    assert!((mean.mean_r - whole.r.mean().unwrap()).abs() < 1e-12);
}

#[test]
fn paired_p_values_are_those_of_all_signs() {
    let [y, first, second] = ["y", "prediction", "second"].map(matrix);
    let flips = BlockSignFlips {
        block_len: 10,
        n_flips: 200_000,
        seed: 1,
    };
    let [y, first, second] = [&y, &first, &second].map(Array2::view);
    let test = paired_test(y, first, second, &flips).unwrap();
    assert_same(&test.difference, &vector("difference"), "difference");
    let mean = paired_test_of_mean(y, first, second, &flips).unwrap();
    let exact = FIXTURE.get("paired").into_dimensionality::<Ix2>().unwrap();
    let exact_mean = vector("paired_mean");
    for (ours, theirs) in [
        (&test.p_greater, exact.row(0).to_owned()),
        (&test.p_two_sided, exact.row(1).to_owned()),
        (&mean.p_greater, array![exact_mean[0]]),
        (&mean.p_two_sided, array![exact_mean[1]]),
    ] {
        // Four standard errors of 200,000 draws.
        let difference = (ours - &theirs).mapv(f64::abs);
        assert!(difference.iter().all(|&d| d < 0.0045), "{difference}");
    }
}

#[test]
fn signed_ranks_are_those_of_scipy() {
    for name in ["some", "tied", "many"] {
        let test = wilcoxon_signed_rank(&vector(name).to_vec()).unwrap();
        let ours = array![test.p_two_sided, test.p_greater, test.p_less];
        let difference = (&ours - &vector(&format!("{name}_p"))).mapv(f64::abs);
        // Two implementations of the normal distribution, where it is used.
        assert!(
            difference.iter().all(|&x| x < 1e-10),
            "{name}: {difference}"
        );
    }
    let test = wilcoxon_signed_rank(&[0.0; 4]).unwrap();
    assert_eq!((test.n, test.p_two_sided), (0, 1.0));
    let test = wilcoxon_signed_rank(&[]).unwrap();
    assert_eq!((test.n, test.p_greater), (0, 1.0));
    assert!(matches!(
        wilcoxon_signed_rank(&[0.1, f64::NAN]),
        Err(EncodingError::NonFinite { row: 1, .. })
    ));
}

/// The fast half of `examples/levels.rs`: T = 250, AR(1) 0.6. Bounds are the nominal values with
/// four standard errors of 400 replicates and what the longer run shows of bias.
#[test]
fn levels_hold_on_autocorrelated_noise() {
    let (n_trs, n) = (250, 400);
    let (y, p) = (
        autoregressive(n_trs, n, 0.6, 1),
        autoregressive(n_trs, n, 0.6, 2),
    );
    let block_len = suggest_block_length(y.view(), p.view()).unwrap();
    assert!((10..=25).contains(&block_len), "{block_len}");
    let share = |p: &Array1<f64>| p.iter().filter(|&&p| p <= 0.05).count() as f64 / n as f64;
    for scheme in [
        NullScheme::BlockPermutation { block_len },
        NullScheme::CircularShift {
            min_shift: block_len,
        },
    ] {
        let mut null = CorrelationNull::new(&[n_trs], scheme, 299, 3).unwrap();
        let test = null.test(y.view(), p.view()).unwrap();
        for p in [&test.p_greater, &test.p_two_sided] {
            assert!((0.01..0.11).contains(&share(p)), "{scheme:?} {}", share(p));
        }
    }
    let q = &y * 0.4 + autoregressive(n_trs, n, 0.6, 4) * 0.9;
    let p = &y * 0.4 + p * 0.9;
    let flips = BlockSignFlips {
        block_len,
        n_flips: 299,
        seed: 5,
    };
    let test = paired_test(y.view(), p.view(), q.view(), &flips).unwrap();
    assert!((0.01..0.11).contains(&share(&test.p_two_sided)));
    let bootstrap = BlockBootstrap {
        block_len,
        n_boots: 300,
        level: 0.95,
        seed: 6,
    };
    let interval = correlation_interval(y.view(), p.view(), &bootstrap).unwrap();
    let true_r = 0.4 / (0.4_f64 * 0.4 + 0.9 * 0.9).sqrt();
    let inside = (0..n).filter(|&v| (interval.low[v]..=interval.high[v]).contains(&true_r));
    assert!(inside.count() as f64 / n as f64 > 0.89);
}

#[test]
fn a_real_difference_is_found_and_its_sign_kept() {
    let y = autoregressive(300, 40, 0.5, 11);
    let better = &y * 0.6 + autoregressive(300, 40, 0.5, 12);
    let worse = &y * 0.1 + autoregressive(300, 40, 0.5, 13);
    let flips = BlockSignFlips {
        block_len: 10,
        n_flips: 499,
        seed: 1,
    };
    let test = paired_test(y.view(), better.view(), worse.view(), &flips).unwrap();
    let swapped = paired_test(y.view(), worse.view(), better.view(), &flips).unwrap();
    assert!(test.p_greater.iter().filter(|&&p| p < 0.05).count() > 35);
    assert!(swapped.p_greater.iter().all(|&p| p > 0.9));
    let opposite = (&test.difference + &swapped.difference).mapv(f64::abs);
    assert!(opposite.iter().all(|&x| x < 1e-12));
    let mean = paired_test_of_mean(y.view(), better.view(), worse.view(), &flips).unwrap();
    let expected = test.difference.mean().unwrap();
    assert!((mean.difference[0] - expected).abs() < 1e-12);
    assert_eq!(mean.p_two_sided[0], 1.0 / 500.0);
}

#[test]
fn a_mean_has_a_narrower_interval_than_its_voxels() {
    let y = autoregressive(200, 30, 0.3, 21);
    let p = &y * 0.5 + autoregressive(200, 30, 0.3, 22);
    let bootstrap = BlockBootstrap {
        block_len: 5,
        n_boots: 200,
        level: 0.9,
        seed: 2,
    };
    let (low, high) = mean_correlation_interval(y.view(), p.view(), &bootstrap).unwrap();
    let each = correlation_interval(y.view(), p.view(), &bootstrap).unwrap();
    let widths = &each.high - &each.low;
    assert!(high - low < widths.mean().unwrap() / 2.0);
    assert!((low..high).contains(&(0.5 / 1.25_f64.sqrt())));
    let wider = BlockBootstrap {
        level: 0.99,
        ..bootstrap
    };
    let (lower, higher) = mean_correlation_interval(y.view(), p.view(), &wider).unwrap();
    assert!(lower < low && high < higher);
}

#[test]
fn bits_do_not_depend_on_threads_or_on_how_voxels_are_split() {
    let (y, p) = (normal(90, 150, 31), normal(90, 150, 32));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let scheme = NullScheme::BlockPermutation { block_len: 4 };
            let null = CorrelationNull::new(&[50, 40], scheme, 60, 1).unwrap();
            let bootstrap = BlockBootstrap {
                block_len: 4,
                n_boots: 40,
                level: 0.9,
                seed: 1,
            };
            let mean = null.test_mean(y.view(), p.view()).unwrap();
            (
                mean,
                mean_correlation_interval(y.view(), p.view(), &bootstrap).unwrap(),
            )
        })
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn orders_stay_within_stories_and_keep_neighbours() {
    for scheme in [
        NullScheme::BlockPermutation { block_len: 5 },
        NullScheme::CircularShift { min_shift: 5 },
    ] {
        // Stories told apart by their mean: any row that left its story would show.
        let story = |t: usize| if t < 33 { 0.0 } else { 1.0 };
        let y = Array2::from_shape_fn((80, 1), |(t, _)| story(t) as f32);
        let mut null = CorrelationNull::new(&[33, 47], scheme, 50, 4).unwrap();
        let test = null.test(y.view(), y.view()).unwrap();
        assert_eq!(
            test.p_greater[0], 1.0,
            "{scheme:?}: every order gives r = 1"
        );
        assert!((test.r[0] - 1.0).abs() < 1e-12);
        // A ramp keeps most of its neighbours: shuffled rows would give a correlation near 0.
        let ramp = Array2::from_shape_fn((80, 1), |(t, _)| t as f32);
        let next = Array2::from_shape_fn((80, 1), |(t, _)| (t + 1) as f32);
        let test = null.test(ramp.view(), next.view()).unwrap();
        assert!(
            test.p_greater[0] < 0.03,
            "{scheme:?}: no order is the identity"
        );
    }
}

#[test]
fn what_cannot_be_tested_is_refused() {
    let scheme = NullScheme::BlockPermutation { block_len: 5 };
    for (stories, scheme) in [
        (&[40][..], NullScheme::BlockPermutation { block_len: 21 }),
        (&[40], NullScheme::BlockPermutation { block_len: 0 }),
        (&[40], NullScheme::CircularShift { min_shift: 21 }),
        (
            &[40],
            NullScheme::BlockPermutation {
                block_len: usize::MAX,
            },
        ),
        (
            &[40],
            NullScheme::CircularShift {
                min_shift: 1 << (usize::BITS - 1),
            },
        ),
        (&[], scheme),
    ] {
        let refused = CorrelationNull::new(stories, scheme, 9, 0);
        assert!(
            matches!(refused, Err(EncodingError::Blocks { .. })),
            "{scheme:?}"
        );
    }
    assert!(matches!(
        CorrelationNull::new(&[40], scheme, 0, 0),
        Err(EncodingError::TooFewDraws { got: 0, .. })
    ));
    assert!(matches!(
        CorrelationNull::from_orders(vec![]),
        Err(EncodingError::TooFewDraws { got: 0, .. })
    ));
    for order in [vec![0, 0], vec![0, 2], vec![0]] {
        let refused = CorrelationNull::from_orders(vec![vec![1, 0], order]);
        assert!(matches!(
            refused,
            Err(EncodingError::Order { permutation: 1, .. })
        ));
    }
}

#[test]
fn arrays_that_cannot_be_tested_are_refused() {
    let (y, p) = (normal(40, 3, 41), normal(40, 3, 42));
    let scheme = NullScheme::BlockPermutation { block_len: 5 };
    let mut null = CorrelationNull::new(&[41], scheme, 9, 0).unwrap();
    assert!(matches!(
        null.test(y.view(), p.view()),
        Err(EncodingError::Rows { .. })
    ));
    let mut null = CorrelationNull::new(&[40], scheme, 9, 0).unwrap();
    let narrow = p.slice(s![.., ..2]);
    assert!(matches!(
        null.test(y.view(), narrow),
        Err(EncodingError::Columns { .. })
    ));
    let none = y.slice(s![.., ..0]);
    assert!(matches!(
        null.test_mean(none, none),
        Err(EncodingError::Empty { .. })
    ));
    let mut damaged = p.clone();
    damaged[(7, 1)] = f32::NAN;
    assert!(matches!(
        null.test(y.view(), damaged.view()),
        Err(EncodingError::NonFinite {
            row: 7,
            column: 1,
            ..
        })
    ));
}

#[test]
fn blocks_and_draws_that_do_not_fit_are_refused() {
    let (y, p) = (normal(40, 3, 41), normal(40, 3, 42));
    let bootstrap = BlockBootstrap {
        block_len: 5,
        n_boots: 10,
        level: 0.9,
        seed: 0,
    };
    for (bad, blocks) in [
        (
            BlockBootstrap {
                block_len: 21,
                ..bootstrap
            },
            true,
        ),
        (
            BlockBootstrap {
                block_len: 0,
                ..bootstrap
            },
            true,
        ),
        (
            BlockBootstrap {
                block_len: usize::MAX,
                ..bootstrap
            },
            true,
        ),
        (
            BlockBootstrap {
                level: 1.0,
                ..bootstrap
            },
            false,
        ),
        (
            BlockBootstrap {
                n_boots: 1,
                ..bootstrap
            },
            false,
        ),
    ] {
        let refused = correlation_interval(y.view(), p.view(), &bad).unwrap_err();
        assert_eq!(
            matches!(refused, EncodingError::Blocks { .. }),
            blocks,
            "{bad:?}"
        );
    }
    for block_len in [21, usize::MAX] {
        let flips = BlockSignFlips {
            block_len,
            n_flips: 9,
            seed: 0,
        };
        let refused = paired_test(y.view(), p.view(), p.view(), &flips);
        assert!(matches!(refused, Err(EncodingError::Blocks { .. })));
    }
    let flips = BlockSignFlips {
        block_len: 5,
        n_flips: 0,
        seed: 0,
    };
    let refused = paired_test_of_mean(y.view(), p.view(), p.view(), &flips);
    assert!(matches!(
        refused,
        Err(EncodingError::TooFewDraws { got: 0, least: 1 })
    ));
    let one_draw = BlockBootstrap {
        n_boots: 1,
        ..bootstrap
    };
    let refused = correlation_interval(y.view(), p.view(), &one_draw).unwrap_err();
    assert_eq!(refused.to_string(), "1 random draw(s), at least 2 needed");
}

#[test]
fn constant_columns_and_equal_models_say_nothing() {
    let y = normal(60, 2, 51);
    let constant = Array2::from_elem((60, 2), 3.0);
    let scheme = NullScheme::CircularShift { min_shift: 4 };
    let mut null = CorrelationNull::new(&[60], scheme, 30, 0).unwrap();
    let test = null.test(y.view(), constant.view()).unwrap();
    assert_eq!(
        (test.r.to_vec(), test.p_two_sided.to_vec()),
        (vec![0.0; 2], vec![1.0; 2])
    );
    let flips = BlockSignFlips {
        block_len: 4,
        n_flips: 50,
        seed: 0,
    };
    let test = paired_test(y.view(), constant.view(), constant.view(), &flips).unwrap();
    assert_eq!(test.p_two_sided.to_vec(), [1.0, 1.0]);
    let bootstrap = BlockBootstrap {
        block_len: 4,
        n_boots: 20,
        level: 0.9,
        seed: 0,
    };
    let interval = correlation_interval(y.view(), constant.view(), &bootstrap).unwrap();
    assert_eq!((interval.low[0], interval.high[0]), (0.0, 0.0));
    let perfect = correlation_interval(y.view(), y.view(), &bootstrap).unwrap();
    assert!(perfect.low.iter().all(|&low| low > 0.999));
    assert_eq!(suggest_block_length(y.view(), constant.view()).unwrap(), 1);
}
