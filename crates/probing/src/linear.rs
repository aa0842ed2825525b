//! A fitted linear probe, whichever way it was fitted: coefficients and what they predict.
//!
//! `scores = x coef + intercept`, `[n_samples, n_outputs]`; classes are those of the highest score,
//! labels those with a score above 0. Two classes may have a single score, that of the second, as in
//! scikit-learn. Products run on features less the training means where the fit centred them, which
//! keeps their digits. Held by `tests/it/logistic.rs` and `tests/it/adam.rs`.

use std::marker::PhantomData;

use linfa::traits::PredictInplace;
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix2};

use crate::{Predicted, PredictedLabels, Result, Targets, blocks::Design, check, pass};

/// How a fit ended.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct FitReport {
    /// Steps of L-BFGS, or epochs of Adam.
    pub n_steps: usize,
    /// Mean loss over the training rows, penalty included; of Adam before its last step.
    pub loss: f64,
    /// Norm of the gradient relative to that of zero weights; 0 where Adam fitted.
    pub gradient: f64,
    /// Whether the gradient got below the tolerance; of Adam, whether all epochs were run.
    pub converged: bool,
}

/// A fitted linear probe of classes (`P = Array1<usize>`), labels (`P = Array2<bool>`) or numbers
/// (`P = Array2<f32>`).
#[derive(Debug, Clone)]
pub struct LinearProbe<P> {
    /// `[n_features, n_outputs]`.
    coef: Array2<f32>,
    /// Of features less `shift`, `[n_outputs]`.
    offsets: Vec<f64>,
    shift: Option<Vec<f32>>,
    report: FitReport,
    predicted: PhantomData<fn() -> P>,
}

impl<P: Predicted> LinearProbe<P> {
    pub(crate) fn new(
        coef: Array2<f32>,
        offsets: Vec<f64>,
        shift: Option<Vec<f32>>,
        report: FitReport,
    ) -> Self {
        Self {
            coef,
            offsets,
            shift,
            report,
            predicted: PhantomData,
        }
    }

    /// Coefficients of the features as they were given, `[n_features, n_outputs]`; one output for two
    /// classes by logistic regression.
    #[must_use]
    pub fn coef(&self) -> ArrayView2<'_, f32> {
        self.coef.view()
    }

    /// Intercepts of the features as they were given, `[n_outputs]`.
    #[must_use]
    pub fn intercept(&self) -> Array1<f64> {
        let mut intercept = Array1::from(self.offsets.clone());
        if let Some(shift) = &self.shift {
            for (row, &shift) in self.coef.rows().into_iter().zip(shift) {
                intercept.zip_mut_with(&row, |sum, &coef| {
                    *sum -= f64::from(shift) * f64::from(coef);
                });
            }
        }
        intercept
    }

    /// How the fit ended.
    #[must_use]
    pub fn report(&self) -> FitReport {
        self.report
    }

    /// Scores (logits) for `x` `[n_samples, n_features]`: `[n_samples, n_outputs]`.
    ///
    /// # Errors
    /// Another number of columns, no rows, values that are not finite.
    pub fn scores(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        check::not_empty("x", x)?;
        check::columns("x", x.ncols(), self.coef.nrows())?;
        check::finite("x", x)?;
        Ok(self.unchecked_scores(x))
    }

    pub(crate) fn unchecked_scores(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        #[allow(clippy::cast_possible_truncation)] // scores are f32
        let offsets: Vec<f32> = self.offsets.iter().map(|&offset| offset as f32).collect();
        let shift = self.shift.as_deref();
        pass::scores(
            Design {
                x: x.reborrow(),
                shift,
            },
            self.coef.view(),
            &offsets,
        )
    }

    /// Predictions for `x` `[n_samples, n_features]`, a class, labels or numbers per row.
    ///
    /// # Errors
    /// As [`LinearProbe::scores`].
    pub fn predict(&self, x: ArrayView2<'_, f32>) -> Result<P> {
        Ok(P::from_scores(&self.scores(x)?))
    }

    /// Mean loss of what it says of `x` `[n_samples, n_features]`: cross-entropy over rows for classes,
    /// its sum over labels for labels, squared errors summed over numbers. No penalty.
    ///
    /// # Errors
    /// As [`LinearProbe::scores`]; other targets than it was fitted to.
    pub fn loss<T: Targets<Predicted = P>>(
        &self,
        x: ArrayView2<'_, f32>,
        targets: T,
    ) -> Result<f64> {
        let truth = targets.truth();
        truth.check_with(x)?;
        let scores = self.scores(x)?;
        check_outputs(&truth, scores.ncols())?;
        Ok(pass::mean_loss(&truth, scores))
    }
}

