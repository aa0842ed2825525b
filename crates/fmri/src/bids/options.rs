//! What of a BIDS folder is read, and what is done to it before it is used.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Trim, VoxelOrder};

/// What several runs of one task are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BidsRuns {
    /// The same story heard again: its responses are the mean of all hearings, each of which is one of
    /// [`repeats`](crate::StoryDataset::repeats).
    #[default]
    Hearings,
    /// Parts of a longer whole: each run is a story of its own, called `<task>_run-<run>`.
    Parts,
}

/// What [`BidsDataset`](crate::BidsDataset) reads and does to it.
///
/// As it is, nothing is filtered, scaled or smoothed: responses are the values of the files inside
/// the mask.
///
/// ```
/// use braintune_fmri::BidsOptions;
///
/// let options = BidsOptions::new()
///     .with_space("MNI152NLin2009cAsym")
///     .with_high_pass_s(140.0)
///     .with_z_score();
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BidsOptions {
    pub(super) derivatives: Option<PathBuf>,
    pub(super) cache: Option<PathBuf>,
    pub(super) tasks: Vec<String>,
    pub(super) space: Option<String>,
    pub(super) desc: Option<String>,
    pub(super) mask: Option<PathBuf>,
    pub(super) order: VoxelOrder,
    pub(super) runs: BidsRuns,
    pub(super) onset_s: Option<f64>,
    pub(super) trial_type: Option<String>,
    pub(super) n_trs: BTreeMap<String, usize>,
    pub(super) trims: (Trim, Trim),
    pub(super) filter: Filter,
}

/// What is done to each run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Filter {
    pub(super) smoothing_mm: Option<f64>,
    pub(super) high_pass_s: Option<f64>,
    pub(super) detrend: bool,
    pub(super) z_score: bool,
}

impl BidsOptions {
    /// Everything as it is in the folder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Preprocessed images lie in `dir`; else in `derivatives/fmriprep` of the dataset.
    #[must_use]
    pub fn with_derivatives(mut self, dir: &Path) -> Self {
        self.derivatives = Some(dir.into());
        self
    }

    /// Responses that were taken out of images are kept in `dir`; else in `derivatives/braintune` of
    /// the dataset.
    #[must_use]
    pub fn with_cache(mut self, dir: &Path) -> Self {
        self.cache = Some(dir.into());
        self
    }

    /// Only these tasks are stories; else all are.
    #[must_use]
    pub fn with_tasks(mut self, tasks: &[&str]) -> Self {
        self.tasks = tasks.iter().map(|&task| task.into()).collect();
        self
    }

    /// Images in this space, such as `MNI152NLin2009cAsym` or `T1w`; needed where there are several.
    #[must_use]
    pub fn with_space(mut self, space: &str) -> Self {
        self.space = Some(space.into());
        self
    }

    /// Images with this description; else `preproc`, as fMRIPrep writes.
    #[must_use]
    pub fn with_desc(mut self, desc: &str) -> Self {
        self.desc = Some(desc.into());
        self
    }

    /// The voxels that are not 0 in this file, for all subjects; else for each subject those that are
    /// inside the brain masks (`desc-brain_mask`) of all of the subject's runs.
    #[must_use]
    pub fn with_mask(mut self, path: &Path) -> Self {
        self.mask = Some(path.into());
        self
    }

    /// How voxels are numbered; else as nilearn does.
    #[must_use]
    pub fn with_order(mut self, order: VoxelOrder) -> Self {
        self.order = order;
        self
    }

    /// What several runs of one task are.
    #[must_use]
    pub fn with_runs(mut self, runs: BidsRuns) -> Self {
        self.runs = runs;
        self
    }

    /// The sound of every run begins this long after the start of its first volume; else what
    /// `events.tsv` says.
    #[must_use]
    pub fn with_onset_s(mut self, onset_s: f64) -> Self {
        self.onset_s = Some(onset_s);
        self
    }

    /// The sound begins at the first event of this type; else at the first that names its file.
    #[must_use]
    pub fn with_trial_type(mut self, trial_type: &str) -> Self {
        self.trial_type = Some(trial_type.into());
        self
    }

    /// The grid of a story has this many TRs; else as many as most of its runs.
    #[must_use]
    pub fn with_n_trs(mut self, story: &str, n_trs: usize) -> Self {
        self.n_trs.insert(story.into(), n_trs);
        self
    }

    /// The trims of training and of test stories that analyses use by default; else none.
    #[must_use]
    pub fn with_default_trims(mut self, train: Trim, test: Trim) -> Self {
        self.trims = (train, test);
        self
    }

    /// Smooths each volume, before voxels are chosen, by a Gaussian of this full width at half maximum, in millimetres.
    #[must_use]
    pub fn with_smoothing_mm(mut self, fwhm_mm: f64) -> Self {
        self.filter.smoothing_mm = Some(fwhm_mm);
        self
    }

    /// Takes the cosines of this period in seconds and longer out of each voxel of each run, as nilearn
    /// does with `filter="cosine"` and SPM with its high-pass filter: [`Drift::Cosines`](crate::Drift).
    /// The mean stays unless [`with_detrend`](Self::with_detrend) or z-scoring takes it out.
    #[must_use]
    pub fn with_high_pass_s(mut self, cutoff_s: f64) -> Self {
        self.filter.high_pass_s = Some(cutoff_s);
        self
    }

    /// Takes the straight line of least squares out of each voxel of each run.
    #[must_use]
    pub fn with_detrend(mut self) -> Self {
        self.filter.detrend = true;
        self
    }

    /// Gives each voxel of each run mean 0 and population standard deviation 1, last of all; a voxel
    /// that never changes becomes 0.
    #[must_use]
    pub fn with_z_score(mut self) -> Self {
        self.filter.z_score = true;
        self
    }
}
