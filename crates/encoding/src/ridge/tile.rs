//! Cross-validation of one small tile of voxels, sequential.
//!
//! Tiles have a fixed width, so that results do not depend on the number of threads, on the memory
//! budget or on which voxels a caller fits together (cut at multiples of the width).

use std::ops::Range;

use faer::{
    Mat, MatMut, MatRef,
    traits::pulp::{Arch, Simd, WithSimd},
};
use ndarray::ArrayView2;

use super::{
    filter::FilterBank,
    matrix::gather_rows,
    panels::Panels,
    prepared::{Fold, Part, Prepared, subtract_means, training_means},
    real::Real,
};
use crate::{
    CvScore, EncodingError, Result,
    score::{Sums, Target},
};

/// Voxels of a tile; the last one may have fewer.
pub(crate) const TILE: usize = 256;

/// Voxels whose predictions are made, combined and scored while they are in cache; where left factors
/// hold the filters there are more of those to read, so that all voxels of a tile pass at once.
const CHUNK: usize = 64;

/// What a tile's fit leaves: enough to make weights of, not the weights.
pub(crate) struct Tile<T> {
    /// Primal: `X'Y`, `[n_features, n_voxels]`, or in all rows' basis where folds share it, `[n_values,
    /// n_voxels]`. Dual: `Y`, `[n_samples, n_voxels]`.
    pub(crate) moment: Mat<T>,
    /// With an intercept only.
    pub(crate) y_means: Option<Vec<f64>>,
    /// Mean over folds, `[n_alphas, n_voxels]`, voxels of one alpha together; empty without folds.
    pub(crate) scores: Vec<f64>,
    /// Place in the grid, per voxel.
    pub(crate) best: Vec<usize>,
}

/// Buffers that outlive a tile.
#[derive(Default)]
pub(crate) struct Workspace<T> {
    scaled: Vec<T>,
    products: Vec<T>,
}

/// What a tile is fitted for.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    pub(crate) score: CvScore,
    pub(crate) n_alphas: usize,
    /// Whether folds score the alphas; if not, they are known already.
    pub(crate) validates: bool,
}

/// Fits `y`, `[n_samples, at most TILE]`; `first` is the number of its first voxel, for messages.
pub(crate) fn fit<T: Real>(
    prepared: &Prepared<T>,
    y: ArrayView2<'_, f32>,
    first: usize,
    task: Task,
    work: &mut Workspace<T>,
) -> Result<Tile<T>> {
    let whole = &prepared.whole;
    let y_means = whole
        .x_means
        .is_some()
        .then(|| super::real::column_means(y).to_vec());
    let y: Mat<T> = super::matrix::from_array(y, y_means.as_deref());
    let targets: Vec<Mat<T>> = prepared
        .folds
        .iter()
        .map(|fold| gather_rows(y.as_ref(), &fold.validation, &[]))
        .collect();
    let (moment, held_out) = moments(prepared, &y, &targets);
    if let Some(column) = (0..moment.ncols()).find(|&j| !all_finite(moment.col_as_slice(j))) {
        return Err(EncodingError::Overflow {
            column: first + column,
        });
    }
    let held_out = targets.into_iter().zip(held_out).collect();
    let scores = if task.validates && !prepared.folds.is_empty() {
        mean_scores(&prepared.folds, (&y, &moment), held_out, first, task, work)?
    } else {
        Vec::new()
    };
    Ok(Tile {
        best: argmax(&scores, y.ncols()),
        moment: if whole.primal { moment } else { y },
        y_means,
        scores,
    })
}

/// Scores, mean over folds, `[n_alphas, n_voxels]`, of the responses `y` and their moment; `held_out`
/// are those of each fold's validation rows.
fn mean_scores<T: Real>(
    folds: &[Fold<T>],
    (y, moment): (&Mat<T>, &Mat<T>),
    held_out: Vec<(Mat<T>, Option<Mat<T>>)>,
    first: usize,
    task: Task,
    work: &mut Workspace<T>,
) -> Result<Vec<f64>> {
    let Task {
        score, n_alphas, ..
    } = task;
    let n_voxels = y.ncols();
    let mut scores = vec![0.0; n_alphas * n_voxels];
    for (fold, (mut target, held_out)) in folds.iter().zip(held_out) {
        let z = project(fold, y, moment, held_out, &mut target);
        let about: Vec<Target> = (0..n_voxels)
            .map(|voxel| Target::new(target.col_as_slice(voxel)))
            .collect();
        let sums = validate(fold, &z, &target, &about, score, n_alphas, work);
        for (total, sums) in scores.chunks_mut(n_voxels).zip(sums.chunks(n_voxels)) {
            for ((total, sums), about) in total.iter_mut().zip(sums).zip(&about) {
                *total += score.finish(sums, about);
            }
        }
    }
    if let Some(i) = scores.iter().position(|score| !score.is_finite()) {
        let column = first + i % n_voxels;
        return Err(EncodingError::Overflow { column });
    }
    let n_folds = folds.len() as f64;
    for score in &mut scores {
        *score /= n_folds;
    }
    Ok(scores)
}

