//! L-BFGS with a line search for the strong Wolfe conditions.
//!
//! Nocedal & Wright, Numerical Optimization (2006), algorithms 7.4, 7.5, 3.5 and 3.6, with the
//! constants that `scipy.optimize` has for L-BFGS-B (ten pairs, 1e-4 and 0.9). Differs: a loss may rise by what
//! rounding makes of it ([`Lbfgs::noise`]), so that a search near the minimum goes by slopes. Not argmin's: it keeps copies of the parameters for
//! every state and has no such allowance. Held by the tests below.

use std::collections::VecDeque;

use crate::Result;

/// Steps whose curvature is remembered.
const HISTORY: usize = 10;
/// Of the slope's promise, the least that a step must keep.
const DECREASE: f64 = 1e-4;
/// Of the slope, the most that may be left after a step.
const CURVATURE: f64 = 0.9;
/// Most evaluations of one line search.
const MAX_TRIALS: usize = 25;

/// A place, with loss and gradient there.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) w: Vec<f64>,
    pub(crate) loss: f64,
    pub(crate) gradient: Vec<f64>,
}

impl Point {
    pub(crate) fn gradient_norm(&self) -> f64 {
        dot(&self.gradient, &self.gradient).sqrt()
    }
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Converged,
    MaxSteps,
    /// No step along the direction makes the loss smaller: its precision is used up.
    Stalled,
}

pub(crate) struct Lbfgs {
    pub(crate) max_steps: usize,
    /// Of the gradient's Euclidean norm.
    pub(crate) tolerance: f64,
    /// How far a loss may be off, relative to itself.
    pub(crate) noise: f64,
}

impl Lbfgs {
    /// Goes down from `point`. `evaluate` makes a [`Point`] of parameters; `each` hears of every step.
    pub(crate) fn minimise(
        &self,
        mut point: Point,
        evaluate: &mut dyn FnMut(Vec<f64>) -> Point,
        each: &mut dyn FnMut(&Point) -> Result<()>,
    ) -> Result<(Point, End)> {
        let mut pairs = Pairs::default();
        for _ in 0..self.max_steps {
            if point.gradient_norm() <= self.tolerance {
                return Ok((point, End::Converged));
            }
            let mut direction = pairs.descent(&point.gradient);
            if dot(&direction, &point.gradient) >= 0.0 {
                pairs = Pairs::default();
                direction = pairs.descent(&point.gradient);
            }
            // Without curvature the length of a step is anyone's guess.
            let first = if pairs.is_empty() {
                point.gradient_norm().recip().min(1.0)
            } else {
                1.0
            };
            let search = Search {
                start: &point,
                direction: &direction,
                slope: dot(&direction, &point.gradient),
                noise: self.noise * point.loss.abs(),
            };
            let Some(next) = search.run(first, evaluate) else {
                if pairs.is_empty() {
                    return Ok((point, End::Stalled));
                }
                // Curvature made of rounding may be what is wrong.
                pairs = Pairs::default();
                continue;
            };
            pairs.add(&point, &next);
            point = next;
            each(&point)?;
        }
        if point.gradient_norm() <= self.tolerance {
            return Ok((point, End::Converged));
        }
        Ok((point, End::MaxSteps))
    }
}

/// Steps and what the gradient changed by, the oldest first.
#[derive(Default)]
struct Pairs(VecDeque<(Vec<f64>, Vec<f64>, f64)>);

impl Pairs {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, from: &Point, to: &Point) {
        let step = difference(&to.w, &from.w);
        let change = difference(&to.gradient, &from.gradient);
        let product = dot(&step, &change);
        if product <= f64::EPSILON * dot(&change, &change) {
            return; // not convex along the step: rounding
        }
        if self.0.len() == HISTORY {
            self.0.pop_front();
        }
        self.0.push_back((step, change, product.recip()));
    }

    /// Minus the inverse Hessian, as far as it is known, times the gradient.
    fn descent(&self, gradient: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut shares = Vec::with_capacity(self.0.len());
        for (step, change, rho) in self.0.iter().rev() {
            let share = rho * dot(step, &direction);
            add(&mut direction, -share, change);
            shares.push(share);
        }
        if let Some((_, change, rho)) = self.0.back() {
            let scale = 1.0 / (rho * dot(change, change));
            for value in &mut direction {
                *value *= scale;
            }
        }
        for ((step, change, rho), share) in self.0.iter().zip(shares.iter().rev()) {
            let back = rho * dot(change, &direction);
            add(&mut direction, share - back, step);
        }
        direction
    }
}

/// A search along one direction.
struct Search<'a> {
    start: &'a Point,
    direction: &'a [f64],
    slope: f64,
    noise: f64,
}

