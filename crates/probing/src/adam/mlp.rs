//! A network of one hidden layer, stopped where validation rows are predicted best.

use std::marker::PhantomData;

use linfa::{ParamGuard, traits::PredictInplace};
use ndarray::{Array1, Array2, ArrayBase, ArrayView2, Data, Ix2};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tracing::instrument;

use super::{
    Adam, linear_layer, n_terms,
    net::{self, Widths},
    rng,
};
use crate::{
    FitProgress, OnProgress, Predicted, PredictedLabels, ProbingError, Result, Targets,
    blocks::{Design, Rows},
    check,
    linear::{check_outputs, predict_inplace},
    pass, progress,
    targets::Truth,
};

/// Where networks of one hidden layer begin: [`Mlp::params`].
///
/// ```
/// use braintune_probing::{Mlp, Classes, linfa::ParamGuard};
/// use ndarray::{Array2, Axis};
///
/// let x = Array2::from_shape_fn((90, 4), |(i, j)| ((i * (2 * j + 3)) as f32 * 0.7).sin());
/// let labels: Vec<usize> = x.rows().into_iter().map(|row| usize::from(row[1] > row[2])).collect();
/// let ((train, test), (y_train, y_test)) = (x.view().split_at(Axis(0), 60), labels.split_at(60));
/// let ((fit, valid), (y_fit, y_valid)) = (train.split_at(Axis(0), 40), y_train.split_at(40));
/// let mlp = Mlp::params(300).n_hidden(16).learning_rate(0.01).check()?;
/// let probe = mlp.fit((fit, Classes::new(y_fit, 2)?), (valid, Classes::new(y_valid, 2)?))?;
/// let n_right = probe.predict(test)?.iter().zip(y_test).filter(|(a, b)| a == b).count();
/// assert!(n_right > 24);
/// # Ok::<(), braintune_probing::ProbingError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Mlp;

impl Mlp {
    /// Parameters: 64 hidden units, at most `n_epochs` epochs, all rows at once, learning rate 1e-3, stopped
    /// after 5 epochs without a lower validation loss, seed 0.
    #[must_use]
    pub fn params(n_epochs: usize) -> MlpParams {
        MlpParams(MlpValidParams {
            n_epochs,
            n_hidden: 64,
            learning_rate: 1e-3,
            batch_size: None,
            patience: 5,
            seed: 0,
        })
    }
}

/// Parameters of a network of one hidden layer, not checked yet: [`check`](ParamGuard::check) makes them
/// [`MlpValidParams`].
#[derive(Debug, Clone, PartialEq)]
pub struct MlpParams(MlpValidParams);

impl MlpParams {
    /// Hidden units.
    #[must_use]
    pub fn n_hidden(mut self, n_hidden: usize) -> Self {
        self.0.n_hidden = n_hidden;
        self
    }

    /// Learning rate.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.0.learning_rate = learning_rate;
        self
    }

    /// Rows of a step, shuffled anew in each epoch; the last step of an epoch may have less.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.0.batch_size = Some(batch_size);
        self
    }

    /// Epochs without a lower validation loss after which to stop.
    #[must_use]
    pub fn patience(mut self, patience: usize) -> Self {
        self.0.patience = patience;
        self
    }

    /// Seed of the weights to begin with and of the order of rows.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }
}

impl ParamGuard for MlpParams {
    type Checked = MlpValidParams;
    type Error = ProbingError;

    fn check_ref(&self) -> Result<&MlpValidParams> {
        check::at_least_one("the number of epochs", self.0.n_epochs)?;
        check::at_least_one("the number of hidden units", self.0.n_hidden)?;
        check::at_least_one("the batch size", self.0.batch_size.unwrap_or(1))?;
        check::at_least_one("the patience", self.0.patience)?;
        check::positive("the learning rate", self.0.learning_rate)?;
        Ok(&self.0)
    }

    fn check(self) -> Result<MlpValidParams> {
        self.check_ref()?;
        Ok(self.0)
    }
}

/// Checked parameters of a network of one hidden layer.
#[derive(Debug, Clone, PartialEq)]
pub struct MlpValidParams {
    n_epochs: usize,
    n_hidden: usize,
    learning_rate: f64,
    batch_size: Option<usize>,
    patience: usize,
    seed: u64,
}

/// Features `[n_samples, n_features]` and the targets of their rows.
type Split<'a, T> = (ArrayView2<'a, f32>, T);

