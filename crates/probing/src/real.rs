//! The two precisions that products run in.

use faer::traits::RealField;

/// f32 and f64.
pub(crate) trait Real: linfa::Float + RealField + Into<f64> {
    /// How far a mean loss may rise by rounding alone, relative to itself.
    const LOSS_NOISE: f64;
    /// Norm of a gradient, relative to that of zero weights, above its rounding.
    const GRADIENT_FLOOR: f64;

    fn widened(value: f32) -> Self;
    fn rounded(value: f64) -> Self;
    /// `e` to the power of what is not above 0.
    fn exp_below_0(self) -> Self;
    /// The values themselves if they are of this precision.
    fn borrowed(values: &[f32]) -> Option<&[Self]>;
}

impl Real for f32 {
    // Scores are off by 1e-6 or so, each row's in a way of its own.
    const LOSS_NOISE: f64 = 1e-8;
    const GRADIENT_FLOOR: f64 = 1e-6;

    fn widened(value: f32) -> Self {
        value
    }

    #[allow(clippy::cast_possible_truncation)] // rounding is what is asked for
    fn rounded(value: f64) -> Self {
        value as f32
    }

    #[inline(always)] // into functions compiled for more than the baseline processor
    #[allow(clippy::inline_always)]
    fn exp_below_0(self) -> Self {
        exp_below_0(self)
    }

    fn borrowed(values: &[f32]) -> Option<&[Self]> {
        Some(values)
    }
}

impl Real for f64 {
    const LOSS_NOISE: f64 = 1e-14;
    const GRADIENT_FLOOR: f64 = 0.0;

    fn widened(value: f32) -> Self {
        value.into()
    }

    fn rounded(value: f64) -> Self {
        value
    }

    fn exp_below_0(self) -> Self {
        self.exp()
    }

    fn borrowed(_: &[f32]) -> Option<&[Self]> {
        None
    }
}

pub(crate) fn rounded_all<T: Real>(values: &[f64]) -> Vec<T> {
    values.iter().map(|&value| T::rounded(value)).collect()
}

/// Within 3e-7 of itself, without branches: 2 to a whole power times a series of seven terms (the reduction
/// of Cephes' `expf`). Below -87 it is e⁻⁸⁷, about 1e-38.
#[inline(always)] // as above
#[allow(clippy::inline_always)]
fn exp_below_0(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves a whole number in the last bits
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4]; // the first exact in few bits
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = x - whole * LN_2[0] - whole * LN_2[1];
    let mut sum = 1.0 / 5040.0;
    for term in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        sum = sum * rest + term;
    }
    let exponent = shifted
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127);
    sum * f32::from_bits(exponent << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_near() {
        for i in 0..87_000 {
            let x = -f32::rounded(f64::from(i) / 1000.0);
            let ratio = f64::from(x.exp_below_0()) / f64::from(x).exp();
            assert!((ratio - 1.0).abs() < 3e-7, "{x}: {ratio}");
        }
        assert_eq!(0.0_f32.exp_below_0().to_bits(), 1.0_f32.to_bits());
        assert!(f32::NEG_INFINITY.exp_below_0() < 2e-38 && f32::NAN.exp_below_0().is_nan());
    }
}
