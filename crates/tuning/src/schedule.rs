//! Learning rate of each step: linear warm-up, then linear decay (Moussa & Toneva 2025).
//!
//! Held by the tests below.

/// Factor of the learning rate of step `step` (from 0) of `n_steps`, in (0, 1].
///
/// It rises over the first `warmup` (a part of all steps) and falls to almost 0 at the last one. No
/// step is wasted at a rate of 0, as the first of the usual schedules is.
///
/// ```
/// use braintune_tuning::learning_rate_factor;
///
/// let factors: Vec<f64> = (0..10).map(|step| learning_rate_factor(step, 10, 0.2)).collect();
/// assert_eq!(factors[..3], [0.5, 1.0, 1.0]);
/// assert_eq!(factors[9], 0.125);
/// ```
#[must_use]
pub fn learning_rate_factor(step: usize, n_steps: usize, warmup: f64) -> f64 {
    let n_warm = (warmup * n_steps as f64).ceil();
    let step = step as f64;
    if step < n_warm {
        return (step + 1.0) / n_warm;
    }
    let n_rest = (n_steps as f64 - n_warm).max(1.0);
    ((n_steps as f64 - step) / n_rest).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_step_of_a_run_has_a_rate_of_zero() {
        for n_steps in [1, 2, 7, 100, 2_700] {
            for warmup in [0.0, 0.1, 1.0] {
                let factors: Vec<f64> = (0..n_steps)
                    .map(|step| learning_rate_factor(step, n_steps, warmup))
                    .collect();
                assert!(
                    factors.iter().all(|f| *f > 0.0 && *f <= 1.0),
                    "{n_steps} {warmup}"
                );
                let most = factors.iter().fold(0.0, |a: f64, b| a.max(*b));
                assert!((most - 1.0).abs() < 1e-12, "{n_steps} {warmup}: {most}");
            }
        }
    }

    #[test]
    fn it_rises_then_falls() {
        let factors: Vec<f64> = (0..100)
            .map(|step| learning_rate_factor(step, 100, 0.1))
            .collect();
        assert!(factors[..10].windows(2).all(|f| f[0] < f[1]));
        assert!(factors[10..].windows(2).all(|f| f[0] > f[1]));
    }
}
