//! Banded ridge, split scores and variance partitioning against himalaya and by hand.

use std::ops::ControlFlow;

use braintune_encoding::{
    AlphaSharing, Alphas, BandedRidge, BandedRidgeValidParams, CvScore, Delays, DesignMatrix,
    EncodingError, EncodingModel, FeatureSet, FeatureSpace, FirDesign, FittedEncodingModel, Folds,
    Precision, Ridge, RidgeParams, Solver, SpaceWeights, check_encoding_model, correlation_split,
    partition_variance, pearson_r, r2_score, r2_split, variance_partition,
};
use linfa::ParamGuard;
use ndarray::{Array1, Array2, Axis, Ix1, Ix2, Ix3, array, s};

use crate::fixture::Fixture;
use crate::problem::{Problem, largest_difference, normal};

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/banded/data.safetensors"));

/// Of our f32 arithmetic; penalties are down to 1, eigenvalues up to some 200: `200 * 2^-24` of each
/// number, and a few more for sums.
const SINGLE: f64 = 1e-4;
/// Of our f64 arithmetic on f32 inputs and outputs.
const DOUBLE: f64 = 2e-6;

struct Case {
    x: DesignMatrix,
    x_test: Array2<f32>,
    y: Array2<f32>,
    y_test: Array2<f32>,
    folds: Folds,
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn integers(name: &str) -> Vec<usize> {
    FIXTURE.get(name).iter().map(|&v| v as usize).collect()
}

fn matrix(name: &str) -> Array2<f64> {
    FIXTURE.get(name).into_dimensionality::<Ix2>().unwrap()
}

fn spaces(widths: &[usize]) -> Vec<FeatureSpace> {
    let mut start = 0;
    let space = |(i, width): (usize, &usize)| {
        start += width;
        FeatureSpace {
            name: format!("space {i}"),
            columns: start - width..start,
        }
    };
    widths.iter().enumerate().map(space).collect()
}

fn case(form: &str) -> Case {
    let groups: Vec<i64> = integers(&format!("{form}.groups"))
        .into_iter()
        .map(|g| i64::try_from(g).unwrap())
        .collect();
    let n = groups.len();
    let of = |name: &str| {
        let all = FIXTURE.f32(&format!("{form}.{name}"));
        let all = all.into_dimensionality::<Ix2>().unwrap();
        (
            all.slice(s![..n, ..]).to_owned(),
            all.slice(s![n.., ..]).to_owned(),
        )
    };
    let ((x, x_test), (y, y_test)) = (of("x"), of("y"));
    Case {
        x: DesignMatrix::new(x, spaces(&integers(&format!("{form}.widths")))).unwrap(),
        x_test,
        y,
        y_test,
        folds: Folds::leave_one_group_out(&groups).unwrap(),
    }
}

fn ridge(folds: Folds) -> RidgeParams {
    let alphas = FIXTURE.get("alphas").into_dimensionality::<Ix1>().unwrap();
    Ridge::params(Alphas::from_values(alphas.to_vec()).unwrap()).folds(folds)
}

fn model(folds: Folds, precision: Precision, solver: Solver) -> BandedRidgeValidParams {
    let ridge = ridge(folds).precision(precision).solver(solver);
    let weights = SpaceWeights::given(matrix("gammas"));
    BandedRidge::params(ridge, weights).check().unwrap()
}

#[test]
fn weights_scores_and_predictions_are_himalayas() {
    for form in ["primal", "dual"] {
        for solver in [Solver::Primal, Solver::Dual] {
            for (precision, tolerance) in [(Precision::Double, DOUBLE), (Precision::Single, SINGLE)]
            {
                let what = format!("{form} {solver:?} {precision:?}");
                let case = case(form);
                let fitted = model(case.folds, precision, solver).fit(&case.x, case.y.view());
                let fitted = fitted.unwrap();
                let ours = Array2::from_shape_fn(fitted.space_weights().dim(), |(i, v)| {
                    let alpha = fitted.best_alphas()[v];
                    (fitted.space_weights()[(i, v)] / (alpha * alpha)).ln()
                });
                for (ours, theirs) in ours.iter().zip(&matrix(&format!("{form}.deltas"))) {
                    assert!(
                        ours == theirs || (ours - theirs).abs() < 1e-9,
                        "{what}: {ours} {theirs}"
                    );
                }
                let coef = matrix(&format!("{form}.coef"));
                let worst = largest_difference(&fitted.coef().to_owned(), &coef);
                assert!(worst < tolerance, "{what}: {worst}");
                let split = fitted.predict_split(case.x_test.view()).unwrap();
                let theirs = FIXTURE.get(&format!("{form}.split"));
                let theirs = theirs.into_dimensionality::<Ix3>().unwrap();
                for (ours, theirs) in split.outer_iter().zip(theirs.outer_iter()) {
                    let worst = largest_difference(&ours.to_owned(), &theirs.to_owned());
                    assert!(worst < 4.0 * tolerance, "{what}: {worst}");
                }
                let whole = fitted.predict(case.x_test.view()).unwrap();
                let sum = split.sum_axis(Axis(0)).mapv(f64::from);
                assert!(largest_difference(&whole, &sum) < 1e-5, "{what}");
            }
        }
    }
}

#[test]
fn every_candidates_score_is_himalayas() {
    for form in ["primal", "dual"] {
        let case = case(form);
        let model = model(case.folds, Precision::Double, Solver::Auto);
        let mut seen: Vec<usize> = Vec::new();
        let selection = model
            .fit_source(
                &case.x,
                &case.y,
                0,
                &mut |_| ControlFlow::Continue(()),
                |voxels, part| {
                    assert_eq!(part.n_voxels(), voxels.len());
                    seen.extend(voxels);
                    ControlFlow::Continue(())
                },
            )
            .unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..case.y.ncols()).collect::<Vec<_>>());
        let theirs = matrix(&format!("{form}.cv_scores"));
        // Kept in f32.
        assert!(
            largest_difference(&selection.cv_scores, &theirs) < 1e-6,
            "{form}"
        );
        for (voxel, &best) in selection.best_candidates.iter().enumerate() {
            let of_voxel = selection.cv_scores.column(voxel);
            assert!(of_voxel.iter().all(|&score| score <= of_voxel[best]));
        }
    }
}

