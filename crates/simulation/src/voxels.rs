//! The voxels: what drives each of them, how late it responds, and how noisy it is.

use std::collections::BTreeMap;

use rand::Rng;
use rand_distr::StandardNormal;
use serde::Serialize;

use crate::SimulationConfig;
use crate::acoustics::{N_BANDS, N_FEATURES};

/// Range of the delay of the haemodynamic response, in seconds; 6 is canonical.
const DELAYS_S: std::ops::Range<f64> = 5.2..6.8;

/// A region: voxels that one kind of feature drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Region {
    /// Driven by mel bands.
    Auditory,
    /// Driven by loudness.
    Envelope,
    /// Driven by nothing.
    Noise,
}

impl Region {
    fn name(self) -> &'static str {
        match self {
            Self::Auditory => "auditory",
            Self::Envelope => "envelope",
            Self::Noise => "noise",
        }
    }
}

/// The truth about one voxel.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Voxel {
    pub(crate) region: Region,
    /// Delay of the haemodynamic response in seconds.
    pub(crate) hrf_delay_s: f64,
    /// Correlation of the noiseless signal with the response to one hearing.
    pub(crate) single_ceiling: f64,
    /// The same with the mean of the test story's repeats.
    pub(crate) noise_ceiling: f64,
    /// Weights of the features, `[17]`.
    pub(crate) weights: Vec<f64>,
}

/// Draws the voxels of a participant; those of a region follow one another.
pub(crate) fn draw_voxels(config: &SimulationConfig, rng: &mut impl Rng) -> Vec<Voxel> {
    let n_auditory = config.n_voxels() / 2;
    let n_envelope = config.n_voxels() / 4;
    let voxel = |k: usize| {
        let region = match k {
            k if k < n_auditory => Region::Auditory,
            k if k < n_auditory + n_envelope => Region::Envelope,
            _ => Region::Noise,
        };
        draw_voxel(region, config, rng)
    };
    (0..config.n_voxels()).map(voxel).collect()
}

fn draw_voxel(region: Region, config: &SimulationConfig, rng: &mut impl Rng) -> Voxel {
    let mut weights = vec![0.0; N_FEATURES];
    match region {
        Region::Auditory => weights[..N_BANDS].fill_with(|| rng.sample(StandardNormal)),
        Region::Envelope => weights[N_BANDS] = 1.0,
        Region::Noise => {}
    }
    let single_ceiling = match region {
        Region::Noise => 0.0,
        _ => rng.random_range(config.single_ceiling()),
    };
    Voxel {
        region,
        hrf_delay_s: rng.random_range(DELAYS_S),
        single_ceiling,
        noise_ceiling: ceiling_of_mean(single_ceiling, config.n_repeats()),
        weights,
    }
}

/// Columns of each region, by its name.
pub(crate) fn rois(voxels: &[Voxel]) -> BTreeMap<String, Vec<usize>> {
    let mut rois = BTreeMap::<_, Vec<_>>::new();
    for (k, voxel) in voxels.iter().enumerate() {
        rois.entry(voxel.region.name().to_owned())
            .or_default()
            .push(k);
    }
    rois
}

/// The ceiling of the mean of `n` responses, each of ceiling `single`: averaging divides the
/// variance of the noise by `n`.
fn ceiling_of_mean(single: f64, n: usize) -> f64 {
    let explainable = single * single;
    (explainable / (explainable + (1.0 - explainable) / n as f64)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::ceiling_of_mean;

    #[test]
    fn averaging_raises_the_ceiling() {
        assert!((ceiling_of_mean(0.5, 1) - 0.5).abs() < 1e-15);
        // Explainable variance 1/4 against 3/4 of noise, a quarter of it after four hearings.
        assert!((ceiling_of_mean(0.5, 4) - (0.25_f64 / (0.25 + 0.1875)).sqrt()).abs() < 1e-15);
        assert!(ceiling_of_mean(0.0, 4).abs() < 1e-15);
        assert!((ceiling_of_mean(1.0, 4) - 1.0).abs() < 1e-15);
    }
}
