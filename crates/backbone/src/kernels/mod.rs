//! GELU, softmax, norms and attention in one pass over memory where tensors are host memory (flex).
//!
//! burn's own kernels there call the C library once per value; with gradients, they keep a tensor for
//! each operation (`recorded.rs`). On other devices burn's operations are used. Results do not depend on the instruction set:
//! nothing is contracted or reordered. Held by the tests below.

#![expect(
    clippy::inline_always,
    reason = "compiled into each instruction set's copy of the loop"
)]

pub(crate) mod attention;
#[cfg(feature = "flex")]
pub(crate) mod attention_gradients;
#[cfg(feature = "flex")]
mod layer_norm;
#[cfg(feature = "flex")]
mod recorded;
pub(crate) mod time_norm;

use burn::nn::LayerNorm;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// Values that a thread works on at once; a multiple of [`LANES`].
const BLOCK: usize = 1 << 15;
/// Values of a vector, partial maxima and sums; fixed, so that results are the same everywhere.
pub(crate) const LANES: usize = 16;

/// Whether the device is burn's own backend for CPUs, with gradients or without.
pub(crate) fn is_flex(device: &Device) -> bool {
    #[cfg(feature = "flex")]
    let flex = device.clone().inner() == Device::flex();
    #[cfg(not(feature = "flex"))]
    let flex = {
        let _ = device;
        false
    };
    flex
}

/// Whether the device takes views whose rows overlap as factors of a product: the CPU's do.
pub(crate) fn multiplies_overlapping_rows(device: &Device) -> bool {
    #[cfg(feature = "tch")]
    #[expect(deprecated, reason = "burn 0.23 drops it")]
    let libtorch = device.clone().inner() == Device::libtorch();
    #[cfg(not(feature = "tch"))]
    let libtorch = false;
    libtorch || is_flex(device)
}

/// Whether tensors of the device are host memory that can be changed in place.
pub(crate) fn is_host(device: &Device) -> bool {
    is_flex(device) && !device.is_autodiff()
}

/// Whether burn's attention is one kernel of the device that never holds all scores. With gradients, and
/// in flex, it is made of products that do.
pub(crate) fn has_own_attention(device: &Device) -> bool {
    !is_flex(device) && !device.is_autodiff()
}

/// `x Φ(x)` with the normal distribution function Φ, within 1e-6 of exact for |x| < 10.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_host(&x.device()) {
        in_place(x, BLOCK, &Gelu)
    } else {
        #[cfg(feature = "flex")]
        if is_flex(&x.device()) {
            return gelu_with_gradient(x);
        }
        burn::tensor::activation::gelu(x)
    }
}

/// A layer norm, whose ε is `epsilon`.
pub(crate) fn layer_norm<const D: usize>(
    norm: &LayerNorm,
    epsilon: f64,
    x: Tensor<D>,
) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if is_recorded(&x) {
        return layer_norm::with_gradient(norm, epsilon, x);
    }
    #[cfg(not(feature = "flex"))]
    let _ = epsilon;
    norm.forward(x)
}

/// Whether a tensor takes part in a graph on burn's own backend for CPUs.
#[cfg(feature = "flex")]
pub(crate) fn is_recorded<const D: usize>(x: &Tensor<D>) -> bool {
    x.device().is_autodiff() && is_flex(&x.device())
}

#[cfg(feature = "flex")]
fn gelu_with_gradient<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let plain = x.clone().inner();
    let saved = GeluInput(recorded::plain(plain.clone()));
    let out = in_place(plain, BLOCK, &Gelu);
    recorded::record([&recorded::recorded(x)], out, saved)
}

/// The input of a recorded GELU.
#[cfg(feature = "flex")]
#[derive(Clone, Debug)]
struct GeluInput(recorded::Plain);

#[cfg(feature = "flex")]
impl recorded::Operation<1> for GeluInput {
    fn backward(
        self,
        gradient: recorded::Plain,
        _wanted: [bool; 1],
    ) -> [Option<recorded::Plain>; 1] {
        let shape = gradient.layout().shape().clone();
        let mut values = recorded::into_values(gradient);
        let blocks = values.par_chunks_mut(BLOCK);
        let blocks = blocks.zip(recorded::slice(&self.0).par_chunks(BLOCK));
        let arch = pulp::Arch::new();
        blocks.for_each(|(gradient, x)| arch.dispatch(GeluSlope { gradient, x }));
        let n = values.len();
        let gradient = recorded::plain(recorded::of_values(values, [n]));
        [Some(gradient.reshape(shape))]
    }
}

