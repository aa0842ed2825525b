//! Losses of a block of scores, and their slopes.
//!
//! Scores are `[b, n_outputs]`. Cross-entropy for classes (a single output is that of the second of two
//! classes), its sum over labels for labels (`BCEWithLogitsLoss` before the mean), the squared error for
//! numbers (`MSELoss` before the mean). Sums in f64; eight outputs at a time, compiled for the processor's
//! vectors. Held by `tests/it/adam.rs`, `tests/it/logistic.rs` and the tests below.

use faer::traits::pulp::{Arch, Simd, WithSimd};
use ndarray::ArrayView1;

use crate::{blocks::Rows, real::Real, targets::Truth};

/// Outputs side by side.
const LANES: usize = 8;
/// Factors of at most 2 whose product is far from the largest f64.
const FACTORS: usize = 64;

/// The sum of losses over `rows`; `scores` become their slopes.
pub(crate) fn loss_and_slopes<T: Real>(
    truth: &Truth<'_>,
    rows: &Rows<'_>,
    scores: &mut [T],
    k: usize,
) -> f64 {
    Arch::new().dispatch(Losses {
        truth,
        rows,
        scores,
        k,
    })
}

struct Losses<'a, 't, T> {
    truth: &'a Truth<'t>,
    rows: &'a Rows<'a>,
    scores: &'a mut [T],
    k: usize,
}

impl<T: Real> WithSimd for Losses<'_, '_, T> {
    type Output = f64;

