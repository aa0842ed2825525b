//! Everything about the features that does not depend on the responses, decomposed once.
//!
//! Primal form: `X'X = V diag(λ) V'`, weights `V diag(1 / (λ + alpha²)) V' X'y`. Dual form: `XX' = U
//! diag(λ) U'`, weights `X' U diag(1 / (λ + alpha²)) U' y`. After that both are the same: a fold is
//! a basis, its eigenvalues and the projection of its validation rows on the basis. A fold's
//! training Gram matrix is that of all rows less that of its validation rows. Where it pays, folds have no
//! basis of their own (`downdate.rs`).

use std::{
    ops::{ControlFlow, Range},
    sync::OnceLock,
};

use faer::{Mat, MatRef};
use rayon::prelude::*;

use super::{
    downdate::share,
    features::{Features, Source, Transposed},
    filter::{FilterBank, Run, filter},
    matrix::{eigh, gather_rows, largest_eigenvalue, par_columns, product},
    panels::{self, Panels},
    real::{Precision, Real, column_means},
    settings::{Settings, Work},
};
use crate::{EncodingError, FitProgress, Folds, OnProgress, Result};

/// Validation rows whose predictions are made together; whole kernels, few enough to stay in cache.
pub(crate) const ROWS: usize = 2 * panels::ROWS;

/// Eigenvectors in columns, and eigenvalues, ascending.
pub(crate) struct Basis<T> {
    pub(crate) vectors: Mat<T>,
    pub(crate) values: Vec<f64>,
    /// Eigenvalues up to this are rounding.
    pub(crate) noise: f64,
}

/// All rows.
pub(crate) struct Whole<T> {
    pub(crate) primal: bool,
    /// `[n_samples, n_features]`, less `x_means` with an intercept.
    pub(crate) x: Features<T>,
    /// With an intercept only.
    pub(crate) x_means: Option<Vec<f64>>,
    pub(crate) basis: Basis<T>,
    /// The basis' vectors in rows; empty where moments are made in the basis.
    pub(crate) to_basis: Panels<T>,
    /// Whether moments are made in this basis (primal folds that share it).
    pub(crate) shared: bool,
    /// The basis in terms of the features, `[n_features, n_values]`, once weights are asked for.
    pub(crate) loadings: OnceLock<Panels<T>>,
}

/// One fold.
pub(crate) struct Fold<T> {
    pub(crate) validation: Vec<usize>,
    pub(crate) training: Vec<usize>,
    /// `[n_validation, n_features]`, not centred on the training rows; `[n_validation, n_values]` where
    /// moments are made in the basis. None in dual form.
    pub(crate) x: Option<Transposed<T>>,
    /// Whether its rows are centred on the mean of its training rows.
    pub(crate) intercept: bool,
    /// That mean, of [`Whole::x`]; empty without intercept or in dual form.
    pub(crate) shift: Vec<T>,
    /// Eigenvectors, in rows; none where folds have no basis of their own.
    pub(crate) to_basis: Option<Panels<T>>,
    /// Left factors of predictions, a part of the validation rows after another.
    pub(crate) parts: Vec<Part<T>>,
    pub(crate) bank: FilterBank<T>,
}

/// Validation rows whose predictions are made together.
pub(crate) struct Part<T> {
    pub(crate) rows: Range<usize>,
    /// Those rows in the basis, the eigenvalues of each run of the bank: `[n_rows, n_values]`. Where the bank
    /// has no runs, one for each product, over the basis or, in dual form, the training rows.
    pub(crate) runs: Vec<Panels<T>>,
}

impl<T: Real> Part<T> {
    fn all(projected: MatRef<'_, T>, bank: &FilterBank<T>) -> Vec<Self> {
        let part = |rows: Range<usize>| {
            let projected = projected.subrows(rows.start, rows.len());
            let of_run = |run: &Run<T>| {
                let values = projected.subcols(run.range.start, run.range.len());
                Panels::new(values)
            };
            let runs = bank.runs.iter().map(of_run).collect();
            Self { rows, runs }
        };
        part_rows(projected.nrows()).map(part).collect()
    }
}

