//! A fitted ridge: best alphas, scores, and weights made when they are asked for.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use faer::{Mat, MatMut};
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix2, ShapeBuilder};
use rayon::prelude::*;

use super::{
    accuracy::{self, NumericalError},
    edges::GridEdges,
    matrix::{from_array, par_columns, par_product},
    panels::Panels,
    prepared::Whole,
    real::Real,
    tile::Tile,
};
use crate::{Alphas, FittedEncodingModel, Result, check};

/// Ridge weights of some voxels, each with its own alpha (penalty alpha²).
///
/// It holds what the weights are made of; [`coef`](FittedRidge::coef) and
/// [`predict`](FittedRidge::predict) do the rest of the work when called.
pub struct FittedRidge {
    alphas: Alphas,
    best: Vec<usize>,
    best_alphas: Vec<f64>,
    scores: Array2<f64>,
    error: NumericalError,
    inner: Inner,
}

pub(crate) enum Inner {
    Single(Weights<f32>),
    Double(Weights<f64>),
}

/// Tiles of voxels, and their weights in the basis of all rows once they are needed.
pub(crate) struct Weights<T> {
    whole: Arc<Whole<T>>,
    tiles: Vec<Tile<T>>,
    penalties: Vec<f64>,
    /// `[n_values, n_voxels]` per tile.
    in_basis: OnceLock<Vec<Mat<T>>>,
}

macro_rules! either {
    ($inner:expr, $weights:ident => $body:expr) => {
        match $inner {
            Inner::Single($weights) => $body,
            Inner::Double($weights) => $body,
        }
    };
}

impl FittedRidge {
    pub(crate) fn new<T: Real>(
        alphas: &Alphas,
        whole: &Arc<Whole<T>>,
        tiles: Vec<Tile<T>>,
        wrap: impl FnOnce(Weights<T>) -> Inner,
    ) -> Self {
        let best: Vec<usize> = tiles.iter().flat_map(|tile| tile.best.clone()).collect();
        let best_alphas: Vec<f64> = best.iter().map(|&i| alphas.as_slice()[i]).collect();
        let weights = Weights {
            whole: Arc::clone(whole),
            penalties: best_alphas.iter().map(|alpha| alpha * alpha).collect(),
            in_basis: OnceLock::new(),
            tiles,
        };
        Self {
            alphas: alphas.clone(),
            scores: gather_scores(&weights.tiles, best.len()),
            error: NumericalError::default(),
            best,
            best_alphas,
            inner: wrap(weights),
        }
    }

    /// With alphas that were chosen together with other voxels, as places in the grid.
    pub(crate) fn choose(&mut self, best: Vec<usize>) {
        self.best_alphas = best.iter().map(|&i| self.alphas.as_slice()[i]).collect();
        let penalties = self.best_alphas.iter().map(|alpha| alpha * alpha).collect();
        either!(&mut self.inner, weights => weights.penalties = penalties);
        self.best = best;
    }

    /// With scores that were computed before.
    pub(crate) fn set_scores(&mut self, scores: Array2<f64>) {
        self.scores = scores;
    }

    /// Measures the numerical error on a few of the responses it was fitted to.
    pub(crate) fn measure(&mut self, y: ArrayView2<'_, f32>) {
        self.error = either!(&self.inner, weights => weights.error(y));
    }

    /// How far predictions are from those of the exact solution, on a few voxels, the first among
    /// them.
    #[must_use]
    pub fn numerical_error(&self) -> NumericalError {
        self.error
    }

    /// The alpha of each voxel, a value of the grid as given; the penalty is its square.
    #[must_use]
    pub fn best_alphas(&self) -> &[f64] {
        &self.best_alphas
    }

