//! Who does which steps of a study: ranks of a job, or shares of an array job.
//!
//! A unit of work is a state of a model, that is all steps that read the same checkpoint, so that its features go into the
//! cache once and steps find what they need where they are done; or a baseline of a participant. Units go to owners by
//! nominal costs, the longest first: nothing is measured, so that processes that never meet agree. Held by
//! `tests/it/study_ranks.rs`.

use std::collections::{BTreeMap, BTreeSet};

use braintune_ranks::Shard;

use super::file::Study;
use super::inputs::{Inputs, Model};
use super::results::ConditionKind;
use super::steps::{Case, Step, Work};
use crate::error::Result;

/// What belongs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    /// All that reads a checkpoint, which is a participant's where it was tuned.
    State {
        model: usize,
        condition: usize,
        participant: Option<usize>,
    },
    Baseline {
        space: usize,
        participant: usize,
    },
}

/// Places of steps that belong together, in the order of their first steps.
pub(super) fn units(steps: &[Step], inputs: &Inputs) -> Vec<Vec<usize>> {
    let (mut units, mut known) = (Vec::<Vec<usize>>::new(), BTreeMap::new());
    for (place, step) in steps.iter().enumerate() {
        let n = units.len();
        let unit = *known.entry(inputs.unit(step.work)).or_insert(n);
        if unit == n {
            units.push(Vec::new());
        }
        units[unit].push(place);
    }
    units
}

/// Which of `n` owners does each step; `is_left` says which steps still cost something.
pub(super) fn owners(
    study: &Study,
    inputs: &Inputs,
    steps: &[Step],
    is_left: impl Fn(usize) -> bool,
    n: usize,
) -> Result<Vec<usize>> {
    let units = units(steps, inputs);
    let mut costs = Vec::with_capacity(units.len());
    for unit in &units {
        let (mut cost, mut extracted) = (0.0, BTreeSet::new());
        for &place in unit {
            let seconds = cost_of(study, inputs, steps[place].work, &mut extracted)?;
            cost += if is_left(place) { seconds } else { 0.0 };
        }
        costs.push(cost);
    }
    let mut owners = vec![0; steps.len()];
    for (unit, owner) in units.iter().zip(Shard::owners(&costs, n)) {
        for &place in unit {
            owners[place] = owner;
        }
    }
    Ok(owners)
}

impl Inputs {
    fn unit(&self, work: Work) -> Unit {
        match work {
            Work::Random { model } => {
                let is_random = |kind| kind == ConditionKind::Random;
                let condition = self.conditions.iter().position(|c| is_random(c.kind));
                Unit::State {
                    model,
                    condition: condition.unwrap_or_default(),
                    participant: None,
                }
            }
            Work::Tune(case)
            | Work::Encode(case)
            | Work::Probe(case)
            | Work::LowLevel { case, .. } => Unit::State {
                model: case.model,
                condition: case.condition,
                participant: self.is_tuned(case).then_some(case.participant),
            },
            Work::Baseline { space, participant } => Unit::Baseline { space, participant },
        }
    }
}

/// Operations per second that are assumed, in passes of a model and in products of large matrices; what matters is how
/// they compare.
const IN_MODELS: f64 = 5e10;
const IN_PRODUCTS: f64 = 1e11;
/// Forward, and backward at twice the cost.
const TRAINING: f64 = 3.0;
/// A pass over the recordings of a probe, and fitting as if it were two more.
const PROBING: f64 = 3.0;

/// Nominal seconds of a step; stories that an earlier step of the unit extracts are `extracted`.
fn cost_of(
    study: &Study,
    inputs: &Inputs,
    work: Work,
    extracted: &mut BTreeSet<String>,
) -> Result<f64> {
    match work {
        Work::Random { model } => Ok(pass_s(&inputs.models[model])),
        Work::Tune(case) => Ok(tuning_s(study, inputs, case)),
        Work::Encode(case) | Work::LowLevel { case, .. } => {
            let model = &inputs.models[case.model];
            let (who, windows) = (&inputs.participants[case.participant], study.windows()?);
            let mut seconds = 0.0;
            for story in who.encoding.iter().chain(&who.roles.test) {
                if extracted.insert(story.clone()) {
                    let n_windows = inputs.dataset.timing(story)?.end_s() / windows.stride_s();
                    seconds += n_windows * windows.length_s() * pass_s(model);
                }
            }
            let ridge_s = ridge_s(study, inputs, case.participant, model.width)?;
            Ok(seconds + model.n_states as f64 * ridge_s)
        }
        Work::Probe(case) => {
            let roles = inputs.probe_roles();
            let mut seconds = 0.0;
            for story in [roles.train, roles.validation, roles.test].iter().flatten() {
                seconds += inputs.dataset.timing(story)?.end_s();
            }
            Ok(PROBING * seconds * pass_s(&inputs.models[case.model]))
        }
        // As wide as acoustic features.
        Work::Baseline { participant, .. } => ridge_s(study, inputs, participant, 500),
    }
}

/// Of a second of sound: 12 x width² weights per layer, twice an operation per weight and frame.
fn pass_s(model: &Model) -> f64 {
    let weights = 12.0 * (model.width as f64).powi(2) * model.n_states as f64;
    2.0 * weights / model.frame_s / IN_MODELS
}

fn n_trs(inputs: &Inputs, participant: usize, stories: &[String]) -> f64 {
    let known = &inputs.participants[participant].n_trs;
    let n_trs = stories.iter().filter_map(|story| known.get(story));
    n_trs.sum::<usize>() as f64
}

fn tuning_s(study: &Study, inputs: &Inputs, case: Case) -> f64 {
    let (config, who) = (&study.tuning.config, case.participant);
    let roles = &inputs.participants[who].roles;
    let clips = TRAINING * n_trs(inputs, who, &roles.train) + n_trs(inputs, who, &roles.validation);
    clips * config.epochs as f64 * config.clip_s * pass_s(&inputs.models[case.model])
}

/// Of one layer: decompositions of every fold, fits for every alpha, permutations and bootstraps.
fn ridge_s(study: &Study, inputs: &Inputs, participant: usize, width: usize) -> Result<f64> {
    let (who, part) = (&inputs.participants[participant], &study.file.encoding);
    let n = n_trs(inputs, participant, &who.encoding);
    let test = n_trs(inputs, participant, &who.roles.test);
    let voxels = who.n_voxels as f64;
    let columns = (width * part.delays()?.as_slice().len()) as f64;
    let rank = n.min(columns);
    let n_folds = who.encoding.len() as f64;
    let n_alphas = part.alphas()?.as_slice().len() as f64;
    let decompositions = (n_folds + 1.0) * (10.0 * rank.powi(3) + 2.0 * n * columns * rank);
    let fits = (n_folds + n_alphas) * 2.0 * n * rank * voxels;
    let tests = 2.0 * (part.permutations + part.bootstraps) as f64 * test * voxels;
    Ok((decompositions + fits + tests) / IN_PRODUCTS)
}
