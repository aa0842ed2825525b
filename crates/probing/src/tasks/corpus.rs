//! A corpus of recordings with one class each.

use crate::error::Result;
use crate::task::{LabelSet, ProbeTask, Recording, Rows};

/// A class for each recording, told from the mean over its frames. One constructor for each corpus, in the layout that
/// it comes in.
#[derive(Debug, Clone)]
pub struct CorpusTask {
    pub(super) name: &'static str,
    pub(super) labels: LabelSet,
    pub(super) recordings: Vec<Recording>,
}

impl ProbeTask for CorpusTask {
    fn name(&self) -> &'static str {
        self.name
    }

    fn labels(&self) -> &LabelSet {
        &self.labels
    }

    fn rows(&self) -> Rows {
        Rows::Mean
    }

    fn recordings(&self) -> Result<Vec<Recording>> {
        Ok(self.recordings.clone())
    }
}
