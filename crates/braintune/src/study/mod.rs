//! `braintune study`: models, participants and conditions through every step, into one `study.json`.
//!
//! A study file names a dataset, models and settings. Its steps (random weights, tuning, encoding, probes) form a
//! dependency graph; each leaves a key beside its result, so that a run goes on from what is done and a changed setting
//! redoes only what depends on it. What they found is gathered into [`StudyResults`]. Ranks of one job share the steps
//! ([`run_on`]), and so do jobs of an array ([`run_shard`], [`merge`]). Held by `tests/it/study.rs`, `study_damage.rs`,
//! `study_ranks.rs`.

mod array;
mod comparisons;
mod curves;
mod doing;
mod encoding_part;
mod estimate;
mod file;
mod folder;
mod gather;
mod inputs;
mod marker;
mod notes;
mod participant;
mod pictures;
mod reading;
mod results;
mod share;
mod steps;
mod summary;
pub mod surface;
mod tuning_part;
mod voxels;
mod work;

use std::path::{Path, PathBuf};

use braintune_ranks::{Alone, Ranks};
use burn::tensor::Device;

pub use array::{ShardOutcome, merge, run_shard};

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

use crate::error::{Result, file_error};
use crate::event::OnEvent;
use crate::files::write_atomically;
use crate::folders::Folders;
use crate::together::{agree, first, gather, meet, together};
use doing::Records;
use folder::{check_out, claim, tidy};
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
    /// another version or another study. Being stopped is [`BraintuneError::Cancelled`](crate::BraintuneError::Cancelled).
    pub fn plan(&self, out: &Path, device: &Device, on: &mut OnEvent<'_>) -> Result<Plan> {
        self.plan_on(out, device, &Alone, on)
    }

    /// As [`plan`](Self::plan), each file being read by one rank; the folder by the first.
    fn plan_on(
        &self,
        out: &Path,
        device: &Device,
        ranks: &dyn Ranks,
        on: &mut OnEvent<'_>,
    ) -> Result<Plan> {
        agree(ranks, &self.identity())?;
        first(ranks, || check_out(self, out))?;
        let mut plan = self.plan_steps(out, device, ranks, on)?;
        agree(ranks, &plan.prints())?;
        let states = || plan.steps.iter().map(|step| marker::state(step, out));
        plan.states = first(ranks, || states().collect::<Result<Vec<_>>>())?;
        Ok(plan)
    }

    /// The steps, as if nothing were done; the folder is not looked at.
    fn plan_steps(
        &self,
        out: &Path,
        device: &Device,
        ranks: &dyn Ranks,
        on: &mut OnEvent<'_>,
    ) -> Result<Plan> {
        let mut inputs = together(ranks, Inputs::open(self, device))?;
        let read = inputs.read(self, ranks, on);
        together(ranks, read)?;
        let steps = || {
            inputs.check_voxels(self)?;
            self.probe_tasks(&inputs)?;
            steps::steps(self, &inputs)
        };
        let steps = together(ranks, steps())?;
        Ok(Plan {
            states: vec![StepState::New; steps.len()],
            inputs,
            steps,
            out: out.to_path_buf(),
        })
    }

    /// What ranks have in common before anything is read.
    fn identity(&self) -> [(String, String); 2] {
        [
            (
                "the version of braintune",
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
            ("the title of the study", self.title()),
        ]
        .map(|(what, value)| (what.to_owned(), value))
    }
}

impl Plan {
    /// What all ranks are to see alike, what is most telling first.
    fn prints(&self) -> Vec<(String, String)> {
        let inputs = &self.inputs;
        let models = inputs.models.iter();
        let models = models.map(|model| {
            let what = format!("the weights of model {}", model.name);
            (what, model.sha256.clone())
        });
        let stories = inputs.stories.iter();
        let stories = stories.map(|(story, print)| {
            let what = format!("the sound or timing of story {story}");
            (what, print.to_string())
        });
        let responses = inputs.participants.iter().flat_map(|who| {
            who.responses.iter().map(|(story, print)| {
                let what = format!("the responses of {} to story {story}", who.name);
                (what, print.to_string())
            })
        });
        let steps = self.steps.iter();
        let steps = steps.map(|step| {
            let what = format!("settings or inputs of step `{}`", step.name);
            (what, step.key.clone())
        });
        let inputs = models.chain(stories).chain(responses);
        inputs.chain(steps).collect()
    }

