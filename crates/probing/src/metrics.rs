//! Scores of predictions, by scikit-learn's definitions.
//!
//! Of classes `[n_samples]` and labels `[n_samples, n_labels]`: accuracy (of labels, the share of rows with
//! every label right), macro F1 (classes that neither truth nor predictions hold are left out, labels
//! never are) and micro F1, 0 where undefined (`zero_division=0`). Of numbers `[n_samples, n_targets]`: R²
//! and Pearson r per target; their mean over targets is `r2_score`'s uniform average. Sums in f64. Held by
//! `tests/it/metrics.rs` (scikit-learn).

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use crate::{Classes, Criterion, Labels, ProbingError, Result, check, targets::Truth};

use counted::Counted;

/// How often each class or label was there, was predicted, and both: what all scores of classes and
/// labels are made of, and sums over rows.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelCounts {
    n_rows: f64,
    n_exact: f64,
    /// Both there and predicted, there, predicted; `[n_classes]` or `[n_labels]`.
    per_label: Vec<[f64; 3]>,
    skip_absent: bool,
}

impl LabelCounts {
    /// Of predictions for rows with the given classes or labels.
    ///
    /// ```
    /// use braintune_probing::{Classes, LabelCounts};
    /// use ndarray::array;
    ///
    /// let counts = LabelCounts::of(Classes::new(&[0, 1, 1, 2], 3)?, &array![0, 1, 2, 2])?;
    /// assert_eq!(counts.accuracy(), 0.75);
    /// assert!((counts.macro_f1() - 7.0 / 9.0).abs() < 1e-12);
    /// # Ok::<(), braintune_probing::ProbingError>(())
    /// ```
    ///
    /// # Errors
    /// [`ProbingError::Rows`], [`ProbingError::Columns`], [`ProbingError::Empty`],
    /// [`ProbingError::LabelOutOfRange`] for a prediction that is no class.
    pub fn of<L: Labels>(labels: L, predicted: &L::Predicted) -> Result<Self> {
        let truth = labels.truth();
        predicted.check(&truth)?;
        let mut sums = vec![0.0; n_sums(&truth)];
        for row in 0..truth.n_rows() {
            predicted.add(&truth, row, &mut sums);
        }
        Ok(Self::from_sums(&sums, matches!(truth, Truth::Classes(_))))
    }

    pub(crate) fn from_sums(sums: &[f64], skip_absent: bool) -> Self {
        Self {
            n_rows: sums[0],
            n_exact: sums[1],
            per_label: sums[2..].as_chunks().0.to_vec(),
            skip_absent,
        }
    }

    /// Share of rows predicted right.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        ratio(self.n_exact, self.n_rows)
    }

    /// Mean over classes or labels of their F1.
    #[must_use]
    pub fn macro_f1(&self) -> f64 {
        let present =
            |&&[_, there, predicted]: &&[f64; 3]| !self.skip_absent || there + predicted > 0.0;
        let (mut sum, mut n) = (0.0, 0.0);
        for &counts in self.per_label.iter().filter(present) {
            sum += f1(counts);
            n += 1.0;
        }
        ratio(sum, n)
    }

    /// F1 of all classes or labels together; of classes, the accuracy.
    #[must_use]
    pub fn micro_f1(&self) -> f64 {
        let add = |sum: [f64; 3], counts: &[f64; 3]| [0, 1, 2].map(|i| sum[i] + counts[i]);
        f1(self.per_label.iter().fold([0.0; 3], add))
    }

    /// F1 of each class or label, `[n_classes]` or `[n_labels]`.
    #[must_use]
    pub fn f1_per_label(&self) -> Vec<f64> {
        self.per_label.iter().map(|&counts| f1(counts)).collect()
    }
}

pub(crate) mod counted {
    use super::{Array1, Array2, ProbingError, Result, Truth, check};

