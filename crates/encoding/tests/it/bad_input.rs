//! What real data bring: the right result, or an error that says what to do.

use braintune_encoding::{
    Delays, DesignMatrix, EncodingError, EncodingModel, FirDesign, Folds, LowCeiling, NoiseCeiling,
    Ridge, TotalPower, mean_of_repeats, normalized_alignment, pearson_r, stack_repeats, zscore,
};
use linfa::ParamGuard;
use ndarray::{Array2, Array3, Axis, array, s};

use crate::problem::{Problem, normal};

fn message(error: &EncodingError) -> String {
    error.to_string()
}

#[test]
fn a_column_of_nan_is_placed() {
    let problem = Problem::new(40, 5, 3, 1);
    let params = problem.params("1,10").check().unwrap();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut x = problem.x.clone();
        x.column_mut(2).fill(value);
        let error = params.fit(&x.into(), problem.y.view()).err().unwrap();
        assert!(message(&error).contains("at row 0, column 2"), "{error}");
        let mut y = problem.y.clone();
        y.column_mut(1).fill(value);
        let error = params.fit(&problem.design(), y.view()).err().unwrap();
        assert!(message(&error).contains("at row 0, column 1"), "{error}");
        let fitted = params.fit(&problem.design(), problem.y.view()).unwrap();
        let mut x = problem.x.clone();
        x[(3, 0)] = value;
        assert!(fitted.predict(x.view()).is_err());
    }
}

#[test]
fn a_constant_column_changes_nothing_once_it_is_standardised() {
    let problem = Problem::new(40, 5, 3, 2);
    let fit = |x: Array2<f32>| {
        let params = problem.params("1,10").check().unwrap();
        params.fit(&x.into(), problem.y.view()).unwrap()
    };
    let plain = zscore(problem.x.view());
    let constant = Array2::from_elem((40, 1), 1e6 + 0.1);
    let with = ndarray::concatenate![Axis(1), problem.x, constant];
    let with = zscore(with.view());
    assert!(with.column(5).iter().all(|&x| x == 0.0));
    let (a, b) = (fit(plain), fit(with));
    let difference = &a.cv_scores() - &b.cv_scores();
    assert!(difference.iter().all(|d| d.abs() < 1e-6));
    assert!(b.coef().row(5).iter().all(|&w| w == 0.0));
}

#[test]
fn too_few_rows_or_stories_for_folds() {
    let error = Folds::contiguous_blocks(4, 5).unwrap_err();
    assert_eq!(
        message(&error),
        "4 rows in 5 folds: at least two folds of at least one row are needed"
    );
    let error = Folds::leave_one_group_out(&[3; 50]).unwrap_err();
    assert_eq!(
        message(&error),
        "1 group(s) of rows, leaving one group out needs at least two"
    );
    let error = Folds::bootstrap_chunks(30, 3, 20, 2, 0).unwrap_err();
    assert!(message(&error).starts_with("2 held-out chunks of 20 rows do not fit 30 rows"));
    // One story is enough for blocks and chunks of it.
    assert!(Folds::contiguous_blocks(50, 5).is_ok());
    assert!(Folds::bootstrap_chunks(50, 3, 20, 1, 0).is_ok());
}

#[test]
fn a_story_shorter_than_the_delays_is_padding() {
    let x = normal(12, 2, 3);
    let delays: Delays = "1,2,5".parse().unwrap();
    // Stories of 1, 2, 9 rows; the first one never sees itself.
    let stories = [0..1, 1..3, 3..12].map(|rows| x.slice(s![rows, ..]));
    let fir = FirDesign::new(&stories, delays).unwrap();
    let design = fir.to_design();
    assert!(design.view().row(0).iter().all(|&x| x == 0.0));
    assert_eq!(design.view().slice(s![2, ..2]), x.row(1));
    assert!(design.view().slice(s![1..3, 2..]).iter().all(|&x| x == 0.0));
    let y = normal(12, 2, 4);
    let params = Ridge::params("0.5,5".parse().unwrap());
    let params = params.folds(Folds::contiguous_blocks(12, 3).unwrap());
    let params = params.check().unwrap();
    let shifted = params.prepare_fir(&fir, &mut |_| std::ops::ControlFlow::Continue(()));
    let shifted = shifted.unwrap().fit_voxels(y.view()).unwrap();
    let delayed = params.fit(&design, y.view()).unwrap();
    let difference = &shifted.cv_scores() - &delayed.cv_scores();
    assert!(difference.iter().all(|d| d.abs() < 1e-4), "{difference}");
}

