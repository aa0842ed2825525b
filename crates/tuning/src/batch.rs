//! What the trainer is fed: batches at known places, so that a run can go on anywhere.

use std::error::Error;

use ndarray::Array2;

/// Clips and the responses to them, of one subject and story.
#[derive(Debug, Clone, PartialEq)]
pub struct TuningBatch {
    /// Number of the head that predicts the responses.
    pub head: usize,
    /// Name of subject and story: scores are correlations within one.
    pub recording: String,
    /// `[batch, n_samples]`, at the backbone's rate.
    pub samples: Array2<f32>,
    /// `[batch, n_voxels]`.
    pub bold: Array2<f32>,
}

/// Batches of an epoch, each to be had by its number.
///
/// Implementers: [`StoryBatches`](crate::StoryBatches), and `Vec<TuningBatch>` for data that come from elsewhere.
pub trait TuningData: Sync {
    /// Batches of an epoch.
    fn n_batches(&self) -> usize;

    /// Batch `index` of epoch `epoch`; the same arguments give the same batch.
    ///
    /// # Errors
    /// What reading can cause.
    fn batch(
        &self,
        epoch: usize,
        index: usize,
    ) -> Result<TuningBatch, Box<dyn Error + Send + Sync>>;

    /// What else than the settings the batches are made of, for a run that goes on: it must be the same then.
    fn fingerprint(&self) -> serde_json::Value;
}

impl TuningData for Vec<TuningBatch> {
    fn n_batches(&self) -> usize {
        self.len()
    }

    fn batch(
        &self,
        _epoch: usize,
        index: usize,
    ) -> Result<TuningBatch, Box<dyn Error + Send + Sync>> {
        Ok(self[index].clone())
    }

    fn fingerprint(&self) -> serde_json::Value {
        let shapes = self
            .iter()
            .map(|b| (b.head, &b.recording, b.samples.dim(), b.bold.dim()));
        serde_json::json!(shapes.collect::<Vec<_>>())
    }
}
