//! What a probe is trained towards: one class per row, several labels per row, or numbers.
//!
//! [`Classes`] `[n_samples]`, an `ArrayView2<bool>` `[n_samples, n_labels]`, an `ArrayView2<f32>`
//! `[n_samples, n_targets]`. Each says what predictions of it look like ([`Targets::Predicted`]), so that
//! a probe of classes predicts classes. Held by `tests/it/errors.rs`.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::{ProbingError, Result, check};

/// One class per row, `[n_samples]`, numbered from 0; checked.
///
/// ```
/// use braintune_probing::Classes;
///
/// assert!(Classes::new(&[0, 2, 1], 3).is_ok());
/// assert!(Classes::new(&[0, 3, 1], 3).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classes<'a> {
    labels: &'a [usize],
    n_classes: usize,
}

impl<'a> Classes<'a> {
    /// Labels, each below `n_classes`. Classes without rows are an error of the fit, not of this: a
    /// validation split may lack some.
    ///
    /// # Errors
    /// [`ProbingError::OneClass`] for less than two classes, [`ProbingError::LabelOutOfRange`].
    pub fn new(labels: &'a [usize], n_classes: usize) -> Result<Self> {
        if n_classes < 2 {
            return Err(ProbingError::OneClass { n_classes });
        }
        if let Some(row) = labels.iter().position(|&label| label >= n_classes) {
            return Err(ProbingError::LabelOutOfRange {
                row,
                label: labels[row],
                n_classes,
            });
        }
        Ok(Self { labels, n_classes })
    }

    /// The class of each row, `[n_samples]`.
    #[must_use]
    pub fn labels(&self) -> &'a [usize] {
        self.labels
    }

    /// Number of classes.
    #[must_use]
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// Rows of each class, `[n_classes]`.
    #[must_use]
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_classes];
        for &label in self.labels {
            counts[label] += 1;
        }
        counts
    }
}

/// What a probe is trained towards. Implemented for [`Classes`], `ArrayView2<bool>` (labels) and
/// `ArrayView2<f32>` (numbers); sealed.
pub trait Targets: Copy + Sync + sealed::AsTruth {
    /// What predictions are: a class per row, labels per row, or numbers.
    type Predicted: Predicted;
}

/// [`Targets`] that are classes or labels, which have probabilities.
pub trait Labels: Targets<Predicted: PredictedLabels> {}

/// Predictions of a probe: `Array1<usize>` of classes, `Array2<bool>` of labels, `Array2<f32>` of
/// numbers; sealed.
pub trait Predicted: sealed::FromScores {}

/// [`Predicted`] classes or labels.
pub trait PredictedLabels: Predicted + sealed::FromProbabilities + sealed::Counted {}

impl Targets for Classes<'_> {
    type Predicted = Array1<usize>;
}
impl Targets for ArrayView2<'_, bool> {
    type Predicted = Array2<bool>;
}
impl Targets for ArrayView2<'_, f32> {
    type Predicted = Array2<f32>;
}
impl Labels for Classes<'_> {}
impl Labels for ArrayView2<'_, bool> {}
impl Predicted for Array1<usize> {}
impl Predicted for Array2<bool> {}
impl Predicted for Array2<f32> {}
impl PredictedLabels for Array1<usize> {}
impl PredictedLabels for Array2<bool> {}

pub(crate) mod sealed {
    pub(crate) use crate::metrics::counted::Counted;

    use super::{Array1, Array2, ArrayView2, Axis, Classes};

