//! What the trainer is fed: batches at known places, so that a run can go on anywhere.

use std::error::Error;
use std::ops::ControlFlow;

use braintune_ranks::Shard;
use ndarray::Array2;

use crate::digests::{self, Digests};
use crate::error::TuningError;

/// Clips and the responses to them, of one subject and story.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TuningBatch {
    /// Number of the head that predicts the responses.
    pub head: usize,
    /// Name of subject and story: scores are correlations within one.
    pub recording: String,
    /// `[batch, n_samples]`, at the backbone's rate.
    pub samples: Array2<f32>,
    /// `[batch, n_voxels]`.
    pub bold: Array2<f32>,
    /// Units of the clips' frames, `[batch, n_frames]`, none for frames that have no unit; for objectives
    /// that predict them.
    pub units: Option<Array2<Option<u32>>>,
}

impl TuningBatch {
    /// Clips `samples` `[batch, n_samples]` of `recording` (subject and story), and the responses `bold`
    /// `[batch, n_voxels]` to them, which head `head` predicts.
    #[must_use]
    pub fn new(head: usize, recording: String, samples: Array2<f32>, bold: Array2<f32>) -> Self {
        Self {
            head,
            recording,
            samples,
            bold,
            units: None,
        }
    }

    /// With the [`units`](Self::units) of the clips' frames, `[batch, n_frames]`.
    #[must_use]
    pub fn with_units(mut self, units: Array2<Option<u32>>) -> Self {
        self.units = Some(units);
        self
    }
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

    /// Looks for what cannot be learnt before the first step of a run on training data, in a share of all that there
    /// is; `on` gets the parts that were read and their number, and can stop it. Nothing unless overridden.
    ///
    /// # Errors
    /// What is wrong, and what reading can cause.
    fn check(
        &self,
        share: Shard,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Box<dyn Error + Send + Sync>> {
        let _ = (share, on);
        Ok(ControlFlow::Continue(()))
    }

    /// What else than the settings the batches are made of, for a run that goes on: it must be the same then.
    fn fingerprint(&self) -> serde_json::Value;

    /// Digests of the contents that were read so far, for a run that goes on: they must be the same then.
    /// None unless overridden, for data whose [`fingerprint`](Self::fingerprint) says all.
    fn digests(&self) -> Digests {
        Digests::new()
    }

    /// What of `recorded` (by [`digests`](Self::digests), of an earlier process) is not what it was, read again.
    ///
    /// # Errors
    /// What reading can cause.
    fn changed(&self, recorded: &Digests) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
        let _ = recorded;
        Ok(Vec::new())
    }
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
        let batch = self.get(index).cloned();
        Ok(batch.ok_or_else(|| TuningError::Empty {
            what: "batch",
            reason: format!("number {index} of {}", self.len()),
        })?)
    }

    fn fingerprint(&self) -> serde_json::Value {
        let batches = self.iter().map(|b| {
            let values = digests::of_values(b.samples.iter().chain(&b.bold));
            (b.head, &b.recording, b.samples.dim(), b.bold.dim(), values)
        });
        serde_json::json!(batches.collect::<Vec<_>>())
    }
}
