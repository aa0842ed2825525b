//! linfa's own helpers: folds, cross-validation, parameter guards.

use braintune_encoding::{EncodingError, Folds, Precision, Ridge, RidgeParams, r2_score};
use linfa::{
    Dataset, DatasetBase, ParamGuard,
    traits::{Fit, Predict, PredictInplace},
};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use crate::problem::Problem;

fn single_alphas() -> Vec<RidgeParams> {
    ["1", "10", "100"]
        .map(|alpha| Ridge::params(alpha.parse().unwrap()))
        .to_vec()
}

fn r2(predicted: &Array2<f32>, truth: &ArrayView2<'_, f32>) -> Result<Array1<f32>, linfa::Error> {
    r2_score(truth.view(), predicted.view())
        .map_err(|error| linfa::Error::Parameters(error.to_string()))
}

#[test]
fn linfas_cross_validation_gives_our_scores() {
    let problem = Problem::new(60, 8, 3, 10);
    let mut data = Dataset::new(problem.x.clone(), problem.y.clone());
    let theirs = data.cross_validate(5, &single_alphas(), r2).unwrap();
    // In blocks of 12 rows, as linfa cuts them.
    let ours = problem
        .params("1,10,100")
        .folds(Folds::contiguous_blocks(60, 5).unwrap())
        .precision(Precision::Double);
    let ours = ours.fit(&data).unwrap();
    let difference = &ours.cv_scores() - &theirs.mapv(f64::from);
    // Theirs are f32 of f32 predictions.
    assert!(difference.iter().all(|d| d.abs() < 1e-5), "{difference}");
}

#[test]
fn a_fold_fits_with_folds_of_its_own() {
    let problem = Problem::new(60, 8, 3, 11);
    let mut data = Dataset::new(problem.x.clone(), problem.y.clone());
    let params = problem
        .params("1,10,100")
        .folds(Folds::contiguous_blocks(48, 4).unwrap())
        .check()
        .unwrap();
    let fits = data.iter_fold(5, |train| params.fit(train).unwrap());
    for (fold, (fitted, valid)) in fits.enumerate() {
        let rows: Vec<usize> = (0..60).filter(|row| row / 12 != fold).collect();
        // linfa swaps folds to the front; a grid over blocks may see rows in another order.
        assert_eq!(fitted.cv_scores().dim(), (3, 3));
        let predicted: Array2<f32> = Predict::predict(&fitted, valid.records());
        assert_eq!(predicted.dim(), (12, 3));
        let x = problem.x.select(Axis(0), &rows);
        assert_eq!(x.nrows(), 48);
        assert_eq!(
            valid.records(),
            problem.x.slice(s![12 * fold..12 * (fold + 1), ..])
        );
    }
}

#[test]
fn one_response_may_be_a_vector() {
    let problem = Problem::new(60, 8, 1, 12);
    let y = problem.y.column(0).to_owned();
    let mut data = Dataset::new(problem.x.clone(), y.clone());
    let eval = |predicted: &Array1<f32>, truth: &ArrayView1<'_, f32>| {
        let column = |x: ArrayView1<'_, f32>| x.to_owned().insert_axis(Axis(1));
        let (truth, predicted) = (column(truth.view()), column(predicted.view()));
        Ok(r2(&predicted, &truth.view())?[0])
    };
    let single = data
        .cross_validate_single(5, &single_alphas(), eval)
        .unwrap();
    let mut columns = Dataset::new(problem.x.clone(), problem.y.clone());
    let multi = columns.cross_validate(5, &single_alphas(), r2).unwrap();
    assert_eq!(single.to_vec(), multi.column(0).to_vec());
    let fitted = single_alphas()[1].fit(&data).unwrap();
    let predicted: Array1<f32> = Predict::predict(&fitted, &problem.x);
    let expected = fitted.predict(problem.x.view()).unwrap();
    assert_eq!(predicted, expected.column(0));
    let mut into: Array1<f32> = fitted.default_target(&problem.x);
    fitted.predict_inplace(&problem.x, &mut into);
    assert_eq!(into, predicted);
    // Folds of linfa's own, of a single response (of several, linfa 0.8.1's `fold` miscounts rows).
    for (train, valid) in data.fold(5) {
        let fitted = single_alphas()[0].fit(&train).unwrap();
        let predicted: Array1<f32> = Predict::predict(&fitted, valid.records());
        assert_eq!(predicted.len(), 12);
    }
}

#[test]
fn unchecked_parameters_are_checked_by_fit() {
    let problem = Problem::new(60, 8, 3, 13);
    let mut data = Dataset::new(problem.x.clone(), problem.y.clone());
    let unchecked = Ridge::params("1,10".parse().unwrap());
    assert!(unchecked.check_ref().is_err());
    let error = unchecked.fit(&data).err().unwrap();
    assert!(matches!(error, EncodingError::NeedsFolds { n_alphas: 2 }));
    let error = data.cross_validate(5, &[unchecked], r2).unwrap_err();
    assert!(matches!(error, EncodingError::NeedsFolds { .. }));
    // Folds for all rows do not suit a part of them.
    let error = data.cross_validate(5, &[problem.params("1,10")], r2);
    assert!(matches!(
        error.unwrap_err(),
        EncodingError::FoldRows { folds: 60, x: 48 }
    ));
    let view = DatasetBase::new(problem.x.view(), problem.y.view());
    assert!(problem.params("1,10").fit(&view).is_ok());
}