/// A trial of it.
struct Trial {
    t: f64,
    slope: f64,
    point: Point,
}

impl Search<'_> {
    fn run(&self, first: f64, evaluate: &mut dyn FnMut(Vec<f64>) -> Point) -> Option<Point> {
        let mut low = Trial {
            t: 0.0,
            slope: self.slope,
            point: self.start.clone(),
        };
        let mut high: Option<Trial> = None;
        let mut t = first;
        for _ in 0..MAX_TRIALS {
            let trial = self.trial(t, evaluate);
            let loss = trial.point.loss;
            let promised = self.start.loss + DECREASE * t * self.slope + self.noise;
            if !loss.is_finite() || loss > promised || loss > low.point.loss + self.noise {
                high = Some(trial);
            } else if trial.slope.abs() <= -CURVATURE * self.slope {
                return Some(trial.point);
            } else {
                let backwards = high.as_ref().is_some_and(|high| high.t < low.t);
                let beyond = if backwards { -trial.slope } else { trial.slope };
                if beyond >= 0.0 {
                    high = Some(std::mem::replace(&mut low, trial));
                } else {
                    low = trial;
                }
            }
            t = match &high {
                None => 4.0 * low.t,
                Some(high) => between(&low, high),
            };
            if !t.is_finite() || (t - low.t).abs() <= 1e-12 * low.t {
                break;
            }
        }
        // A step that goes down, if only not to a flat place, is better than none.
        let lower = low.t > 0.0 && low.point.loss < self.start.loss - self.noise;
        lower.then_some(low.point)
    }

    fn trial(&self, t: f64, evaluate: &mut dyn FnMut(Vec<f64>) -> Point) -> Trial {
        let steps = self.start.w.iter().zip(self.direction);
        let point = evaluate(steps.map(|(w, direction)| w + t * direction).collect());
        let slope = dot(&point.gradient, self.direction);
        Trial { t, slope, point }
    }
}

/// Where the cubic through both trials is lowest, kept a tenth of the way from either.
fn between(low: &Trial, high: &Trial) -> f64 {
    let (a, b) = (low.t, high.t);
    let width = b - a;
    let theta = 3.0 * (low.point.loss - high.point.loss) / width + low.slope + high.slope;
    let root = (theta * theta - low.slope * high.slope).sqrt() * width.signum();
    let share = (root + theta - low.slope) / (2.0 * root + high.slope - low.slope);
    let share = if share.is_finite() { share } else { 0.5 };
    a + width * share.clamp(0.1, 0.9)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add(into: &mut [f64], scale: f64, values: &[f64]) {
    for (into, value) in into.iter_mut().zip(values) {
        *into += scale * value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minimise(start: Vec<f64>, f: impl Fn(&[f64]) -> (f64, Vec<f64>)) -> (Point, End, usize) {
        let mut evaluate = |w: Vec<f64>| {
            let (loss, gradient) = f(&w);
            Point { w, loss, gradient }
        };
        let lbfgs = Lbfgs {
            max_steps: 200,
            tolerance: 1e-9,
            noise: 1e-15,
        };
        let start = evaluate(start);
        let mut steps = 0;
        let (point, end) = lbfgs
            .minimise(start, &mut evaluate, &mut |_| {
                steps += 1;
                Ok(())
            })
            .expect("nobody stops it");
        (point, end, steps)
    }

    #[test]
    fn rosenbrock_is_minimised() {
        let (point, end, steps) = minimise(vec![-1.2, 1.0], |w| {
            let (a, b) = (1.0 - w[0], w[1] - w[0] * w[0]);
            let gradient = vec![-2.0 * a - 400.0 * b * w[0], 200.0 * b];
            (a * a + 100.0 * b * b, gradient)
        });
        assert_eq!(end, End::Converged);
        assert!(steps < 60, "{steps}");
        assert!(point.w.iter().all(|w| (w - 1.0).abs() < 1e-8));
    }

    #[test]
    fn a_badly_scaled_quadratic_is_minimised() {
        let scale = |i: usize| 10f64.powi(i32::try_from(i).unwrap_or(0) - 2);
        let (point, end, _) = minimise(vec![3.0; 6], |w| {
            let loss = w
                .iter()
                .enumerate()
                .map(|(i, w)| 0.5 * scale(i) * w * w)
                .sum();
            (
                loss,
                w.iter().enumerate().map(|(i, w)| scale(i) * w).collect(),
            )
        });
        assert_eq!(end, End::Converged);
        assert!(point.w.iter().all(|w| w.abs() < 1e-6));
    }
}
