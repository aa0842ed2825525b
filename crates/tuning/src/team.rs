//! The ranks of a run: they go on together, or they all end.
//!
//! Ranks meet at the same places of a run. One that fails in between says so at the place where the others wait for
//! it, so that none waits for ever. Held by `tests/it/ranks_apart.rs`.

use std::ops::ControlFlow;

use braintune_backbone::SpeechBackbone;
use braintune_ranks::Ranks;
use serde_json::Value;

use crate::checkpoint::differences;
use crate::digests;
use crate::error::{Result, TuningError};
use crate::model::TuningModel;

/// First byte of a message: its sender goes on, or cannot.
const GOES_ON: u8 = 0;
const FAILED: u8 = 1;
/// Values that are added up at once: bounds what a collective keeps beside them, 64 MB.
const AT_ONCE: usize = 1 << 24;

/// The ranks of a run, seen from one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Team<'a>(pub(crate) &'a dyn Ranks);

impl Team<'_> {
    pub(crate) fn is_alone(self) -> bool {
        self.0.n_ranks() == 1
    }

    /// What each rank has, in the order of ranks.
    ///
    /// # Errors
    /// [`TuningError::OtherRank`] where one cannot go on.
    pub(crate) fn gather(self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        let message = [&[GOES_ON], mine].concat();
        let mut all = self.0.all_gather(&message)?;
        let has_failed = |message: &Vec<u8>| message.first() != Some(&GOES_ON);
        if let Some(rank) = all.iter().position(has_failed) {
            return Err(TuningError::OtherRank { rank });
        }
        for message in &mut all {
            message.remove(0);
        }
        Ok(all)
    }

    /// Stops all ranks if one is to stop.
    pub(crate) fn agree(self, mine: ControlFlow<()>) -> Result<ControlFlow<()>> {
        let all = self.gather(&[u8::from(mine.is_break())])?;
        Ok(if all.iter().any(|flow| flow[..] != [0]) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        })
    }

    /// What the first rank has of `mine`: values that may differ by rounding where machines do.
    pub(crate) fn of_first(self, mine: f64) -> Result<f64> {
        if self.is_alone() {
            return Ok(mine);
        }
        let all = self.gather(&mine.to_le_bytes())?;
        Ok(f64_of(&all[0]))
    }

    /// Replaces `values` by their sum over ranks; they are as many on each.
    pub(crate) fn sum(self, values: &mut [f32]) -> Result<()> {
        let mut pieces = values.chunks_mut(AT_ONCE);
        Ok(pieces.try_for_each(|piece| self.0.sum(piece))?)
    }

    /// Tells the others, who wait or will, that this rank ends because of `error`.
    pub(crate) fn leave(self, error: &TuningError) {
        use TuningError::{OtherRank, OtherRunOfRank, OtherWeights, Ranks};
        // Every rank has these at the same time.
        let is_known = matches!(
            error,
            OtherRank { .. } | OtherRunOfRank { .. } | OtherWeights { .. } | Ranks(_)
        );
        if !self.is_alone() && !is_known {
            // Its own error is the one to tell.
            let _ = self.0.all_gather(&[FAILED]);
        }
    }

    /// Says so if a rank was started for another run than the first one.
    pub(crate) fn same_run(self, run: &Value) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let run = serde_json::json!({ "run": run, "braintune": env!("CARGO_PKG_VERSION") });
        let all = self.gather(run.to_string().as_bytes())?;
        let Some(rank) = all.iter().position(|other| *other != all[0]) else {
            return Ok(());
        };
        let read = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
        let (first, other) = (read(&all[0]), read(&all[rank]));
        let say = |key: &str, first: &Value, other: &Value| {
            let key = key.strip_prefix("run.").unwrap_or(key);
            format!("{key} is {first} on rank 0 and {other} on rank {rank}")
        };
        Err(TuningError::OtherRunOfRank {
            rank,
            differences: differences(&first, &other, &say),
        })
    }

    /// Says so if a rank has other weights than the first one, and in the words of `at` where.
    pub(crate) fn same_weights<B: SpeechBackbone>(
        self,
        model: &TuningModel<B>,
        at: impl FnOnce() -> String,
    ) -> Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let all = self.gather(digests::of_parameters(model).as_bytes())?;
        match all.iter().position(|other| *other != all[0]) {
            Some(rank) => Err(TuningError::OtherWeights { rank, at: at() }),
            None => Ok(()),
        }
    }
}

/// A value of the first bytes of a message.
pub(crate) fn f64_of(bytes: &[u8]) -> f64 {
    let first = bytes.first_chunk();
    first.map_or(f64::NAN, |bytes| f64::from_le_bytes(*bytes))
}
