//! `--dry-run`: the steps of a study, what is done of them, and what the rest will take, here and on other machines.
//!
//! Sizes of every step (`plan.rs`) and speeds that are measured on the machine and the models at hand (`speed.rs`,
//! `model_speed.rs`) give seconds, memory and disk (`cost.rs`); units of work that machines share give a makespan
//! (`nodes.rs`). Held by the tests of these and `tests/it/study.rs`; against real runs by `tools/check_estimate.py`.

pub mod cost;
mod model_speed;
mod nodes;
mod plan;
mod sizes;
mod speed;

use std::path::Path;
use std::time::Instant;

use braintune_ranks::{Alone, Ranks, Shard};
use burn::tensor::Device;

pub use nodes::{Cluster, OnNodes};
pub use speed::Speed;

use self::cost::Cost;
use self::plan::Costs;
use super::file::Study;
use super::marker::StepState;
use crate::error::Result;
use crate::event::OnEvent;

/// The allocator keeps three quarters of the largest memory of earlier steps, as measured, for what comes next; at most so
/// much more than that takes, bytes, as large arrays go back to the system.
const MOST_KEPT: u64 = 200_000_000;

/// What a study will take.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DryRun {
    /// Every step.
    pub steps: Vec<StepEstimate>,
    /// Seconds of reading and checking all inputs, which every run begins with.
    pub start_s: f64,
    /// Floating-point operations per second of this machine's products of matrices in f32.
    pub products: f64,
}

/// What a step will take.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StepEstimate {
    /// Its name.
    pub name: String,
    /// The state of a model that it reads, or whose baselines it makes: steps of one unit are done by one machine.
    pub unit: String,
    /// How far it is.
    pub state: StepState,
    /// TRs that it reads.
    pub n_trs: usize,
    /// Voxels that it predicts.
    pub n_voxels: usize,
    /// Windows, or clips, that go through the model, those of every epoch included.
    pub n_windows: usize,
    /// Largest memory of the process, bytes.
    pub memory_bytes: u64,
    /// Bytes of the cache.
    pub cache_bytes: u64,
    /// Bytes of its results.
    pub result_bytes: u64,
    /// Seconds of forward and backward passes, which a graphics card makes shorter; 0 if it is done.
    pub pass_s: f64,
    /// All seconds; 0 if it is done.
    pub seconds: f64,
}

impl Default for StepEstimate {
    /// A new step of no size.
    fn default() -> Self {
        Self {
            name: String::new(),
            unit: String::new(),
            state: StepState::New,
            n_trs: 0,
            n_voxels: 0,
            n_windows: 0,
            memory_bytes: 0,
            cache_bytes: 0,
            result_bytes: 0,
            pass_s: 0.0,
            seconds: 0.0,
        }
    }
}

impl StepEstimate {
    /// A step that is still to be done, part of the unit `unit`.
    #[must_use]
    pub fn new(name: String, unit: String, cost: &Cost) -> Self {
        let mut step = Self {
            name,
            unit,
            ..Self::default()
        };
        step.take(cost);
        step
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes"
    )]
    fn take(&mut self, cost: &Cost) {
        self.memory_bytes = cost.memory_bytes as u64;
        self.cache_bytes = cost.cache_bytes as u64;
        self.result_bytes = cost.result_bytes as u64;
        (self.pass_s, self.seconds) = (cost.pass_s, cost.seconds());
    }
}

impl DryRun {
    /// Of these steps, whose memory is that of each alone; `start_s` seconds of reading all inputs, `products` as the
    /// field of that name.
    #[must_use]
    pub fn new(mut steps: Vec<StepEstimate>, start_s: f64, products: f64) -> Self {
        let mut most = 0;
        for step in steps
            .iter_mut()
            .filter(|step| step.state != StepState::Done)
        {
            let alone = step.memory_bytes;
            step.memory_bytes = alone.max((most / 4 * 3).min(alone + MOST_KEPT));
            most = most.max(alone);
        }
        Self {
            steps,
            start_s,
            products,
        }
    }

    /// Seconds of the steps that are not done.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.steps.iter().map(|step| step.seconds).sum()
    }

    /// Bytes of cache and results of all steps.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let sum = |of: fn(&StepEstimate) -> u64| self.steps.iter().map(of).sum();
        (sum(|step| step.cache_bytes), sum(|step| step.result_bytes))
    }

    /// Largest memory of the steps that are not done, bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let open = self
            .steps
            .iter()
            .filter(|step| step.state != StepState::Done);
        open.map(|step| step.memory_bytes).max().unwrap_or(0)
    }
}

impl Study {
    /// Says what [`super::run`] would do and what it would take, or one share of it; nothing is written. Models, ridge and
    /// reading are timed for some seconds, longer where a single pass of a model takes long.
    ///
    /// # Errors
    /// As [`Study::plan`].
    pub fn dry_run(
        &self,
        out: &Path,
        device: &Device,
        shard: Option<Shard>,
        on: &mut OnEvent<'_>,
    ) -> Result<DryRun> {
        let begun = Instant::now();
        let plan = self.plan(out, device, on)?;
        let start_s = begun.elapsed().as_secs_f64();
        let shard = shard.unwrap_or_else(|| Alone.shard());
        let owners = plan.owners(self, shard.count())?;
        let mut costs = Costs::measure(self, &plan.inputs, device, on)?;
        let own = plan.steps().zip(owners);
        let own = own.filter(|(_, owner)| *owner == shard.index());
        let steps = own.map(|((step, state), _)| costs.of(step, state));
        let steps = steps.collect::<Result<_>>()?;
        Ok(DryRun::new(steps, start_s, costs.speed.products))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_steps_hold_what_the_allocator_kept_of_earlier_ones() {
        let step = |memory_bytes, state| StepEstimate {
            state,
            memory_bytes,
            ..StepEstimate::default()
        };
        let steps = vec![
            step(9_000, StepState::Done),
            step(100, StepState::New),
            step(50, StepState::Begun),
            step(4_000_000_000, StepState::New),
            step(100, StepState::New),
        ];
        let found = DryRun::new(steps, 1.0, 1e9);
        let memory: Vec<u64> = found.steps.iter().map(|step| step.memory_bytes).collect();
        assert_eq!(memory, [9_000, 100, 75, 4_000_000_000, 200_000_100]);
        assert_eq!(found.memory_bytes(), 4_000_000_000);
    }
}
