//! A simulated participant on disk, and the truth about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array1, ArrayView1};

/// Name of the simulated subject.
const SUBJECT: &str = "SIM01";

/// A simulated participant: where its files are, and the truth about it.
///
/// Made by [`simulate`](crate::simulate).
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedParticipant {
    dir: PathBuf,
    train_stories: Vec<String>,
    test_story: String,
    rois: BTreeMap<String, Vec<usize>>,
    noise_ceiling: Array1<f32>,
}

impl SimulatedParticipant {
    pub(crate) fn new(
        dir: &Path,
        train_stories: Vec<String>,
        test_story: String,
        rois: BTreeMap<String, Vec<usize>>,
        noise_ceiling: Array1<f32>,
    ) -> Self {
        Self {
            dir: dir.into(),
            train_stories,
            test_story,
            rois,
            noise_ceiling,
        }
    }

    /// The folder in the ds003020 layout.
    #[must_use]
    pub fn dataset_dir(&self) -> &Path {
        &self.dir
    }

    /// The subject: `SIM01`.
    #[must_use]
    pub fn subject(&self) -> &'static str {
        SUBJECT
    }

    /// The stories heard once, in the dataset's order.
    #[must_use]
    pub fn train_stories(&self) -> &[String] {
        &self.train_stories
    }

    /// The story heard several times, the last of the dataset.
    #[must_use]
    pub fn test_story(&self) -> &str {
        &self.test_story
    }

    /// Columns of the responses that belong to each region, as in `rois.json`.
    #[must_use]
    pub fn rois(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.rois
    }

    /// Correlation of the noiseless signal with the test story's mean responses, `[n_voxels]`: what
    /// a perfect model reaches, up to the chance of one story. 0 where nothing drives the voxel.
    #[must_use]
    pub fn noise_ceiling(&self) -> ArrayView1<'_, f32> {
        self.noise_ceiling.view()
    }

    /// `rois.json`: an object of region names and arrays of columns, counted from 0.
    #[must_use]
    pub fn rois_path(&self) -> PathBuf {
        self.dir.join("rois.json")
    }

    /// `noise_ceiling.npy`: [`noise_ceiling`](Self::noise_ceiling) as f32.
    #[must_use]
    pub fn noise_ceiling_path(&self) -> PathBuf {
        self.dir.join("noise_ceiling.npy")
    }

    /// `ground_truth.json`: what drives each voxel, its haemodynamic response, its ceilings, and the
    /// configuration.
    #[must_use]
    pub fn ground_truth_path(&self) -> PathBuf {
        self.dir.join("ground_truth.json")
    }

    pub(crate) fn audio_path(&self, story: &str) -> PathBuf {
        self.dir.join("stimuli").join(format!("{story}.wav"))
    }

    pub(crate) fn textgrid_path(&self, story: &str) -> PathBuf {
        let dir = self.dir.join("derivative/TextGrids");
        dir.join(format!("{story}.TextGrid"))
    }

    pub(crate) fn response_path(&self, story: &str) -> PathBuf {
        let dir = self.dir.join("derivative/preprocessed_data").join(SUBJECT);
        dir.join(format!("{story}.hf5"))
    }

    pub(crate) fn respdict_path(&self) -> PathBuf {
        self.dir.join("derivative/respdict.json")
    }
}