/// Rows of each part: [`ROWS`], the last up to half as many more rather than few.
pub(crate) fn part_rows(n_rows: usize) -> impl Iterator<Item = Range<usize>> {
    let n_parts = ((n_rows + ROWS / 2 - 1) / ROWS).max(1);
    (0..n_parts).map(move |part| {
        let end = if part + 1 == n_parts {
            n_rows
        } else {
            (part + 1) * ROWS
        };
        part * ROWS..end
    })
}

/// All decompositions.
pub(crate) struct Prepared<T> {
    pub(crate) whole: std::sync::Arc<Whole<T>>,
    pub(crate) folds: Vec<Fold<T>>,
    /// Whether each row validates exactly once.
    pub(crate) partition: bool,
}

/// Why a precision does not do.
pub(crate) enum Unfit {
    /// Try the next.
    Imprecise,
    /// Give up.
    Error(EncodingError),
}

impl<T: Real> Prepared<T> {
    pub(crate) fn new(
        source: Source<'_>,
        settings: &Settings<'_>,
        on: &mut OnProgress<'_>,
    ) -> Result<Self, Unfit> {
        let x_means = settings
            .intercept
            .then(|| column_means(source.values()).to_vec());
        let x: Features<T> = source.features(x_means.as_deref());
        let primal = settings.is_primal(x.n_rows(), x.n_columns());
        let gram = if primal { x.gram() } else { x.kernel() };
        let largest = largest_eigenvalue(gram.as_ref());
        settings.check_precision::<T>(largest)?;
        let mut whole = Whole::undecomposed(primal, x, x_means);
        let (combination, basis) = settings.combination(&whole, gram.as_ref(), largest);
        whole.shared = primal && combination.is_some();
        let (folds, basis) = match &combination {
            Some(combination) => share(&whole, gram.as_ref(), basis, combination, settings, on)?,
            None => decompose(&whole, gram.as_ref(), basis, settings, on)?,
        };
        if let Some(basis) = basis.filter(|_| settings.work == Work::All) {
            let basis = whole.limited(basis);
            if !whole.shared {
                whole.to_basis = Panels::new(basis.vectors.transpose());
            }
            whole.basis = basis;
        }
        Ok(Self {
            whole: whole.into(),
            folds,
            partition: settings.folds.is_some_and(Folds::is_partition),
        })
    }
}

impl<T: Real> Whole<T> {
    /// Without its basis.
    fn undecomposed(primal: bool, x: Features<T>, x_means: Option<Vec<f64>>) -> Self {
        Self {
            primal,
            x,
            x_means,
            basis: Basis {
                vectors: Mat::zeros(0, 0),
                values: Vec::new(),
                noise: 0.0,
            },
            to_basis: Panels::new(MatRef::from_column_major_slice(&[], 0, 0)),
            shared: false,
            loadings: OnceLock::new(),
        }
    }

    /// Largest rank that `n_rows` of its rows can have.
    pub(crate) fn rank(&self, n_rows: usize) -> usize {
        let free = n_rows - usize::from(self.x_means.is_some());
        free.min(self.x.n_columns())
    }

    /// Of all rows' Gram matrix or kernel.
    pub(crate) fn basis_of(&self, gram: MatRef<'_, T>) -> Option<Basis<T>> {
        Some(self.limited(Basis::complete(gram)?))
    }

    /// A complete basis without what is rounding.
    fn limited(&self, basis: Basis<T>) -> Basis<T> {
        let basis = basis.limited(self.rank(self.x.n_rows()));
        if self.primal {
            basis
        } else {
            basis.without_noise()
        }
    }

    /// Weights in the basis, `[n_values, n_voxels]`, from `moment` and a penalty for each voxel.
    pub(crate) fn weights(&self, moment: MatRef<'_, T>, penalties: &[f64]) -> Mat<T> {
        let mut weights = if self.shared {
            moment.to_owned()
        } else {
            self.to_basis.times(moment)
        };
        for (voxel, &penalty) in penalties.iter().enumerate() {
            let column = weights.col_as_slice_mut(voxel).iter_mut();
            for (weight, &value) in column.zip(&self.basis.values) {
                *weight *= T::rounded(filter(value, penalty, self.basis.noise));
            }
        }
        weights
    }