    #[inline(always)] // into functions compiled for more than the baseline processor, as all below
    #[allow(clippy::inline_always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut loss = 0.0;
        for (i, scores) in self.scores.chunks_exact_mut(self.k).enumerate() {
            let row = self.rows.get(i);
            loss += match self.truth {
                Truth::Classes(classes) => match scores {
                    [_] => binary(scores, &[classes.labels()[row] == 1]),
                    scores => cross_entropy(scores, classes.labels()[row]),
                },
                Truth::Labels(labels) => match labels.row(row).to_slice() {
                    Some(labels) => binary(scores, labels),
                    None => binary(scores, &labels.row(row).to_vec()),
                },
                Truth::Values(values) => squared(scores, values.row(row)),
            };
        }
        loss
    }
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn cross_entropy<T: Real>(scores: &mut [T], class: usize) -> f64 {
    let largest = largest(scores);
    let of_class: f64 = (scores[class] - largest).into();
    let mut sums = [T::zero(); LANES];
    let (lanes, rest) = scores.as_chunks_mut::<LANES>();
    for lanes in lanes {
        for (score, sum) in lanes.iter_mut().zip(&mut sums) {
            *score = (*score - largest).exp_below_0();
            *sum += *score;
        }
    }
    for (score, sum) in rest.iter_mut().zip(&mut sums) {
        *score = (*score - largest).exp_below_0();
        *sum += *score;
    }
    let sum = sums.iter().fold(T::zero(), |a, &b| a + b);
    let scale = T::one() / sum;
    for score in scores.iter_mut() {
        *score *= scale;
    }
    scores[class] -= T::one();
    let sum: f64 = sum.into();
    sum.ln() - of_class
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn largest<T: Real>(scores: &[T]) -> T {
    let mut largest = [scores[0]; LANES];
    let (lanes, rest) = scores.as_chunks::<LANES>();
    for lanes in lanes {
        for (most, &score) in largest.iter_mut().zip(lanes) {
            *most = if score > *most { score } else { *most };
        }
    }
    let all = largest.iter().chain(rest);
    all.fold(scores[0], |a, &b| if b > a { b } else { a })
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn binary<T: Real>(scores: &mut [T], labels: &[bool]) -> f64 {
    let mut loss = 0.0;
    let parts = scores.chunks_mut(LANES * FACTORS);
    for (scores, labels) in parts.zip(labels.chunks(LANES * FACTORS)) {
        // Σ max(wrong, 0) + ln(1 + small): the logarithm of a product is one instead of many.
        let (mut sums, mut products) = ([0.0; LANES], [1.0; LANES]);
        let (lanes, rest) = scores.as_chunks_mut::<LANES>();
        let (labels, labels_of_rest) = labels.as_chunks::<LANES>();
        for (scores, labels) in lanes.iter_mut().zip(labels) {
            for lane in 0..LANES {
                let [above, factor] = sigmoid(&mut scores[lane], labels[lane]);
                sums[lane] += above;
                products[lane] *= factor;
            }
        }
        for (lane, (score, &label)) in rest.iter_mut().zip(labels_of_rest).enumerate() {
            let [above, factor] = sigmoid(score, label);
            sums[lane] += above;
            products[lane] *= factor;
        }
        loss += sums.iter().sum::<f64>() + products.iter().product::<f64>().ln();
    }
    loss
}

/// The score becomes its slope; the loss is the first plus the logarithm of the second.
#[inline(always)]
#[allow(clippy::inline_always)]
fn sigmoid<T: Real>(score: &mut T, label: bool) -> [f64; 2] {
    // Of the class that is not the row's: large scores are large losses.
    let wrong = if label { -*score } else { *score };
    let is_wrong = wrong > T::zero();
    let small = (if is_wrong { -wrong } else { wrong }).exp_below_0(); // in (0, 1]
    let factor = T::one() + small;
    let slope = if is_wrong { T::one() } else { small } / factor;
    *score = if label { -slope } else { slope };
    let above: f64 = (if is_wrong { wrong } else { T::zero() }).into();
    let small: f64 = small.into();
    [above, 1.0 + small]
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn squared<T: Real>(scores: &mut [T], values: ArrayView1<'_, f32>) -> f64 {
    let mut loss = 0.0;
    for (score, &value) in scores.iter_mut().zip(values) {
        let error = *score - T::widened(value);
        *score = error + error;
        let error: f64 = error.into();
        loss += error * error;
    }
    loss
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::Classes;

    fn scores(n: usize, k: usize) -> Vec<f64> {
        let score = |i: usize| (i as f64 * 0.37).sin() * 20.0;
        (0..n * k).map(score).collect()
    }

    #[test]
    fn softmax_is_the_plain_one_in_both_precisions() {
        for k in [2, 7, 8, 39] {
            let labels: Vec<usize> = (0..5).map(|row| row % k).collect();
            let classes = Truth::Classes(Classes::new(&labels, k).expect("labels are below k"));
            let (mut wide, rows) = (scores(5, k), Rows::Range(0..5));
            let mut narrow: Vec<f32> = wide.iter().map(|&s| f32::rounded(s)).collect();
            let mut expected = 0.0;
            let mut slopes = wide.clone();
            for (scores, &class) in slopes.chunks_exact_mut(k).zip(&labels) {
                let sum: f64 = scores.iter().map(|score| score.exp()).sum();
                expected += sum.ln() - scores[class];
                for score in scores.iter_mut() {
                    *score = score.exp() / sum;
                }
                scores[class] -= 1.0;
            }
            assert!(
                (loss_and_slopes(&classes, &rows, &mut wide, k) / expected - 1.0).abs() < 1e-14
            );
            // Scores up to 20 are rounded by 1e-6.
            let loss = loss_and_slopes(&classes, &rows, &mut narrow, k);
            assert!((loss / expected - 1.0).abs() < 1e-6);
            for ((a, b), c) in slopes.iter().zip(wide).zip(narrow) {
                assert!((a - b).abs() < 1e-14 && (a - f64::from(c)).abs() < 2e-6);
            }
        }
    }

    #[test]
    fn sigmoids_are_the_plain_ones_far_out_too() {
        let k = LANES * FACTORS + 11;
        let labels = Array2::from_shape_fn((2, k), |(i, j)| (i + j) % 3 == 0);
        let truth = Truth::Labels(labels.view());
        let mut wide = scores(2, k);
        wide[3] = 800.0;
        wide[4] = -800.0;
        let mut narrow: Vec<f32> = wide.iter().map(|&s| f32::rounded(s)).collect();
        let wrong: Vec<f64> = wide
            .iter()
            .zip(&labels)
            .map(|(s, &y)| if y { -s } else { *s })
            .collect();
        let expected: f64 = wrong
            .iter()
            .map(|w| w.max(0.0) + (-w.abs()).exp().ln_1p())
            .sum();
        let rows = Rows::Range(0..2);
        let loss = loss_and_slopes(&truth, &rows, &mut wide, k);
        assert!((loss / expected - 1.0).abs() < 1e-14);
        let loss = loss_and_slopes(&truth, &rows, &mut narrow, k);
        assert!((loss / expected - 1.0).abs() < 1e-6);
        for (i, (&y, w)) in labels.iter().zip(wrong).enumerate() {
            let slope = 1.0 / (1.0 + (-w).exp()) * if y { -1.0 } else { 1.0 };
            assert!((wide[i] - slope).abs() < 1e-14 && (f64::from(narrow[i]) - slope).abs() < 2e-6);
        }
    }
}
