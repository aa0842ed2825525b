//! A simulated dataset on disk, and the truth about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array1, ArrayView1};

/// A simulated dataset: where its files are, and the truth about it.
///
/// Made by [`simulate`](crate::simulate).
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedDataset {
    pub(crate) dir: PathBuf,
    pub(crate) train_stories: Vec<String>,
    pub(crate) test_stories: Vec<String>,
    pub(crate) rois: BTreeMap<String, Vec<usize>>,
    pub(crate) participants: Vec<SimulatedParticipant>,
}

/// One of those who listened.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedParticipant {
    pub(crate) subject: String,
    pub(crate) noise_ceiling: Array1<f32>,
    pub(crate) noise_ceiling_path: PathBuf,
}

impl SimulatedDataset {
    /// The folder in the ds003020 layout.
    #[must_use]
    pub fn dataset_dir(&self) -> &Path {
        &self.dir
    }

    /// Those who listened, all to the same stories; at least one.
    #[must_use]
    pub fn participants(&self) -> &[SimulatedParticipant] {
        &self.participants
    }

    /// The first participant, `SIM01`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.participants.first().map_or("", |first| &first.subject)
    }

    /// The stories heard once, in the dataset's order.
    #[must_use]
    pub fn train_stories(&self) -> &[String] {
        &self.train_stories
    }

    /// The stories heard several times, the last of the dataset.
    #[must_use]
    pub fn test_stories(&self) -> &[String] {
        &self.test_stories
    }

    /// The first of them.
    #[must_use]
    pub fn test_story(&self) -> &str {
        self.test_stories.first().map_or("", String::as_str)
    }

    /// Columns of the responses that belong to each region, as in `rois.json`; the same for all participants.
    #[must_use]
    pub fn rois(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.rois
    }

    /// `rois.json`: an object of region names and arrays of columns, counted from 0.
    #[must_use]
    pub fn rois_path(&self) -> PathBuf {
        self.dir.join("rois.json")
    }

    /// `word_classes.csv`: columns `word` and `class`, the words that mean something and what they mean. Not there
    /// where every story has words of its own.
    #[must_use]
    pub fn word_classes_path(&self) -> PathBuf {
        self.dir.join("word_classes.csv")
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

    pub(crate) fn response_path(&self, subject: &str, story: &str) -> PathBuf {
        let dir = self.dir.join("derivative/preprocessed_data").join(subject);
        dir.join(format!("{story}.hf5"))
    }

    pub(crate) fn respdict_path(&self) -> PathBuf {
        self.dir.join("derivative/respdict.json")
    }
}

impl SimulatedParticipant {
    /// `SIM01`, `SIM02`, ….
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Correlation of the noiseless signal with the test stories' mean responses, `[n_voxels]`: what
    /// a perfect model reaches, up to the chance of one story. 0 where nothing drives the voxel.
    #[must_use]
    pub fn noise_ceiling(&self) -> ArrayView1<'_, f32> {
        self.noise_ceiling.view()
    }

    /// `noise_ceiling-SUBJECT.npy`: [`noise_ceiling`](Self::noise_ceiling) as f32.
    #[must_use]
    pub fn noise_ceiling_path(&self) -> &Path {
        &self.noise_ceiling_path
    }
}
