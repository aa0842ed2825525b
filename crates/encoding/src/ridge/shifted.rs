//! Features under FIR delays, kept as they are before the delays: the delayed matrix is never made.
//!
//! Runs of consecutive samples of one story lie one behind the other, each after `lead` rows of its
//! own past (zeros before the story begins). The delayed row of a sample is then some rows above
//! its own, and products with the delayed matrix are sums of products with shifted views of the
//! same rows. Held by `tests/it/fir.rs` (the same fits on the delayed matrix).

use std::ops::Range;

use faer::{Accum, Mat, MatRef};
use ndarray::ArrayView2;
use rayon::prelude::*;

use super::{
    matrix::{gather_rows, gemm, par_gram},
    real::Real,
};

/// `[n_samples, n_features]` with delays, that is `[n_samples, n_features * n_delays]`.
pub(crate) struct Shifted<T> {
    /// `[n_padded, n_features]`.
    base: Mat<T>,
    /// Row of `base` that holds each sample, ascending.
    at: Vec<usize>,
    /// Rows of `base` that are samples, run by run.
    runs: Vec<Range<usize>>,
    /// In samples, in order of the blocks of columns.
    delays: Vec<usize>,
    /// The longest delay.
    lead: usize,
}

impl<T: Real> Shifted<T> {
    /// `x`: stories one after the other; `lengths`: samples of each.
    pub(crate) fn new(x: ArrayView2<'_, f32>, lengths: &[usize], delays: &[usize]) -> Self {
        let lead = delays.iter().copied().max().unwrap_or(0);
        let mut runs = Vec::with_capacity(lengths.len());
        let mut end = 0;
        for &n in lengths {
            runs.push(end + lead..end + lead + n);
            end += lead + n;
        }
        let at: Vec<usize> = runs.iter().cloned().flatten().collect();
        let mut base = Mat::zeros(end, x.ncols());
        for (column, values) in x.columns().into_iter().enumerate() {
            let base = base.col_as_slice_mut(column);
            for (&row, &value) in at.iter().zip(values) {
                base[row] = T::widened(value);
            }
        }
        Self {
            base,
            at,
            runs,
            delays: delays.to_vec(),
            lead,
        }
    }

    /// Some of the samples, ascending.
    pub(crate) fn subset(&self, samples: &[usize]) -> Self {
        let rows: Vec<usize> = samples.iter().map(|&sample| self.at[sample]).collect();
        let mut runs = Vec::new();
        let mut from = Vec::new();
        // Neighbours in `base` are of one story: between two lie `lead` rows of zeros.
        for run in rows.chunk_by(|a, b| a + 1 == *b) {
            let start = from.len() + self.lead;
            runs.push(start..start + run.len());
            from.extend(run[0] - self.lead..=run[run.len() - 1]);
        }
        Self {
            base: gather_rows(self.base.as_ref(), &from, &[]),
            at: runs.iter().cloned().flatten().collect(),
            runs,
            delays: self.delays.clone(),
            lead: self.lead,
        }
    }

    pub(crate) fn n_rows(&self) -> usize {
        self.at.len()
    }

    pub(crate) fn n_columns(&self) -> usize {
        self.base.ncols() * self.delays.len()
    }

    /// Column `j` of the delayed features.
    pub(crate) fn column(&self, j: usize, into: &mut [f64]) {
        let delay = self.delays[j / self.base.ncols()];
        let base = self.base.col_as_slice(j % self.base.ncols());
        for (into, at) in into.iter_mut().zip(&self.at) {
            *into = base[at - delay].into();
        }
    }