    /// Any of the targets, as loops over rows see them.
    #[derive(Debug, Clone, Copy)]
    pub enum Truth<'a> {
        Classes(Classes<'a>),
        Labels(ArrayView2<'a, bool>),
        Values(ArrayView2<'a, f32>),
    }

    pub trait AsTruth {
        fn truth(&self) -> Truth<'_>;
    }

    /// Scores are `[n_samples, n_outputs]`; a single one for two classes is that of the second.
    pub trait FromScores: Sized {
        fn from_scores(scores: &Array2<f32>) -> Self;
    }

    pub trait FromProbabilities {
        /// Scores to what becomes `[n_samples, n_classes]` or `[n_samples, n_labels]`.
        fn probabilities(scores: Array2<f32>) -> Array2<f32>;
    }

    impl AsTruth for Classes<'_> {
        fn truth(&self) -> Truth<'_> {
            Truth::Classes(*self)
        }
    }
    impl AsTruth for ArrayView2<'_, bool> {
        fn truth(&self) -> Truth<'_> {
            Truth::Labels(self.view())
        }
    }
    impl AsTruth for ArrayView2<'_, f32> {
        fn truth(&self) -> Truth<'_> {
            Truth::Values(self.view())
        }
    }

    impl FromScores for Array1<usize> {
        fn from_scores(scores: &Array2<f32>) -> Self {
            let best = |row: ndarray::ArrayView1<'_, f32>| match row.len() {
                1 => usize::from(row[0] > 0.0),
                n => (1..n).fold(0, |best, i| if row[i] > row[best] { i } else { best }),
            };
            scores.axis_iter(Axis(0)).map(best).collect()
        }
    }
    impl FromScores for Array2<bool> {
        fn from_scores(scores: &Array2<f32>) -> Self {
            scores.mapv(|score| score > 0.0)
        }
    }
    impl FromScores for Array2<f32> {
        fn from_scores(scores: &Array2<f32>) -> Self {
            scores.clone()
        }
    }

    impl FromProbabilities for Array1<usize> {
        fn probabilities(mut scores: Array2<f32>) -> Array2<f32> {
            if scores.ncols() == 1 {
                return Array2::from_shape_fn((scores.nrows(), 2), |(i, class)| {
                    let score = scores[(i, 0)];
                    sigmoid(if class == 1 { score } else { -score })
                });
            }
            for mut row in scores.rows_mut() {
                let largest = row.fold(f32::NEG_INFINITY, |a, &b| a.max(b));
                row.mapv_inplace(|score| (score - largest).exp());
                let sum = row.sum();
                row /= sum;
            }
            scores
        }
    }
    impl FromProbabilities for Array2<bool> {
        fn probabilities(scores: Array2<f32>) -> Array2<f32> {
            scores.mapv_into(sigmoid)
        }
    }

    fn sigmoid(score: f32) -> f32 {
        1.0 / (1.0 + (-score).exp())
    }
}

pub(crate) use sealed::Truth;

impl Truth<'_> {
    pub(crate) fn n_rows(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.labels.len(),
            Self::Labels(labels) => labels.nrows(),
            Self::Values(values) => values.nrows(),
        }
    }

    /// Classes, labels or numbers per row.
    pub(crate) fn n_outputs(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.n_classes,
            Self::Labels(labels) => labels.ncols(),
            Self::Values(values) => values.ncols(),
        }
    }

    /// As the targets of `x`, `[n_samples, n_features]`, which is checked too.
    pub(crate) fn check_with(&self, x: ArrayView2<'_, f32>) -> Result<()> {
        check::not_empty("x", x)?;
        check::same_rows("x", x.nrows(), "the targets", self.n_rows())?;
        match self {
            Self::Classes(_) => Ok(()),
            Self::Labels(labels) => check::not_empty("the labels", labels.view()),
            Self::Values(values) => {
                check::not_empty("the targets", values.view())?;
                check::finite("the targets", values.view())
            }
        }
    }

    /// That every class has rows, and that no label is the same in all rows.
    pub(crate) fn check_variety(&self) -> Result<()> {
        match self {
            Self::Classes(classes) => {
                let counts = classes.counts();
                let n_present = counts.iter().filter(|&&count| count > 0).count();
                if n_present < 2 {
                    return Err(ProbingError::OneClass {
                        n_classes: n_present,
                    });
                }
                match counts.iter().position(|&count| count == 0) {
                    Some(class) => Err(ProbingError::EmptyClass { class }),
                    None => Ok(()),
                }
            }
            Self::Labels(labels) => {
                let constant = |column: ndarray::ArrayView1<'_, bool>| {
                    column.iter().all(|&value| value == column[0])
                };
                match labels.columns().into_iter().position(constant) {
                    Some(label) => Err(ProbingError::ConstantLabel {
                        label,
                        value: labels[(0, label)],
                    }),
                    None => Ok(()),
                }
            }
            Self::Values(_) => Ok(()),
        }
    }
}
