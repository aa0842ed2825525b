//! Scores as functions of how often each group of items was drawn.

use std::{collections::HashMap, fmt, hash::Hash};

use ndarray::ArrayView2;

use crate::{
    Labels, ProbingError, Result, check,
    metrics::{self, LabelCounts, PairSums, counted::Counted},
    targets::Truth,
};

/// Which items belong together: the group of each, numbered in order of first appearance.
///
/// ```
/// use braintune_probing::Groups;
///
/// let groups = Groups::new(&["ann", "bob", "ann"])?;
/// assert_eq!((groups.n_groups(), groups.n_items()), (2, 3));
/// # Ok::<(), braintune_probing::ProbingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    of_items: Vec<usize>,
    n_groups: usize,
}

impl Groups {
    /// From a name (a speaker, a story) per item, `[n_items]`.
    ///
    /// # Errors
    /// [`ProbingError::Groups`] for less than two different names.
    pub fn new<T: Eq + Hash>(names: &[T]) -> Result<Self> {
        let mut numbers = HashMap::new();
        let mut number = |name| {
            let next = numbers.len();
            *numbers.entry(name).or_insert(next)
        };
        let of_items: Vec<usize> = names.iter().map(&mut number).collect();
        let n_groups = numbers.len();
        if n_groups < 2 {
            return Err(ProbingError::Groups { n_groups });
        }
        Ok(Self { of_items, n_groups })
    }

    /// Each of `n_items` a group of its own, for items that are independent.
    ///
    /// # Errors
    /// [`ProbingError::Groups`] for less than two items.
    pub fn of_single_items(n_items: usize) -> Result<Self> {
        Self::new(&(0..n_items).collect::<Vec<_>>())
    }

    /// All items one group, for a score without an interval.
    pub(crate) fn all_in_one(n_items: usize) -> Self {
        Self {
            of_items: vec![0; n_items],
            n_groups: 1,
        }
    }

    /// Number of groups.
    #[must_use]
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// Number of items.
    #[must_use]
    pub fn n_items(&self) -> usize {
        self.of_items.len()
    }
}

/// A score of items in groups, under any resample of the groups.
pub trait GroupScore: Sync {
    /// Number of groups.
    fn n_groups(&self) -> usize;
    /// The score if group `g` is there `counts[g]` times, `[n_groups]`.
    fn score(&self, counts: &[u32]) -> f64;
}

type ScoreOfSums = Box<dyn Fn(&[f64]) -> f64 + Send + Sync>;

/// A score that is a function of sums over items: those of each group are made once,
/// `[n_groups, n_sums]`.
pub struct GroupSums {
    n_sums: usize,
    sums: Vec<f64>,
    score: ScoreOfSums,
}

impl fmt::Debug for GroupSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupSums")
            .field("n_sums", &self.n_sums)
            .field("sums", &self.sums)
            .finish_non_exhaustive()
    }
}

impl GroupSums {
    /// `score` of `n_sums` sums, to which `add` adds an item.
    ///
    /// # Errors
    /// [`ProbingError::Setting`] for no sums.
    pub fn new(
        groups: &Groups,
        n_sums: usize,
        mut add: impl FnMut(usize, &mut [f64]),
        score: impl Fn(&[f64]) -> f64 + Send + Sync + 'static,
    ) -> Result<Self> {
        check::at_least_one("the number of sums", n_sums)?;
        let mut sums = vec![0.0; groups.n_groups * n_sums];
        for (item, &group) in groups.of_items.iter().enumerate() {
            add(item, &mut sums[group * n_sums..][..n_sums]);
        }
        let score = Box::new(score);
        Ok(Self {
            n_sums,
            sums,
            score,
        })
    }

    /// Mean of a value per item, `[n_items]`: a loss, or 0 and 1 for wrong and right.
    ///
    /// # Errors
    /// [`ProbingError::Rows`].
    pub fn mean(groups: &Groups, values: &[f64]) -> Result<Self> {
        check::same_rows("the groups", groups.n_items(), "the values", values.len())?;
        let add = |item: usize, sums: &mut [f64]| {
            sums[0] += 1.0;
            sums[1] += values[item];
        };
        Self::new(groups, 2, add, |sums| sums[1] / sums[0])
    }

    /// [`LabelCounts::accuracy`].
    ///
    /// # Errors
    /// As [`LabelCounts::of`]; other items than groups.
    pub fn accuracy<L: Labels>(
        groups: &Groups,
        labels: L,
        predicted: &L::Predicted,
    ) -> Result<Self> {
        Self::counts(groups, labels, predicted, LabelCounts::accuracy)
    }

    /// [`LabelCounts::macro_f1`].
    ///
    /// # Errors
    /// As [`LabelCounts::of`]; other items than groups.
    pub fn macro_f1<L: Labels>(
        groups: &Groups,
        labels: L,
        predicted: &L::Predicted,
    ) -> Result<Self> {
        Self::counts(groups, labels, predicted, LabelCounts::macro_f1)
    }

