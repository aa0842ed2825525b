//! The inverse penalty C chosen on validation rows, along a path of warm starts.
//!
//! From the smallest C, whose weights are small, to the largest, each fit beginning where the one before
//! it ended. Held by `tests/it/select.rs`.

use ndarray::ArrayView2;
use tracing::instrument;

use super::{
    LogisticValidParams,
    problem::{Problem, Solution},
    warn_if_unfinished,
};
use crate::{
    FitProgress, Labels, LinearProbe, OnProgress, ProbingError, Result, check,
    linear::check_outputs, metrics::judge, pass, progress, targets::sealed::FromScores,
};

/// What to choose by, on validation rows; the smaller C of equals.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Criterion {
    /// The lowest mean loss (cross-entropy), which says most where scores are equal.
    #[default]
    Loss,
    /// The highest accuracy; of labels, the share of rows with every label right.
    Accuracy,
    /// The highest macro F1.
    MacroF1,
    /// The highest micro F1.
    MicroF1,
}

/// The probe that did best on validation rows.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BestFit<P> {
    /// The probe, fitted to the training rows alone.
    pub probe: LinearProbe<P>,
    /// Its C.
    pub c: f64,
    /// Criterion of each C in the order given: losses, or scores.
    pub values: Vec<f64>,
    /// Whether its C is the smallest or largest of several: a wider range might do better.
    pub at_edge: bool,
}

impl LogisticValidParams {
    /// Fits each C of `cs` to the training rows and keeps what does best on the validation rows, features
    /// `[n_samples, n_features]` and labels for each. C of the parameters is not used.
    ///
    /// ```
    /// use braintune_probing::{Classes, Criterion, Logistic};
    /// use linfa::ParamGuard;
    /// use ndarray::Array2;
    ///
    /// let x = Array2::from_shape_fn((60, 2), |(i, j)| ((i * (3 + j)) as f32 * 0.7).sin());
    /// let labels: Vec<usize> = x.rows().into_iter().map(|row| usize::from(row[0] > row[1])).collect();
    /// let (train, valid) = x.view().split_at(ndarray::Axis(0), 40);
    /// let (y_train, y_valid) = labels.split_at(40);
    /// let best = Logistic::params(1.0).check()?.fit_best(
    ///     &[0.01, 1.0, 100.0],
    ///     (train, Classes::new(y_train, 2)?),
    ///     (valid, Classes::new(y_valid, 2)?),
    ///     Criterion::Loss,
    /// )?;
    /// assert_eq!(best.c, 100.0);
    /// # Ok::<(), braintune_probing::ProbingError>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](LogisticValidParams::fit); a C that is not above 0, [`ProbingError::NoCandidates`];
    /// validation rows that do not match.
    pub fn fit_best<L: Labels>(
        &self,
        cs: &[f64],
        train: (ArrayView2<'_, f32>, L),
        validation: (ArrayView2<'_, f32>, L),
        criterion: Criterion,
    ) -> Result<BestFit<L::Predicted>> {
        self.fit_best_observed(cs, train, validation, criterion, &mut progress::silent)
    }

    /// As [`fit_best`](LogisticValidParams::fit_best), telling `on` about each step and candidate.
    ///
    /// # Errors
    /// As [`fit_best`](LogisticValidParams::fit_best), and [`ProbingError::Cancelled`].
    #[instrument(skip_all, fields(n_samples = train.0.nrows(), n_features = train.0.ncols(), n_cs = cs.len()))]
    pub fn fit_best_observed<L: Labels>(
        &self,
        cs: &[f64],
        train: (ArrayView2<'_, f32>, L),
        validation: (ArrayView2<'_, f32>, L),
        criterion: Criterion,
        on: &mut OnProgress<'_>,
    ) -> Result<BestFit<L::Predicted>> {
        if cs.is_empty() {
            return Err(ProbingError::NoCandidates { what: "C" });
        }
        cs.iter().try_for_each(|&c| check::positive("C", c))?;
        check_validation(&train, &validation)?;
        let problem = Problem::new(self, train.0.reborrow(), train.1.truth())?;
        let mut order: Vec<usize> = (0..cs.len()).collect();
        order.sort_by(|&a, &b| cs[a].total_cmp(&cs[b]));
        let mut values = vec![f64::NAN; cs.len()];
        let mut best: Option<(usize, LinearProbe<L::Predicted>)> = None;
        let mut last: Option<Solution> = None;
        for &index in &order {
            let solution = problem.solve(cs[index], last.as_ref(), on)?;
            warn_if_unfinished(&solution, cs[index]);
            let probe: LinearProbe<L::Predicted> = problem.probe(&solution);
            values[index] = criterion.value(&probe, validation);
            let value = values[index];
            progress::tell(on, FitProgress::Candidate { index, value })?;
            if best
                .as_ref()
                .is_none_or(|&(best, _)| criterion.prefers(value, values[best]))
            {
                best = Some((index, probe));
            }
            last = Some(solution);
        }
        let (index, probe) = best.ok_or(ProbingError::NoCandidates { what: "C" })?;
        let end = [order.first(), order.last()].contains(&Some(&index));
        Ok(BestFit {
            probe,
            c: cs[index],
            values,
            at_edge: end && cs.len() > 1,
        })
    }
}

fn check_validation<L: Labels>(
    train: &(ArrayView2<'_, f32>, L),
    validation: &(ArrayView2<'_, f32>, L),
) -> Result<()> {
    let truth = validation.1.truth();
    truth.check_with(validation.0)?;
    check::finite("x of the validation rows", validation.0)?;
    check::columns(
        "x of the validation rows",
        validation.0.ncols(),
        train.0.ncols(),
    )?;
    check_outputs(&truth, train.1.truth().n_outputs())
}

impl Criterion {
    fn value<L: Labels>(
        self,
        probe: &LinearProbe<L::Predicted>,
        (x, labels): (ArrayView2<'_, f32>, L),
    ) -> f64 {
        let scores = probe.unchecked_scores(x);
        let truth = labels.truth();
        match self {
            Self::Loss => pass::mean_loss(&truth, scores),
            _ => judge(
                self,
                &truth,
                &<L::Predicted as FromScores>::from_scores(&scores),
            ),
        }
    }

    fn prefers(self, value: f64, best: f64) -> bool {
        match self {
            Self::Loss => value < best,
            _ => value > best,
        }
    }
}
