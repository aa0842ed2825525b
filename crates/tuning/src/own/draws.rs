//! What is drawn for a clip: masks, distractors, noise. A clip's draws depend on the seed, the step and its
//! place in the batch alone, so that a run that goes on, or has other micro-batches, draws the same.
//!
//! Masks as `_compute_mask_indices`, distractors as `_sample_negative_indices` of `transformers`
//! (`models/wav2vec2/modeling_wav2vec2.py`, 5.23), but that the number of masks is rounded for each clip and
//! not once for a batch. Held by the tests below.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a clip has few frames"
)]

use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// How much of a clip is masked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Masking {
    /// Part of the frames that masks would cover if none met another.
    pub(crate) prob: f64,
    /// Frames of a mask.
    pub(crate) length: usize,
    /// Fewest masks of a clip.
    pub(crate) least: usize,
}

/// Where draws are for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) seed: u64,
    /// A training step, from 0, or `None` for validation, whose draws stay the same.
    pub(crate) step: Option<u64>,
    /// Batch of the validation; 0 in training.
    pub(crate) batch: usize,
}

impl Place {
    /// A generator for one clip and purpose.
    pub(crate) fn rng(self, clip: usize, what: &str) -> ChaCha8Rng {
        let text = format!(
            "{what}\n{}\n{:?}\n{}\n{clip}",
            self.seed, self.step, self.batch
        );
        ChaCha8Rng::from_seed(Sha256::digest(text).into())
    }

    /// Frames of a clip that are masked, in order.
    pub(crate) fn mask(self, clip: usize, n_frames: usize, masking: Masking) -> Vec<usize> {
        let mut rng = self.rng(clip, "mask");
        let Masking {
            prob,
            length,
            least,
        } = masking;
        let Some(n_starts) = (n_frames + 1).checked_sub(length) else {
            return Vec::new();
        };
        // Rounded by chance, so that the mean is what was asked for.
        let n_masks = (prob * n_frames as f64 / length as f64 + rng.random::<f64>()) as usize;
        let n_masks = n_masks.max(least).min(n_frames / length).min(n_starts);
        let mut masked = vec![false; n_frames];
        for start in sample(&mut rng, n_starts, n_masks) {
            masked[start..start + length].fill(true);
        }
        (0..n_frames).filter(|&frame| masked[frame]).collect()
    }

    /// For each of `n_masked` frames, which of the others are distractors: `n_negatives` draws with
    /// replacement. Needs at least two.
    pub(crate) fn negatives(
        self,
        clip: usize,
        n_masked: usize,
        n_negatives: usize,
    ) -> Vec<Vec<usize>> {
        if n_masked < 2 {
            return vec![Vec::new(); n_masked];
        }
        let mut rng = self.rng(clip, "negatives");
        let mut of = |frame: usize| -> Vec<usize> {
            let one = |_| {
                let drawn = rng.random_range(0..n_masked - 1);
                drawn + usize::from(drawn >= frame)
            };
            (0..n_negatives).map(one).collect()
        };
        (0..n_masked).map(&mut of).collect()
    }

    /// `n` draws of the standard Gumbel distribution.
    pub(crate) fn gumbel(self, clip: usize, n: usize) -> Vec<f32> {
        let mut rng = self.rng(clip, "gumbel");
        // 1 - u is in (0, 1], its logarithm finite; an exponential draw of 0 has no logarithm.
        let exponential = |u: f64| (-(1.0 - u).ln()).max(f64::MIN_POSITIVE);
        (0..n)
            .map(|_| -exponential(rng.random::<f64>()).ln() as f32)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASKING: Masking = Masking {
        prob: 0.65,
        length: 10,
        least: 2,
    };

    fn place(step: u64) -> Place {
        Place {
            seed: 42,
            step: Some(step),
            batch: 0,
        }
    }

    #[test]
    fn half_of_all_frames_are_masked_as_in_the_paper() {
        // Baevski et al. 2020: p = 0.065 of the frames begin a mask of 10, "approximately 49%" are masked.
        let n: usize = (0..400)
            .map(|step| place(step).mask(0, 499, MASKING).len())
            .sum();
        let part = n as f64 / (400.0 * 499.0);
        assert!((part - 0.49).abs() < 0.02, "{part}");
    }

    #[test]
    fn masks_are_whole_and_inside() {
        for step in 0..50 {
            let masked = place(step).mask(step as usize, 60, MASKING);
            assert!(masked.len() >= 11 && masked[masked.len() - 1] < 60);
            for run in masked.chunk_by(|a, b| a + 1 == *b) {
                assert!(run.len() >= 10, "{masked:?}");
            }
        }
        assert!(place(0).mask(0, 9, MASKING).is_empty());
        assert_eq!(place(0).mask(0, 10, MASKING).len(), 10);
    }

    #[test]
    fn distractors_are_other_frames_all_alike_often() {
        let negatives = place(1).negatives(0, 5, 4_000);
        for (frame, others) in negatives.iter().enumerate() {
            let n = |other| others.iter().filter(|&&o| o == other).count();
            assert_eq!(n(frame), 0);
            // 1000 expected, standard deviation 27.
            assert!((0..5).all(|other| other == frame || n(other).abs_diff(1_000) < 140));
        }
        assert_eq!(place(1).negatives(0, 1, 3), vec![Vec::<usize>::new()]);
    }

    #[test]
    fn noise_is_gumbels() {
        let noise = place(2).gumbel(0, 100_000);
        let mean = noise.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let variance = noise
            .iter()
            .map(|&x| (f64::from(x) - mean).powi(2))
            .sum::<f64>()
            / 1e5;
        // Euler's constant and π² / 6.
        assert!((mean - 0.577_2).abs() < 0.02, "{mean}");
        assert!((variance - 1.644_9).abs() < 0.05, "{variance}");
    }

    #[test]
    fn draws_are_of_a_step_and_clip_and_nothing_else() {
        let mask = |step, clip| place(step).mask(clip, 499, MASKING);
        assert_eq!(mask(3, 1), mask(3, 1));
        assert_ne!(mask(3, 1), mask(3, 2));
        assert_ne!(mask(3, 1), mask(4, 1));
        let other = Place {
            seed: 43,
            ..place(3)
        };
        assert_ne!(mask(3, 1), other.mask(1, 499, MASKING));
    }
}