/// Primal: `X'Y` of all rows and of each fold's validation rows, in the basis where folds share it.
/// Where each row validates once, the first is the sum of the others.
fn moments<T: Real>(
    prepared: &Prepared<T>,
    y: &Mat<T>,
    targets: &[Mat<T>],
) -> (Mat<T>, Vec<Option<Mat<T>>>) {
    let whole = &prepared.whole;
    if !whole.primal {
        return (Mat::zeros(0, 0), targets.iter().map(|_| None).collect());
    }
    let held_out: Vec<Option<Mat<T>>> = prepared
        .folds
        .iter()
        .zip(targets)
        .map(|(fold, target)| Some(fold.x.as_ref()?.moment(target.as_ref())))
        .collect();
    if !prepared.partition {
        return (whole.x.moment(y.as_ref()), held_out);
    }
    let mut parts = held_out.iter().flatten();
    let mut sum = parts.next().cloned().unwrap_or_else(|| Mat::zeros(0, 0));
    for part in parts {
        sum += part;
    }
    (sum, held_out)
}

/// The training rows' responses in the fold's basis, `[n_values, n_voxels]`; as they are, `[n_training,
/// n_voxels]`, in dual form without one. With an intercept,
/// `target` loses the mean of the training rows.
fn project<T: Real>(
    fold: &Fold<T>,
    y: &Mat<T>,
    moment: &Mat<T>,
    held_out: Option<Mat<T>>,
    target: &mut Mat<T>,
) -> Mat<T> {
    let n_training = fold.training.len();
    let mut shift = Vec::new();
    if fold.intercept {
        shift = training_means(target, n_training);
        for (j, &shift) in shift.iter().enumerate() {
            for value in target.col_as_slice_mut(j) {
                *value -= shift;
            }
        }
    }
    let projected = match held_out {
        Some(mut held_out) => {
            for j in 0..held_out.ncols() {
                let all = moment.col_as_slice(j);
                for (held_out, &all) in held_out.col_as_slice_mut(j).iter_mut().zip(all) {
                    *held_out = all - *held_out;
                }
            }
            subtract_means(&mut held_out, &fold.shift, &shift, n_training);
            held_out
        }
        None => gather_rows(y.as_ref(), &fold.training, &shift),
    };
    match &fold.to_basis {
        Some(to_basis) => to_basis.times(projected.as_ref()),
        None => projected,
    }
}

/// Sums over the fold's validation rows that the score is made of, for each alpha and voxel.
fn validate<T: Real>(
    fold: &Fold<T>,
    z: &Mat<T>,
    target: &Mat<T>,
    about: &[Target],
    score: CvScore,
    n_alphas: usize,
    work: &mut Workspace<T>,
) -> Vec<Sums> {
    let n_voxels = z.ncols();
    let mut sums = vec![Sums::default(); n_alphas * n_voxels];
    let chunk = if fold.bank.runs.is_empty() {
        n_voxels
    } else {
        CHUNK
    };
    for first in (0..n_voxels).step_by(chunk.max(1)) {
        let voxels = first..n_voxels.min(first + chunk);
        let of_voxels = z.as_ref().subcols(first, voxels.len());
        scale(&fold.bank, of_voxels, &mut work.scaled);
        for part in &fold.parts {
            multiply(&fold.bank, part, of_voxels, work);
            Arch::new().dispatch(Add {
                sums: &mut sums,
                products: &work.products,
                combine: fold.bank.combine.as_ref(),
                target,
                about,
                rows: part.rows.clone(),
                voxels: voxels.clone(),
                score,
            });
        }
    }
    sums
}

/// Adds the predictions of some rows and voxels to the sums.
struct Add<'a, T> {
    sums: &'a mut [Sums],
    /// `[rows, voxels]`, column-major, one after the other.
    products: &'a [T],
    /// `[n_products, n_alphas]`; none if the products are the alphas' predictions.
    combine: Option<&'a Mat<T>>,
    target: &'a Mat<T>,
    about: &'a [Target],
    rows: Range<usize>,
    voxels: Range<usize>,
    score: CvScore,
}