    /// [`LabelCounts::micro_f1`].
    ///
    /// # Errors
    /// As [`LabelCounts::of`]; other items than groups.
    pub fn micro_f1<L: Labels>(
        groups: &Groups,
        labels: L,
        predicted: &L::Predicted,
    ) -> Result<Self> {
        Self::counts(groups, labels, predicted, LabelCounts::micro_f1)
    }

    /// Mean over targets of R², `y_true` and `y_pred` `[n_items, n_targets]`.
    ///
    /// # Errors
    /// As [`r2_scores`](crate::r2_scores); other items than groups.
    pub fn r2(
        groups: &Groups,
        y_true: ArrayView2<'_, f32>,
        y_pred: ArrayView2<'_, f32>,
    ) -> Result<Self> {
        Self::pairs(groups, y_true, y_pred, metrics::r2)
    }

    /// Mean over targets of Pearson r, `y_true` and `y_pred` `[n_items, n_targets]`.
    ///
    /// # Errors
    /// As [`pearson_r`](crate::pearson_r); other items than groups.
    pub fn pearson_r(
        groups: &Groups,
        y_true: ArrayView2<'_, f32>,
        y_pred: ArrayView2<'_, f32>,
    ) -> Result<Self> {
        Self::pairs(groups, y_true, y_pred, metrics::correlation)
    }

    fn counts<L: Labels>(
        groups: &Groups,
        labels: L,
        predicted: &L::Predicted,
        score: fn(&LabelCounts) -> f64,
    ) -> Result<Self> {
        let truth = labels.truth();
        predicted.check(&truth)?;
        check::same_rows("the groups", groups.n_items(), "the labels", truth.n_rows())?;
        let of_classes = matches!(truth, Truth::Classes(_));
        let add = |item: usize, sums: &mut [f64]| predicted.add(&truth, item, sums);
        Self::new(groups, metrics::n_sums(&truth), add, move |sums| {
            score(&LabelCounts::from_sums(sums, of_classes))
        })
    }

    fn pairs(
        groups: &Groups,
        y_true: ArrayView2<'_, f32>,
        y_pred: ArrayView2<'_, f32>,
        score: fn(&PairSums) -> f64,
    ) -> Result<Self> {
        metrics::check_pair(y_true, y_pred)?;
        check::same_rows("the groups", groups.n_items(), "y_true", y_true.nrows())?;
        let columns = y_true.columns().into_iter().zip(y_pred.columns());
        // Sums about the means keep their digits.
        let shifts: Vec<[f64; 2]> = columns
            .map(|(y, p)| [metrics::mean(y), metrics::mean(p)])
            .collect();
        let add = |item: usize, sums: &mut [f64]| {
            let (y, p) = (y_true.row(item), y_pred.row(item));
            let sums = sums.as_chunks_mut::<7>().0.iter_mut();
            for (((sums, &y), &p), &shift) in sums.zip(y).zip(p).zip(&shifts) {
                let terms = metrics::pair_terms(y.into(), p.into(), shift);
                sums.iter_mut()
                    .zip(terms)
                    .for_each(|(sum, term)| *sum += term);
            }
        };
        Self::new(groups, 7 * y_true.ncols(), add, move |sums| {
            let targets = sums.as_chunks::<7>().0;
            targets.iter().map(score).sum::<f64>() / targets.len() as f64
        })
    }
}

impl<T: GroupScore + ?Sized> GroupScore for &T {
    fn n_groups(&self) -> usize {
        T::n_groups(self)
    }

    fn score(&self, counts: &[u32]) -> f64 {
        T::score(self, counts)
    }
}

impl GroupScore for GroupSums {
    fn n_groups(&self) -> usize {
        self.sums.len() / self.n_sums
    }

    fn score(&self, counts: &[u32]) -> f64 {
        let mut total = vec![0.0; self.n_sums];
        for (sums, &count) in self.sums.chunks_exact(self.n_sums).zip(counts) {
            if count > 0 {
                let count = f64::from(count);
                total
                    .iter_mut()
                    .zip(sums)
                    .for_each(|(total, sum)| *total += count * sum);
            }
        }
        (self.score)(&total)
    }
}

/// A score that is any function of the rows drawn, rows of a group drawn twice being there twice. The rows
/// of one draw at a time are in memory, per thread.
pub struct RowScore<F> {
    items: Vec<Vec<usize>>,
    score: F,
}

impl<F> fmt::Debug for RowScore<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowScore")
            .field("items", &self.items)
            .finish_non_exhaustive()
    }
}

impl<F: Fn(&[usize]) -> f64 + Sync> RowScore<F> {
    /// `score` of row numbers.
    pub fn new(groups: &Groups, score: F) -> Self {
        let mut items = vec![Vec::new(); groups.n_groups];
        for (item, &group) in groups.of_items.iter().enumerate() {
            items[group].push(item);
        }
        Self { items, score }
    }
}

impl<F: Fn(&[usize]) -> f64 + Sync> GroupScore for RowScore<F> {
    fn n_groups(&self) -> usize {
        self.items.len()
    }

    fn score(&self, counts: &[u32]) -> f64 {
        let mut rows = Vec::new();
        for (items, &count) in self.items.iter().zip(counts) {
            for _ in 0..count {
                rows.extend_from_slice(items);
            }
        }
        (self.score)(&rows)
    }
}
