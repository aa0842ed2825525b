//! A fitted banded ridge: weights of features, and of feature spaces, per voxel.

use ndarray::{Array1, Array2, Array3, ArrayBase, ArrayView1, ArrayView2, Axis, Data, Ix2};

use super::weights::scales;
use crate::{FittedEncodingModel, FittedRidge, Result, check, ridge::product_of};

/// Banded ridge fitted to some voxels, each with its own weights of feature spaces and its own alpha.
///
/// Predictions are sums over feature spaces ([`predict_split`](Self::predict_split)).
#[derive(Debug, Clone)]
pub struct FittedBandedRidge {
    space_of_column: Vec<usize>,
    /// `[n_spaces, n_voxels]`.
    space_weights: Array2<f64>,
    best_alphas: Vec<f64>,
    /// `[n_features, n_voxels]`.
    coef: Array2<f32>,
    intercept: Option<Array1<f32>>,
}

impl FittedBandedRidge {
    /// From a ridge on columns scaled by the roots of `weights`.
    pub(super) fn new(scaled: &FittedRidge, weights: &[f64], space_of_column: Vec<usize>) -> Self {
        let n_voxels = scaled.n_voxels();
        let mut coef = scaled.coef();
        let factors = scales(weights, &space_of_column);
        for (mut row, scale) in coef.axis_iter_mut(Axis(0)).zip(factors) {
            row *= scale;
        }
        let space_weights = Array2::from_shape_fn((weights.len(), n_voxels), |(i, _)| weights[i]);
        Self {
            space_of_column,
            space_weights,
            best_alphas: scaled.best_alphas().to_vec(),
            coef,
            intercept: scaled.intercept(),
        }
    }

    /// Parts with the numbers of their voxels, which together are `0..n_voxels`, at least one.
    pub(super) fn joined(parts: Vec<(Vec<usize>, Self)>, n_voxels: usize) -> Self {
        let first = &parts[0].1;
        let mut whole = Self {
            space_of_column: first.space_of_column.clone(),
            space_weights: Array2::zeros((first.space_weights.nrows(), n_voxels)),
            best_alphas: vec![0.0; n_voxels],
            coef: Array2::zeros((first.coef.nrows(), n_voxels)),
            intercept: first.intercept.as_ref().map(|_| Array1::zeros(n_voxels)),
        };
        for (voxels, part) in parts {
            for (from, &to) in voxels.iter().enumerate() {
                let weights = part.space_weights.column(from);
                whole.space_weights.column_mut(to).assign(&weights);
                whole.best_alphas[to] = part.best_alphas[from];
                whole.coef.column_mut(to).assign(&part.coef.column(from));
                if let (Some(whole), Some(part)) = (&mut whole.intercept, &part.intercept) {
                    whole[to] = part[from];
                }
            }
        }
        whole
    }

    /// The weight (gamma) of each feature space, `[n_spaces, n_voxels]`; the penalty on a space is
    /// `alpha² / gamma`, himalaya's `deltas_` are `ln(gamma / alpha²)`.
    #[must_use]
    pub fn space_weights(&self) -> ArrayView2<'_, f64> {
        self.space_weights.view()
    }

    /// The alpha of each voxel, a value of the grid as given; its square divided by a space's weight is
    /// the penalty on that space.
    #[must_use]
    pub fn best_alphas(&self) -> &[f64] {
        &self.best_alphas
    }

    /// Weights of the features as they were given, `[n_features, n_voxels]`.
    #[must_use]
    pub fn coef(&self) -> ArrayView2<'_, f32> {
        self.coef.view()
    }

    /// Intercept of each voxel, `[n_voxels]`; none if the fit had none.
    #[must_use]
    pub fn intercept(&self) -> Option<ArrayView1<'_, f32>> {
        self.intercept.as_ref().map(Array1::view)
    }

    /// Predictions of each feature space alone, `[n_spaces, n_samples, n_voxels]`, for `x`, `[n_samples,
    /// n_features]`. Their sum, with the intercept if there is one, is the prediction.
    ///
    /// # Errors
    /// As [`FittedEncodingModel::predict`].
    pub fn predict_split(&self, x: ArrayView2<'_, f32>) -> Result<Array3<f32>> {
        check::features(x, self.coef.nrows())?;
        let (n_spaces, n_voxels) = self.space_weights.dim();
        let mut split = Array3::zeros((n_spaces, x.nrows(), n_voxels));
        for (space, mut part) in split.outer_iter_mut().enumerate() {
            let columns = |(column, &of): (usize, &usize)| (of == space).then_some(column);
            let columns = self.space_of_column.iter().enumerate().filter_map(columns);
            let columns: Vec<usize> = columns.collect();
            if columns.is_empty() {
                continue;
            }
            let (x, coef) = (
                x.select(Axis(1), &columns),
                self.coef.select(Axis(0), &columns),
            );
            part.assign(&product_of(x.view(), coef.view()));
        }
        Ok(split)
    }
}

impl FittedEncodingModel for FittedBandedRidge {
    fn n_features(&self) -> usize {
        self.coef.nrows()
    }

    fn n_voxels(&self) -> usize {
        self.coef.ncols()
    }

    fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        check::features(x, self.coef.nrows())?;
        let mut predicted = product_of(x, self.coef.view());
        if let Some(intercept) = &self.intercept {
            predicted += intercept;
        }
        Ok(predicted)
    }
}

impl<D: Data<Elem = f32>> linfa::traits::PredictInplace<ArrayBase<D, Ix2>, Array2<f32>>
    for FittedBandedRidge
{
    /// # Panics
    /// If [`FittedEncodingModel::predict`] errs on `x`, or if `y` has another shape than its result:
    /// linfa's trait has no errors.
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array2<f32>) {
        let predictions = self.predict(x.view());
        y.assign(&predictions.expect("x must suit the fit"));
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array2<f32> {
        Array2::zeros((x.nrows(), self.n_voxels()))
    }
}