#[test]
fn scores_split_as_himalayas_and_add_up() {
    for form in ["primal", "dual"] {
        let case = case(form);
        let split = FIXTURE
            .f32(&format!("{form}.split"))
            .into_dimensionality::<Ix3>()
            .unwrap();
        let joint = split.sum_axis(Axis(0));
        let r2 = r2_split(case.y_test.view(), split.view()).unwrap();
        let r = correlation_split(case.y_test.view(), split.view()).unwrap();
        for (ours, name) in [(&r2, "r2_split"), (&r, "correlation_split")] {
            // Predictions are rounded to f32 here.
            assert!(largest_difference(ours, &matrix(&format!("{form}.{name}"))) < 1e-6);
        }
        let centred = &case.y_test - &case.y_test.mean_axis(Axis(0)).unwrap();
        let whole = r2_score(centred.view(), joint.view())
            .unwrap()
            .mapv(f64::from);
        let sum = r2.sum_axis(Axis(0)).insert_axis(Axis(0));
        assert!(largest_difference(&sum, &whole.insert_axis(Axis(0))) < 1e-5);
        let whole = pearson_r(case.y_test.view(), joint.view())
            .unwrap()
            .mapv(f64::from);
        let sum = r.sum_axis(Axis(0)).insert_axis(Axis(0));
        assert!(largest_difference(&sum, &whole.insert_axis(Axis(0))) < 1e-5);
    }
    let flat = Array2::<f32>::ones((4, 1));
    let split = r2_split(flat.view(), flat.view().insert_axis(Axis(0))).unwrap();
    assert_eq!(split[(0, 0)], 0.0);
    assert!(matches!(
        r2_split(flat.view(), flat.slice(s![1.., ..]).insert_axis(Axis(0))),
        Err(EncodingError::Rows { .. })
    ));
}

