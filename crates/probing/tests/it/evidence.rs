//! Resampled groups, peaks and controls.

use braintune_probing::{
    Bootstrap, Classes, ControlLabels, GroupScore, GroupSums, Groups, LabelCounts, ProbingError,
    RowScore, bootstrap, layer_peak, paired_bootstrap, pearson_r, r2_scores, selectivity,
};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::problem::problem;

const N: usize = 240;

type NumberScore =
    fn(ArrayView2<'_, f32>, ArrayView2<'_, f32>) -> braintune_probing::Result<Array1<f64>>;

fn groups() -> Groups {
    Groups::new(&(0..N).map(|item| item % 12).collect::<Vec<_>>()).unwrap()
}

fn settings(n_draws: usize) -> Bootstrap {
    Bootstrap {
        n_draws,
        ..Bootstrap::default()
    }
}

/// Right for `share` of the items, by chance.
fn right(share: f64, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..N)
        .map(|_| f64::from(u8::from(rng.random_bool(share))))
        .collect()
}

#[test]
fn sums_and_rows_give_the_same_scores() {
    let problem = problem(N, 3, 3, 1.0, 31);
    let truth = Classes::new(&problem.labels, 3).unwrap();
    let predicted: Array1<usize> = problem
        .labels
        .iter()
        .map(|&y| if y == 2 { 1 } else { y })
        .collect();
    let flags = problem.flags.mapv(|flag| !flag);
    let y = problem.x.clone();
    let p = problem.x.mapv(|x| x * x + 0.5 * x);
    let groups = groups();
    let counts_of = |rows: &[usize]| {
        let y: Vec<usize> = rows.iter().map(|&row| problem.labels[row]).collect();
        LabelCounts::of(
            Classes::new(&y, 3).unwrap(),
            &predicted.select(Axis(0), rows),
        )
        .unwrap()
    };
    let flags_of = |rows: &[usize]| {
        let y = problem.flags.select(Axis(0), rows);
        LabelCounts::of(y.view(), &flags.select(Axis(0), rows))
            .unwrap()
            .macro_f1()
    };
    let numbers = |score: NumberScore| {
        let (y, p) = (&y, &p);
        move |rows: &[usize]| {
            let (y, p) = (y.select(Axis(0), rows), p.select(Axis(0), rows));
            score(y.view(), p.view()).unwrap().mean().unwrap()
        }
    };
    let accuracy = |rows: &[usize]| counts_of(rows).accuracy();
    let macro_f1 = |rows: &[usize]| counts_of(rows).macro_f1();
    let of_all = |rows: &[usize]| counts_of(rows).micro_f1();
    let (r2, r) = (numbers(r2_scores), numbers(pearson_r));
    let pairs: [(GroupSums, Box<dyn GroupScore>); 6] = [
        (
            GroupSums::accuracy(&groups, truth, &predicted).unwrap(),
            Box::new(RowScore::new(&groups, accuracy)),
        ),
        (
            GroupSums::macro_f1(&groups, truth, &predicted).unwrap(),
            Box::new(RowScore::new(&groups, macro_f1)),
        ),
        (
            GroupSums::micro_f1(&groups, truth, &predicted).unwrap(),
            Box::new(RowScore::new(&groups, of_all)),
        ),
        (
            GroupSums::macro_f1(&groups, problem.flags.view(), &flags).unwrap(),
            Box::new(RowScore::new(&groups, flags_of)),
        ),
        (
            GroupSums::r2(&groups, y.view(), p.view()).unwrap(),
            Box::new(RowScore::new(&groups, r2)),
        ),
        (
            GroupSums::pearson_r(&groups, y.view(), p.view()).unwrap(),
            Box::new(RowScore::new(&groups, r)),
        ),
    ];
    let mut rng = ChaCha8Rng::seed_from_u64(32);
    for _ in 0..20 {
        let counts: Vec<u32> = (0..12).map(|_| rng.random_range(0..3)).collect();
        for (sums, rows) in &pairs {
            let (a, b) = (sums.score(&counts), rows.score(&counts));
            // Sums of f64 in another order.
            assert!((a - b).abs() < 1e-10, "{a} {b}");
        }
    }
}