impl MlpValidParams {
    /// Trains on the training rows, features `[n_samples, n_features]` and targets; keeps the weights of the
    /// epoch with the lowest loss on the validation rows.
    ///
    /// # Errors
    /// Shapes that do not match, values that are not finite, [`ProbingError::Diverged`].
    pub fn fit<T: Targets>(
        &self,
        train: Split<'_, T>,
        validation: Split<'_, T>,
    ) -> Result<FittedMlp<T::Predicted>> {
        self.fit_observed(train, validation, &mut progress::silent)
    }

    /// As [`fit`](MlpValidParams::fit), telling `on` about each epoch.
    ///
    /// # Errors
    /// As [`fit`](MlpValidParams::fit), and [`ProbingError::Cancelled`].
    pub fn fit_observed<T: Targets>(
        &self,
        train: Split<'_, T>,
        validation: Split<'_, T>,
        on: &mut OnProgress<'_>,
    ) -> Result<FittedMlp<T::Predicted>> {
        let mut rng = rng(self.seed);
        let (d, k) = (train.0.ncols(), train.1.truth().n_outputs());
        let mut w = linear_layer(&mut rng, d.max(1), self.n_hidden);
        w.extend(linear_layer(&mut rng, self.n_hidden, k));
        self.train(w, train, validation, &mut rng, on)
    }

    /// As [`fit_observed`](MlpValidParams::fit_observed), from given layers: weights
    /// `[n_features, n_hidden]` and `[n_hidden, n_outputs]` (PyTorch's transposed), each with its biases.
    ///
    /// # Errors
    /// As [`fit_observed`](MlpValidParams::fit_observed), and layers of other sizes.
    pub fn fit_from<T: Targets>(
        &self,
        layers: [(ArrayView2<'_, f32>, &[f32]); 2],
        train: Split<'_, T>,
        validation: Split<'_, T>,
        on: &mut OnProgress<'_>,
    ) -> Result<FittedMlp<T::Predicted>> {
        let widths = [train.0.ncols(), self.n_hidden, train.1.truth().n_outputs()];
        let mut w = Vec::new();
        for (i, (weights, biases)) in layers.iter().enumerate() {
            check::finite("the initial weights", *weights)?;
            check::same_rows(
                "the layer's input",
                widths[i],
                "its initial weights",
                weights.nrows(),
            )?;
            check::columns("the initial weights", weights.ncols(), widths[i + 1])?;
            check::columns("the initial biases", biases.len(), widths[i + 1])?;
            w.extend(weights.iter().chain(*biases));
        }
        self.train(w, train, validation, &mut rng(self.seed), on)
    }

    #[instrument(skip_all, fields(n_samples = train.0.nrows(), n_features = train.0.ncols()))]
    fn train<T: Targets>(
        &self,
        mut w: Vec<f32>,
        train: Split<'_, T>,
        validation: Split<'_, T>,
        rng: &mut ChaCha8Rng,
        on: &mut OnProgress<'_>,
    ) -> Result<FittedMlp<T::Predicted>> {
        let (truth, valid) = (train.1.truth(), validation.1.truth());
        check_splits(&truth, train.0, &valid, validation.0)?;
        let widths = Widths {
            n_features: train.0.ncols(),
            n_hidden: self.n_hidden,
            n_outputs: truth.n_outputs(),
        };
        let mut adam = Adam::new(w.len(), self.learning_rate);
        let mut best = FittedMlp::new(widths, &w, 0, f64::INFINITY);
        for epoch in 1..=self.n_epochs {
            let loss = self.epoch(train.0, &truth, widths, &mut w, &mut adam, rng);
            let scale = validation.0.nrows() as f64 / n_terms(&valid, validation.0.nrows());
            let validation_loss =
                pass::mean_loss(&valid, net::scores(validation.0, widths, &w)) * scale;
            if !loss.is_finite() || !validation_loss.is_finite() {
                return Err(ProbingError::Diverged { step: epoch, loss });
            }
            if validation_loss < best.validation_loss {
                best = FittedMlp::new(widths, &w, epoch, validation_loss);
            }
            let validation_loss = Some(validation_loss);
            progress::tell(
                on,
                FitProgress::Epoch {
                    epoch,
                    loss,
                    validation_loss,
                },
            )?;
            if epoch - best.best_epoch >= self.patience {
                break;
            }
        }
        Ok(best)
    }

    /// One epoch; the mean loss before its last step, over the rows of that.
    fn epoch(
        &self,
        x: ArrayView2<'_, f32>,
        truth: &Truth<'_>,
        widths: Widths,
        w: &mut [f32],
        adam: &mut Adam,
        rng: &mut ChaCha8Rng,
    ) -> f64 {
        let design = Design::plain(x);
        let mut step = |rows: &Rows<'_>| {
            let scale = n_terms(truth, rows.len()).recip();
            let sums = net::loss_and_gradient(design, truth, rows, widths, w);
            adam.step(w, &sums.gradient, scale);
            sums.loss * scale
        };
        let Some(batch_size) = self.batch_size else {
            return step(&Rows::Range(0..x.nrows()));
        };
        let mut order: Vec<usize> = (0..x.nrows()).collect();
        order.shuffle(rng);
        let losses = order.chunks(batch_size).map(|rows| step(&Rows::List(rows)));
        losses.last().unwrap_or(f64::NAN)
    }
}

fn check_splits(
    truth: &Truth<'_>,
    x: ArrayView2<'_, f32>,
    valid: &Truth<'_>,
    x_valid: ArrayView2<'_, f32>,
) -> Result<()> {
    truth.check_with(x)?;
    check::finite("x", x)?;
    valid.check_with(x_valid)?;
    check::finite("x of the validation rows", x_valid)?;
    check::columns("x of the validation rows", x_valid.ncols(), x.ncols())?;
    check::columns(
        "targets of the validation rows",
        valid.n_outputs(),
        truth.n_outputs(),
    )
}

/// A trained network of classes (`P = Array1<usize>`), labels (`P = Array2<bool>`) or numbers
/// (`P = Array2<f32>`).
#[derive(Debug, Clone)]
pub struct FittedMlp<P> {
    widths: Widths,
    w: Vec<f32>,
    best_epoch: usize,
    validation_loss: f64,
    predicted: PhantomData<fn() -> P>,
}

impl<P> FittedMlp<P> {
    fn new(widths: Widths, w: &[f32], best_epoch: usize, validation_loss: f64) -> Self {
        Self {
            widths,
            w: w.to_vec(),
            best_epoch,
            validation_loss,
            predicted: PhantomData,
        }
    }