#[test]
fn one_space_is_a_ridge_and_equal_weights_scale_it() {
    let problem = Problem::new(80, 12, 9, 3);
    let params = problem.params("1,3,10,30");
    let plain = params
        .clone()
        .check()
        .unwrap()
        .fit(&problem.design(), problem.y.view())
        .unwrap();
    for intercept in [false, true] {
        let params = params.clone().intercept(intercept);
        let plain = params
            .clone()
            .check()
            .unwrap()
            .fit(&problem.design(), problem.y.view());
        let plain = plain.unwrap();
        let banded = BandedRidge::params(params, SpaceWeights::random(1, 0))
            .check()
            .unwrap();
        let banded = EncodingModel::fit(&banded, &problem.design(), problem.y.view()).unwrap();
        assert_eq!(banded.best_alphas(), plain.best_alphas());
        // X'Y is summed over folds in the one and over all rows in the other.
        let worst = largest_difference(&banded.coef().to_owned(), &plain.coef().mapv(f64::from));
        assert!(worst < 1e-6, "{worst}");
        assert_eq!(banded.intercept().is_some(), intercept);
        assert_eq!(banded.predict(problem.x.view()).unwrap().dim(), (80, 9));
    }
    // Weight 4 with alpha 2a is weight 1 with alpha a.
    let scaled = BandedRidge::params(
        problem.params("2,6,20,60"),
        SpaceWeights::given(array![[4.0]]),
    );
    let scaled = EncodingModel::fit(
        &scaled.check().unwrap(),
        &problem.design(),
        problem.y.view(),
    );
    let worst = largest_difference(
        &scaled.unwrap().coef().to_owned(),
        &plain.coef().mapv(f64::from),
    );
    assert!(worst < 1e-6, "{worst}");
}

#[test]
fn delays_before_or_inside_the_solver_give_the_same() {
    let problem = Problem::new(90, 10, 6, 8);
    let stories = [problem.x.slice(s![..40, ..]), problem.x.slice(s![40.., ..])];
    let delays: Delays = "0,2".parse().unwrap();
    let fir = FirDesign::new(&stories, delays).unwrap();
    let fir = fir.with_feature_spaces(spaces(&[4, 6])).unwrap();
    // The same columns with both spaces' delays as spaces of their own: weights are repeated.
    let whole =
        DesignMatrix::new(fir.to_design().view().to_owned(), spaces(&[4, 6, 4, 6])).unwrap();
    let gammas = array![[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]];
    let repeated = ndarray::concatenate(Axis(1), &[gammas.view(), gammas.view()]).unwrap();
    for intercept in [false, true] {
        let model = |gammas: &Array2<f64>| {
            let ridge = problem.params("1,5,25").intercept(intercept);
            BandedRidge::params(ridge, SpaceWeights::given(gammas.clone()))
                .check()
                .unwrap()
        };
        let expected = EncodingModel::fit(&model(&repeated), &whole, problem.y.view()).unwrap();
        let mut on = |_| ControlFlow::Continue(());
        let each = |voxels: &[usize], part: braintune_encoding::FittedBandedRidge| {
            for (from, &to) in voxels.iter().enumerate() {
                assert_eq!(part.best_alphas()[from], expected.best_alphas()[to]);
                let difference = &part.coef().column(from) - &expected.coef().column(to);
                assert!(difference.iter().all(|d| d.abs() < 1e-5));
                let split = part.predict_split(whole.view()).unwrap();
                assert_eq!(split.dim(), (2, 90, part.n_voxels()));
            }
            ControlFlow::Continue(())
        };
        model(&gammas)
            .fit_fir_source(&fir, &problem.y, usize::MAX, &mut on, each)
            .unwrap();
    }
}

#[test]
fn banded_ridge_keeps_the_contract_of_encoding_models() {
    let groups: Vec<i64> = (0..120).map(|row| row / 30).collect();
    for solver in [Solver::Primal, Solver::Dual] {
        let ridge = Ridge::params("0.01,0.1".parse().unwrap())
            .folds(Folds::leave_one_group_out(&groups).unwrap())
            .solver(solver);
        let model = BandedRidge::params(ridge, SpaceWeights::random(4, 1))
            .check()
            .unwrap();
        check_encoding_model(&model);
    }
}

