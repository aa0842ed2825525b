//! The mean loss with its penalty, in variables that L-BFGS gets on well with.
//!
//! `F / (C n)` of weights `w` and offsets, features centred. Variables are `u = w √h`, `h` the curvature
//! of the mean loss at zero weights, `var_j p_c (1 - p_c)`, plus that of the penalty, `λ_j / (C n)`; `λ_j`
//! is 1, or the variance of the feature where features are to be standardised. Held by
//! `tests/it/logistic.rs`.

use ndarray::{Array2, ArrayView2};
use tracing::debug;

use super::LogisticValidParams;
use crate::{
    FitProgress, FitReport, LinearProbe, OnProgress, Predicted, Result,
    blocks::Design,
    lbfgs::{End, Lbfgs, Point},
    moments::Moments,
    pass::{self, Sums},
    progress,
    real::{Real, rounded_all},
    targets::Truth,
};

/// Features and labels of a fit, and all of it that does not depend on C.
pub(super) struct Problem<'a> {
    x: ArrayView2<'a, f32>,
    truth: Truth<'a>,
    moments: Moments,
    /// `λ_j`, `[n_features]`.
    penalties: Vec<f64>,
    /// `p (1 - p)` of each output, `[n_outputs]`.
    spreads: Vec<f64>,
    /// Zero weights, and the offsets that fit the classes' shares.
    start: Vec<f64>,
    /// Mean loss and its gradient there.
    at_start: Sums,
    tolerance: f64,
    max_steps: usize,
}

/// `[n_features, n_outputs]` weights of centred features, then offsets.
pub(super) struct Solution {
    pub(super) w: Vec<f64>,
    pub(super) report: FitReport,
}

impl<'a> Problem<'a> {
    pub(super) fn new(
        params: &LogisticValidParams,
        x: ArrayView2<'a, f32>,
        truth: Truth<'a>,
    ) -> Result<Self> {
        truth.check_with(x)?;
        truth.check_variety()?;
        let moments = Moments::of(x)?;
        let shares = shares(&truth);
        let offsets: Vec<f64> = match &truth {
            Truth::Classes(_) if shares.len() > 1 => {
                shares.iter().map(|share| share.ln()).collect()
            }
            _ => shares
                .iter()
                .map(|share| (share / (1.0 - share)).ln())
                .collect(),
        };
        let mut start = vec![0.0; x.ncols() * shares.len()];
        start.extend(&offsets);
        let penalty = |&variance: &f64| {
            if params.standardise && variance > 0.0 {
                variance
            } else {
                1.0
            }
        };
        let mut problem = Self {
            x,
            truth,
            penalties: moments.variance.iter().map(penalty).collect(),
            moments,
            spreads: shares.iter().map(|share| share * (1.0 - share)).collect(),
            at_start: Sums {
                loss: 0.0,
                gradient: Vec::new(),
            },
            start,
            tolerance: params.tolerance,
            max_steps: params.max_steps,
        };
        problem.at_start = problem.mean::<f32>(&problem.start);
        Ok(problem)
    }

    /// The minimum for one C, from another's or from zero weights.
    pub(super) fn solve(
        &self,
        c: f64,
        from: Option<&Solution>,
        on: &mut OnProgress<'_>,
    ) -> Result<Solution> {
        let scaled = Scaled::new(self, c);
        let start = match from {
            Some(from) => scaled.evaluate::<f32>(scaled.variables(&from.w)),
            None => scaled.point(scaled.variables(&self.start), self.at_start.clone()),
        };
        let mut watch = Watch {
            reference: scaled.reference(),
            n_steps: 0,
            on,
        };
        let (mut point, mut end) = scaled.minimise::<f32>(start, &mut watch)?;
        if end == End::Stalled || (end == End::Converged && self.tolerance < f32::GRADIENT_FLOOR) {
            debug!(watch.n_steps, "on in double precision");
            let start = scaled.evaluate::<f64>(point.w);
            (point, end) = scaled.minimise::<f64>(start, &mut watch)?;
        }
        let report = FitReport {
            n_steps: watch.n_steps,
            loss: point.loss,
            gradient: watch.relative(&point),
            converged: end == End::Converged,
        };
        let w = scaled.weights(&point.w);
        Ok(Solution { w, report })
    }

    pub(super) fn probe<P: Predicted>(&self, solution: &Solution) -> LinearProbe<P> {
        let (d, k) = (self.x.ncols(), self.spreads.len());
        let (weights, offsets) = solution.w.split_at(d * k);
        let mut offsets = offsets.to_vec();
        if k > 1 && matches!(self.truth, Truth::Classes(_)) {
            // Softmax does not see what they share; as scikit-learn's they add up to 0.
            let mean = offsets.iter().sum::<f64>() / k as f64;
            for offset in &mut offsets {
                *offset -= mean;
            }
        }
        #[allow(clippy::cast_possible_truncation)] // coefficients are f32
        let coef = Array2::from_shape_fn((d, k), |(j, c)| weights[j * k + c] as f32);
        let shift = Some(self.moments.centre.clone());
        LinearProbe::new(coef, offsets, shift, solution.report)
    }

