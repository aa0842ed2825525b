//! Layer norm with gradients, `[.., d]` in and out: one pass over memory each way.
//!
//! `y = γ (x - mean) / √(variance + ε) + β` (Ba et al. 2016). Kept: the input, and mean and scale of
//! each row. Sums over rows have one order whatever the number of threads. Held by the test below.

use burn::nn::LayerNorm;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::LANES;
use super::recorded::{Operation, Plain, into_values, of_values, plain, record, recorded, slice};

/// Rows whose parts of the gradients of `γ` and `β` are summed before these join the others.
const ROWS: usize = 64;

/// `norm`, whose ε is `epsilon`, of the last dimension.
pub(crate) fn with_gradient<const D: usize>(
    norm: &LayerNorm,
    epsilon: f64,
    x: Tensor<D>,
) -> Tensor<D> {
    let shape = x.dims();
    let d = shape[D - 1];
    let x = recorded(x);
    let gamma = recorded(norm.gamma.val());
    let beta = norm.beta.as_ref().map_or_else(
        || recorded(Tensor::<1>::zeros([d], &norm.gamma.device())),
        |beta| recorded(beta.val()),
    );
    let values = x.primitive().to_contiguous();
    let scale = gamma.primitive().to_contiguous();
    let shift = beta.primitive().to_contiguous();
    #[allow(clippy::cast_possible_truncation)] // as the weights are
    let rows = Rows {
        d,
        epsilon: epsilon as f32,
        gamma: slice(&scale),
    };
    let mut out = vec![0.0; slice(&values).len()];
    let block = ROWS * d;
    let blocks = out
        .par_chunks_mut(block)
        .zip(slice(&values).par_chunks(block));
    let moments = blocks
        .map(|(out, x)| rows.forward(x, slice(&shift), out))
        .flatten_iter()
        .collect();
    let saved = Norm {
        x: values,
        gamma: scale,
        moments,
    };
    record([&x, &gamma, &beta], of_values(out, shape), saved)
}

#[derive(Clone, Debug)]
struct Norm {
    x: Plain,
    gamma: Plain,
    /// Mean and `1 / √(variance + ε)` of each row.
    moments: Vec<(f32, f32)>,
}

impl Operation<3> for Norm {
    fn backward(self, gradient: Plain, wanted: [bool; 3]) -> [Option<Plain>; 3] {
        let gamma = slice(&self.gamma);
        let d = gamma.len();
        let shape = self.x.layout().shape().clone();
        let mut gradient = into_values(gradient);
        let rows = Rows {
            d,
            epsilon: 0.0,
            gamma,
        };
        let blocks = gradient.par_chunks_mut(ROWS * d);
        let blocks = blocks.zip(slice(&self.x).par_chunks(ROWS * d));
        let sums: Vec<Vec<f32>> = blocks
            .zip(self.moments.par_chunks(ROWS))
            .map(|((gradient, x), moments)| rows.backward(x, moments, gradient))
            .collect();
        let mut total = vec![0.0; 2 * d];
        for sums in sums {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += sum;
            }
        }
        let of_beta = total.split_off(d);
        let of_x = plain(of_values(gradient, [shape.num_elements()])).reshape(shape);
        [
            wanted[0].then_some(of_x),
            wanted[1].then(|| plain(of_values(total, [d]))),
            wanted[2].then(|| plain(of_values(of_beta, [d]))),
        ]
    }
}

/// Some rows of `d` values.
struct Rows<'a> {
    d: usize,
    epsilon: f32,
    gamma: &'a [f32],
}

impl Rows<'_> {
    fn forward(&self, x: &[f32], beta: &[f32], out: &mut [f32]) -> Vec<(f32, f32)> {
        let mut moments = Vec::with_capacity(x.len() / self.d);
        pulp::Arch::new().dispatch(Forward {
            rows: self,
            x,
            beta,
            out,
            moments: &mut moments,
        });
        moments
    }

    /// `gradient` becomes that of `x`; those of `γ` and `β` are returned one after the other.
    fn backward(&self, x: &[f32], moments: &[(f32, f32)], gradient: &mut [f32]) -> Vec<f32> {
        let mut sums = vec![0.0; 2 * self.d];
        pulp::Arch::new().dispatch(BackwardPass {
            rows: self,
            x,
            moments,
            gradient,
            sums: &mut sums,
        });
        sums
    }
}

struct Forward<'a> {
    rows: &'a Rows<'a>,
    x: &'a [f32],
    beta: &'a [f32],
    out: &'a mut [f32],
    moments: &'a mut Vec<(f32, f32)>,
}

