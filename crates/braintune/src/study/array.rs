//! A study as an array job: shares that never meet, and what gathers them.

use std::fs::File;
use std::path::Path;

use braintune_ranks::{Alone, Shard};
use burn::tensor::Device;

use super::doing::Records;
use super::folder::{check_out, claim, claim_share, claim_unit, n_shares};
use super::results::{StepRecord, StepStatus};
use super::work::Workshop;
use super::{Plan, StepState, Study, StudyOutcome, finish, marker, share};
use crate::error::{Result, file_error};
use crate::event::OnEvent;
use crate::folders::Folders;

/// Missing steps that a message names.
const NAMED: usize = 30;

/// How a share of a study ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ShardOutcome {
    /// The steps of this share, and how they ended.
    pub steps: Vec<StepRecord>,
    /// Those that were done before.
    pub n_already: usize,
    /// Those that this run did.
    pub n_run: usize,
    /// Those that failed, or that need one that did.
    pub n_failed: usize,
    /// Those that another process is doing, and that were left to it.
    pub n_elsewhere: usize,
    /// Steps of the whole study that are done now.
    pub n_done: usize,
    /// Steps of the whole study.
    pub n_steps: usize,
}

impl Plan {
    /// Which of `n` shares does each step; steps that read the same state of a model stay together.
    ///
    /// # Errors
    /// A story whose timing cannot be read.
    pub fn owners(&self, study: &Study, n: usize) -> Result<Vec<usize>> {
        // Whatever is done, so that shares that begin at different times agree.
        share::owners(study, &self.inputs, &self.steps, |_| true, n)
    }
}

/// Does one share of a study's steps; no `study.json` is written, which [`merge`] does, or [`run`](super::run) after all
/// shares. Several may run at once in one folder, on one machine or several that share it.
///
/// # Errors
/// As [`run`](super::run); a run of the whole study that works in the folder.
pub fn run_shard(
    study: &Study,
    Folders { cache, out }: Folders<'_>,
    device: &Device,
    command: &[String],
    shard: Shard,
    on: &mut OnEvent<'_>,
) -> Result<ShardOutcome> {
    check_out(study, out)?;
    let plan = study.plan_steps(out, device, &Alone, on)?;
    let owners = plan.owners(study, shard.count())?;
    let is_own = |place: &usize| owners[*place] == shard.index();
    // Files of others where results go are told before anything is written.
    for place in (0..owners.len()).filter(is_own) {
        marker::state(&plan.steps[place], out)?;
    }
    let _lock = claim_share(study, out, shard)?;
    let workshop = Workshop {
        study,
        inputs: &plan.inputs,
        out,
        cache,
        device,
        command,
    };
    let (mut records, mut n_already, mut n_elsewhere) = (Records::new(), 0, 0);
    for unit in share::units(&plan.steps, &plan.inputs) {
        if !is_own(&unit[0]) {
            continue;
        }
        let Some(_unit_lock) = claim_unit(out, &plan.steps[unit[0]])? else {
            n_elsewhere += unit.len();
            continue;
        };
        for place in unit {
            let is_done = marker::state(&plan.steps[place], out)? == StepState::Done;
            n_already += usize::from(is_done);
            workshop.step((&plan, place), is_done, &mut records, on)?;
        }
    }
    Ok(outcome(&plan, records, (n_already, n_elsewhere)))
}

fn outcome(
    plan: &Plan,
    records: Records,
    (n_already, n_elsewhere): (usize, usize),
) -> ShardOutcome {
    let steps: Vec<StepRecord> = records.into_values().collect();
    let well = steps.iter().filter(|step| step.status == StepStatus::Done);
    let n_well = well.count();
    // Of other shares' steps, which may be at work, whatever cannot be told is not done.
    let is_done = |step| marker::state(step, &plan.out).is_ok_and(|s| s == StepState::Done);
    ShardOutcome {
        n_already,
        n_run: n_well.saturating_sub(n_already),
        n_failed: steps.len() - n_well,
        n_elsewhere,
        n_done: plan.steps.iter().filter(|step| is_done(step)).count(),
        n_steps: plan.steps.len(),
        steps,
    }
}

/// Writes `study.json` and the report from what shares have done; nothing is computed.
///
/// # Errors
/// As [`Study::plan`]; steps that are not done, each named with its share; shares that are at work.
pub fn merge(
    study: &Study,
    out: &Path,
    device: &Device,
    command: &[String],
    on: &mut OnEvent<'_>,
) -> Result<StudyOutcome> {
    let plan = study.plan(out, device, on)?;
    let missing: Vec<usize> = (0..plan.steps.len())
        .filter(|&p| !plan.is_done(p))
        .collect();
    if !missing.is_empty() {
        return Err(file_error(out, describe(study, &plan, &missing)?));
    }
    let _lock: File = claim(study, out)?;
    let mut records = Records::new();
    for (place, step) in plan.steps.iter().enumerate() {
        marker::restore(step, out)?;
        let record = StepRecord {
            name: step.name.clone(),
            status: StepStatus::Done,
            problem: None,
        };
        records.insert(place, record);
    }
    finish(study, &plan, records, command, &Alone)
}

/// Which steps are missing, by share where it is known into how many the study was cut.
fn describe(study: &Study, plan: &Plan, missing: &[usize]) -> Result<String> {
    let n_shares = n_shares(&plan.out);
    let owners = n_shares.map(|n| plan.owners(study, n)).transpose()?;
    let mut named: Vec<String> = missing
        .iter()
        .take(NAMED)
        .map(|&place| {
            let name = &plan.steps[place].name;
            match (&owners, n_shares) {
                (Some(owners), Some(n)) => format!("`{name}` (share {}/{n})", owners[place] + 1),
                _ => format!("`{name}`"),
            }
        })
        .collect();
    if missing.len() > NAMED {
        named.push(format!("{} more", missing.len() - NAMED));
    }
    Ok(format!(
        "{} of {} steps are not done: {}; let these shares end or run them again, or run the study without --shard, which does what is missing and gathers all",
        missing.len(),
        plan.steps.len(),
        named.join(", ")
    ))
}
