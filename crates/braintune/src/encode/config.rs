//! Settings of the main job, and the two named sets of them.

use braintune_encoding::{Alphas, CvScore, Delays, Folds, LowCeiling, TotalPower};
use braintune_fmri::{Regions, Trim};
use ndarray::Array1;

use crate::error::{BraintuneError, Result};
use crate::lowlevel::LowLevelSpace;

/// How training rows are split to choose alphas.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CrossValidation {
    /// Each training story is left out once.
    Story,
    /// Three draws of a quarter of the rows in chunks of 20 TRs (`bootstrap_ridge` of `HuthLab`).
    Bootstrap,
    /// The validation rows of each fold, counted over the kept rows of the training stories one
    /// after another; all others train.
    Rows(Vec<Vec<usize>>),
}

/// What to do with responses that hold NaN or are constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
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
    /// Noise ceiling (correlation) of each voxel; `None` to take it from repeats of the test
    /// stories, where there are any.
    pub noise_ceiling: Option<Array1<f32>>,
    /// Where the total power comes from in ceilings that are taken from repeats.
    pub total_power: TotalPower,
    /// Voxels at or below this ceiling are too low to divide by.
    pub ceiling_threshold: f32,
    /// What becomes of these in normalised means.
    pub low_ceiling: LowCeiling,
    /// Orders of the test TRs in the test of mean r > 0; 0 for no q values.
    pub n_permutations: usize,
    /// Draws of blocks of test TRs behind the interval of mean r; 0 for no intervals.
    pub n_bootstraps: usize,
    /// Regions of interest.
    pub regions: Regions,
    /// Low-level features that are taken out of every layer by a ridge before it is encoded; `None` for layers as they
    /// are. [`low_level_impact`](braintune_encoding::low_level_impact) says what the alignment loses by it.
    pub remove: Option<LowLevelSpace>,
    /// Seed of bootstrap folds, permutations and intervals.
    pub seed: u64,
    /// Bytes that responses and their fits may take at once.
    pub memory_budget: usize,
}

/// Rows per bootstrap chunk, draws, and the part held out (`bootstrap_ridge` defaults of the papers).
const CHUNK_ROWS: usize = 20;
const N_BOOTS: usize = 3;

impl CrossValidation {
    /// The folds over training rows, of which each story has so many.
    ///
    /// # Errors
    /// Fewer than two stories to leave one out of, too few rows for chunks, rows that are not there.
    pub fn folds(&self, rows_per_story: &[usize], seed: u64) -> Result<Folds> {
        let n_rows: usize = rows_per_story.iter().sum();
        let naming =
            |advice: &'static str| move |e| BraintuneError::Input(format!("{advice}: {e}"));
        Ok(match self {
            Self::Story if rows_per_story.len() < 2 => {
                return Err(BraintuneError::Input(
                    "one training story, and leaving one out at a time needs two: name more --train-stories, or choose alphas within it (--cv bootstrap, --folds)".to_owned(),
                ));
            }
            Self::Story => {
                let labels: Vec<i64> = (0..)
                    .zip(rows_per_story)
                    .flat_map(|(story, &n)| std::iter::repeat_n(story, n))
                    .collect();
                Folds::leave_one_group_out(&labels)?
            }
            Self::Bootstrap => {
                let n_chunks = n_rows / 4 / CHUNK_ROWS;
                let advice = "too few training rows for --cv bootstrap (or --compat huth), name more --train-stories or take --cv story";
                let folds = Folds::bootstrap_chunks(n_rows, N_BOOTS, CHUNK_ROWS, n_chunks, seed);
                folds.map_err(naming(advice))?
            }
            Self::Rows(validation) => {
                let folds = Folds::from_validation_rows(validation.clone(), n_rows);
                folds.map_err(naming("--folds"))?
            }
        })
    }
}

impl EncodeConfig {
    /// Usual delays, TRs.
    pub const DELAYS: &str = "1,2,3,4";
    /// Usual grid of alphas.
    pub const ALPHAS: &str = "logspace:1:4:15";

    /// Permutations, and bootstrap draws, at most: all their orders are drawn before the first is used.
    pub const MAX_DRAWS: usize = 1_000_000;

    /// Numbers that can be judged without data.
    ///
    /// # Errors
    /// What is wrong with one, in words.
    pub(crate) fn check_numbers(
        n_permutations: usize,
        n_bootstraps: usize,
        ceiling_threshold: f32,
    ) -> Result<(), String> {
        for (name, n) in [
            ("permutations", n_permutations),
            ("bootstraps", n_bootstraps),
        ] {
            if n > Self::MAX_DRAWS {
                return Err(format!(
                    "{n} {name}: at most {} are drawn, 1000 is usual",
                    Self::MAX_DRAWS
                ));
            }
        }
        if n_bootstraps == 1 {
            return Err(
                "1 bootstrap draw (--bootstraps, or bootstraps of a study) has no spread: give 0 for no intervals, or 1000"
                    .to_owned(),
            );
        }
        if !(0.0..1.0).contains(&ceiling_threshold) {
            return Err(format!(
                "a ceiling threshold of {ceiling_threshold}: ceilings are correlations, give 0 or more and below 1"
            ));
        }
        Ok(())
    }

    /// The conventions of `HuthLab`'s and the brain-tuning papers' code, for comparison with their
    /// results: delays across story borders, bootstrap chunks, signed square root of R², NaN as 0,
    /// unit total power and low ceilings as zeros.
    #[must_use]
    pub fn huth(self) -> Self {
        Self {
            cv: CrossValidation::Bootstrap,
            score: CvScore::SignedSqrtR2,
            delays_cross_stories: true,
            bad_voxels: BadVoxels::Zero,
            total_power: TotalPower::Unit,
            low_ceiling: LowCeiling::Zero,
            ..self
        }
    }

    /// Method of Moussa & Toneva 2025: delays 1 to 4 TRs, 15 alphas from 10 to 10,000, one story
    /// left out at a time, R², trims 10,5, every other story for training, ceilings from repeats with
    /// measured power, voxels above 0.05, 1,000 permutations and bootstraps, no regions,
    /// nothing taken out.
    ///
    /// # Errors
    /// None in practice: the defaults are checked as any setting is.
    pub fn new(subject: &str, test_stories: Vec<String>) -> Result<Self> {
        Ok(Self {
            subject: subject.to_owned(),
            train_stories: None,
            test_stories,
            delays: Self::DELAYS.parse()?,
            alphas: Self::ALPHAS.parse()?,
            cv: CrossValidation::Story,
            score: CvScore::R2,
            trim: Trim::new(10, 5),
            test_trim: Trim::new(10, 5),
            delays_cross_stories: false,
            bad_voxels: BadVoxels::Stop,
            noise_ceiling: None,
            total_power: TotalPower::Measured,
            ceiling_threshold: 0.05,
            low_ceiling: LowCeiling::Exclude,
            n_permutations: 1000,
            n_bootstraps: 1000,
            regions: Regions::default(),
            remove: None,
            seed: 42,
            memory_budget: 1 << 30,
        })
    }
}
