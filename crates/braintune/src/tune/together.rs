//! One run by several processes, or by several devices of one.
//!
//! Gradients are added up over ranks ([`BrainTuner::fit_on`](braintune_tuning::BrainTuner::fit_on)); the first rank
//! writes all there is to write. Held by `tests/it/tune_ranks.rs`.

use std::ops::ControlFlow;
use std::path::Path;

use braintune_fmri::StoryDataset;
use braintune_ranks::{Alone, Ranks, ThreadRanks};
use braintune_tuning::{TuningError, TuningEvent};
use burn::tensor::Device;

use super::{TuneOutcome, TuneSettings, run_on_rank};
use crate::error::{BraintuneError, Result};

/// What computes a run: the device of this process, and the processes that it runs beside.
#[derive(Debug, Clone, Copy)]
pub struct Compute<'a> {
    /// Of this process, not an autodiff one.
    pub device: &'a Device,
    /// All of them.
    pub ranks: &'a dyn Ranks,
}

impl<'a> Compute<'a> {
    /// One process alone.
    #[must_use]
    pub fn alone(device: &'a Device) -> Self {
        Self {
            device,
            ranks: &Alone,
        }
    }
}

/// As [`run`](super::run), by all ranks together: each calls it with the same dataset, model, settings and folder.
///
/// The weights are those of one process but for rounding. Only the first rank writes into `out`; all return the same
/// outcome, once it is written. To go on (`resume`), all ranks read the first one's `out/state`.
///
/// # Errors
/// As [`run`](super::run); [`TuningError::OtherRank`] where another rank failed, and what ranks that do not fit together
/// cause. A rank that fails before the run begins has to end the others, as dropped
/// [`ThreadRanks`](braintune_ranks::ThreadRanks) and the abort of an MPI job do.
pub fn run_on(
    dataset: &dyn StoryDataset,
    model: &Path,
    settings: &TuneSettings,
    compute: Compute<'_>,
    out: &Path,
    command: &[String],
    on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
) -> Result<TuneOutcome> {
    run_on_rank(dataset, model, settings, compute, (out, command), on)
}

/// As [`run`](super::run), on several devices of this machine, each with a share of the clips of every batch; `on` is told
/// of the first one's.
///
/// # Errors
/// As [`run`](super::run); no device at all.
pub fn run_on_devices(
    dataset: &dyn StoryDataset,
    model: &Path,
    settings: &TuneSettings,
    devices: &[Device],
    out: &Path,
    command: &[String],
    on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
) -> Result<TuneOutcome> {
    let Some((device, others)) = devices.split_first() else {
        return Err(BraintuneError::Input("no device is given".to_owned()));
    };
    if others.is_empty() {
        return super::run(dataset, model, settings, device, out, command, on);
    }
    let mut ranks = ThreadRanks::group(devices.len()).into_iter();
    let first = ranks.next();
    std::thread::scope(|scope| {
        let threads: Vec<_> = ranks
            .zip(others)
            .map(|(ranks, device)| {
                scope.spawn(move || {
                    let compute = Compute {
                        device,
                        ranks: &ranks,
                    };
                    let on = &mut |_: &TuningEvent| ControlFlow::Continue(());
                    run_on(dataset, model, settings, compute, out, command, on)
                })
            })
            .collect();
        let found = first.map(|ranks| {
            let compute = Compute {
                device,
                ranks: &ranks,
            };
            run_on(dataset, model, settings, compute, out, command, on)
        });
        let others = threads.into_iter().map(|thread| match thread.join() {
            Ok(found) => found,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        let mut all: Vec<_> = found.into_iter().chain(others).collect();
        // What is wrong is said by the one that it befell.
        let own = all
            .iter()
            .position(|found| found.as_ref().is_err_and(|e| !is_of_others(e)));
        all.swap_remove(own.unwrap_or(0))
    })
}

/// Whether an error says no more than that another rank has one.
fn is_of_others(error: &BraintuneError) -> bool {
    let BraintuneError::Tuning(error) = error else {
        return false;
    };
    matches!(
        **error,
        TuningError::OtherRank { .. } | TuningError::Ranks(_)
    )
}

/// Returns when the first rank has written its results; an error on all ranks where it could not.
pub(super) fn all_wrote(ranks: &dyn Ranks, written: Result<()>) -> Result<()> {
    let all = ranks.all_gather(&[u8::from(written.is_err())]);
    written?;
    let all = all.map_err(TuningError::from)?;
    match all.iter().position(|failed| failed[..] != [0]) {
        Some(rank) => Err(TuningError::OtherRank { rank }.into()),
        None => Ok(()),
    }
}