#[test]
fn intervals_cover_as_often_as_they_say() {
    // 400 experiments of 40 speakers whose accuracies differ; 90 % intervals should miss 40 times.
    let groups = Groups::new(&(0..200).map(|item| item / 5).collect::<Vec<_>>()).unwrap();
    let mut missed = 0;
    for experiment in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(experiment);
        let speakers: Vec<f64> = (0..40).map(|_| rng.random_range(0.4..0.9)).collect();
        let values: Vec<f64> = (0..200)
            .map(|i| f64::from(u8::from(rng.random_bool(speakers[i / 5]))))
            .collect();
        let score = GroupSums::mean(&groups, &values).unwrap();
        let settings = Bootstrap {
            n_draws: 300,
            level: 0.9,
            seed: experiment,
        };
        let interval = bootstrap(&score, &settings).unwrap();
        missed += usize::from(!(interval.low..=interval.high).contains(&0.65));
    }
    // Within three standard errors, percentiles being a little narrow.
    assert!((22..=64).contains(&missed), "{missed}");
}

#[test]
fn whole_groups_are_drawn() {
    // Speakers that are all right or all wrong: as wide as with one item each.
    let values: Vec<f64> = (0..N)
        .map(|item| f64::from(u8::from(item % 12 < 6)))
        .collect();
    let grouped = bootstrap(
        &GroupSums::mean(&groups(), &values).unwrap(),
        &settings(2000),
    )
    .unwrap();
    let single = Groups::of_single_items(N).unwrap();
    let single = bootstrap(&GroupSums::mean(&single, &values).unwrap(), &settings(2000)).unwrap();
    let ratio = (grouped.high - grouped.low) / (single.high - single.low);
    assert!((ratio / 20f64.sqrt() - 1.0).abs() < 0.15, "{ratio}");
}

#[test]
fn a_paired_difference_is_surer_than_two_intervals() {
    let groups = groups();
    let worse = right(0.6, 33);
    let mut better = worse.clone();
    for value in better.iter_mut().step_by(7) {
        *value = 1.0;
    }
    let (a, b) = (
        GroupSums::mean(&groups, &better).unwrap(),
        GroupSums::mean(&groups, &worse).unwrap(),
    );
    let paired = paired_bootstrap(&a, &b, &settings(2000)).unwrap();
    let lone = bootstrap(&a, &settings(2000)).unwrap();
    assert!(
        paired.difference.low > 0.0 && paired.p_two_sided < 0.01,
        "{paired:?}"
    );
    assert!(paired.difference.high - paired.difference.low < lone.high - lone.low);
    let reversed = paired_bootstrap(&b, &a, &settings(2000)).unwrap();
    assert_eq!(reversed.difference.estimate, -paired.difference.estimate);
    assert_eq!(reversed.p_two_sided, paired.p_two_sided);
    let same = paired_bootstrap(&a, &a, &settings(100)).unwrap();
    assert_eq!((same.difference.estimate, same.p_two_sided), (0.0, 1.0));
}

#[test]
fn p_values_are_uniform_where_models_are_as_good() {
    let groups = groups();
    let p: Vec<f64> = (0..300)
        .map(|i| {
            let [a, b] = [2 * i, 2 * i + 1]
                .map(|seed| GroupSums::mean(&groups, &right(0.7, 1000 + seed)).unwrap());
            paired_bootstrap(&a, &b, &settings(200))
                .unwrap()
                .p_two_sided
        })
        .collect();
    let below = |level: f64| p.iter().filter(|&&p| p <= level).count();
    // 12 groups make intervals narrow by a tenth or so: up to twice the level.
    assert!((8..=50).contains(&below(0.1)), "{}", below(0.1));
    assert!((110..=190).contains(&below(0.5)), "{}", below(0.5));
}

