use braintune_encoding::{CvScore, Delays, EncodingModel, Folds, Precision, Solver, pearson_r};
use linfa::ParamGuard;
use ndarray::{Axis, s};
use proptest::prelude::*;

use crate::problem::{Problem, normal};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn delays_compose_with_slicing(
        n in 1usize..20, cut in 0usize..20, seed in 0u64..1000,
        delays in proptest::sample::subsequence(vec![0usize, 1, 2, 3, 5], 1..5),
    ) {
        let story = normal(n, 3, seed);
        let cut = cut.min(n);
        let delays = Delays::from_samples(delays).unwrap();
        // Rows up to a cut do not see what follows it.
        prop_assert_eq!(
            delays.apply(story.slice(s![..cut, ..])),
            delays.apply(story.view()).slice(s![..cut, ..]).to_owned()
        );
        let columns = delays.apply(story.slice(s![.., 1..2]));
        let all = delays.apply(story.view());
        for block in 0..delays.as_slice().len() {
            prop_assert_eq!(columns.column(block), all.column(3 * block + 1));
        }
    }

    #[test]
    fn weights_vanish_as_alpha_grows(seed in 0u64..1000) {
        let problem = Problem::new(30, 6, 3, seed);
        let fitted = problem.params("1e9").check().unwrap()
            .fit(&problem.design(), problem.y.view()).unwrap();
        prop_assert!(fitted.coef().iter().all(|w| w.abs() < 1e-12));
    }

    #[test]
    fn primal_is_dual(
        n_samples in 12usize..60, n_features in 1usize..60, seed in 0u64..1000,
        intercept: bool,
    ) {
        let problem = Problem::new(n_samples, n_features, 4, seed);
        // Where a fold is hardly determined, dual scores lose the square of the kernel's largest
        // eigenvalue over the penalty, up to 250 here: 4e-3 of single precision, 1e-11 of double.
        for (precision, tolerance) in [(Precision::Double, 1e-8), (Precision::Single, 2e-2_f64)] {
            let fit = |solver| {
                problem.params("1,5,25").solver(solver).intercept(intercept).precision(precision)
                    .check().unwrap().fit(&problem.design(), problem.y.view()).unwrap()
            };
            let (primal, dual) = (fit(Solver::Primal), fit(Solver::Dual));
            // Scores reach -10 and below where a fold holds few rows: relative to 1 + |score|.
            for (a, b) in primal.cv_scores().iter().zip(dual.cv_scores()) {
                prop_assert!((a - b).abs() < tolerance * (1.0 + a.abs()), "{} {}", a, b);
            }
            for (a, b) in primal.coef().iter().zip(&dual.coef()) {
                prop_assert!(f64::from((a - b).abs()) < (tolerance * 0.1).max(1e-6) || primal.best_alphas() != dual.best_alphas());
            }
        }
    }

    #[test]
    fn correlations_are_invariant_to_affine_maps(
        seed in 0u64..1000, scale in 0.01f32..100.0, offset in -50f32..50.0,
    ) {
        let (a, b) = (normal(40, 3, seed), normal(40, 3, seed + 1));
        let r = pearson_r(a.view(), b.view()).unwrap();
        let mapped = pearson_r(a.view(), (&b * scale + offset).view()).unwrap();
        // Adding 50 to values of order 0.01 leaves 2^-24 * 50 / 0.01 of each.
        prop_assert!((&r - &mapped).iter().all(|d| d.abs() < 2e-3));
        let flipped = pearson_r((-&a).view(), b.view()).unwrap();
        prop_assert!((&r + &flipped).iter().all(|d| d.abs() < 1e-6));
    }

    #[test]
    fn r2_selection_is_invariant_to_the_scale_of_responses(seed in 0u64..1000, power in -3i32..4) {
        let problem = Problem::new(48, 6, 3, seed);
        let scale = 2f32.powi(power);
        for score in [CvScore::R2, CvScore::Correlation] {
            let params = problem.params("1,5,25").score(score).check().unwrap();
            let plain = params.fit(&problem.design(), problem.y.view()).unwrap();
            let scaled = params.fit(&problem.design(), (&problem.y * scale).view()).unwrap();
            // A power of two changes no rounding.
            prop_assert_eq!(plain.cv_scores(), scaled.cv_scores());
        }
    }

    #[test]
    fn the_order_of_stories_never_mixes_training_and_validation(
        labels in proptest::collection::vec(0i64..5, 2..60),
    ) {
        let Ok(folds) = Folds::leave_one_group_out(&labels) else {
            return Ok(());
        };
        let mut validated = vec![0; labels.len()];
        for fold in 0..folds.n_folds() {
            let rows = folds.validation(fold);
            for &row in rows {
                validated[row] += 1;
            }
            let training = folds.training(fold);
            prop_assert!(training.iter().all(|row| !rows.contains(row)));
            prop_assert!(training.iter().all(|&row| labels[row] != labels[rows[0]]));
            prop_assert_eq!(training.len() + rows.len(), labels.len());
        }
        prop_assert!(validated.iter().all(|&times| times == 1));
    }

    #[test]
    fn the_order_of_stories_does_not_change_scores(seed in 0u64..1000) {
        let problem = Problem::new(40, 5, 3, seed);
        let order: Vec<usize> = (20..40).chain(0..20).collect();
        let moved = Problem {
            x: problem.x.select(Axis(0), &order),
            y: problem.y.select(Axis(0), &order),
            groups: order.iter().map(|&row| problem.groups[row]).collect(),
        };
        let fit = |problem: &Problem| problem.params("1,5,25").check().unwrap()
            .fit(&problem.design(), problem.y.view()).unwrap();
        let (a, b) = (fit(&problem), fit(&moved));
        for (a, b) in a.cv_scores().iter().zip(b.cv_scores()) {
            prop_assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()));
        }
    }
}
