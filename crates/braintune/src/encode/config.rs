//! Settings of the main job, and the two named sets of them.

use braintune_encoding::{Alphas, CvScore, Delays, Folds};
use braintune_fmri::Trim;
use ndarray::Array1;

use super::regions::Regions;
use crate::error::Result;

/// How training rows are split to choose alphas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossValidation {
    /// Each training story is left out once.
    Story,
    /// Three draws of a quarter of the rows in chunks of 20 TRs (`bootstrap_ridge` of `HuthLab`).
    Bootstrap,
}

/// What to do with responses that hold NaN or are constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadVoxels {
    /// Stop with a message that says where they are.
    Stop,
    /// Take NaN as 0 and keep constant voxels, as the reference code does.
    Zero,
}

/// Settings of [`super::run`].
#[derive(Debug, Clone)]
pub struct EncodeConfig {
    /// Participant.
    pub subject: String,
    /// Stories to fit on; `None` for every story with responses that is not tested on.
    pub train_stories: Option<Vec<String>>,
    /// Stories to test on.
    pub test_stories: Vec<String>,
    /// FIR delays, TRs.
    pub delays: Delays,
    /// Grid of alphas; penalties are alpha².
    pub alphas: Alphas,
    /// Folds for choosing alphas.
    pub cv: CrossValidation,
    /// What chooses the alpha.
    pub score: CvScore,
    /// TRs dropped at the ends of each training story.
    pub trim: Trim,
    /// TRs dropped at the ends of each test story.
    pub test_trim: Trim,
    /// Whether delays run on across story borders, as in `HuthLab`'s code. Off by default: they leak.
    pub delays_cross_stories: bool,
    /// What to do with unusable responses.
    pub bad_voxels: BadVoxels,
    /// Noise ceiling (correlation) of each voxel.
    pub noise_ceiling: Option<Array1<f32>>,
    /// Voxels at or below this ceiling are left out of normalised means.
    pub ceiling_threshold: f32,
    /// Regions of interest.
    pub regions: Regions,
    /// Seed of bootstrap folds.
    pub seed: u64,
    /// Bytes that responses and their fits may take at once.
    pub memory_budget: usize,
}

/// Rows per bootstrap chunk, draws, and the part held out (`bootstrap_ridge` defaults of the papers).
const CHUNK_ROWS: usize = 20;
const N_BOOTS: usize = 3;

/// Turns settings into folds over the training rows.
#[derive(Debug, Clone, Copy)]
pub struct FoldPlan<'a> {
    /// Rows of each training story.
    pub rows_per_story: &'a [usize],
}

impl FoldPlan<'_> {
    /// The folds.
    ///
    /// # Errors
    /// Fewer than two stories to leave one out of, or too few rows for chunks.
    pub fn folds(self, cv: CrossValidation, seed: u64) -> Result<Folds> {
        let n_rows: usize = self.rows_per_story.iter().sum();
        Ok(match cv {
            CrossValidation::Story => {
                let labels: Vec<i64> = (0..)
                    .zip(self.rows_per_story)
                    .flat_map(|(story, &n)| std::iter::repeat_n(story, n))
                    .collect();
                Folds::leave_one_group_out(&labels)?
            }
            CrossValidation::Bootstrap => {
                let n_chunks = n_rows / 4 / CHUNK_ROWS;
                Folds::bootstrap_chunks(n_rows, N_BOOTS, CHUNK_ROWS, n_chunks, seed)?
            }
        })
    }
}
