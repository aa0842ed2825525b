//! Candidates of weights of feature spaces (gammas).

use ndarray::{Array2, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};

use crate::{EncodingError, Result};

/// Dirichlet concentrations, taken in turns: sparse weights, then even ones (himalaya's default).
const CONCENTRATIONS: [f64; 2] = [0.1, 1.0];

/// Candidates of weights of feature spaces: the larger the weight of a space, the less its features are
/// penalised, `alpha² / gamma`.
#[derive(Debug, Clone, PartialEq)]
pub struct SpaceWeights(Inner);

#[derive(Debug, Clone, PartialEq)]
enum Inner {
    Random { n_candidates: usize, seed: u64 },
    Given(Array2<f64>),
}

impl SpaceWeights {
    /// `n_candidates` draws: the first has equal weights, the others are Dirichlet samples with
    /// concentrations 0.1 and 1 in turns (Dupré la Tour et al. 2022; 100 or more for three spaces).
    #[must_use]
    pub fn random(n_candidates: usize, seed: u64) -> Self {
        Self(Inner::Random { n_candidates, seed })
    }

    /// These, `[n_candidates, n_spaces]`, as they are: rows need not sum to 1. The identity lets each
    /// voxel choose a single space.
    #[must_use]
    pub fn given(candidates: Array2<f64>) -> Self {
        Self(Inner::Given(candidates))
    }

    /// Number of candidates.
    #[must_use]
    pub fn n_candidates(&self) -> usize {
        match &self.0 {
            Inner::Random { n_candidates, .. } => *n_candidates,
            Inner::Given(candidates) => candidates.nrows(),
        }
    }

    /// # Errors
    /// No candidates; weights that are negative, not finite, or all 0.
    pub(super) fn check(&self) -> Result<()> {
        if self.n_candidates() == 0 {
            return Err(EncodingError::NoSpaceWeights);
        }
        let Inner::Given(candidates) = &self.0 else {
            return Ok(());
        };
        for (candidate, weights) in candidates.outer_iter().enumerate() {
            let fit = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
            if !fit || weights.sum() <= 0.0 {
                let weights = weights.to_vec();
                return Err(EncodingError::SpaceWeight { candidate, weights });
            }
        }
        Ok(())
    }

    /// The candidates for so many spaces, `[n_candidates, n_spaces]`.
    ///
    /// # Errors
    /// [`EncodingError::SpaceWeightCount`].
    pub fn candidates(&self, n_spaces: usize) -> Result<Array2<f64>> {
        match &self.0 {
            Inner::Given(candidates) if candidates.ncols() != n_spaces => {
                Err(EncodingError::SpaceWeightCount {
                    found: candidates.ncols(),
                    n_spaces,
                })
            }
            Inner::Given(candidates) => Ok(candidates.clone()),
            Inner::Random { n_candidates, seed } => Ok(dirichlet(*n_candidates, n_spaces, *seed)),
        }
    }
}

fn dirichlet(n_candidates: usize, n_spaces: usize, seed: u64) -> Array2<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let equal = 1.0 / n_spaces.max(1) as f64;
    let mut candidates = Array2::from_elem((n_candidates, n_spaces), equal);
    for (i, mut row) in candidates.axis_iter_mut(Axis(0)).enumerate().skip(1) {
        let Ok(gamma) = Gamma::new(CONCENTRATIONS[i % CONCENTRATIONS.len()], 1.0) else {
            continue; // both concentrations are above 0
        };
        row.mapv_inplace(|_| gamma.sample(&mut rng));
        let sum = row.sum();
        // Gamma samples of a small shape may all underflow: such a row stays even.
        row.mapv_inplace(|w| if sum > 0.0 { w / sum } else { equal });
    }
    candidates
}

/// Root of the weight of each column's space, as a factor for the column.
pub(super) fn scales(weights: &[f64], space_of_column: &[usize]) -> Vec<f32> {
    #[allow(clippy::cast_possible_truncation)] // features are f32
    let roots: Vec<f32> = weights.iter().map(|w| w.sqrt() as f32).collect();
    space_of_column.iter().map(|&space| roots[space]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_points_of_the_simplex_and_spread_like_dirichlet() {
        let n = 4_000;
        let samples = dirichlet(n, 3, 7);
        assert!(samples.row(0).iter().all(|w| (w - 1.0 / 3.0).abs() < 1e-15));
        for row in samples.outer_iter() {
            assert!((row.sum() - 1.0).abs() < 1e-12 && row.iter().all(|&w| w >= 0.0));
        }
        // Variance of a component is (1/k)(1 - 1/k) / (k c + 1); 2,000 samples give it to about 5 %.
        for (offset, concentration) in [(1, CONCENTRATIONS[1]), (2, CONCENTRATIONS[0])] {
            let ours: Vec<f64> = (offset..n).step_by(2).map(|i| samples[(i, 0)]).collect();
            let mean = ours.iter().sum::<f64>() / ours.len() as f64;
            let variance = ours.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / ours.len() as f64;
            let expected = (2.0 / 9.0) / (3.0 * concentration + 1.0);
            assert!((mean - 1.0 / 3.0).abs() < 0.05, "{mean}");
            assert!((variance / expected - 1.0).abs() < 0.15, "{variance}");
        }
    }
}
