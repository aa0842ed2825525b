//! The features as the decompositions use them: a matrix, or rows before their FIR delays.

use faer::{Mat, MatRef};
use ndarray::ArrayView2;

use super::{
    matrix::{from_array, gather_rows, par_gram, product},
    panels::Panels,
    real::Real,
    shifted::Shifted,
};
use crate::FirDesign;

/// Features as the caller has them.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// `[n_samples, n_features]`.
    Matrix(ArrayView2<'a, f32>),
    /// Before their delays.
    Fir(&'a FirDesign),
}

/// `[n_rows, n_columns]`.
pub(crate) enum Features<T> {
    Matrix(Mat<T>),
    Shifted(Shifted<T>),
}

/// Features that only `X' y` is wanted of, for many `y`.
pub(crate) enum Transposed<T> {
    Matrix(Panels<T>),
    Shifted(Shifted<T>),
}

impl<T: Real> Transposed<T> {
    /// `X' y`, sequential.
    pub(crate) fn moment(&self, y: MatRef<'_, T>) -> Mat<T> {
        match self {
            Self::Matrix(x) => x.times(y),
            Self::Shifted(x) => x.moment(y),
        }
    }
}

impl Source<'_> {
    pub(crate) fn n_samples(&self) -> usize {
        match self {
            Self::Matrix(x) => x.nrows(),
            Self::Fir(x) => x.n_samples(),
        }
    }

    pub(crate) fn n_features(&self) -> usize {
        match self {
            Self::Matrix(x) => x.ncols(),
            Self::Fir(x) => x.n_features(),
        }
    }

    /// Values as they were given: without delays.
    pub(crate) fn values(&self) -> ArrayView2<'_, f32> {
        match self {
            Self::Matrix(x) => x.view(),
            Self::Fir(x) => x.undelayed(),
        }
    }

    /// `means` are taken off the columns of a matrix.
    pub(crate) fn features<T: Real>(&self, means: Option<&[f64]>) -> Features<T> {
        match self {
            Self::Matrix(x) => Features::Matrix(from_array(x.view(), means)),
            Self::Fir(x) => Features::Shifted(Shifted::new(
                x.undelayed(),
                x.story_lengths(),
                x.delays().as_slice(),
            )),
        }
    }
}

impl<T: Real> Features<T> {
    pub(crate) fn n_rows(&self) -> usize {
        match self {
            Self::Matrix(x) => x.nrows(),
            Self::Shifted(x) => x.n_rows(),
        }
    }

    pub(crate) fn n_columns(&self) -> usize {
        match self {
            Self::Matrix(x) => x.ncols(),
            Self::Shifted(x) => x.n_columns(),
        }
    }

    /// Some of the rows, ascending.
    pub(crate) fn subset(&self, rows: &[usize]) -> Self {
        match self {
            Self::Matrix(x) => Self::Matrix(gather_rows(x.as_ref(), rows, &[])),
            Self::Shifted(x) => Self::Shifted(x.subset(rows)),
        }
    }

    pub(crate) fn into_transposed(self) -> Transposed<T> {
        match self {
            Self::Matrix(x) => Transposed::Matrix(Panels::new(x.transpose())),
            Self::Shifted(x) => Transposed::Shifted(x),
        }
    }

    /// `X' X`.
    pub(crate) fn gram(&self) -> Mat<T> {
        match self {
            Self::Matrix(x) => par_gram(x.as_ref()),
            Self::Shifted(x) => x.gram(),
        }
    }

    /// `X X'`.
    pub(crate) fn kernel(&self) -> Mat<T> {
        match self {
            Self::Matrix(x) => par_gram(x.transpose()),
            Self::Shifted(x) => x.kernel(),
        }
    }

    /// `X' y`, sequential.
    pub(crate) fn moment(&self, y: MatRef<'_, T>) -> Mat<T> {
        match self {
            Self::Matrix(x) => product(x.transpose(), y),
            Self::Shifted(x) => x.moment(y),
        }
    }

    /// `X v`, sequential.
    pub(crate) fn times(&self, v: MatRef<'_, T>) -> Mat<T> {
        match self {
            Self::Matrix(x) => product(x.as_ref(), v),
            Self::Shifted(x) => x.times(v),
        }
    }

    /// `X v` in f64, `v` of `[n_columns]`.
    pub(crate) fn times_wide(&self, v: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.n_rows()];
        let mut column = vec![0.0; self.n_rows()];
        for (j, &v) in v.iter().enumerate() {
            self.column(j, &mut column);
            for (sum, x) in sums.iter_mut().zip(&column) {
                *sum += x * v;
            }
        }
        sums
    }

    /// `X' y` in f64, `y` of `[n_rows]`.
    pub(crate) fn moment_wide(&self, y: &[f64]) -> Vec<f64> {
        let mut column = vec![0.0; self.n_rows()];
        (0..self.n_columns())
            .map(|j| {
                self.column(j, &mut column);
                column.iter().zip(y).map(|(x, y)| x * y).sum()
            })
            .collect()
    }

    fn column(&self, j: usize, into: &mut [f64]) {
        match self {
            Self::Matrix(x) => {
                for (into, &value) in into.iter_mut().zip(x.col_as_slice(j)) {
                    *into = value.into();
                }
            }
            Self::Shifted(x) => x.column(j, into),
        }
    }
}