    /// Mean loss and its gradient, no penalty.
    fn mean<T: Real>(&self, w: &[f64]) -> Sums {
        let shift = Some(self.moments.centre.as_slice());
        let design = Design {
            x: self.x.reborrow(),
            shift,
        };
        let w: Vec<T> = rounded_all(w);
        let mut sums = pass::loss_and_gradient(design, &self.truth, &w, self.spreads.len());
        let scale = 1.0 / self.x.nrows() as f64;
        sums.loss *= scale;
        sums.gradient.iter_mut().for_each(|value| *value *= scale);
        sums
    }
}

/// Share of the rows that each output stands for: of each class, of the second of two, of each label.
fn shares(truth: &Truth<'_>) -> Vec<f64> {
    let n = truth.n_rows() as f64;
    match truth {
        Truth::Classes(classes) => {
            let counts = classes.counts();
            let from = usize::from(counts.len() == 2);
            counts[from..]
                .iter()
                .map(|&count| count as f64 / n)
                .collect()
        }
        Truth::Labels(labels) => {
            let count =
                |column: ndarray::ArrayView1<'_, bool>| column.iter().filter(|&&is| is).count();
            labels
                .columns()
                .into_iter()
                .map(|column| count(column) as f64 / n)
                .collect()
        }
        Truth::Values(_) => Vec::new(),
    }
}

/// Counts steps and tells of them.
struct Watch<'w, 'on> {
    /// Norm of the gradient at zero weights.
    reference: f64,
    n_steps: usize,
    on: &'w mut OnProgress<'on>,
}

impl Watch<'_, '_> {
    fn see(&mut self, point: &Point) -> Result<()> {
        self.n_steps += 1;
        let (step, loss) = (self.n_steps, point.loss);
        let gradient = self.relative(point);
        let progress = FitProgress::Step {
            step,
            loss,
            gradient,
        };
        progress::tell(self.on, progress)
    }

    fn relative(&self, point: &Point) -> f64 {
        if self.reference == 0.0 {
            return 0.0;
        }
        point.gradient_norm() / self.reference
    }
}

/// A problem with its C.
struct Scaled<'p, 'a> {
    problem: &'p Problem<'a>,
    /// `λ_j / (C n)` of each weight, 0 of offsets.
    penalties: Vec<f64>,
    /// `1 / √h`.
    scales: Vec<f64>,
}

impl<'p, 'a> Scaled<'p, 'a> {
    fn new(problem: &'p Problem<'a>, c: f64) -> Self {
        let strength = 1.0 / (c * problem.x.nrows() as f64);
        let k = problem.spreads.len();
        let of_weights = problem.penalties.iter();
        let of_weights = of_weights.flat_map(|penalty| std::iter::repeat_n(penalty * strength, k));
        let mut penalties: Vec<f64> = of_weights.collect();
        penalties.resize(problem.start.len(), 0.0);
        let variances = problem.moments.variance.iter().chain([&1.0]);
        let curvatures =
            variances.flat_map(|variance| problem.spreads.iter().map(move |s| variance * s));
        let scales = curvatures
            .zip(&penalties)
            .map(|(loss, penalty)| (loss + penalty).sqrt().recip());
        Self {
            problem,
            scales: scales.collect(),
            penalties,
        }
    }

    fn minimise<T: Real>(&self, start: Point, watch: &mut Watch<'_, '_>) -> Result<(Point, End)> {
        let tolerance = self.problem.tolerance.max(T::GRADIENT_FLOOR);
        let lbfgs = Lbfgs {
            max_steps: self.problem.max_steps.saturating_sub(watch.n_steps),
            tolerance: tolerance * watch.reference,
            noise: T::LOSS_NOISE,
        };
        lbfgs.minimise(start, &mut |u| self.evaluate::<T>(u), &mut |point| {
            watch.see(point)
        })
    }

    /// Norm of the gradient at zero weights.
    fn reference(&self) -> f64 {
        let gradient = &self.problem.at_start.gradient;
        let squares = gradient
            .iter()
            .zip(&self.scales)
            .map(|(g, scale)| (g * scale).powi(2));
        squares.sum::<f64>().sqrt()
    }

    fn weights(&self, u: &[f64]) -> Vec<f64> {
        u.iter()
            .zip(&self.scales)
            .map(|(u, scale)| u * scale)
            .collect()
    }

    fn variables(&self, w: &[f64]) -> Vec<f64> {
        w.iter()
            .zip(&self.scales)
            .map(|(w, scale)| w / scale)
            .collect()
    }

    fn evaluate<T: Real>(&self, u: Vec<f64>) -> Point {
        let sums = self.problem.mean::<T>(&self.weights(&u));
        self.point(u, sums)
    }

    /// With the penalty, and in variables of its own.
    fn point(&self, u: Vec<f64>, sums: Sums) -> Point {
        let (mut loss, mut gradient) = (sums.loss, sums.gradient);
        for (((g, u), scale), penalty) in gradient
            .iter_mut()
            .zip(&u)
            .zip(&self.scales)
            .zip(&self.penalties)
        {
            let w = u * scale;
            loss += 0.5 * penalty * w * w;
            *g = (*g + penalty * w) * scale;
        }
        Point {
            w: u,
            loss,
            gradient,
        }
    }
}
