//! The checkpoint that the first of several ranks goes on from, read by the others.
//!
//! Held by `tests/it/ranks_apart.rs`.

use braintune_backbone::SpeechBackbone;

use super::{Broken, Checkpoints, Resumed, step_name};
use crate::error::{Result, TuningError};
use crate::model::TuningModel;
use crate::step::Optimisers;

impl Checkpoints<'_> {
    /// The checkpoint of `step`, for rank `rank`; nothing is mended or removed but by the first rank, before.
    ///
    /// # Errors
    /// [`TuningError::CheckpointOfRank`]; the data here are others.
    pub(crate) fn follow<B: SpeechBackbone>(
        &self,
        (step, rank): (usize, usize),
        model: &TuningModel<B>,
        optimisers: Optimisers,
    ) -> Result<Resumed<B>> {
        let path = self.dir.join(step_name(step));
        match self.read(&path, model, optimisers) {
            Ok((model, optimisers, progress)) => Ok(Resumed {
                model,
                optimisers,
                progress,
                skipped: Vec::new(),
            }),
            Err(Broken::Other(error)) => Err(error),
            Err(Broken::Damaged(problem)) => Err(TuningError::CheckpointOfRank {
                path,
                rank,
                problem,
            }),
        }
    }
}
