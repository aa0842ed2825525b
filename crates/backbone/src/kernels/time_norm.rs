//! Norm over time and GELU behind it: what follows the first convolution of wav2vec2-base.
//!
//! `[batch, n, channels]` → the same, each channel of each clip with mean 0 and variance 1 before
//! scale and shift. Its input is the largest tensor of the model: where tensors are host memory it
//! is read twice and changed in place, statistics in f64, where burn's operations would hold three
//! of its size. Held by the test below and `tests/it/families.rs`.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::{gelu, gelu_of, is_host, to_values};

/// Frames whose sums one thread makes; fixed, so that results never depend on the threads.
const FRAMES: usize = 1024;

/// `GELU(norm(x) * scale + shift)`; `scale` and `shift`: `[channels]`.
pub(crate) fn time_norm_gelu(
    x: Tensor<3>,
    scale: Tensor<1>,
    shift: Option<Tensor<1>>,
    epsilon: f64,
) -> Tensor<3> {
    let device = x.device();
    let [_, n, n_channels] = x.dims();
    if !is_host(&device) || n * n_channels == 0 {
        let x = to_unit(x, epsilon) * scale.unsqueeze();
        return gelu(match shift {
            Some(shift) => x + shift.unsqueeze(),
            None => x,
        });
    }
    let shift = shift.unwrap_or_else(|| Tensor::zeros([n_channels], &device));
    let (scale, shift) = (to_values(scale), to_values(shift));
    let mut data: TensorData = x.into_data_as::<f32>();
    let values = data
        .as_mut_slice::<f32>()
        .unwrap_or_else(|e| unreachable!("just converted to f32: {e:?}"));
    for clip in values.chunks_exact_mut(n * n_channels) {
        let affine = Affine::new(clip, &scale, &shift, epsilon);
        let arch = pulp::Arch::new();
        clip.par_chunks_mut(FRAMES * n_channels)
            .for_each(|block| arch.dispatch(Apply(&affine, block)));
    }
    Tensor::from_data(data, &device)
}

fn to_unit(x: Tensor<3>, epsilon: f64) -> Tensor<3> {
    let x = x.clone() - x.mean_dim(1);
    let variance = (x.clone() * x.clone()).mean_dim(1);
    x / (variance + epsilon).sqrt()
}

/// What a clip's channels are multiplied with once their means are gone, and then shifted by.
struct Affine<'a> {
    means: Vec<f32>,
    scale: Vec<f32>,
    shift: &'a [f32],
}

impl<'a> Affine<'a> {
    /// From the statistics of a clip `[n, channels]`.
    fn new(clip: &[f32], scale: &[f32], shift: &'a [f32], epsilon: f64) -> Self {
        let n_channels = scale.len();
        let arch = pulp::Arch::new();
        let parts: Vec<_> = clip
            .par_chunks(FRAMES * n_channels)
            .map(|block| arch.dispatch(SumUp(block, n_channels)))
            .collect();
        let n = (clip.len() / n_channels) as f64;
        let of_channel = |channel: usize, which: fn(&Sums) -> &[f64]| {
            parts.iter().map(|part| which(part)[channel]).sum::<f64>() / n
        };
        let statistics = (0..n_channels).map(|channel| {
            let mean = of_channel(channel, |sums| &sums.0);
            let variance = of_channel(channel, |sums| &sums.1) - mean * mean;
            (mean, (variance.max(0.0) + epsilon).sqrt())
        });
        #[expect(clippy::cast_possible_truncation, reason = "back to f32")]
        let (means, scale) = statistics
            .zip(scale)
            .map(|((mean, sd), &scale)| (mean as f32, (f64::from(scale) / sd) as f32))
            .unzip();
        Self {
            means,
            scale,
            shift,
        }
    }

    #[inline(always)]
    fn apply(&self, frames: &mut [f32]) {
        for frame in frames.chunks_exact_mut(self.means.len()) {
            let of_channel = self.means.iter().zip(&self.scale).zip(self.shift);
            for (x, ((mean, scale), shift)) in frame.iter_mut().zip(of_channel) {
                *x = gelu_of((*x - mean) * scale + shift);
            }
        }
    }
}

struct Apply<'a>(&'a Affine<'a>, &'a mut [f32]);

impl pulp::WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) {
        self.0.apply(self.1);
    }
}

struct SumUp<'a>(&'a [f32], usize);

impl pulp::WithSimd for SumUp<'_> {
    type Output = Sums;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _simd: S) -> Sums {
        sums(self.0, self.1)
    }
}

/// Sums and sums of squares of each channel.
type Sums = (Vec<f64>, Vec<f64>);

#[inline(always)]
fn sums(frames: &[f32], n_channels: usize) -> Sums {
    let (mut sums, mut squares) = (vec![0.0; n_channels], vec![0.0; n_channels]);
    for frame in frames.chunks_exact(n_channels) {
        for ((sum, square), &x) in sums.iter_mut().zip(&mut squares).zip(frame) {
            let x = f64::from(x);
            *sum += x;
            *square += x * x;
        }
    }
    (sums, squares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn is_burns_operations_one_after_another() {
        let device = Device::flex();
        let tensor = |n: usize, step: f32| -> Tensor<1> {
            let values: Vec<f32> = (0_u16..)
                .map(|i| (f32::from(i % 4099) * step).sin() + 0.3)
                .take(n)
                .collect();
            Tensor::from_data(TensorData::new(values, [n]), &device)
        };
        // More frames than one block has, a number of channels that no vector divides.
        let x = tensor(2 * 1500 * 7, 0.37).reshape([2, 1500, 7]);
        for shift in [None, Some(tensor(7, 0.2))] {
            let scale = tensor(7, 1.1);
            let found = time_norm_gelu(x.clone(), scale.clone(), shift.clone(), 1e-5);
            let shift = shift.unwrap_or_else(|| Tensor::zeros([7], &device));
            let expected = to_unit(x.clone(), 1e-5) * scale.unsqueeze() + shift.unsqueeze();
            let difference = (found - gelu(expected)).abs().max();
            assert!(difference.into_scalar::<f32>() < 1e-5);
        }
        let silence = Tensor::zeros([1, 3, 7], &device);
        let found = time_norm_gelu(silence, tensor(7, 1.1), None, 1e-5);
        assert!(found.abs().max().into_scalar::<f32>() < 1e-30);
    }
}
