//! The haemodynamic response: what a moment of neural activity does to the BOLD signal.
//!
//! The canonical double gamma of SPM (Glover 1999, `NeuroImage` 9, 416): a gamma density of shape 6 s
//! minus a sixth of one of shape 16 s, scale 1 s, over 32 s. Here the delay, 6 s there, is the
//! voxel's own, and the undershoot follows 10 s after it.

/// Seconds after which the response is over.
pub(crate) const LENGTH_S: f64 = 32.0;
/// How much later than the response its undershoot is, in seconds.
pub(crate) const UNDERSHOOT_AFTER_S: f64 = 10.0;
/// The response's size over that of the undershoot.
pub(crate) const RATIO: f64 = 6.0;

/// The responses to an impulse at 0 s of a voxel with this delay, at `times_s` seconds; 0 outside
/// 0 to 32 s. In 1/s, so that an integral over time has no unit.
pub(crate) fn double_gamma(delay_s: f64, times_s: impl Iterator<Item = f64>) -> Vec<f64> {
    let response = GammaDensity::of_shape(delay_s);
    let undershoot = GammaDensity::of_shape(delay_s + UNDERSHOOT_AFTER_S);
    times_s
        .map(|t| {
            if (0.0..LENGTH_S).contains(&t) {
                response.at(t) - undershoot.at(t) / RATIO
            } else {
                0.0
            }
        })
        .collect()
}

/// A gamma density of scale 1.
struct GammaDensity {
    shape: f64,
    ln_norm: f64,
}

impl GammaDensity {
    fn of_shape(shape: f64) -> Self {
        Self {
            shape,
            ln_norm: ln_gamma(shape),
        }
    }

    fn at(&self, t: f64) -> f64 {
        if t <= 0.0 {
            return 0.0;
        }
        ((self.shape - 1.0) * t.ln() - t - self.ln_norm).exp()
    }
}

/// ln Γ(x) for x > 0: Stirling's series after shifting x above 10, good to 1e-12.
fn ln_gamma(x: f64) -> f64 {
    let mut x = x;
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let series = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5))
        - 1.0 / (1680.0 * x.powi(7));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::{double_gamma, ln_gamma};

    #[test]
    fn the_response_is_spms() {
        // scipy 1.17.1: gamma.pdf(t, d) - gamma.pdf(t, d + 10) / 6 at d = 6 and d = 6.7.
        let times = [0.0, 1.0, 5.0, 6.5, 12.0, 20.0, 31.9, 32.0];
        let canonical = [
            0.0,
            0.003_065_662_009_715_132_6,
            0.175_441_162_195_463_85,
            0.145_069_547_001_561_72,
            0.000_675_452_044_754_963_6,
            -0.008_553_178_158_694_663,
            -6.429_680_436_703_283e-5,
            0.0,
        ];
        let delayed = [
            0.0,
            0.000_889_871_195_490_428_5,
            0.157_125_237_749_167_7,
            0.156_267_317_849_360_63,
            0.011_128_974_870_564_103,
            -0.009_999_514_065_830_708,
            -0.000_104_898_779_735_808_12,
            0.0,
        ];
        for (delay_s, expected) in [(6.0, canonical), (6.7, delayed)] {
            let response = double_gamma(delay_s, times.into_iter());
            for (got, expected) in response.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
            }
        }
    }

    #[test]
    fn ln_gamma_is_that_of_factorials() {
        let mut ln_factorial = 0.0;
        for n in 1..30 {
            let x = f64::from(n);
            assert!((ln_gamma(x) - ln_factorial).abs() < 1e-11, "at {n}");
            ln_factorial += x.ln();
        }
    }
}