/// Softmax over the last dimension.
pub(crate) fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let n = x.dims()[D - 1];
    if is_host(&x.device()) && n > 0 {
        let rows = BLOCK.div_ceil(n) * n;
        in_place(x, rows, &Softmax { n })
    } else {
        burn::tensor::activation::softmax(x, D - 1)
    }
}

/// Values of a tensor, without a copy where nothing else holds it.
pub(crate) fn to_values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    let values = x.into_data_as::<f32>().try_into_vec();
    values.unwrap_or_else(|e| unreachable!("just converted to f32: {e:?}"))
}

/// Changes the values of a tensor, `block` at a time, on the threads of the current pool.
fn in_place<const D: usize>(x: Tensor<D>, block: usize, kernel: &impl Kernel) -> Tensor<D> {
    let device = x.device();
    let mut data: TensorData = x.into_data_as::<f32>();
    let values = data
        .as_mut_slice::<f32>()
        .unwrap_or_else(|e| unreachable!("just converted to f32: {e:?}"));
    let arch = pulp::Arch::new();
    let change = |values: &mut [f32]| arch.dispatch(Change { kernel, values });
    if rayon::current_num_threads() > 1 {
        values.par_chunks_mut(block).for_each(change);
    } else {
        values.chunks_mut(block).for_each(change);
    }
    Tensor::from_data(data, &device)
}

/// What happens to a block of values.
trait Kernel: Sync {
    fn change(&self, values: &mut [f32]);
}

struct Gelu;

impl Kernel for Gelu {
    #[inline(always)]
    fn change(&self, values: &mut [f32]) {
        for x in values {
            *x = gelu_of(*x);
        }
    }
}

/// `gradient` times `Φ(x) + x φ(x)`, the slope of GELU.
#[cfg(feature = "flex")]
struct GeluSlope<'a> {
    gradient: &'a mut [f32],
    x: &'a [f32],
}

#[cfg(feature = "flex")]
impl pulp::WithSimd for GeluSlope<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        const TWO_FRAC_1_SQRT_TAU: f32 = 0.797_884_6;
        for (gradient, &x) in self.gradient.iter_mut().zip(self.x) {
            // The tail is half of a polynomial times e^(-x²/2), the density that times 1 / √τ.
            let (polynomial, half_density) = tail_parts(x);
            let tail = polynomial * half_density;
            let below = if x > 0.0 { 1.0 - tail } else { tail };
            let slope = below + x * (half_density * TWO_FRAC_1_SQRT_TAU);
            *gradient = flushed(*gradient * slope);
        }
    }
}

/// Softmax of each row of `n`.
struct Softmax {
    n: usize,
}

impl Kernel for Softmax {
    #[inline(always)]
    fn change(&self, values: &mut [f32]) {
        for row in values.chunks_exact_mut(self.n) {
            softmax_row(row);
        }
    }
}

/// A kernel compiled once for each instruction set, chosen when it runs. A type of its own: a
/// closure is not inlined into each copy, and then runs with the oldest instruction set.
struct Change<'a, K> {
    kernel: &'a K,
    values: &'a mut [f32],
}

impl<K: Kernel> pulp::WithSimd for Change<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.kernel.change(self.values);
    }
}

/// 1 - Φ(|x|) through erfc by Abramowitz & Stegun (1964), eq. 7.1.26: within 1.5e-7.
#[inline(always)]
fn tail_of(x: f32) -> f32 {
    let (polynomial, half_density) = tail_parts(x);
    polynomial * half_density
}

/// `x`, or 0 where it is so small that products with it would be subnormal: processors take a hundred
/// times as long for these, and a hundred of a million values are enough to be felt.
#[cfg(feature = "flex")]
#[inline(always)]
pub(crate) fn flushed(x: f32) -> f32 {
    if x.abs() < 1e-30 { 0.0 } else { x }
}

/// The polynomial of [`tail_of`], and `e^(-x²/2) / 2`; 0 in place of less than 1e-35.
#[inline(always)]
fn tail_parts(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let polynomial = 1.061_405_4 * t - 1.453_152;
    let polynomial = polynomial * t + 1.421_413_7;
    let polynomial = polynomial * t - 0.284_496_74;
    let polynomial = (polynomial * t + 0.254_829_6) * t;
    let density = if z * z > 80.0 { 0.0 } else { exp(-z * z) };
    (polynomial, 0.5 * density)
}

#[inline(always)]
pub(crate) fn gelu_of(x: f32) -> f32 {
    let tail = x * tail_of(x); // x times the smaller of Φ and 1 - Φ, signed
    if x > 0.0 { x - tail } else { tail }
}