impl<T: Real> WithSimd for Add<'_, T> {
    type Output = ();

    // Inlined into a function that may use all the processor has.
    #[inline(always)]
    #[allow(clippy::inline_always)]
    fn with_simd<S: Simd>(self, _: S) {
        let (n_rows, n_voxels) = (self.rows.len(), self.about.len());
        let len = n_rows * self.voxels.len();
        let n_products = self.products.len() / len;
        let n_alphas = self.combine.map_or(n_products, Mat::ncols);
        let mut combined = vec![T::zero(); n_rows];
        for (i, voxel) in self.voxels.clone().enumerate() {
            let y = &self.target.col_as_slice(voxel)[self.rows.clone()];
            let mean = self.about[voxel].mean;
            let column = |product: usize| &self.products[product * len + i * n_rows..][..n_rows];
            for alpha in 0..n_alphas {
                let p = match self.combine {
                    None => column(alpha),
                    Some(combine) => {
                        weigh(combine.col_as_slice(alpha), &column, &mut combined);
                        &combined
                    }
                };
                let sums = &mut self.sums[alpha * n_voxels + voxel];
                self.score.accumulate(sums, y, p, mean);
            }
        }
    }
}

/// The sum of columns, each times its weight; some rows at a time, so that sums stay in registers.
#[inline(always)]
#[allow(clippy::inline_always)]
fn weigh<'a, T: Real>(weights: &[T], column: &impl Fn(usize) -> &'a [T], into: &mut [T]) {
    const LANES: usize = 64;
    let (chunks, rest) = into.as_chunks_mut::<LANES>();
    let first_left = chunks.len() * LANES;
    for (chunk, into) in chunks.iter_mut().enumerate() {
        let mut sums = [T::zero(); LANES];
        for (product, &weight) in weights.iter().enumerate() {
            let values = &column(product)[chunk * LANES..][..LANES];
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum += value * weight;
            }
        }
        *into = sums;
    }
    rest.fill(T::zero());
    for (product, &weight) in weights.iter().enumerate() {
        for (sum, &value) in rest.iter_mut().zip(&column(product)[first_left..]) {
            *sum += value * weight;
        }
    }
}

/// `diag(weights) Z` for every product of every run, `[run, n_voxels]` each, one after the other.
fn scale<T: Real>(bank: &FilterBank<T>, z: MatRef<'_, T>, scaled: &mut Vec<T>) {
    scaled.clear();
    for run in &bank.runs {
        for product in 0..run.weights.ncols() {
            let weights = run.weights.col_as_slice(product);
            for voxel in 0..z.ncols() {
                let z = z.col(voxel).subrows(run.range.start, run.range.len());
                let z = z.iter();
                scaled.extend(z.zip(weights).map(|(&z, &weight)| z * weight));
            }
        }
    }
}

/// Products of a part of the validation rows with the responses `z` in the basis, scaled before if
/// the bank has runs: `[rows, n_voxels]` each, column-major, one after the other.
fn multiply<T: Real>(
    bank: &FilterBank<T>,
    part: &Part<T>,
    z: MatRef<'_, T>,
    work: &mut Workspace<T>,
) {
    let (n_rows, n_voxels) = (part.rows.len(), z.ncols());
    let len = n_rows * n_voxels;
    work.products.resize(len * bank.n_products, T::zero());
    if bank.runs.is_empty() {
        Panels::multiply_all(&part.runs, &mut work.products, z);
    }
    let mut read = 0;
    for (run, rows) in bank.runs.iter().zip(&part.runs) {
        let (n_values, n_columns) = (run.range.len(), n_voxels * run.weights.ncols());
        let scaled = &work.scaled[read..read + n_values * n_columns];
        read += scaled.len();
        let into = &mut work.products[run.first * len..][..n_rows * n_columns];
        rows.multiply(
            MatMut::from_column_major_slice_mut(into, n_rows, n_columns),
            MatRef::from_column_major_slice(scaled, n_values, n_columns),
        );
    }
}

/// Per voxel the first alpha of the highest score; 0 where there are no scores.
fn argmax(scores: &[f64], n_voxels: usize) -> Vec<usize> {
    let mut best = vec![0; n_voxels];
    for (alpha, of_alpha) in scores.chunks(n_voxels).enumerate() {
        for (voxel, best) in best.iter_mut().enumerate() {
            if of_alpha[voxel] > scores[*best * n_voxels + voxel] {
                *best = alpha;
            }
        }
    }
    best
}

fn all_finite<T: Real>(values: &[T]) -> bool {
    values
        .iter()
        .all(|&value| num_traits::Float::is_finite(value))
}
