//! What holds for any data.

use braintune_probing::{Bootstrap, Classes, GroupSums, Groups, LabelCounts, Logistic, bootstrap};
use linfa::ParamGuard;
use ndarray::{Array1, Array2, Axis};
use proptest::prelude::*;

use crate::{fixture::largest_difference, problem::problem};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_standardised_fit_does_not_see_affine_maps(seed in 0_u64..1000, scale in 0.1_f32..10.0, shift in -5_f32..5.0) {
        let problem = problem(120, 3, 3, 1.5, seed);
        prop_assume!((0..3).all(|class| problem.labels.contains(&class)));
        let classes = Classes::new(&problem.labels, 3).unwrap();
        let params = Logistic::params(1.0).standardise(true).tolerance(1e-6).check().unwrap();
        let proba = |x: &Array2<f32>| params.fit(x.view(), classes).unwrap().predict_proba(x.view()).unwrap();
        let mapped = &problem.x * scale + shift;
        // What f32 loses of features under a shift of up to 50 of their standard deviations.
        prop_assert!(largest_difference(&proba(&problem.x), &proba(&mapped).mapv(f64::from)) < 1e-4);
    }

    #[test]
    fn a_strong_penalty_leaves_the_shares_of_the_classes(seed in 0_u64..1000) {
        let problem = problem(120, 3, 3, 1.5, seed);
        let classes = Classes::new(&problem.labels, 3).unwrap();
        prop_assume!(classes.counts().iter().all(|&count| count > 0));
        let probe = Logistic::params(1e-9).check().unwrap().fit(problem.x.view(), classes).unwrap();
        let proba = probe.predict_proba(problem.x.view()).unwrap();
        for (class, count) in classes.counts().into_iter().enumerate() {
            let share = count as f32 / 120.0;
            prop_assert!(proba.column(class).iter().all(|p| (p - share).abs() < 1e-5));
        }
    }

    #[test]
    fn probabilities_of_a_fit_have_the_shares_of_the_classes(seed in 0_u64..1000, c in 0.01_f64..10.0) {
        // The intercept is not penalised: its slope is 0 at the minimum.
        let problem = problem(120, 3, 3, 1.5, seed);
        let classes = Classes::new(&problem.labels, 3).unwrap();
        prop_assume!(classes.counts().iter().all(|&count| count > 0));
        let probe = Logistic::params(c).check().unwrap().fit(problem.x.view(), classes).unwrap();
        let proba = probe.predict_proba(problem.x.view()).unwrap();
        prop_assert!(proba.sum_axis(Axis(1)).iter().all(|sum| (sum - 1.0).abs() < 1e-5));
        let sums = proba.sum_axis(Axis(0));
        for (sum, count) in sums.iter().zip(classes.counts()) {
            prop_assert!((sum - count as f32).abs() < 0.01, "{} {}", sum, count);
        }
    }

    #[test]
    fn scores_do_not_see_the_names_of_classes(
        pairs in prop::collection::vec((0_usize..5, 0_usize..5), 1..60),
        turn in 0_usize..5,
    ) {
        let turned = |class: usize| (class + turn) % 5;
        let counts = |map: &dyn Fn(usize) -> usize| {
            let y: Vec<usize> = pairs.iter().map(|&(y, _)| map(y)).collect();
            let p: Array1<usize> = pairs.iter().map(|&(_, p)| map(p)).collect();
            LabelCounts::of(Classes::new(&y, 5).unwrap(), &p).unwrap()
        };
        let (a, b) = (counts(&|class| class), counts(&turned));
        prop_assert!((a.macro_f1() - b.macro_f1()).abs() < 1e-12);
        prop_assert_eq!(a.accuracy(), b.accuracy());
        prop_assert!((a.micro_f1() - a.accuracy()).abs() < 1e-12);
    }

    #[test]
    fn intervals_go_with_affine_maps(values in prop::collection::vec(-1.0_f64..1.0, 6..40), scale in 0.1_f64..5.0) {
        let groups = Groups::new(&(0..values.len()).map(|item| item / 2).collect::<Vec<_>>()).unwrap();
        let settings = Bootstrap { n_draws: 100, ..Bootstrap::default() };
        let interval = |values: &[f64]| bootstrap(&GroupSums::mean(&groups, values).unwrap(), &settings).unwrap();
        let a = interval(&values);
        let b = interval(&values.iter().map(|value| value * scale - 1.0).collect::<Vec<_>>());
        prop_assert!(a.low <= a.high);
        prop_assert!((a.low * scale - 1.0 - b.low).abs() < 1e-9 && (a.high * scale - 1.0 - b.high).abs() < 1e-9);
    }
}
