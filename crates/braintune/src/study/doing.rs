//! Steps of a study, one after another: done, skipped or failed, and recorded.

use std::collections::BTreeMap;

use super::marker;
use super::results::{StepRecord, StepStatus};
use super::work::Workshop;
use super::{Plan, Step};
use crate::error::{BraintuneError, Result, file_error, with_sources};
use crate::event::{Event, OnEvent, tell};
use crate::together::sees;

/// How steps ended, by their places.
pub(super) type Records = BTreeMap<usize, StepRecord>;

impl Workshop<'_> {
    /// Does the step at a place, unless it is done or one that it needs is not, and records how it ended.
    pub(super) fn step(
        &self,
        (plan, place): (&Plan, usize),
        is_done: bool,
        records: &mut Records,
        on: &mut OnEvent<'_>,
    ) -> Result<()> {
        let step = &plan.steps[place];
        let event = Event::Step {
            name: &step.name,
            number: place + 1,
            total: plan.steps.len(),
            is_done,
        };
        tell(on, event)?;
        let is_missing = |need: &&usize| {
            let record = records.get(need);
            record.is_none_or(|record| record.status != StepStatus::Done)
        };
        let (status, problem) = if let Some(&need) = step.needs.iter().find(is_missing) {
            let problem = format!("it needs `{}`", plan.steps[need].name);
            (StepStatus::Skipped, Some(problem))
        } else if is_done {
            marker::restore(step, self.out)?;
            (StepStatus::Done, None)
        } else {
            self.new_step(step, on)?
        };
        let name = step.name.clone();
        records.insert(
            place,
            StepRecord {
                name,
                status,
                problem,
            },
        );
        Ok(())
    }

    fn new_step(&self, step: &Step, on: &mut OnEvent<'_>) -> Result<(StepStatus, Option<String>)> {
        let made = marker::begin(step, self.out).and_then(|folder| {
            self.run(step.work, &folder, on)?;
            marker::finish(step, self.out)
        });
        match made {
            Ok(()) => Ok((StepStatus::Done, None)),
            Err(BraintuneError::Cancelled) => Err(BraintuneError::Cancelled),
            Err(error) => {
                let problem = with_sources(&error);
                tracing::warn!("step `{}` failed: {problem}", step.name);
                Ok((StepStatus::Failed, Some(problem)))
            }
        }
    }
}

/// Returns when what other ranks have done is seen on this one's machine.
pub(super) fn wait_for_others(plan: &Plan, records: &Records) -> Result<()> {
    let done = records.iter().filter(|(_, r)| r.status == StepStatus::Done);
    for (place, _) in done {
        let step = &plan.steps[*place];
        for output in step.outputs() {
            let path = plan.out.join(&step.folder).join(output);
            if !sees(&path) {
                let problem = "was written by another rank and is not seen on this machine: is --out on storage that all ranks share?";
                return Err(file_error(&path, problem));
            }
        }
    }
    Ok(())
}