#[test]
fn results_do_not_depend_on_threads_or_budget() {
    let case = case("primal");
    let y = normal(case.y.nrows(), 600, 5);
    let fit = |n_threads: usize, budget: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n_threads)
            .build()
            .unwrap();
        let model = model(case.folds.clone(), Precision::Single, Solver::Auto);
        let mut coef = Array2::<f32>::zeros((case.x.n_features(), 600));
        let selection = pool.install(|| {
            model.fit_source(
                &case.x,
                &y,
                budget,
                &mut |_| ControlFlow::Continue(()),
                |voxels, part| {
                    for (from, &to) in voxels.iter().enumerate() {
                        coef.column_mut(to).assign(&part.coef().column(from));
                    }
                    ControlFlow::Continue(())
                },
            )
        });
        (coef, selection.unwrap())
    };
    let one = fit(1, usize::MAX);
    assert_eq!(one.1, fit(3, 0).1);
    // Refits gather the voxels of one candidate, so that sums over tiles are cut elsewhere.
    let two = fit(3, usize::MAX);
    assert_eq!(one, two);
}

#[test]
fn bad_parameters_are_said() {
    let problem = Problem::new(40, 6, 2, 1);
    let params = |weights| BandedRidge::params(problem.params("1,10"), weights).check();
    assert!(matches!(
        params(SpaceWeights::random(0, 1)),
        Err(EncodingError::NoSpaceWeights)
    ));
    for bad in [
        array![[1.0, -0.1]],
        array![[0.0, 0.0]],
        array![[f64::NAN, 1.0]],
    ] {
        let error = params(SpaceWeights::given(bad)).unwrap_err();
        assert!(
            matches!(error, EncodingError::SpaceWeight { candidate: 0, .. }),
            "{error}"
        );
    }
    let wide = params(SpaceWeights::given(array![[0.5, 0.5]])).unwrap();
    assert!(matches!(
        EncodingModel::fit(&wide, &problem.design(), problem.y.view()),
        Err(EncodingError::SpaceWeightCount {
            found: 2,
            n_spaces: 1
        })
    ));
    let shared = problem
        .params("1,10")
        .alpha_sharing(AlphaSharing::OneForAll);
    let shared = BandedRidge::params(shared, SpaceWeights::random(3, 1)).check();
    assert!(matches!(shared, Err(EncodingError::BandedSharing)));
    let no_folds = BandedRidge::params(
        Ridge::params("1".parse().unwrap()),
        SpaceWeights::random(2, 1),
    );
    assert!(matches!(
        no_folds.check(),
        Err(EncodingError::NeedsFolds { .. })
    ));
}

#[test]
fn folds_of_single_rows_cannot_choose_by_a_relative_score() {
    let rows: Vec<i64> = (0..20).collect();
    let params = |alphas: &str, n_candidates, score| {
        let folds = Folds::leave_one_group_out(&rows).unwrap();
        let ridge = Ridge::params(alphas.parse().unwrap()).folds(folds);
        BandedRidge::params(ridge.score(score), SpaceWeights::random(n_candidates, 1)).check()
    };
    for score in [CvScore::R2, CvScore::Correlation] {
        for (alphas, n_candidates) in [("1,10", 1), ("1", 2), ("1,10", 3)] {
            let refused = params(alphas, n_candidates, score);
            assert!(
                matches!(refused, Err(EncodingError::SingleRows)),
                "{score:?} {alphas} {n_candidates}"
            );
        }
    }
    assert!(params("1,10", 3, CvScore::NegMse).is_ok());
    assert!(params("1", 1, CvScore::R2).is_ok());
}