    pub trait Counted {
        fn check(&self, truth: &Truth<'_>) -> Result<()>;
        /// Adds a row to sums: rows, rows that are right, and three per class or label.
        fn add(&self, truth: &Truth<'_>, row: usize, sums: &mut [f64]);
    }

    impl Counted for Array1<usize> {
        fn check(&self, truth: &Truth<'_>) -> Result<()> {
            rows(truth, self.len())?;
            let n_classes = truth.n_outputs();
            match self.iter().position(|&label| label >= n_classes) {
                Some(row) => Err(ProbingError::LabelOutOfRange {
                    row,
                    label: self[row],
                    n_classes,
                }),
                None => Ok(()),
            }
        }

        fn add(&self, truth: &Truth<'_>, row: usize, sums: &mut [f64]) {
            let Truth::Classes(classes) = truth else {
                return;
            };
            let (there, predicted) = (classes.labels()[row], self[row]);
            sums[0] += 1.0;
            if there == predicted {
                sums[1] += 1.0;
                sums[2 + 3 * there] += 1.0;
            }
            sums[3 + 3 * there] += 1.0;
            sums[4 + 3 * predicted] += 1.0;
        }
    }

    impl Counted for Array2<bool> {
        fn check(&self, truth: &Truth<'_>) -> Result<()> {
            rows(truth, self.nrows())?;
            check::columns("the predictions", self.ncols(), truth.n_outputs())
        }

        fn add(&self, truth: &Truth<'_>, row: usize, sums: &mut [f64]) {
            let Truth::Labels(labels) = truth else { return };
            let (labels, predicted) = (labels.row(row), self.row(row));
            sums[0] += 1.0;
            sums[1] += f64::from(u8::from(labels == predicted));
            for ((&there, &predicted), sums) in labels
                .iter()
                .zip(predicted)
                .zip(sums[2..].as_chunks_mut().0)
            {
                let [both, of_there, of_predicted] = sums;
                *both += f64::from(u8::from(there && predicted));
                *of_there += f64::from(u8::from(there));
                *of_predicted += f64::from(u8::from(predicted));
            }
        }
    }

    fn rows(truth: &Truth<'_>, n_predicted: usize) -> Result<()> {
        check::same_rows("the labels", truth.n_rows(), "the predictions", n_predicted)?;
        if n_predicted == 0 {
            return Err(ProbingError::Empty {
                what: "the predictions",
                shape: [0, truth.n_outputs()],
            });
        }
        Ok(())
    }
}

/// Length of the sums of [`counted::Counted::add`].
pub(crate) fn n_sums(truth: &Truth<'_>) -> usize {
    2 + 3 * truth.n_outputs()
}

/// A criterion other than the loss, of predictions known to suit.
pub(crate) fn judge<P: Counted>(criterion: Criterion, truth: &Truth<'_>, predicted: &P) -> f64 {
    let mut sums = vec![0.0; n_sums(truth)];
    for row in 0..truth.n_rows() {
        predicted.add(truth, row, &mut sums);
    }
    let counts = LabelCounts::from_sums(&sums, matches!(truth, Truth::Classes(_)));
    match criterion {
        Criterion::MacroF1 => counts.macro_f1(),
        Criterion::MicroF1 => counts.micro_f1(),
        _ => counts.accuracy(),
    }
}

/// Accuracy on `test` of always saying the class that most rows of `train` have, the first of equals.
///
/// # Errors
/// [`ProbingError::Empty`] for no rows; [`ProbingError::Columns`] for other numbers of classes.
pub fn majority_baseline(train: Classes<'_>, test: Classes<'_>) -> Result<f64> {
    check::columns("the test classes", test.n_classes(), train.n_classes())?;
    let counts = train.counts();
    let majority =
        (1..counts.len()).fold(0, |best, i| if counts[i] > counts[best] { i } else { best });
    let predicted = Array1::from_elem(test.labels().len(), majority);
    if train.labels().is_empty() {
        return Err(ProbingError::Empty {
            what: "the training classes",
            shape: [0, 1],
        });
    }
    Ok(LabelCounts::of(test, &predicted)?.accuracy())
}

/// R² of each target, `y_true` and `y_pred` `[n_samples, n_targets]`: `1 - SS_res / SS_tot`. Where `y_true`
/// is constant 1 for predictions that are it and 0 otherwise, as scikit-learn has it.
///
/// # Errors
/// Shapes that do not match, values that are not finite.
pub fn r2_scores(y_true: ArrayView2<'_, f32>, y_pred: ArrayView2<'_, f32>) -> Result<Array1<f64>> {
    check_pair(y_true, y_pred)?;
    Ok(per_target(y_true, y_pred, |y, p| {
        let shift = mean(y);
        r2(&moments(y, p, [shift, shift]))
    }))
}

/// Pearson correlation of each target, `y_true` and `y_pred` `[n_samples, n_targets]`; 0 where either is
/// constant.
///
/// # Errors
/// Shapes that do not match, values that are not finite.
pub fn pearson_r(y_true: ArrayView2<'_, f32>, y_pred: ArrayView2<'_, f32>) -> Result<Array1<f64>> {
    check_pair(y_true, y_pred)?;
    Ok(per_target(y_true, y_pred, |y, p| {
        correlation(&moments(y, p, [mean(y), mean(p)]))
    }))
}

pub(crate) fn check_pair(y_true: ArrayView2<'_, f32>, y_pred: ArrayView2<'_, f32>) -> Result<()> {
    check::not_empty("y_true", y_true)?;
    check::same_rows("y_true", y_true.nrows(), "y_pred", y_pred.nrows())?;
    check::columns("y_pred", y_pred.ncols(), y_true.ncols())?;
    check::finite("y_true", y_true)?;
    check::finite("y_pred", y_pred)
}

/// Sums over rows of `1, y, p, y², p², y p, (y - p)²`, `y` and `p` less their shifts but in the last.
pub(crate) type PairSums = [f64; 7];

pub(crate) fn pair_terms(y: f64, p: f64, shift: [f64; 2]) -> PairSums {
    let error = (y - p) * (y - p);
    let (y, p) = (y - shift[0], p - shift[1]);
    [1.0, y, p, y * y, p * p, y * p, error]
}

pub(crate) fn r2(sums: &PairSums) -> f64 {
    let [n, y, _, yy, _, _, error] = *sums;
    let total = spread(n, y, yy);
    match (total > 0.0, error > 0.0) {
        (true, _) => 1.0 - error / total,
        (false, false) => 1.0,
        (false, true) => 0.0,
    }
}

pub(crate) fn correlation(sums: &PairSums) -> f64 {
    let [n, y, p, yy, pp, yp, _] = *sums;
    let squares = spread(n, y, yy) * spread(n, p, pp);
    if squares > 0.0 {
        ((yp - y * p / n) / squares.sqrt()).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

/// `Σ (y - mean)²`; 0 where it is the rounding of the sums it is made of.
fn spread(n: f64, sum: f64, squares: f64) -> f64 {
    let spread = squares - sum * sum / n;
    if spread > 1e-14 * n.max(1.0) * squares {
        spread
    } else {
        0.0
    }
}

fn moments(y: ArrayView1<'_, f32>, p: ArrayView1<'_, f32>, shift: [f64; 2]) -> PairSums {
    let mut sums = PairSums::default();
    for (&y, &p) in y.iter().zip(p) {
        let terms = pair_terms(y.into(), p.into(), shift);
        sums.iter_mut()
            .zip(terms)
            .for_each(|(sum, term)| *sum += term);
    }
    sums
}

pub(crate) fn mean(values: ArrayView1<'_, f32>) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
}

fn per_target(
    y_true: ArrayView2<'_, f32>,
    y_pred: ArrayView2<'_, f32>,
    score: impl Fn(ArrayView1<'_, f32>, ArrayView1<'_, f32>) -> f64,
) -> Array1<f64> {
    let pairs = y_true.columns().into_iter().zip(y_pred.columns());
    pairs.map(|(y, p)| score(y, p)).collect()
}

fn f1([both, there, predicted]: [f64; 3]) -> f64 {
    ratio(2.0 * both, there + predicted)
}

fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}