    /// The rows of `base` that stand for delay `delay` of the rows from `lead` on.
    fn view(&self, delay: usize) -> MatRef<'_, T> {
        let n = self.base.nrows() - self.lead;
        self.base.as_ref().subrows(self.lead - delay, n)
    }

    /// `X' y`, `y` of `[n_samples, n]`.
    pub(crate) fn moment(&self, y: MatRef<'_, T>) -> Mat<T> {
        let n_features = self.base.ncols();
        let mut padded = Mat::zeros(self.base.nrows() - self.lead, y.ncols());
        for column in 0..y.ncols() {
            let padded = padded.col_as_slice_mut(column);
            for (i, &row) in self.at.iter().enumerate() {
                padded[row - self.lead] = y[(i, column)];
            }
        }
        let mut moment = Mat::zeros(self.n_columns(), y.ncols());
        for (block, &delay) in self.delays.iter().enumerate() {
            let into = moment.as_mut();
            gemm(
                into.subrows_mut(block * n_features, n_features),
                Accum::Replace,
                self.view(delay).transpose(),
                padded.as_ref(),
                T::one(),
            );
        }
        moment
    }

    /// `X v`, `v` of `[n_features * n_delays, n]`.
    pub(crate) fn times(&self, v: MatRef<'_, T>) -> Mat<T> {
        let n_features = self.base.ncols();
        let mut padded = Mat::zeros(self.base.nrows() - self.lead, v.ncols());
        for (block, &delay) in self.delays.iter().enumerate() {
            gemm(
                padded.as_mut(),
                Accum::Add,
                self.view(delay),
                v.subrows(block * n_features, n_features),
                T::one(),
            );
        }
        let rows: Vec<usize> = self.at.iter().map(|row| row - self.lead).collect();
        gather_rows(padded.as_ref(), &rows, &[])
    }

    /// `X' X`: blocks of two delays the same distance apart are the same sum but for the rows at
    /// the ends of the runs, so each distance is summed once.
    pub(crate) fn gram(&self) -> Mat<T> {
        let mut pairs: Vec<(usize, usize)> = Vec::new();
        for (i, from) in self.delays.iter().enumerate() {
            for (j, to) in self.delays.iter().enumerate() {
                if from < to || i == j {
                    pairs.push((i, j));
                }
            }
        }
        // Pairs of one lag together, that of the shortest delay first.
        let lag = |&(i, j): &(usize, usize)| self.delays[j] - self.delays[i];
        pairs.sort_by_key(|pair| (lag(pair), self.delays[pair.0]));
        let groups: Vec<&[(usize, usize)]> = pairs.chunk_by(|a, b| lag(a) == lag(b)).collect();
        let blocks: Vec<Vec<Mat<T>>> = groups.par_iter().map(|group| self.of_lag(group)).collect();
        let n_features = self.base.ncols();
        let mut gram = Mat::zeros(self.n_columns(), self.n_columns());
        for ((i, j), block) in pairs.iter().zip(blocks.into_iter().flatten()) {
            let mut at = |row: usize, column: usize, block: MatRef<'_, T>| {
                let (row, column) = (row * n_features, column * n_features);
                let gram = gram.as_mut();
                gram.submatrix_mut(row, column, n_features, n_features)
                    .copy_from(block);
            };
            at(*i, *j, block.as_ref());
            at(*j, *i, block.transpose());
        }
        gram
    }

    /// Blocks of the Gram matrix for pairs of delays the same distance apart, `pairs[0]` the one of
    /// the shortest delays.
    fn of_lag(&self, pairs: &[(usize, usize)]) -> Vec<Mat<T>> {
        let n_features = self.base.ncols();
        let (first, lag) = (
            self.delays[pairs[0].0],
            self.delays[pairs[0].1] - self.delays[pairs[0].0],
        );
        let mut sum = Mat::zeros(n_features, n_features);
        for run in &self.runs {
            let rows = |delay: usize| self.base.as_ref().subrows(run.start - delay, run.len());
            gemm(
                sum.as_mut(),
                Accum::Add,
                rows(first).transpose(),
                rows(first + lag),
                T::one(),
            );
        }
        let shifted = |&(i, _): &(usize, usize)| {
            let mut block = sum.clone();
            let delay = self.delays[i];
            let before = |end: usize| end - delay..end - first;
            let starts: Vec<usize> = self.runs.iter().flat_map(|run| before(run.start)).collect();
            let ends: Vec<usize> = self.runs.iter().flat_map(|run| before(run.end)).collect();
            self.add_rows(&mut block, &starts, lag, T::one());
            self.add_rows(&mut block, &ends, lag, -T::one());
            block
        };
        let rest: Vec<Mat<T>> = pairs[1..].iter().map(shifted).collect();
        std::iter::once(sum).chain(rest).collect()
    }

    /// `block += scale * base[rows]' base[rows - lag]`.
    fn add_rows(&self, block: &mut Mat<T>, rows: &[usize], lag: usize, scale: T) {
        let earlier: Vec<usize> = rows.iter().map(|row| row - lag).collect();
        let pick = |rows: &[usize]| gather_rows(self.base.as_ref(), rows, &[]);
        let (rows, earlier) = (pick(rows), pick(&earlier));
        let into = block.as_mut();
        gemm(into, Accum::Add, rows.transpose(), earlier.as_ref(), scale);
    }

    /// `X X'`: the kernel of the rows before the delays, summed along its diagonals.
    pub(crate) fn kernel(&self) -> Mat<T> {
        let base = par_gram(self.base.transpose());
        let n = self.n_rows();
        let column = |j: usize| -> Vec<T> {
            let mut sums = vec![T::zero(); n];
            for delay in &self.delays {
                let base = base.col_as_slice(self.at[j] - delay);
                for (sum, at) in sums.iter_mut().zip(&self.at) {
                    *sum += base[at - delay];
                }
            }
            sums
        };
        let columns: Vec<Vec<T>> = (0..n).into_par_iter().map(column).collect();
        Mat::from_fn(n, n, |i, j| columns[j][i])
    }
}