#[test]
fn parts_of_variance_add_up() {
    let set = |name: &str, spaces: &[usize]| FeatureSet {
        name: name.to_owned(),
        spaces: spaces.to_vec(),
    };
    // Regions of a Venn diagram of three sets, by bits.
    let regions = [0.0, 0.1, 0.2, 0.05, 0.15, 0.03, 0.07, 0.02];
    let sets = [set("a", &[0]), set("b", &[2, 1]), set("c", &[3])];
    let parts = variance_partition(&sets, |spaces| {
        let has = |set: &FeatureSet| set.spaces.iter().all(|space| spaces.contains(space));
        let bits = sets
            .iter()
            .enumerate()
            .filter(|(_, s)| has(s))
            .map(|(i, _)| 1 << i)
            .sum::<usize>();
        let inside = (1..8).filter(|region| region & bits != 0);
        Ok::<_, EncodingError>(Array1::from(vec![inside.map(|r| regions[r]).sum::<f64>()]))
    })
    .unwrap();
    let mut n = 0;
    for (members, part) in parts.iter() {
        let bits: usize = members.iter().map(|m| 1 << m).sum();
        assert!(
            (part[0] - regions[bits]).abs() < 1e-12,
            "{members:?} {part}"
        );
        assert!((parts.shared(&members).unwrap()[0] - part[0]).abs() < 1e-15);
        n += 1;
    }
    assert_eq!(n, 7);
    assert!((parts.r2(&[0, 1, 2]).unwrap()[0] - regions.iter().sum::<f64>()).abs() < 1e-12);
    assert_eq!(parts.names(), ["a", "b", "c"]);

    let twice = variance_partition(&[set("a", &[0]), set("b", &[0])], |_| {
        Ok::<_, EncodingError>(array![0.0])
    });
    assert!(twice.unwrap_err().to_string().contains("'a' and in 'b'"));
}

#[test]
fn a_set_that_is_needed_has_the_variance() {
    let case = case("primal");
    let model = BandedRidge::params(ridge(case.folds.clone()), SpaceWeights::random(8, 3));
    let sets: Vec<FeatureSet> = (0..2)
        .map(|i| FeatureSet {
            name: format!("set {i}"),
            spaces: if i == 0 { vec![0] } else { vec![1, 2] },
        })
        .collect();
    let parts = partition_variance(
        &model.check().unwrap(),
        &sets,
        (&case.x, case.y.view()),
        (case.x_test.view(), case.y_test.view()),
    )
    .unwrap();
    // Voxels 0, 3, 6, 9 are driven by space 0, the others by the two of set 1.
    for voxel in 0..10 {
        let [zero, one] = [0, 1].map(|set| parts.unique(set).unwrap()[voxel]);
        assert_eq!(zero > one, voxel % 3 == 0, "{voxel}: {zero} {one}");
    }
    let unknown = [FeatureSet {
        name: "x".to_owned(),
        spaces: vec![7],
    }];
    let data = (case.x_test.view(), case.y_test.view());
    let plain = ridge(case.folds).check().unwrap();
    let error = partition_variance(&plain, &unknown, (&case.x, case.y.view()), data).unwrap_err();
    assert!(error.to_string().contains("no space 7"), "{error}");
}

#[test]
fn what_there_is_not_is_no_part() {
    let set = |name: &str, space| FeatureSet {
        name: name.to_owned(),
        spaces: vec![space],
    };
    let sets = [set("sound", 0), set("meaning", 1)];
    let parts = variance_partition(&sets, |_| Ok::<_, EncodingError>(array![0.5])).unwrap();
    assert!(parts.unique(1).is_some() && parts.unique(2).is_none());
    assert!(parts.shared(&[0, 1]).is_some() && parts.shared(&[0, 2]).is_none());
    assert!(parts.r2(&[0]).is_some() && parts.r2(&[usize::MAX]).is_none());

    let design = DesignMatrix::new(normal(5, 5, 1), spaces(&[2, 3])).unwrap();
    let selected = design.select(&[1, 0]).unwrap();
    assert_eq!(
        selected.view().slice(s![.., 3..]),
        design.view().slice(s![.., ..2])
    );
    let refused = design.select(&[1, 2]).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "feature space 2 of 2: feature spaces are numbered from 0"
    );
}