/// That targets have as many outputs as scores; two classes may have a single one.
pub(crate) fn check_outputs(truth: &crate::targets::Truth<'_>, n_scores: usize) -> Result<()> {
    let n_outputs = truth.n_outputs();
    let single = matches!(truth, crate::targets::Truth::Classes(_)) && n_scores == 1;
    check::columns("the targets", n_outputs, if single { 2 } else { n_scores })
}

impl<P: PredictedLabels> LinearProbe<P> {
    /// Probabilities for `x` `[n_samples, n_features]`: of each class, `[n_samples, n_classes]`, rows
    /// summing to 1, or of each label, `[n_samples, n_labels]`.
    ///
    /// # Errors
    /// As [`LinearProbe::scores`].
    pub fn predict_proba(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        Ok(P::probabilities(self.scores(x)?))
    }
}

macro_rules! predict_inplace {
    ($probe:ident, $predicted:ty, $empty:expr) => {
        impl<D: Data<Elem = f32>> PredictInplace<ArrayBase<D, Ix2>, $predicted>
            for $probe<$predicted>
        {
            /// # Panics
            /// If `predict` errs on `x`: linfa's trait has no errors.
            fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut $predicted) {
                *y = self.predict(x.view()).expect("x must suit the fit");
            }

            fn default_target(&self, x: &ArrayBase<D, Ix2>) -> $predicted {
                let empty: fn(usize, usize) -> $predicted = $empty;
                empty(x.nrows(), self.n_outputs())
            }
        }
    };
}
pub(crate) use predict_inplace;

predict_inplace!(LinearProbe, Array1<usize>, |n, _| Array1::zeros(n));
predict_inplace!(LinearProbe, Array2<bool>, |n, k| Array2::default((n, k)));
predict_inplace!(LinearProbe, Array2<f32>, |n, k| Array2::zeros((n, k)));

impl<P> LinearProbe<P> {
    fn n_outputs(&self) -> usize {
        self.offsets.len()
    }
}

/// linfa's `Fit` of parameters that fit classes and labels by a method of that name.
macro_rules! fit_labels {
    ($params:ident) => {
        /// Classes are numbered up to the largest label.
        impl<D: Data<Elem = f32>, D2: Data<Elem = usize>>
            Fit<ArrayBase<D, Ix2>, ArrayBase<D2, Ix1>, ProbingError> for $params
        {
            type Object = LinearProbe<Array1<usize>>;

            fn fit(
                &self,
                dataset: &DatasetBase<ArrayBase<D, Ix2>, ArrayBase<D2, Ix1>>,
            ) -> Result<Self::Object> {
                let labels = dataset.targets.to_vec();
                let n_classes = labels.iter().max().map_or(0, |largest| largest + 1);
                let classes = Classes::new(&labels, n_classes)?;
                Self::fit(self, dataset.records.view(), classes)
            }
        }

        impl<D: Data<Elem = f32>, D2: Data<Elem = bool>>
            Fit<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>, ProbingError> for $params
        {
            type Object = LinearProbe<Array2<bool>>;

            fn fit(
                &self,
                dataset: &DatasetBase<ArrayBase<D, Ix2>, ArrayBase<D2, Ix2>>,
            ) -> Result<Self::Object> {
                Self::fit(self, dataset.records.view(), dataset.targets.view())
            }
        }
    };
}
pub(crate) use fit_labels;