impl pulp::WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let Rows { d, epsilon, gamma } = *self.rows;
        #[allow(clippy::cast_precision_loss)] // a width
        let n = d as f32;
        let rows = self.x.chunks_exact(d).zip(self.out.chunks_exact_mut(d));
        for (x, out) in rows {
            let mean = sum(x, |x, _| x, x) / n;
            let variance = sum(x, |x, _| (x - mean) * (x - mean), x) / n;
            let scale = (variance + epsilon).sqrt().recip();
            for (((out, x), gamma), beta) in out.iter_mut().zip(x).zip(gamma).zip(self.beta) {
                *out = (x - mean) * scale * gamma + beta;
            }
            self.moments.push((mean, scale));
        }
    }
}

struct BackwardPass<'a> {
    rows: &'a Rows<'a>,
    x: &'a [f32],
    moments: &'a [(f32, f32)],
    gradient: &'a mut [f32],
    sums: &'a mut [f32],
}

impl pulp::WithSimd for BackwardPass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        let Rows { d, gamma, .. } = *self.rows;
        #[allow(clippy::cast_precision_loss)] // a width
        let n = d as f32;
        let (of_gamma, of_beta) = self.sums.split_at_mut(d);
        let rows = self
            .x
            .chunks_exact(d)
            .zip(self.gradient.chunks_exact_mut(d));
        for ((x, gradient), &(mean, scale)) in rows.zip(self.moments) {
            let sums = of_gamma.iter_mut().zip(of_beta.iter_mut());
            for ((&x, gradient), ((of_gamma, of_beta), gamma)) in
                x.iter().zip(gradient.iter_mut()).zip(sums.zip(gamma))
            {
                *of_gamma += *gradient * ((x - mean) * scale);
                *of_beta += *gradient;
                *gradient *= gamma;
            }
            let along_one = sum(gradient, |g, _| g, x) / n;
            let along_x = sum(gradient, |g, x| g * ((x - mean) * scale), x) / n;
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient = scale * (*gradient - along_one - (x - mean) * scale * along_x);
            }
        }
    }
}

/// The sum of `f(a, b)`, in [`LANES`] parts.
#[inline(always)]
fn sum(a: &[f32], f: impl Fn(f32, f32) -> f32, b: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f(*a, *b);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| f(*a, *b)).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Param;
    use burn::nn::LayerNormConfig;
    use burn::tensor::{Device, TensorData};

    /// Widths with and without a rest, rows of one block and of two.
    #[test]
    fn values_and_gradients_are_burns() {
        let device = Device::flex().autodiff();
        for (n, d) in [(3, 5), (70, 48), (130, 33)] {
            let wave = |len: usize, step: f32| -> Vec<f32> {
                (0_u16..)
                    .map(|i| (f32::from(i) * step).sin() * 2.0 + 0.3)
                    .take(len)
                    .collect()
            };
            let vector = |step| {
                let data = TensorData::new(wave(d, step), [d]);
                Param::from_tensor(Tensor::<1>::from_data(data, &device))
            };
            let mut norm = LayerNormConfig::new(d).with_epsilon(1e-3).init(&device);
            (norm.gamma, norm.beta) = (vector(0.9), Some(vector(0.4)));
            let x = || {
                let data = TensorData::new(wave(n * d, 0.7), [1, n, d]);
                Tensor::<3>::from_data(data, &device).require_grad()
            };
            let weights = TensorData::new(wave(n * d, 1.3), [1, n, d]);
            let weights = Tensor::<3>::from_data(weights, &device);
            let run = |f: &dyn Fn(Tensor<3>) -> Tensor<3>| {
                let x = x();
                let y = f(x.clone());
                let gradients = (y.clone() * weights.clone()).sum().backward();
                let beta = norm.beta.as_ref().and_then(|b| b.val().grad(&gradients));
                let all = [
                    Some(y.inner().flatten::<1>(0, 2)),
                    x.grad(&gradients).map(|g| g.flatten::<1>(0, 2)),
                    norm.gamma.val().grad(&gradients),
                    beta,
                ];
                all.map(|x| x.expect("a gradient"))
            };
            let found = run(&|x| with_gradient(&norm, 1e-3, x));
            let exact = run(&|x| norm.forward(x));
            for (found, exact) in found.into_iter().zip(exact) {
                let largest = exact.clone().abs().max().into_scalar::<f32>();
                let difference = (found - exact).abs().max().into_scalar::<f32>();
                // Sums of up to 130 values in another order.
                assert!(
                    difference <= 1e-5 * largest,
                    "{n} x {d}: {difference} of {largest}"
                );
            }
        }
    }
}