    /// Cross-validated scores, mean over folds, `[n_alphas, n_voxels]`; no rows if the fit had no
    /// folds.
    #[must_use]
    pub fn cv_scores(&self) -> ArrayView2<'_, f64> {
        self.scores.view()
    }

    /// How many voxels chose an end of the grid.
    #[must_use]
    pub fn grid_edges(&self) -> GridEdges {
        GridEdges::count(&self.best, self.alphas.as_slice().len())
    }

    /// Weights, `[n_features, n_voxels]`, column-major; computed at each call.
    #[must_use]
    pub fn coef(&self) -> Array2<f32> {
        either!(&self.inner, weights => weights.coef())
    }

    /// Intercept of each voxel, `[n_voxels]`; none if the fit had none.
    #[must_use]
    pub fn intercept(&self) -> Option<Array1<f32>> {
        either!(&self.inner, weights => weights.intercept())
    }

    /// Number of columns of the design.
    #[must_use]
    pub fn n_features(&self) -> usize {
        either!(&self.inner, weights => weights.whole.x.n_columns())
    }

    /// Number of voxels.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.best.len()
    }

    /// Pearson r and R² of predictions for `x` `[n_samples, n_features]` with `y` `[n_samples, n_voxels]`, per
    /// voxel: of both less the training means, which are far larger than what they vary by in some data.
    ///
    /// # Errors
    /// As [`predict`](FittedRidge::predict); `y` of another shape.
    pub fn score(
        &self,
        x: ArrayView2<'_, f32>,
        y: ArrayView2<'_, f32>,
    ) -> Result<(Array1<f32>, Array1<f32>)> {
        check::features(x, self.n_features())?;
        check::columns("y", y, self.n_voxels())?;
        check::finite("y", y)?;
        let (predicted, means) = either!(&self.inner, weights => weights.about_means(x));
        let mut y = y.to_owned();
        for (mut column, mean) in y.columns_mut().into_iter().zip(means) {
            #[allow(clippy::cast_possible_truncation)] // what is left is small
            column.mapv_inplace(|value| (f64::from(value) - mean) as f32);
        }
        let r = crate::pearson_r(predicted.view(), y.view())?;
        Ok((r, crate::r2_score(y.view(), predicted.view())?))
    }

    /// Predictions for `x`, `[n_samples, n_features]`: `[n_samples, n_voxels]`, column-major.
    ///
    /// # Errors
    /// Another number of columns, no rows, values that are not finite.
    pub fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        check::features(x, self.n_features())?;
        Ok(either!(&self.inner, weights => weights.predict(x)))
    }
}

impl fmt::Debug for FittedRidge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FittedRidge")
            .field("n_features", &self.n_features())
            .field("n_voxels", &self.n_voxels())
            .finish_non_exhaustive()
    }
}

impl<T: Real> Weights<T> {
    fn in_basis(&self) -> &[Mat<T>] {
        self.in_basis.get_or_init(|| {
            let starts = self.starts();
            let parts = self.tiles.par_iter().zip(&starts);
            let one = |(tile, &start): (&Tile<T>, &usize)| {
                let penalties = &self.penalties[start..][..tile.best.len()];
                self.whole.weights(tile.moment.as_ref(), penalties)
            };
            parts.map(one).collect()
        })
    }

    /// Number of the first voxel of each tile.
    fn starts(&self) -> Vec<usize> {
        let widths = self.tiles.iter().map(|tile| tile.best.len());
        let start = |next: &mut usize, width| Some(std::mem::replace(next, *next + width));
        widths.scan(0, start).collect()
    }

    /// Of a few voxels, with `y` the responses of all.
    fn error(&self, y: ArrayView2<'_, f32>) -> NumericalError {
        let starts = self.starts();
        let mut error = NumericalError::default();
        if self.whole.basis.values.is_empty() {
            return error; // prepared to score only
        }
        for voxel in accuracy::sample(self.penalties.len()) {
            let place = starts.partition_point(|&start| start <= voxel) - 1;
            let (tile, local) = (&self.tiles[place], voxel - starts[place]);
            let penalty = self.penalties[voxel];
            let moment = tile.moment.as_ref().subcols(local, 1);
            let weights = self.whole.weights(moment, &[penalty]);
            let mean = tile.y_means.as_ref().map_or(0.0, |means| means[local]);
            let y: Vec<f64> = y
                .column(voxel)
                .iter()
                .map(|&y| f64::from(y) - mean)
                .collect();
            error.merge(NumericalError {
                n_voxels: 1,
                largest: accuracy::of_voxel(&self.whole, &y, weights.as_ref(), penalty),
            });
        }
        error
    }

    /// `projected * weights` in the basis, tile by tile, as `[projected.nrows(), n_voxels]`.
    fn apply(
        &self,
        projected: &Panels<T>,
        offset: impl Fn(&Tile<T>, usize) -> f64 + Sync,
    ) -> Array2<f32> {
        let (n_rows, n_voxels) = (projected.n_rows(), self.penalties.len());
        let mut values = vec![0.0; n_rows * n_voxels];
        let mut rest = values.as_mut_slice();
        let mut tiles = Vec::with_capacity(self.tiles.len());
        for (weights, tile) in self.in_basis().iter().zip(&self.tiles) {
            let (into, later) = rest.split_at_mut(n_rows * weights.ncols());
            tiles.push((weights, tile, into));
            rest = later;
        }
        let fill = |part: &mut Vec<T>, (weights, tile, into): (&Mat<T>, &Tile<T>, &mut [f32])| {
            part.resize(into.len(), T::zero());
            let dst = MatMut::from_column_major_slice_mut(part, n_rows, weights.ncols());
            projected.multiply(dst, weights.as_ref());
            let columns = part.chunks_exact(n_rows).zip(into.chunks_exact_mut(n_rows));
            for (voxel, (column, into)) in columns.enumerate() {
                let offset = T::rounded(offset(tile, voxel));
                for (into, &value) in into.iter_mut().zip(column) {
                    *into = (value + offset).narrow();
                }
            }
        };
        tiles.into_par_iter().for_each_init(Vec::new, fill);
        Array2::from_shape_vec((n_rows, n_voxels).f(), values).expect("tiles hold every voxel")
    }

