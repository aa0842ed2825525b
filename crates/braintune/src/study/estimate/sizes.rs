//! What steps are made of, in numbers: models, stories, fits, clips, probes.

use braintune_encoding::Alphas;

/// Bytes of an f32.
pub(super) const F32: f64 = 4.0;
/// Memory of a second of a story's sound: at 16 kHz, and as it was decoded.
pub(super) const SOUND: f64 = 2.0 * 16e3 * F32;

/// A model on a machine: sizes, and what its passes take there.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct ModelCost {
    /// Bytes of its weights as f32.
    pub weights_bytes: f64,
    /// Bytes of those that are tuned.
    pub tuned_bytes: f64,
    /// Hidden states, and their width.
    pub n_states: usize,
    /// See `n_states`.
    pub width: usize,
    /// Seconds from one frame to the next.
    pub frame_s: f64,
    /// Memory of all windows that are in work at once.
    pub windows_bytes: f64,
    /// Memory that a clip of tuning takes until its gradients are there.
    pub clip_bytes: f64,
    /// Memory of a forward pass over a clip.
    pub pass_bytes: f64,
    /// Seconds to load it.
    pub load_s: f64,
    /// Seconds of a window, when all cores are at work.
    pub window_s: f64,
    /// Seconds of the forward pass over a whole clip: this, and this times its length in seconds.
    pub clip_pass_s: (f64, f64),
    /// Seconds of forward and backward pass of a clip of tuning.
    pub tune_clip_s: f64,
    /// Seconds of its forward pass alone.
    pub evaluate_clip_s: f64,
    /// Seconds of the part of that that is frozen.
    pub frozen_clip_s: f64,
    /// Seconds of an optimiser step beside its clips.
    pub optimiser_s: f64,
}

/// Stories of a participant as a step reads them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct StorySizes {
    /// Stories.
    pub n_stories: usize,
    /// Seconds of their sound.
    pub audio_s: f64,
    /// Kept TRs of those that are fitted on.
    pub n_train: usize,
    /// Kept TRs of those that are tested on.
    pub n_test: usize,
    /// Voxels.
    pub n_voxels: usize,
    /// Hearings of each test story that are stored.
    pub n_repeats: usize,
}

impl StorySizes {
    /// Stories of `audio_s` seconds with so many kept TRs to fit on and to test on, of `n_voxels`.
    #[must_use]
    pub fn new(n_stories: usize, audio_s: f64, rows: (usize, usize), n_voxels: usize) -> Self {
        Self {
            n_stories,
            audio_s,
            n_train: rows.0,
            n_test: rows.1,
            n_voxels,
            n_repeats: 0,
        }
    }

    /// With so many single hearings of the test stories.
    #[must_use]
    pub fn with_repeats(mut self, n_repeats: usize) -> Self {
        self.n_repeats = n_repeats;
        self
    }

    /// Of the sound of a story of mean length.
    pub(super) fn sound_bytes(&self) -> f64 {
        self.story_s() * SOUND
    }

    /// Seconds of a story of mean length.
    pub(super) fn story_s(&self) -> f64 {
        self.audio_s / self.n_stories.max(1) as f64
    }

    pub(super) fn response_bytes(&self) -> f64 {
        (self.n_train + self.n_test) as f64 * self.n_voxels as f64 * F32
    }
}

/// The ridge of a layer and its statistics.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RidgeSizes {
    /// Layers, or feature spaces.
    pub n_layers: usize,
    /// Features of each.
    pub width: usize,
    /// Delays; the columns of a design are as many times the features.
    pub n_delays: usize,
    /// Folds.
    pub n_folds: usize,
    /// The grid.
    pub alphas: Alphas,
    /// Draws of permutations and bootstraps.
    pub n_draws: usize,
    /// Regions, all voxels among them.
    pub n_regions: usize,
    /// Bytes of a fit beside its decompositions.
    pub memory_budget: f64,
}

impl RidgeSizes {
    /// `n_layers` designs of `width` features under `n_delays`, with `n_folds` folds over a grid of alphas and `n_draws`
    /// permutations and bootstraps together; one region, and a gigabyte for the fit.
    #[must_use]
    pub fn new(
        n_layers: usize,
        (width, n_delays): (usize, usize),
        n_folds: usize,
        alphas: Alphas,
        n_draws: usize,
    ) -> Self {
        Self {
            n_layers,
            width,
            n_delays,
            n_folds,
            alphas,
            n_draws,
            n_regions: 1,
            memory_budget: (1_u64 << 30) as f64,
        }
    }
}

/// Tuning of a model.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct TuneSizes {
    /// Clips of an epoch, and of an evaluation.
    pub n_train: usize,
    /// See `n_train`.
    pub n_validation: usize,
    /// Epochs.
    pub epochs: usize,
    /// Clips of a step.
    pub batch: usize,
    /// Clips that go through at once.
    pub micro_batch: usize,
    /// Seconds of a clip.
    pub clip_s: f64,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
    /// Whether outputs of frozen parts are kept, and are not there yet.
    pub keeps_frozen: bool,
    /// Whether an earlier step has kept them.
    pub has_frozen: bool,
}

impl TuneSizes {
    /// `epochs` of `n_train` clips of 10 s in batches of `batch`, an evaluation of `n_validation` after each.
    #[must_use]
    pub fn new(n_train: usize, n_validation: usize, epochs: usize, batch: usize) -> Self {
        Self {
            n_train,
            n_validation,
            epochs,
            batch,
            micro_batch: 8,
            clip_s: 10.0,
            checkpoint_every: 50,
            ..Self::default()
        }
    }
}

/// Probes of a model.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ProbeSizes {
    /// Recordings that go through the model, and their seconds.
    pub n_recordings: usize,
    /// See `n_recordings`.
    pub audio_s: f64,
    /// Seconds of the longest.
    pub longest_s: f64,
    /// Seconds of the files that they are cut out of, each as often as it is read.
    pub files_s: f64,
    /// Seconds of the longest of these files.
    pub longest_file_s: f64,
    /// A task each.
    pub tasks: Vec<ProbedTask>,
    /// Fits beside each other: 2 with controls.
    pub n_fits: usize,
}

/// Sizes of a task of probes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ProbedTask {
    /// Rows that are fitted on.
    pub n_train: usize,
    /// Rows in all.
    pub n_rows: usize,
    /// Classes, or numbers.
    pub n_outputs: usize,
    /// Whether it is numbers.
    pub is_numbers: bool,
}

/// Windows of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Windowed {
    /// That go through the model.
    pub n_new: usize,
    /// That an earlier step left in the cache.
    pub n_kept: usize,
}
