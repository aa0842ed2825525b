//! One linear layer, trained on all rows at once.

use linfa::{ParamGuard, dataset::DatasetBase, traits::Fit};
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix1, Ix2};
use tracing::instrument;

use super::{Adam, linear_layer, n_terms, rng};
use crate::{
    Classes, FitProgress, FitReport, LinearProbe, OnProgress, ProbingError, Result, Targets,
    blocks::Design, check, linear::fit_labels, pass, progress,
};

/// Where linear probes trained by Adam begin: [`AdamProbe::params`].
///
/// ```
/// use braintune_probing::{AdamProbe, Classes, linfa::ParamGuard};
/// use ndarray::{Array2, Axis};
///
/// let x = Array2::from_shape_fn((90, 4), |(i, j)| ((i * (2 * j + 3)) as f32 * 0.7).sin());
/// let labels: Vec<usize> = x.rows().into_iter().map(|row| usize::from(row[1] > row[2])).collect();
/// let ((train, test), (y_train, y_test)) = (x.view().split_at(Axis(0), 60), labels.split_at(60));
/// let adam = AdamProbe::params(200).learning_rate(0.05).check()?;
/// let probe = adam.fit(train, Classes::new(y_train, 2)?)?;
/// let n_right = probe.predict(test)?.iter().zip(y_test).filter(|(a, b)| a == b).count();
/// assert!(n_right > 24);
/// # Ok::<(), braintune_probing::ProbingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct AdamProbe;

impl AdamProbe {
    /// Parameters: `n_epochs` epochs of one step each, learning rate 1e-3, seed 0.
    #[must_use]
    pub fn params(n_epochs: usize) -> AdamProbeParams {
        AdamProbeParams(AdamProbeValidParams {
            n_epochs,
            learning_rate: 1e-3,
            seed: 0,
            initial: None,
        })
    }
}

/// Parameters of a linear probe trained by Adam, not checked yet: [`check`](ParamGuard::check) makes them
/// [`AdamProbeValidParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct AdamProbeParams(AdamProbeValidParams);

impl AdamProbeParams {
    /// Learning rate.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.0.learning_rate = learning_rate;
        self
    }

    /// Seed of the weights to begin with.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }

    /// Weights `[n_features, n_outputs]` (PyTorch's transposed) and biases `[n_outputs]` to begin with, in place of random ones.
    #[must_use]
    pub fn initial(mut self, weights: Array2<f32>, biases: Array1<f32>) -> Self {
        self.0.initial = Some((weights, biases));
        self
    }
}

impl ParamGuard for AdamProbeParams {
    type Checked = AdamProbeValidParams;
    type Error = ProbingError;

    fn check_ref(&self) -> Result<&AdamProbeValidParams> {
        check::at_least_one("the number of epochs", self.0.n_epochs)?;
        check::positive("the learning rate", self.0.learning_rate)?;
        Ok(&self.0)
    }

    fn check(self) -> Result<AdamProbeValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Checked parameters of a linear probe trained by Adam.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamProbeValidParams {
    n_epochs: usize,
    learning_rate: f64,
    seed: u64,
    initial: Option<(Array2<f32>, Array1<f32>)>,
}

impl AdamProbeValidParams {
    /// Trains on `x` `[n_samples, n_features]` towards [`Classes`], labels (`ArrayView2<bool>`) or numbers
    /// (`ArrayView2<f32>`).
    ///
    /// # Errors
    /// Shapes that do not match, values that are not finite, [`ProbingError::Diverged`].
    pub fn fit<T: Targets>(
        &self,
        x: ArrayView2<'_, f32>,
        targets: T,
    ) -> Result<LinearProbe<T::Predicted>> {
        self.fit_observed(x, targets, &mut progress::silent)
    }

    /// As [`fit`](AdamProbeValidParams::fit), telling `on` about each epoch.
    ///
    /// # Errors
    /// As [`fit`](AdamProbeValidParams::fit), and [`ProbingError::Cancelled`].
    #[instrument(skip_all, fields(n_samples = x.nrows(), n_features = x.ncols()))]
    pub fn fit_observed<T: Targets>(
        &self,
        x: ArrayView2<'_, f32>,
        targets: T,
        on: &mut OnProgress<'_>,
    ) -> Result<LinearProbe<T::Predicted>> {
        let truth = targets.truth();
        truth.check_with(x)?;
        check::finite("x", x)?;
        let (d, k) = (x.ncols(), truth.n_outputs());
        let mut w = self.start(d, k)?;
        let mut adam = Adam::new(w.len(), self.learning_rate);
        let scale = n_terms(&truth, x.nrows()).recip();
        let mut loss = 0.0;
        for epoch in 1..=self.n_epochs {
            let sums = pass::loss_and_gradient::<f32>(Design::plain(x), &truth, &w, k);
            loss = sums.loss * scale;
            if !loss.is_finite() {
                return Err(ProbingError::Diverged { step: epoch, loss });
            }
            adam.step(&mut w, &sums.gradient, scale);
            progress::tell(
                on,
                FitProgress::Epoch {
                    epoch,
                    loss,
                    validation_loss: None,
                },
            )?;
        }
        let report = FitReport {
            n_steps: self.n_epochs,
            loss,
            gradient: 0.0,
            converged: true,
        };
        let coef = Array2::from_shape_fn((d, k), |(j, c)| w[j * k + c]);
        let offsets = w[d * k..].iter().map(|&offset| f64::from(offset)).collect();
        Ok(LinearProbe::new(coef, offsets, None, report))
    }

    fn start(&self, d: usize, k: usize) -> Result<Vec<f32>> {
        let Some((weights, biases)) = &self.initial else {
            return Ok(linear_layer(&mut rng(self.seed), d, k));
        };
        check::same_rows("x transposed", d, "the initial weights", weights.nrows())?;
        check::columns("the initial weights", weights.ncols(), k)?;
        check::columns("the initial biases", biases.len(), k)?;
        check::finite("the initial weights", weights.view())?;
        Ok(weights.iter().chain(biases).copied().collect())
    }
}

fit_labels!(AdamProbeValidParams);