    /// What [`Whole::loadings`] holds.
    pub(crate) fn make_loadings(&self) -> Panels<T> {
        let vectors = self.basis.vectors.as_ref();
        if self.primal {
            return Panels::new(vectors);
        }
        let loadings = match &self.x {
            Features::Matrix(x) => {
                let x = Panels::new(x.transpose());
                par_columns(vectors, |vectors| x.times(vectors))
            }
            Features::Shifted(x) => par_columns(vectors, |vectors| x.moment(vectors)),
        };
        Panels::new(loadings.as_ref())
    }
}

/// Folds, and the basis of all rows if it was made.
pub(crate) type Decomposed<T> = (Vec<Fold<T>>, Option<Basis<T>>);

/// Folds and, last, all rows; as many at a time as there are threads, so that progress can be told.
fn decompose<T: Real>(
    whole: &Whole<T>,
    gram: MatRef<'_, T>,
    mut basis: Option<Basis<T>>,
    settings: &Settings<'_>,
    on: &mut OnProgress<'_>,
) -> Result<Decomposed<T>, Unfit> {
    let wants_whole = settings.work == Work::All && basis.is_none();
    let total = settings.n_folds() + usize::from(wants_whole);
    let mut folds = Vec::with_capacity(settings.n_folds());
    let jobs: Vec<usize> = (0..total).collect();
    for batch in jobs.chunks(rayon::current_num_threads()) {
        let done: Vec<Job<T>> = batch
            .par_iter()
            .map(|&job| match settings.folds {
                Some(rows) if job < rows.n_folds() => {
                    fold(whole, gram, rows, job, settings).map(Job::Fold)
                }
                _ => whole.basis_of(gram).map(Job::Whole),
            })
            .collect::<Option<_>>()
            .ok_or(match T::PRECISION {
                Precision::Single => Unfit::Imprecise,
                Precision::Double => Unfit::Error(EncodingError::Decomposition),
            })?;
        for job in done {
            match job {
                Job::Fold(fold) => folds.push(fold),
                Job::Whole(whole) => basis = Some(whole),
            }
        }
        let done = batch.last().map_or(total, |last| last + 1);
        tell(on, done, total)?;
    }
    Ok((folds, basis))
}

/// Tells how far it is; an error if that is the end.
pub(crate) fn tell(on: &mut OnProgress<'_>, done: usize, total: usize) -> Result<(), Unfit> {
    match on(FitProgress::Decomposed { done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Unfit::Error(EncodingError::Cancelled)),
    }
}

#[allow(clippy::large_enum_variant)] // both are moved once
enum Job<T> {
    Fold(Fold<T>),
    Whole(Basis<T>),
}

impl<T: Real> Basis<T> {
    /// All directions.
    pub(crate) fn complete(gram: MatRef<'_, T>) -> Option<Self> {
        let (vectors, values) = eigh(gram)?;
        let epsilon: f64 = T::epsilon().into();
        let largest = values.last().copied().unwrap_or(0.0);
        Some(Self {
            vectors,
            noise: 10.0 * epsilon * largest,
            values,
        })
    }

    /// `rank`: what the matrix cannot exceed, for its shape. Eigenvalues beyond it are 0 but for rounding,
    /// which tiny penalties would blow up; so are their vectors' products with data, but for rounding.
    fn limited(mut self, rank: usize) -> Self {
        let n = self.values.len();
        for j in 0..n.saturating_sub(rank) {
            self.values[j] = 0.0;
            self.vectors.col_as_slice_mut(j).fill(T::zero());
        }
        self
    }

    /// Of a kernel: directions that are rounding have no part in any prediction, whatever the penalty, but
    /// what rounding puts into them is divided by it.
    fn without_noise(mut self) -> Self {
        for j in 0..self.values.len() {
            if self.values[j] <= self.noise {
                self.values[j] = 0.0;
                self.vectors.col_as_slice_mut(j).fill(T::zero());
            }
        }
        self
    }
}

