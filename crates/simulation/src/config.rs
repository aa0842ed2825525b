//! What to simulate.

use std::ops::RangeInclusive;

use serde::Serialize;

use crate::{Result, SimulationError};

/// The size of a simulated dataset, how noisy it is, and the seed of everything random.
///
/// ```
/// use braintune_simulation::SimulationConfig;
///
/// let config = SimulationConfig::default().with_seed(3).with_single_ceiling(0.2..=0.5);
/// assert_eq!(config.seed(), 3);
/// assert_eq!(config.n_train_stories(), 3);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimulationConfig {
    seed: u64,
    n_participants: usize,
    n_train_stories: usize,
    n_test_stories: usize,
    story_s: f64,
    test_story_s: f64,
    own_words_per_story: bool,
    n_voxels: usize,
    n_repeats: usize,
    single_ceiling: [f64; 2],
}

impl Default for SimulationConfig {
    /// One participant, three training stories of 100 s, a test story of 180 s heard five times, 80 voxels whose
    /// responses to one hearing correlate 0.5 to 0.85 with what drives them.
    fn default() -> Self {
        Self {
            seed: 0,
            n_participants: 1,
            n_train_stories: 3,
            n_test_stories: 1,
            story_s: 100.0,
            test_story_s: 180.0,
            own_words_per_story: false,
            n_voxels: 80,
            n_repeats: 5,
            single_ceiling: [0.5, 0.85],
        }
    }
}

impl SimulationConfig {
    /// The same with another seed; each seed is another language, other stories and other participants.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// The same with 1 to 99 participants who hear the same stories, each with voxels and noise of their own.
    #[must_use]
    pub fn with_n_participants(self, n_participants: usize) -> Self {
        Self {
            n_participants,
            ..self
        }
    }

    /// The same with 1 to 20 test stories, all of one length and heard equally often.
    #[must_use]
    pub fn with_n_test_stories(self, n_test_stories: usize) -> Self {
        Self {
            n_test_stories,
            ..self
        }
    }

    /// The same where every story has words of its own, so that sounds can be learnt from the stories and words
    /// cannot.
    #[must_use]
    pub fn with_own_words_per_story(self) -> Self {
        Self {
            own_words_per_story: true,
            ..self
        }
    }

    /// The same with 1 to 200 training stories.
    #[must_use]
    pub fn with_n_train_stories(self, n_train_stories: usize) -> Self {
        Self {
            n_train_stories,
            ..self
        }
    }

    /// The same with training stories of 30 to 3600 seconds.
    #[must_use]
    pub fn with_story_s(self, story_s: f64) -> Self {
        Self { story_s, ..self }
    }

    /// The same with test stories of 30 to 3600 seconds.
    ///
    /// Analyses of ds003020 leave out the first 50 TRs of the grid of a test story, so that one of
    /// fewer than about 120 s keeps too little unless their trim is set.
    #[must_use]
    pub fn with_test_story_s(self, test_story_s: f64) -> Self {
        Self {
            test_story_s,
            ..self
        }
    }

    /// The same with 5 to 20000 voxels: three tenths `auditory`, one `envelope`, two `phonetic`, three `semantic`, the
    /// rest `noise`.
    #[must_use]
    pub fn with_n_voxels(self, n_voxels: usize) -> Self {
        Self { n_voxels, ..self }
    }

    /// The same with a test story that was heard 1 to 50 times; its responses are the mean.
    #[must_use]
    pub fn with_n_repeats(self, n_repeats: usize) -> Self {
        Self { n_repeats, ..self }
    }

    /// The same with this range of single-hearing ceilings, above 0 and at most 1: for each driven
    /// voxel the correlation between the noiseless signal and the response to one hearing.
    ///
    /// Training stories were heard once. The mean of the test story's repeats has the higher ceiling
    /// of [`SimulatedParticipant::noise_ceiling`](crate::SimulatedParticipant::noise_ceiling).
    #[must_use]
    pub fn with_single_ceiling(self, range: RangeInclusive<f64>) -> Self {
        Self {
            single_ceiling: [*range.start(), *range.end()],
            ..self
        }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Number of participants.
    #[must_use]
    pub fn n_participants(&self) -> usize {
        self.n_participants
    }

    /// Number of test stories.
    #[must_use]
    pub fn n_test_stories(&self) -> usize {
        self.n_test_stories
    }

    /// Whether every story has words of its own.
    #[must_use]
    pub fn has_own_words_per_story(&self) -> bool {
        self.own_words_per_story
    }

    /// Number of training stories.
    #[must_use]
    pub fn n_train_stories(&self) -> usize {
        self.n_train_stories
    }

    /// Length of a training story in seconds.
    #[must_use]
    pub fn story_s(&self) -> f64 {
        self.story_s
    }

    /// Length of the test story in seconds.
    #[must_use]
    pub fn test_story_s(&self) -> f64 {
        self.test_story_s
    }

    /// Number of voxels.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.n_voxels
    }

    /// How often the test story was heard.
    #[must_use]
    pub fn n_repeats(&self) -> usize {
        self.n_repeats
    }

    /// The range of single-hearing ceilings.
    #[must_use]
    pub fn single_ceiling(&self) -> RangeInclusive<f64> {
        let [low, high] = self.single_ceiling;
        low..=high
    }

    /// Refuses settings that cannot be.
    pub(crate) fn check(&self) -> Result<()> {
        within("number of participants", self.n_participants, 1..=99)?;
        within("number of training stories", self.n_train_stories, 1..=200)?;
        within("number of test stories", self.n_test_stories, 1..=20)?;
        within(
            "length of a training story in seconds",
            self.story_s,
            30.0..=3600.0,
        )?;
        within(
            "length of the test story in seconds",
            self.test_story_s,
            30.0..=3600.0,
        )?;
        within("number of voxels", self.n_voxels, 5..=20_000)?;
        within("number of repeats", self.n_repeats, 1..=50)?;
        let [low, high] = self.single_ceiling;
        if low > 0.0 && low <= high && high <= 1.0 {
            return Ok(());
        }
        Err(SimulationError::Config {
            setting: "range of single-hearing ceilings",
            expected: "a rising one above 0 and at most 1".into(),
            got: format!("{low} to {high}"),
        })
    }
}

fn within<T: Copy + PartialOrd + std::fmt::Display>(
    setting: &'static str,
    got: T,
    range: RangeInclusive<T>,
) -> Result<()> {
    if range.contains(&got) {
        return Ok(());
    }
    Err(SimulationError::Config {
        setting,
        expected: format!("{} to {}", range.start(), range.end()),
        got: got.to_string(),
    })
}
