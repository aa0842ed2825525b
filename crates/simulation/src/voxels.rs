//! The voxels: what drives each of them, how late it responds, and how noisy it is.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::Rng;
use rand_distr::StandardNormal;
use serde::Serialize;

use crate::SimulationConfig;
use crate::acoustics::N_BANDS;
use crate::features::{FIRST_MEANING, FIRST_MFCC, FIRST_PHONE, LOUDNESS, N_FEATURES};

/// Range of the delay of the haemodynamic response, in seconds; 6 is canonical.
const DELAYS_S: Range<f64> = 5.2..6.8;

/// A region: voxels that one kind of feature drives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Region {
    /// Driven by mel bands, every second voxel by MFCC.
    Auditory,
    /// Driven by loudness.
    Envelope,
    /// Driven by which phones are said.
    Phonetic,
    /// Driven by what words mean.
    Semantic,
    /// Driven by nothing.
    Noise,
}

impl Region {
    /// Each with its tenths of the voxels; noise has the rest.
    const SHARES: [(Self, usize); 4] = [
        (Self::Auditory, 3),
        (Self::Envelope, 1),
        (Self::Phonetic, 2),
        (Self::Semantic, 3),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Auditory => "auditory",
            Self::Envelope => "envelope",
            Self::Phonetic => "phonetic",
            Self::Semantic => "semantic",
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
    /// The same with the mean of the test stories' repeats.
    pub(crate) noise_ceiling: f64,
    /// Weights of the features, `[49]`.
    pub(crate) weights: Vec<f64>,
}

/// Draws the voxels of a participant; those of a region follow one another.
pub(crate) fn draw_voxels(config: &SimulationConfig, rng: &mut impl Rng) -> Vec<Voxel> {
    let n = config.n_voxels();
    let of_region =
        |(region, tenths): (Region, usize)| std::iter::repeat_n(region, (n * tenths / 10).max(1));
    Region::SHARES
        .into_iter()
        .flat_map(of_region)
        .chain(std::iter::repeat(Region::Noise))
        .take(n)
        .enumerate()
        .map(|(k, region)| draw_voxel(region, k, config, rng))
        .collect()
}

fn draw_voxel(region: Region, k: usize, config: &SimulationConfig, rng: &mut impl Rng) -> Voxel {
    let mut weights = vec![0.0; N_FEATURES];
    match region {
        Region::Auditory if k.is_multiple_of(2) => draw(&mut weights[..N_BANDS], rng),
        Region::Auditory => draw(&mut weights[FIRST_MFCC..FIRST_PHONE], rng),
        Region::Envelope => weights[LOUDNESS] = 1.0,
        Region::Phonetic => draw_contrast(&mut weights[FIRST_PHONE..FIRST_MEANING], rng),
        Region::Semantic => draw_contrast(&mut weights[FIRST_MEANING..], rng),
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

fn draw(weights: &mut [f64], rng: &mut impl Rng) {
    weights.fill_with(|| rng.sample(StandardNormal));
}

/// Weights that add up to 0: what tells the features apart, not how much is said.
fn draw_contrast(weights: &mut [f64], rng: &mut impl Rng) {
    draw(weights, rng);
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    for weight in weights {
        *weight -= mean;
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