    fn is_done(&self, place: usize) -> bool {
        self.states[place] == StepState::Done
    }
}

/// Runs what is not done yet of a study into [`Folders::out`], and writes `study.json` there.
///
/// Steps that fail are recorded, those that need them are skipped, the rest goes on. The same call goes on from whatever
/// an earlier one left, and ends with the same files.
///
/// # Errors
/// As [`Study::plan`], before anything is written; later what writing `study.json` can cause. Being stopped is
/// [`BraintuneError::Cancelled`](crate::BraintuneError::Cancelled).
pub fn run(
    study: &Study,
    folders: Folders<'_>,
    device: &Device,
    command: &[String],
    on: &mut OnEvent<'_>,
) -> Result<StudyOutcome> {
    run_on(study, folders, device, command, &Alone, on)
}

/// As [`run`], by several ranks, all of which call it with the same arguments: each does the steps of some states of
/// models, and reads some of the files where all see the same storage. Results are those of one process. The cache may
/// be shared or not, [`Folders::out`] is. All ranks return the same.
///
/// # Errors
/// As [`run`]; ranks that see other data, another folder or are of another version, naming the rank. An error of one
/// rank before the first step is one of all. A rank that is stopped, or ends, later is an error of the others where they
/// next meet; what steps are done stays.
pub fn run_on(
    study: &Study,
    folders: Folders<'_>,
    device: &Device,
    command: &[String],
    ranks: &dyn Ranks,
    on: &mut OnEvent<'_>,
) -> Result<StudyOutcome> {
    let Folders { cache, out } = folders;
    let plan = study.plan_on(out, device, ranks, on)?;
    let lock = ranks.is_first().then(|| claim(study, out)).transpose();
    let _lock = together(ranks, lock)?;
    meet(ranks, &out.join(".study"))?;
    let is_left = |place: usize| !plan.is_done(place);
    let owners = share::owners(study, &plan.inputs, &plan.steps, is_left, ranks.n_ranks())?;
    let workshop = Workshop {
        study,
        inputs: &plan.inputs,
        out,
        cache,
        device,
        command,
    };
    let mut records = Records::new();
    for place in (0..plan.steps.len()).filter(|&place| owners[place] == ranks.rank()) {
        workshop.step((&plan, place), plan.is_done(place), &mut records, on)?;
    }
    let records: Records = gather(ranks, &records)?.into_iter().flatten().collect();
    finish(study, &plan, records, command, ranks)
}

/// Gathers what all steps found, on the first rank; it is known to all.
fn finish(
    study: &Study,
    plan: &Plan,
    records: Records,
    command: &[String],
    ranks: &dyn Ranks,
) -> Result<StudyOutcome> {
    let is_new = |(place, record): (&usize, &StepRecord)| {
        !plan.is_done(*place) && record.status == StepStatus::Done
    };
    let n_run = records.iter().filter(|record| is_new(*record)).count();
    let n_already = (0..plan.steps.len()).filter(|&p| plan.is_done(p)).count();
    let n_failed = records.len() - n_already - n_run;
    let results = first(ranks, || {
        if ranks.n_ranks() > 1 {
            doing::wait_for_others(plan, &records)?;
        }
        let records = records.into_values().collect();
        let results = summary::results(study, plan, records, command)?;
        write_results(&results, &plan.out)?;
        tidy(&plan.out)?;
        Ok(results)
    })?;
    Ok(StudyOutcome {
        results,
        n_already,
        n_run,
        n_failed,
    })
}

/// `study.json`, and what is drawn from it.
fn write_results(results: &StudyResults, out: &Path) -> Result<()> {
    let path = out.join("study.json");
    let text = serde_json::to_string(results).map_err(|e| file_error(&path, e))?;
    write_atomically(&path, format!("{text}\n").as_bytes())?;
    crate::report::write(results, out)?;
    Ok(())
}