    fn coef(&self) -> Array2<f32> {
        let whole = &self.whole;
        self.apply(
            whole.loadings.get_or_init(|| whole.make_loadings()),
            |_, _| 0.0,
        )
    }

    fn predict(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        self.predict_with(x, |tile, voxel| {
            tile.y_means.as_ref().map_or(0.0, |means| means[voxel])
        })
    }

    /// Predictions less the means of the training responses, and those means; 0 without an intercept.
    fn about_means(&self, x: ArrayView2<'_, f32>) -> (Array2<f32>, Vec<f64>) {
        let means = |tile: &Tile<T>| {
            let none = || vec![0.0; tile.best.len()];
            tile.y_means.clone().unwrap_or_else(none)
        };
        let means = self.tiles.iter().flat_map(means).collect();
        (self.predict_with(x, |_, _| 0.0), means)
    }

    fn predict_with(
        &self,
        x: ArrayView2<'_, f32>,
        offset: impl Fn(&Tile<T>, usize) -> f64 + Sync,
    ) -> Array2<f32> {
        let whole = &self.whole;
        let mut x: Mat<T> = from_array(x, whole.x_means.as_deref());
        if !whole.primal {
            let cross = par_columns(x.transpose(), |rows| whole.x.times(rows));
            x = cross.transpose().to_owned();
        }
        let projected = par_product(x.as_ref(), whole.basis.vectors.as_ref());
        self.apply(&Panels::new(projected.as_ref()), offset)
    }

    fn intercept(&self) -> Option<Array1<f32>> {
        let n_features = self.whole.x_means.as_ref()?.len();
        let at_zero = self.predict(Array2::zeros((1, n_features)).view());
        Some(at_zero.row(0).to_owned())
    }
}

fn gather_scores<T>(tiles: &[Tile<T>], n_voxels: usize) -> Array2<f64> {
    let n_alphas = tiles
        .first()
        .map_or(0, |tile| tile.scores.len() / tile.best.len());
    let mut scores = Vec::with_capacity(n_alphas * n_voxels);
    for alpha in 0..n_alphas {
        for tile in tiles {
            let width = tile.best.len();
            scores.extend_from_slice(&tile.scores[alpha * width..(alpha + 1) * width]);
        }
    }
    Array2::from_shape_vec((n_alphas, n_voxels), scores).expect("n_voxels scores per alpha")
}

impl FittedEncodingModel for FittedRidge {
    fn n_features(&self) -> usize {
        Self::n_features(self)
    }

    fn n_voxels(&self) -> usize {
        Self::n_voxels(self)
    }

    fn predict(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        Self::predict(self, x)
    }
}

impl<D: Data<Elem = f32>> linfa::traits::PredictInplace<ArrayBase<D, Ix2>, Array2<f32>>
    for FittedRidge
{
    /// # Panics
    /// If [`FittedRidge::predict`] errs on `x`, or if `y` has another shape than its result: linfa's
    /// trait has no errors.
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array2<f32>) {
        let predictions = Self::predict(self, x.view());
        y.assign(&predictions.expect("x must suit the fit"));
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array2<f32> {
        Array2::zeros((x.nrows(), Self::n_voxels(self)).f())
    }
}

impl<D: Data<Elem = f32>> linfa::traits::PredictInplace<ArrayBase<D, Ix2>, Array1<f32>>
    for FittedRidge
{
    /// # Panics
    /// If [`FittedRidge::predict`] errs on `x`, if the fit has more than one response or `y` another
    /// length than `x`: linfa's trait has no errors.
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array1<f32>) {
        let predictions = Self::predict(self, x.view()).expect("x must suit the fit");
        assert_eq!(predictions.ncols(), 1, "a vector holds one response");
        y.assign(&predictions.column(0));
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<f32> {
        Array1::zeros(x.nrows())
    }
}
