//! Band-limited resampling between integer rates.
//!
//! `[n]` samples at one rate → `[ceil(n * to / from)]` at another, aligned in time. rubato's
//! synchronous FFT resampler with a Blackman-Harris² windowed sinc; block sizes are even, because
//! the delay that rubato removes is half a block. Held by `tests/it/resampling.rs`, against
//! analytic tones and soxr.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use crate::{AudioError, BoxError, Result, SampleRate};

/// Block length at the lower of the two rates: the filter passes 98.7% of its band.
const MIN_BLOCK: usize = 1024;

/// Resamples `samples`, which are finite and at least one.
pub(crate) fn resample(samples: &[f32], from: SampleRate, to: SampleRate) -> Result<Vec<f32>> {
    let refused = |source: BoxError| AudioError::Resample {
        from_hz: from.as_hz(),
        to_hz: to.as_hz(),
        source,
    };
    let (from_hz, to_hz) = (from.as_hz() as usize, to.as_hz() as usize);
    let unit = greatest_common_divisor(from_hz, to_hz);
    let n_units = MIN_BLOCK
        .div_ceil(from_hz.min(to_hz) / unit)
        .next_multiple_of(2);
    let block = n_units * (from_hz / unit);
    let mut resampler = Fft::<f32>::new_custom(
        from_hz,
        to_hz,
        block,
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|e| refused(e.into()))?;
    let input = InterleavedSlice::new(samples, 1, samples.len()).map_err(|e| refused(e.into()))?;
    let output = resampler
        .process_all(&input, samples.len(), None)
        .map_err(|e| refused(e.into()))?;
    let mut output = output.take_data();
    // rubato rounds a floating-point ratio up and can be one sample long.
    output.truncate(resampled_len(samples.len(), from, to));
    Ok(output)
}

/// `ceil(n * to / from)` in integers.
fn resampled_len(n_samples: usize, from: SampleRate, to: SampleRate) -> usize {
    let n = (n_samples as u128 * u128::from(to.as_hz())).div_ceil(u128::from(from.as_hz()));
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::{greatest_common_divisor, resampled_len};
    use crate::SampleRate;

    #[test]
    #[allow(clippy::unwrap_used)]
    fn lengths_round_up_without_floating_point() {
        let rate = |hz| SampleRate::from_hz(hz).unwrap();
        assert_eq!(resampled_len(3, rate(48_000), rate(16_000)), 1);
        assert_eq!(resampled_len(4, rate(48_000), rate(16_000)), 2);
        assert_eq!(
            resampled_len(44_100 * 3600, rate(44_100), rate(16_000)),
            16_000 * 3600
        );
        assert_eq!(resampled_len(1, rate(8_000), rate(16_000)), 2);
    }

    #[test]
    fn divisors() {
        assert_eq!(greatest_common_divisor(44_100, 16_000), 100);
        assert_eq!(greatest_common_divisor(44_099, 16_000), 1);
    }
}