#[test]
fn the_peak_over_layers_is_found() {
    let groups = groups();
    let curve = [0.3, 0.5, 0.9, 0.6, 0.2];
    let layers: Vec<GroupSums> = (0..5)
        .map(|layer| GroupSums::mean(&groups, &right(curve[layer], 40 + layer as u64)).unwrap())
        .collect();
    let peak = layer_peak(&layers, &settings(500)).unwrap();
    assert_eq!((peak.layer, peak.low, peak.high), (2, 2, 2));
    assert!((peak.shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    // Neighbours that are alike: either may be the peak.
    let flat: Vec<GroupSums> = (0..4)
        .map(|i| GroupSums::mean(&groups, &right(0.7, 50 + i)).unwrap())
        .collect();
    let peak = layer_peak(&flat, &settings(500)).unwrap();
    assert!(
        peak.low < peak.high && peak.shares.iter().all(|&share| share < 0.95),
        "{peak:?}"
    );
    // What all layers share does not move the peak.
    let mut shared = right(0.5, 60);
    let low = GroupSums::mean(&groups, &shared).unwrap();
    for value in &mut shared {
        *value += 0.001;
    }
    let high = GroupSums::mean(&groups, &shared).unwrap();
    assert_eq!(
        layer_peak(&[low, high], &settings(500)).unwrap().shares,
        [0.0, 1.0]
    );
}

#[test]
fn draws_depend_on_the_seed_alone() {
    let score = GroupSums::mean(&groups(), &right(0.7, 34)).unwrap();
    let one = |seed| {
        bootstrap(
            &score,
            &Bootstrap {
                seed,
                ..settings(500)
            },
        )
        .unwrap()
    };
    assert_eq!(one(1), one(1));
    assert!(one(1) != one(2));
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .unwrap();
    assert_eq!(pool.install(|| one(1)), one(1));
}

#[test]
fn control_labels_go_by_type() {
    let mut rng = ChaCha8Rng::seed_from_u64(35);
    let types: Vec<u64> = (0..2000).map(|_| rng.random_range(0..300)).collect();
    let labels: Vec<usize> = types
        .iter()
        .map(|&t| usize::from(t % 10 == 0) + 2 * usize::from(t % 10 > 6))
        .collect();
    let train = Classes::new(&labels, 3).unwrap();
    let control = ControlLabels::by_type(train, &types, 1).unwrap();
    let of_rows = control.labels(&types);
    for (a, b) in types.iter().zip(&of_rows) {
        let first = types.iter().position(|t| t == a).unwrap();
        assert_eq!(of_rows[first], *b);
    }
    // Shares of the classes are those of the task: 10, 60 and 30 % of 300 types, so to 10 points.
    for (class, share) in [(0, 0.6), (1, 0.1), (2, 0.3)] {
        let found = of_rows.iter().filter(|&&label| label == class).count() as f64 / 2000.0;
        assert!((found - share).abs() < 0.1, "class {class}: {found}");
    }
    assert_eq!(
        ControlLabels::by_type(train, &types, 1)
            .unwrap()
            .labels(&types),
        of_rows
    );
    assert!(
        ControlLabels::by_type(train, &types, 2)
            .unwrap()
            .labels(&types)
            != of_rows
    );
    // Unknown types have a label, the same each time.
    assert_eq!(control.labels(&[5000, 5000]), control.labels(&[5000, 5000]));
    // As many types as classes: a permutation.
    let few = [0, 1, 2, 2];
    let control = ControlLabels::by_type(Classes::new(&few, 3).unwrap(), &[7, 8, 9, 9], 3).unwrap();
    let mut seen = control.labels(&[7, 8, 9]);
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2]);
    let mut shuffled = ControlLabels::shuffled(&labels, 4);
    assert!(shuffled != labels);
    shuffled.sort_unstable();
    let mut sorted = labels.clone();
    sorted.sort_unstable();
    assert_eq!(shuffled, sorted);
}

#[test]
fn selectivity_is_score_less_control() {
    let groups = groups();
    let [task, control] = [(0.9, 36), (0.3, 37)]
        .map(|(share, seed)| GroupSums::mean(&groups, &right(share, seed)).unwrap());
    let found = selectivity(&task, &control, &settings(500)).unwrap();
    let ones = vec![1; 12];
    assert!((found.difference.estimate - (task.score(&ones) - control.score(&ones))).abs() < 1e-12);
    assert!(found.difference.low > 0.4);
}

#[test]
fn bad_settings_are_named() {
    let score = GroupSums::mean(&groups(), &right(0.7, 38)).unwrap();
    for bad in [
        Bootstrap {
            n_draws: 0,
            ..Bootstrap::default()
        },
        Bootstrap {
            level: 1.0,
            ..Bootstrap::default()
        },
        Bootstrap {
            level: f64::NAN,
            ..Bootstrap::default()
        },
    ] {
        assert!(matches!(
            bootstrap(&score, &bad),
            Err(ProbingError::Setting { .. })
        ));
    }
    assert!(matches!(
        Groups::new(&["a", "a"]),
        Err(ProbingError::Groups { n_groups: 1 })
    ));
    assert!(matches!(
        GroupSums::mean(&groups(), &[1.0]),
        Err(ProbingError::Rows { .. })
    ));
    let undefined = RowScore::new(&groups(), |_: &[usize]| f64::NAN);
    assert!(matches!(
        bootstrap(&undefined, &settings(5)),
        Err(ProbingError::Score { .. })
    ));
    let none: [GroupSums; 0] = [];
    assert!(matches!(
        layer_peak(&none, &settings(5)),
        Err(ProbingError::NoCandidates { .. })
    ));
    let other = GroupSums::mean(&Groups::of_single_items(3).unwrap(), &[1.0; 3]).unwrap();
    assert!(matches!(
        paired_bootstrap(&score, &other, &settings(5)),
        Err(ProbingError::Rows { .. })
    ));
    let y = Array2::<f32>::zeros((3, 1));
    assert!(matches!(
        GroupSums::r2(&groups(), y.view(), y.view()),
        Err(ProbingError::Rows { .. })
    ));
}
