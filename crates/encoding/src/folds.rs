//! Which rows validate and which train, fold by fold.
//!
//! Bootstrapped chunks follow `bootstrap_ridge`
//! (`HuthLab/deep-fMRI-dataset:encoding/ridge_utils/ridge.py`, eaaa5cd): the rows are cut into
//! contiguous chunks, which are shuffled, and the first `n_chunks` of them are held out; rows after
//! the last whole chunk always train. Differs: seeded. Held by `tests/it/folds.rs`.

use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{EncodingError, FoldProblem, Result};

/// Cross-validation folds over `n_rows` rows: each has validation rows, all others train.
///
/// ```
/// use braintune_encoding::Folds;
///
/// let folds = Folds::leave_one_group_out(&[7, 7, 3, 3, 3])?;
/// assert_eq!(folds.validation(0), [0, 1]);
/// assert_eq!(folds.training(0), [2, 3, 4]);
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folds {
    validation: Vec<Vec<usize>>,
    n_rows: usize,
}

impl Folds {
    /// One fold per distinct label (a story, a run), in order of first appearance; `labels` has one
    /// entry per row.
    ///
    /// # Errors
    /// [`EncodingError::TooFewGroups`] for less than two distinct labels.
    pub fn leave_one_group_out(labels: &[i64]) -> Result<Self> {
        let mut position = std::collections::HashMap::new();
        let mut validation: Vec<Vec<usize>> = Vec::new();
        for (row, label) in labels.iter().enumerate() {
            let group = *position.entry(label).or_insert(validation.len());
            if group == validation.len() {
                validation.push(Vec::new());
            }
            validation[group].push(row);
        }
        if validation.len() < 2 {
            return Err(EncodingError::TooFewGroups {
                n_groups: validation.len(),
            });
        }
        Ok(Self {
            validation,
            n_rows: labels.len(),
        })
    }

    /// `n_folds` contiguous blocks of `n_rows` rows, each left out once: scikit-learn's
    /// `KFold(n_folds, shuffle=False)`. The first `n_rows % n_folds` blocks have a row more.
    ///
    /// # Errors
    /// [`EncodingError::FewRows`] for less than two folds or less rows than folds.
    pub fn contiguous_blocks(n_rows: usize, n_folds: usize) -> Result<Self> {
        if n_folds < 2 || n_rows < n_folds {
            return Err(EncodingError::FewRows { n_rows, n_folds });
        }
        let mut start = 0;
        let blocks = (0..n_folds).map(|fold| {
            let len = n_rows / n_folds + usize::from(fold < n_rows % n_folds);
            start += len;
            (start - len..start).collect()
        });
        Self::from_validation_rows(blocks.collect(), n_rows)
    }

    /// `n_boots` folds, each holding out `n_chunks` chunks of `chunk_len` contiguous rows drawn at
    /// random (`seed`) from the rows cut into such chunks.
    ///
    /// # Errors
    /// [`EncodingError::Chunks`] if they do not fit or leave nothing for training,
    /// [`EncodingError::NoFolds`] for `n_boots` 0.
    pub fn bootstrap_chunks(
        n_rows: usize,
        n_boots: usize,
        chunk_len: usize,
        n_chunks: usize,
        seed: u64,
    ) -> Result<Self> {
        let available = n_rows.checked_div(chunk_len).unwrap_or(0);
        if n_chunks == 0 || n_chunks > available || n_chunks * chunk_len == n_rows {
            return Err(EncodingError::Chunks {
                n_chunks,
                chunk_len,
                n_rows,
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut chunks: Vec<usize> = (0..available).collect();
        let draw = |_| {
            chunks.shuffle(&mut rng);
            let mut rows: Vec<usize> = chunks[..n_chunks]
                .iter()
                .flat_map(|chunk| chunk * chunk_len..(chunk + 1) * chunk_len)
                .collect();
            rows.sort_unstable();
            rows
        };
        Self::from_validation_rows((0..n_boots).map(draw).collect(), n_rows)
    }

    /// Folds from their validation rows; every other row of `n_rows` trains.
    ///
    /// # Errors
    /// [`EncodingError::NoFolds`], or [`EncodingError::Fold`] for a fold without validation or
    /// training rows, with a row out of range or one given twice.
    pub fn from_validation_rows(mut validation: Vec<Vec<usize>>, n_rows: usize) -> Result<Self> {
        if validation.is_empty() {
            return Err(EncodingError::NoFolds);
        }
        for (fold, rows) in validation.iter_mut().enumerate() {
            rows.sort_unstable();
            check_rows(rows, n_rows).map_err(|problem| EncodingError::Fold { fold, problem })?;
        }
        Ok(Self { validation, n_rows })
    }

    /// Number of folds.
    #[must_use]
    pub fn n_folds(&self) -> usize {
        self.validation.len()
    }

    /// Number of rows they were made for.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Validation rows of a fold, ascending.
    ///
    /// # Panics
    /// If `fold` is not below [`Folds::n_folds`].
    #[must_use]
    pub fn validation(&self, fold: usize) -> &[usize] {
        &self.validation[fold]
    }

    /// Training rows of a fold, ascending: all that do not validate.
    ///
    /// # Panics
    /// If `fold` is not below [`Folds::n_folds`].
    #[must_use]
    pub fn training(&self, fold: usize) -> Vec<usize> {
        let mut validates = vec![false; self.n_rows];
        for &row in &self.validation[fold] {
            validates[row] = true;
        }
        (0..self.n_rows).filter(|&row| !validates[row]).collect()
    }

    /// Whether every row validates in exactly one fold.
    pub(crate) fn is_partition(&self) -> bool {
        let mut seen = vec![false; self.n_rows];
        for &row in self.validation.iter().flatten() {
            if std::mem::replace(&mut seen[row], true) {
                return false;
            }
        }
        seen.iter().all(|&seen| seen)
    }
}

/// `rows` are sorted.
fn check_rows(rows: &[usize], n_rows: usize) -> Result<(), FoldProblem> {
    let &last = rows.last().ok_or(FoldProblem::NoValidation)?;
    if last >= n_rows {
        return Err(FoldProblem::RowOutOfRange { row: last, n_rows });
    }
    if let Some(pair) = rows.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(FoldProblem::DuplicateRow { row: pair[0] });
    }
    if rows.len() == n_rows {
        return Err(FoldProblem::NoTraining);
    }
    Ok(())
}
