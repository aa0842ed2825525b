//! What every [`EncodingModel`] keeps to, as one test for its implementers.

use std::ops::ControlFlow;

use ndarray::{Array2, s};

use crate::{
    DesignMatrix, EncodingError, EncodingModel, FitProgress, FittedEncodingModel, pearson_r,
};

const N_SAMPLES: usize = 120;
const N_FEATURES: usize = 4;

/// Fits `model` to 120 samples of 4 features and 3 voxels that depend on them linearly, and checks
/// shapes, errors, progress, cancellation, determinism and that it has learnt.
///
/// # Panics
/// If the model breaks the contract, saying how.
pub fn check_encoding_model(model: &impl EncodingModel) {
    let x = Array2::from_shape_fn((N_SAMPLES, N_FEATURES), |(i, j)| wave(i, j));
    let weights = Array2::from_shape_fn((N_FEATURES, 3), |(j, voxel)| wave(j + 3, voxel + 7));
    let y = x.dot(&weights);
    let design = DesignMatrix::from(x.clone());

    let mut told = Vec::new();
    let fitted = model
        .fit_observed(&design, y.view(), &mut |progress| {
            told.push(progress);
            ControlFlow::Continue(())
        })
        .expect("a plain fit succeeds");
    assert!(
        told.iter()
            .any(|progress| matches!(progress, FitProgress::Fitted { done: 3, total: 3 })),
        "a fit reports that all voxels are done"
    );
    assert_eq!(fitted.n_features(), N_FEATURES, "n_features");
    assert_eq!(fitted.n_voxels(), 3, "n_voxels");

    let predictions = fitted
        .predict(x.view())
        .expect("predictions for the design");
    assert_eq!(predictions.dim(), (N_SAMPLES, 3), "shape of predictions");
    let r = pearson_r(predictions.view(), y.view()).expect("finite predictions");
    assert!(
        r.iter().all(|&r| r > 0.9),
        "responses without noise are learnt, r = {r}"
    );
    let again = model.fit(&design, y.view()).expect("a second fit succeeds");
    let again = again.predict(x.view()).expect("predictions for the design");
    assert_eq!(predictions, again, "the same data give the same bits");

    check_errors(model, &design, &y, &fitted);
}

fn check_errors<M: EncodingModel>(
    model: &M,
    design: &DesignMatrix,
    y: &Array2<f32>,
    fitted: &M::Fitted,
) {
    let stopped = model.fit_observed(design, y.view(), &mut |_| ControlFlow::Break(()));
    assert!(
        matches!(stopped, Err(EncodingError::Cancelled)),
        "a fit that is stopped returns Cancelled"
    );
    assert!(
        matches!(
            model.fit(design, y.slice(s![1.., ..])),
            Err(EncodingError::Rows { .. })
        ),
        "other rows in y are an error"
    );
    let mut broken = y.clone();
    broken[(5, 1)] = f32::NAN;
    assert!(
        matches!(
            model.fit(design, broken.view()),
            Err(EncodingError::NonFinite {
                row: 5,
                column: 1,
                ..
            })
        ),
        "a NaN in y is an error that names its place"
    );
    assert!(
        matches!(
            fitted.predict(Array2::zeros((2, N_FEATURES + 1)).view()),
            Err(EncodingError::Columns { .. })
        ),
        "other columns in x are an error"
    );
}

fn wave(i: usize, j: usize) -> f32 {
    ((i * (2 * j + 3)) as f32 * 0.7 + j as f32).sin()
}