    fn n_outputs(&self) -> usize {
        self.widths.n_outputs
    }

    /// The epoch whose weights these are, from 1.
    #[must_use]
    pub fn best_epoch(&self) -> usize {
        self.best_epoch
    }

    /// Mean loss over the validation rows after that epoch.
    #[must_use]
    pub fn validation_loss(&self) -> f64 {
        self.validation_loss
    }
}

impl<P: Predicted> FittedMlp<P> {
    /// Scores (logits) for `x` `[n_samples, n_features]`: `[n_samples, n_outputs]`.
    ///
    /// # Errors
    /// Another number of columns, no rows, values that are not finite.
    pub fn scores(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        check::not_empty("x", x)?;
        check::columns("x", x.ncols(), self.widths.n_features)?;
        check::finite("x", x)?;
        Ok(net::scores(x, self.widths, &self.w))
    }

    /// Predictions for `x` `[n_samples, n_features]`, a class, labels or numbers per row.
    ///
    /// # Errors
    /// As [`FittedMlp::scores`].
    pub fn predict(&self, x: ArrayView2<'_, f32>) -> Result<P> {
        Ok(P::from_scores(&self.scores(x)?))
    }

    /// Mean loss for `x` `[n_samples, n_features]`, as [`LinearProbe::loss`](crate::LinearProbe::loss).
    ///
    /// # Errors
    /// As [`FittedMlp::scores`]; other targets than it was fitted to.
    pub fn loss<T: Targets<Predicted = P>>(
        &self,
        x: ArrayView2<'_, f32>,
        targets: T,
    ) -> Result<f64> {
        let truth = targets.truth();
        truth.check_with(x)?;
        check_outputs(&truth, self.n_outputs())?;
        Ok(pass::mean_loss(&truth, self.scores(x)?))
    }
}

impl<P: PredictedLabels> FittedMlp<P> {
    /// Probabilities for `x` `[n_samples, n_features]`: `[n_samples, n_classes]` or
    /// `[n_samples, n_labels]`.
    ///
    /// # Errors
    /// As [`FittedMlp::scores`].
    pub fn predict_proba(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        Ok(P::probabilities(self.scores(x)?))
    }
}

predict_inplace!(FittedMlp, Array1<usize>, |n, _| Array1::zeros(n));
predict_inplace!(FittedMlp, Array2<bool>, |n, k| Array2::default((n, k)));
predict_inplace!(FittedMlp, Array2<f32>, |n, k| Array2::zeros((n, k)));