/// eˣ for x ≤ 0, within 3e-7 of itself; below -87 it is e⁻⁸⁷, about 1e-38.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves a whole number in the last bits
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    // ln 2 in two parts, the first exact in few bits.
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let mut sum = 1.0 / 5040.0;
    sum = sum * rest + 1.0 / 720.0;
    sum = sum * rest + 1.0 / 120.0;
    sum = sum * rest + 1.0 / 24.0;
    sum = sum * rest + 1.0 / 6.0;
    sum = sum * rest + 0.5;
    sum = sum * rest + 1.0;
    sum = sum * rest + 1.0;
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    sum * f32::from_bits(exponent << 23)
}

#[inline(always)]
fn softmax_row(row: &mut [f32]) {
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (lanes, rest) = row.as_chunks::<LANES>();
    for chunk in lanes {
        for (most, x) in largest.iter_mut().zip(chunk) {
            *most = if *x > *most { *x } else { *most };
        }
    }
    let largest = largest
        .iter()
        .chain(rest)
        .fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let mut sums = [0.0; LANES];
    let (lanes, rest) = row.as_chunks_mut::<LANES>();
    for chunk in lanes {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = exp(*x - largest);
            *sum += *x;
        }
    }
    let mut sum: f32 = sums.iter().sum();
    for x in rest {
        *x = exp(*x - largest);
        sum += *x;
    }
    let scale = 1.0 / sum;
    for x in row {
        *x *= scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32], device: &Device) -> Tensor<2> {
        Tensor::from_data(
            TensorData::new(values.to_vec(), [3, values.len() / 3]),
            device,
        )
    }

    fn values(x: Tensor<2>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap_or_default()
    }

    #[test]
    fn gelu_is_burns() {
        let x: Vec<f32> = (0_u16..60_000)
            .map(|i| (f32::from(i) - 30_000.0) / 3_000.0)
            .collect();
        let device = Device::flex();
        let found = values(gelu(tensor(&x, &device)));
        let exact = values(burn::tensor::activation::gelu(tensor(&x, &device)));
        for ((x, found), exact) in x.iter().zip(&found).zip(&exact) {
            assert!(
                (found - exact).abs() < 1e-6,
                "gelu({x}) = {exact}, found {found}"
            );
        }
    }

    #[test]
    fn the_gradient_of_gelu_is_burns() {
        let x: Vec<f32> = (0_u16..30_000)
            .map(|i| (f32::from(i) - 15_000.0) / 1_500.0)
            .collect();
        let device = Device::flex().autodiff();
        let weights = tensor(&x, &device).cos();
        let gradient = |gelu: &dyn Fn(Tensor<2>) -> Tensor<2>| {
            let x = tensor(&x, &device).require_grad();
            let y = gelu(x.clone());
            let gradients = (y.clone() * weights.clone()).sum().backward();
            let gradient = x.grad(&gradients).map(values).unwrap_or_default();
            (values(y.inner()), gradient)
        };
        let (found, found_gradient) = gradient(&gelu);
        let (exact, exact_gradient) = gradient(&|x| burn::tensor::activation::gelu(x));
        for (found, exact) in found.iter().zip(&exact) {
            assert!((found - exact).abs() < 3e-6, "{exact}, found {found}");
        }
        assert_eq!(found_gradient.len(), x.len());
        for (found, exact) in found_gradient.iter().zip(&exact_gradient) {
            assert!((found - exact).abs() < 3e-6, "slope {exact}, found {found}");
        }
    }

    #[test]
    fn softmax_is_burns() {
        let device = Device::flex();
        for n in [1, 15, 16, 17, 1500] {
            let x: Vec<f32> = (0_u16..3 * n)
                .map(|i| (f32::from(i) * 0.7).sin() * 40.0)
                .collect();
            let found = values(softmax(tensor(&x, &device)));
            let exact = values(burn::tensor::activation::softmax(tensor(&x, &device), 1));
            for (found, exact) in found.iter().zip(&exact) {
                assert!((found - exact).abs() < 1e-6, "{n}: {exact}, found {found}");
            }
        }
    }

    #[test]
    fn masked_scores_weigh_nothing_that_matters() {
        let device = Device::flex();
        let found = values(softmax(tensor(
            &[0.0, -1e30, 0.0, -1e30, 5.0, -1e30],
            &device,
        )));
        for (found, expected) in found.iter().zip([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]) {
            assert!((found - expected).abs() < 1e-30);
        }
    }
}