fn fold<T: Real>(
    whole: &Whole<T>,
    gram: MatRef<'_, T>,
    folds: &Folds,
    fold: usize,
    settings: &Settings<'_>,
) -> Option<Fold<T>> {
    let validation = folds.validation(fold).to_vec();
    let training = folds.training(fold);
    let rank = whole.rank(training.len());
    let (x, shift, basis, projected) = if whole.primal {
        let x = whole.x.subset(&validation);
        let shift = match &x {
            Features::Matrix(x) if settings.intercept => training_means(x, training.len()),
            _ => Vec::new(),
        };
        let basis = primal(gram, &x, &shift, training.len(), rank)?;
        let projected = match &x {
            Features::Matrix(x) if settings.intercept => {
                let rows: Vec<usize> = (0..x.nrows()).collect();
                let centred = gather_rows(x.as_ref(), &rows, &shift);
                product(centred.as_ref(), basis.vectors.as_ref())
            }
            x => x.times(basis.vectors.as_ref()),
        };
        (Some(x.into_transposed()), shift, basis, projected)
    } else {
        let (basis, projected) = dual(gram, &validation, &training, settings.intercept, rank)?;
        (None, Vec::new(), basis, projected)
    };
    let bank = FilterBank::new(&basis.values, settings.penalties, basis.noise);
    Some(Fold {
        parts: Part::all(projected.as_ref(), &bank),
        bank,
        intercept: settings.intercept,
        validation,
        training,
        x,
        shift,
        to_basis: Some(Panels::new(basis.vectors.transpose())),
    })
}

/// Means of the training rows from the validation rows, for columns whose mean over all rows is 0.
pub(crate) fn training_means<T: Real>(validation: &Mat<T>, n_training: usize) -> Vec<T> {
    (0..validation.ncols())
        .map(|j| {
            let sum: f64 = validation.col_as_slice(j).iter().map(|&x| x.into()).sum();
            T::rounded(-sum / n_training as f64)
        })
        .collect()
}

fn primal<T: Real>(
    gram: MatRef<'_, T>,
    validation: &Features<T>,
    shift: &[T],
    n_training: usize,
    rank: usize,
) -> Option<Basis<T>> {
    let mut training = gram - validation.gram();
    subtract_means(&mut training, shift, shift, n_training);
    Some(Basis::complete(training.as_ref())?.limited(rank))
}

/// `product -= n left right'`, what centring `n` rows on their means takes off their product;
/// nothing where `left` is empty.
pub(crate) fn subtract_means<T: Real>(product: &mut Mat<T>, left: &[T], right: &[T], n: usize) {
    let n = T::rounded(n as f64);
    for (j, &right) in right.iter().enumerate() {
        for (value, &left) in product.col_as_slice_mut(j).iter_mut().zip(left) {
            *value -= n * left * right;
        }
    }
}

/// Basis of the training rows' kernel and the validation rows in it.
fn dual<T: Real>(
    kernel: MatRef<'_, T>,
    validation: &[usize],
    training: &[usize],
    intercept: bool,
    rank: usize,
) -> Option<(Basis<T>, Mat<T>)> {
    let pick = |rows: &[usize]| {
        Mat::from_fn(rows.len(), training.len(), |i, j| {
            kernel[(rows[i], training[j])]
        })
    };
    let (mut train, mut cross) = (pick(training), pick(validation));
    if intercept {
        let means = row_means(&train);
        let mean = means.iter().sum::<f64>() / means.len() as f64;
        let cross_means = row_means(&cross);
        centre(&mut train, &means, &means, mean);
        centre(&mut cross, &cross_means, &means, mean);
    }
    let basis = Basis::complete(train.as_ref())?;
    let basis = basis.limited(rank).without_noise();
    let projected = product(cross.as_ref(), basis.vectors.as_ref());
    Some((basis, projected))
}

fn row_means<T: Real>(kernel: &Mat<T>) -> Vec<f64> {
    let mut sums = vec![0.0; kernel.nrows()];
    for j in 0..kernel.ncols() {
        for (sum, &value) in sums.iter_mut().zip(kernel.col_as_slice(j)) {
            *sum += value.into();
        }
    }
    let n = kernel.ncols() as f64;
    sums.iter().map(|sum| sum / n).collect()
}

fn centre<T: Real>(kernel: &mut Mat<T>, row_means: &[f64], column_means: &[f64], mean: f64) {
    for (j, column_mean) in column_means.iter().enumerate() {
        for (value, row_mean) in kernel.col_as_slice_mut(j).iter_mut().zip(row_means) {
            let centred: f64 = (*value).into() - row_mean - column_mean + mean;
            *value = T::rounded(centred);
        }
    }
}
