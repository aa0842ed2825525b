//! `braintune study`: models, participants and conditions through every step, into one `study.json`.
//!
//! A study file names a dataset, models and settings. Its steps (random weights, tuning, encoding, probes) form a
//! dependency graph; each leaves a key beside its result, so that a run goes on from what is done and a changed setting
//! redoes only what depends on it. What they found is gathered into [`StudyResults`]. Held by `tests/it/study.rs`,
//! `study_damage.rs`.

mod comparisons;
mod curves;
mod encoding_part;
mod estimate;
mod file;
mod gather;
mod inputs;
mod marker;
mod notes;
mod participant;
mod pictures;
mod results;
mod steps;
mod summary;
pub mod surface;
mod tuning_part;
mod voxels;
mod work;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde_json::json;

pub(crate) use curves::{alignment_curves, probe_curves};
pub use estimate::{Cluster, DryRun, OnNodes, Speed, StepEstimate, cost};
pub use file::Study;
pub use marker::StepState;
pub use results::{
    AlignmentCurve, BaselineAlignment, Comparison, Condition, ConditionKind, DataSharing, Estimate,
    Excluded, LowLevelImpact, Measure, ProbeCurve, SCHEMA_VERSION, Setting, StepRecord, StepStatus,
    StudyResults, SurfaceView, TrainingCurve, Unit, VoxelChange,
};
pub use steps::Step;

use crate::error::{BraintuneError, Result, file_error, io_error};
use crate::event::{Event, OnEvent};
use crate::files::write_atomically;
use crate::folders::Folders;
use inputs::Inputs;
use work::Workshop;

/// What a study will do: its steps in order, and what is done of them.
pub struct Plan {
    inputs: Inputs,
    steps: Vec<Step>,
    states: Vec<StepState>,
    out: PathBuf,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        f.debug_struct("Plan")
            .field("steps", &names)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// The steps, each after those that it needs, and how far each is.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, StepState)> {
        self.steps.iter().zip(self.states.iter().copied())
    }
}

/// How a study ended.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StudyOutcome {
    /// What it found, as in `study.json`.
    pub results: StudyResults,
    /// Steps that were done before this run.
    pub n_already: usize,
    /// Steps of this run.
    pub n_run: usize,
    /// Steps that failed, or that need one that did.
    pub n_failed: usize,
}

impl Study {
    /// Checks everything that the study needs and says what it will do; nothing is written.
    ///
    /// # Errors
    /// What a study file or its inputs can have wrong, named; a folder `out` that holds something else, results of
    /// another version or another study. Being stopped is [`BraintuneError::Cancelled`].
    pub fn plan(&self, out: &Path, device: &Device, on: &mut OnEvent<'_>) -> Result<Plan> {
        check_out(self, out)?;
        let inputs = Inputs::check(self, device, on)?;
        self.probe_tasks(&inputs)?;
        let steps = steps::steps(self, &inputs)?;
        let states = steps
            .iter()
            .map(|step| marker::state(step, out))
            .collect::<Result<_>>()?;
        Ok(Plan {
            inputs,
            steps,
            states,
            out: out.to_path_buf(),
        })
    }
}

/// Runs what is not done yet of a study into [`Folders::out`], and writes `study.json` there.
///
/// Steps that fail are recorded, those that need them are skipped, the rest goes on. The same call goes on from whatever
/// an earlier one left, and ends with the same files.
///
/// # Errors
/// As [`Study::plan`], before anything is written; later what writing `study.json` can cause. Being stopped is
/// [`BraintuneError::Cancelled`].
pub fn run(
    study: &Study,
    Folders { cache, out }: Folders<'_>,
    device: &Device,
    command: &[String],
    on: &mut OnEvent<'_>,
) -> Result<StudyOutcome> {
    let plan = study.plan(out, device, on)?;
    let _lock = claim(study, out)?;
    let workshop = Workshop {
        study,
        inputs: &plan.inputs,
        out,
        cache,
        device,
        command,
    };
    let (mut records, mut n_already, mut n_run) = (Vec::new(), 0, 0);
    for (place, step) in plan.steps.iter().enumerate() {
        let is_done = plan.states[place] == StepState::Done;
        let event = Event::Step {
            name: &step.name,
            number: place + 1,
            total: plan.steps.len(),
            is_done,
        };
        if on(event).is_break() {
            return Err(BraintuneError::Cancelled);
        }
        let record = one(step, &plan.steps, is_done, &records, &workshop, on)?;
        n_already += usize::from(is_done);
        n_run += usize::from(!is_done && record.status == StepStatus::Done);
        records.push(record);
    }
    let n_failed = records.len() - n_already - n_run;
    let results = summary::results(study, &plan, records, command)?;
    write_results(&results, out)?;
    Ok(StudyOutcome {
        results,
        n_already,
        n_run,
        n_failed,
    })
}