#[test]
fn repeats_of_unequal_length_are_named() {
    let repeats = [normal(30, 4, 1), normal(30, 4, 2), normal(28, 4, 3)];
    let views: Vec<_> = repeats.iter().map(Array2::view).collect();
    let error = stack_repeats(&views).unwrap_err();
    assert_eq!(
        message(&error),
        "repeat 2 has shape [28, 4] and the first one [30, 4]: \
         cut all repeats to the same TRs and voxels"
    );
    let stacked = stack_repeats(&views[..2]).unwrap();
    assert_eq!(stacked.index_axis(Axis(0), 1), repeats[1]);
    let none = stack_repeats(&[]);
    assert!(matches!(
        none,
        Err(EncodingError::Repeats { n_repeats: 0, .. })
    ));
}

#[test]
fn a_ceiling_of_zero_is_left_out_or_zero() {
    let repeats = Array3::from_shape_fn((2, 40, 2), |(n, t, v)| {
        let sign = if v == 0 && n == 1 { -1.0 } else { 1.0 };
        sign * (t as f32).sin()
    });
    let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Unit).unwrap();
    let cc_max = ceiling.cc_max().mapv(|c| c as f32);
    assert_eq!(cc_max[0], 0.0);
    let r = array![0.3, 0.3];
    let out = normalized_alignment(r.view(), cc_max.view(), 0.0, LowCeiling::Exclude).unwrap();
    assert!(out[0].is_nan() && out[1].is_finite());
    let zero = normalized_alignment(r.view(), cc_max.view(), 0.0, LowCeiling::Zero).unwrap();
    assert_eq!(zero[0], 0.0);
    assert!(ceiling.cc_norm(r.view()).unwrap()[0].is_nan());
    let spe = ceiling.signal_power_explained(normal(40, 2, 5).view(), repeats.view());
    assert!(spe.unwrap()[0].is_nan());
}

#[test]
fn scores_of_huge_offsets_keep_their_digits() {
    let (a, noise) = (normal(300, 2, 6), normal(300, 2, 7));
    let b = &a * 0.5 + noise;
    let offset = |x: &Array2<f32>| x + 1e6;
    let (a, b) = (offset(&a), offset(&b));
    let r = pearson_r(a.view(), b.view()).unwrap();
    // The same rounded numbers, brought near 0 without rounding.
    let expected = pearson_r((&a - 1e6).view(), (&b - 1e6).view()).unwrap();
    assert!(
        (&r - &expected).iter().all(|d| d.abs() < 1e-6),
        "{r} {expected}"
    );
    let repeats = ndarray::stack![Axis(0), a, b];
    let low = &repeats - 1e6;
    let ceilings = [&repeats, &low].map(|repeats| {
        let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured);
        ceiling.unwrap().cc_max()
    });
    assert!((&ceilings[0] - &ceilings[1]).iter().all(|d| d.abs() < 1e-9));
    assert!(
        mean_of_repeats(repeats.view())
            .iter()
            .all(|x| x.is_finite())
    );
}

#[test]
fn a_design_of_one_row_fits_without_folds() {
    let (x, y) = (normal(1, 3, 8), normal(1, 2, 9));
    let params = Ridge::params("1".parse().unwrap()).check().unwrap();
    let fitted = params
        .fit(&DesignMatrix::from(x.clone()), y.view())
        .unwrap();
    let norm: f32 = x.iter().map(|x| x * x).sum();
    let predicted = fitted.predict(x.view()).unwrap();
    for (p, y) in predicted.iter().zip(&y) {
        assert!((p - y * norm / (norm + 1.0)).abs() < 1e-5);
    }
}