/// Does one step, unless it is done or one that it needs is not.
fn one(
    step: &Step,
    steps: &[Step],
    is_done: bool,
    records: &[StepRecord],
    workshop: &Workshop<'_>,
    on: &mut OnEvent<'_>,
) -> Result<StepRecord> {
    let record = |status, problem| StepRecord {
        name: step.name.clone(),
        status,
        problem,
    };
    let is_missing = |need: &&usize| records[**need].status != StepStatus::Done;
    if let Some(&need) = step.needs.iter().find(is_missing) {
        let problem = format!("it needs `{}`", steps[need].name);
        return Ok(record(StepStatus::Skipped, Some(problem)));
    }
    if is_done {
        marker::restore(step, workshop.out)?;
        return Ok(record(StepStatus::Done, None));
    }
    let made = marker::begin(step, workshop.out).and_then(|folder| {
        workshop.run(step.work, &folder, on)?;
        marker::finish(step, workshop.out)
    });
    match made {
        Ok(()) => Ok(record(StepStatus::Done, None)),
        Err(BraintuneError::Cancelled) => Err(BraintuneError::Cancelled),
        Err(error) => {
            let problem = with_sources(&error);
            tracing::warn!("step `{}` failed: {problem}", step.name);
            Ok(record(StepStatus::Failed, Some(problem)))
        }
    }
}

/// An error and its sources on one line, each said once.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !message.contains(&part) {
            message = format!("{message}: {part}");
        }
        source = error.source();
    }
    message
}

/// Whose folder it is.
const OWNER: &str = ".study/owner.json";

/// A folder that is new, or that this version of braintune made for this study.
fn check_out(study: &Study, out: &Path) -> Result<()> {
    check_schema(&out.join("study.json"))?;
    let path = out.join(OWNER);
    if !path.exists() {
        // A run that was killed as it began may have left the empty folder.
        let is_other = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name() != ".study")
        };
        let has_any = std::fs::read_dir(out).is_ok_and(|mut entries| entries.any(is_other));
        if has_any {
            return Err(file_error(
                out,
                "holds files that no study left there: give another --out, or empty it",
            ));
        }
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let owner: serde_json::Value = serde_json::from_str(&text).map_err(|e| {
        let remedy = format!("is damaged ({e}): remove this file if the folder holds results of this study, or give another --out");
        file_error(&path, remedy)
    })?;
    let version = env!("CARGO_PKG_VERSION");
    if owner["braintune"] != version {
        return Err(file_error(
            out,
            format!(
                "holds results of braintune {}, this is {version}, whose results may differ: give another --out, or go on with that version",
                owner["braintune"]
            ),
        ));
    }
    let title = study.title();
    if owner["title"] != title {
        return Err(file_error(
            out,
            format!(
                "holds results of the study {}, this one is called {title:?}: give another --out, or the same title to replace what differs",
                owner["title"]
            ),
        ));
    }
    Ok(())
}

/// A `study.json` that another version wrote is not replaced.
fn check_schema(path: &Path) -> Result<()> {
    let text = match std::fs::read(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        text => text.map_err(io_error("read", path))?,
    };
    // What is damaged can be made again from the steps beside it.
    let Ok(found) = serde_json::from_slice::<serde_json::Value>(&text) else {
        tracing::warn!("{} is damaged and will be written again", path.display());
        return Ok(());
    };
    if found["schema_version"] == SCHEMA_VERSION {
        return Ok(());
    }
    Err(file_error(
        path,
        format!(
            "has schema_version {}, this version of braintune writes {SCHEMA_VERSION}: give another --out, or move the old results away",
            found["schema_version"]
        ),
    ))
}

/// Says whose the folder is and keeps other runs out of it, until the file that is returned is closed.
fn claim(study: &Study, out: &Path) -> Result<File> {
    let folder = out.join(".study");
    std::fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
    let path = folder.join("lock");
    let lock = File::create(&path).map_err(io_error("write", &path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(file_error(
                out,
                "another run of a study works in this folder: wait for it, or give another --out",
            ));
        }
        Err(TryLockError::Error(e)) => {
            tracing::debug!("{}: no locks on this file system: {e}", path.display());
        }
    }
    let path = out.join(OWNER);
    let owner = json!({ "braintune": env!("CARGO_PKG_VERSION"), "title": study.title() });
    write_atomically(&path, format!("{owner:#}\n").as_bytes())?;
    Ok(lock)
}

/// `study.json`, and what is drawn from it.
fn write_results(results: &StudyResults, out: &Path) -> Result<()> {
    let path = out.join("study.json");
    let text = serde_json::to_string(results).map_err(|e| file_error(&path, e))?;
    write_atomically(&path, format!("{text}\n").as_bytes())?;
    crate::report::write(results, out)?;
    Ok(())
}
