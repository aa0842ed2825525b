//! What all steps of a study found, as [`StudyResults`].

use std::path::Path;

use serde_json::{Value, json};

use super::comparisons::{Pair, add_q_values};
use super::curves::{alignment_curves, of_alignment};
use super::file::Study;
use super::gather::{self, Encoded, correlations};
use super::inputs::Inputs;
use super::notes;
use super::pictures::Pictures;
use super::results::{
    AlignmentCurve, BaselineAlignment, ConditionKind, DataSharing, LowLevelImpact, StepRecord,
    StepStatus, StudyResults, TrainingCurve, Unit, VoxelChange,
};
use super::steps::{Case, Step, Work};
use super::{Plan, voxels};
use crate::error::Result;

/// The steps that are done, with what encoding steps left.
pub(super) struct Found<'a> {
    pub(super) study: &'a Study,
    pub(super) inputs: &'a Inputs,
    out: &'a Path,
    done: Vec<&'a Step>,
    /// Of the states of models, in the order of the steps.
    pub(super) encoded: Vec<(Case, Encoded)>,
}

/// Gathers what the steps of `plan` left.
pub(super) fn results(
    study: &Study,
    plan: &Plan,
    records: Vec<StepRecord>,
    command: &[String],
) -> Result<StudyResults> {
    let inputs = &plan.inputs;
    let found = Found::read(study, plan, &records)?;
    let mut results = StudyResults::new(&study.title(), study.question());
    let models = inputs.models.iter();
    results.models = models.map(|model| model.name.clone()).collect();
    let participants = inputs.participants.iter();
    results.participants = participants.map(|who| who.name.clone()).collect();
    results.conditions.clone_from(&inputs.conditions);
    results.rois = found.rois();
    results.settings = notes::settings(study, inputs)?;
    results.curves = found.curves();
    results.baselines = found.baselines()?;
    results.comparisons = found.comparisons(&results.rois)?;
    results.probes = found.probes()?;
    results.low_level = found.low_level()?;
    results.voxels = found.voxels()?;
    results.training = found.training()?;
    results.sharing = found.sharing();
    let pictures = Pictures::draw(&found, &plan.out)?;
    results.surfaces = pictures.views;
    results.excluded = notes::excluded(&found);
    results.excluded.extend(pictures.problems);
    results.warnings = notes::warnings(&found, &results);
    results.provenance = provenance(plan, command);
    results.steps = records;
    Ok(results)
}

impl<'a> Found<'a> {
    fn read(study: &'a Study, plan: &'a Plan, records: &[StepRecord]) -> Result<Self> {
        let done = plan.steps.iter().zip(records);
        let done = done.filter(|(_, record)| record.status == StepStatus::Done);
        let mut found = Self {
            study,
            inputs: &plan.inputs,
            out: &plan.out,
            done: done.map(|(step, _)| step).collect(),
            encoded: Vec::new(),
        };
        for step in &found.done {
            if let Work::Encode(case) = step.work {
                let encoded = Encoded::read(&found.folder(step))?;
                found.encoded.push((case, encoded));
            }
        }
        Ok(found)
    }
}

impl Found<'_> {
    pub(super) fn folder(&self, step: &Step) -> std::path::PathBuf {
        self.out.join(&step.folder)
    }

    /// The step that did `work`, if it is done.
    pub(super) fn step(&self, work: Work) -> Option<&Step> {
        self.done.iter().copied().find(|step| step.work == work)
    }

    /// `all`, then every region that a participant has, by name.
    fn rois(&self) -> Vec<String> {
        let regions = self
            .inputs
            .participants
            .iter()
            .flat_map(|who| who.regions.names());
        let mut names: Vec<String> = regions.map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names.insert(0, "all".to_owned());
        names
    }

    fn curves(&self) -> Vec<AlignmentCurve> {
        let mut curves = Vec::new();
        for (case, encoded) in &self.encoded {
            let [_, condition, _] = self.inputs.names(*case);
            curves.extend(alignment_curves(&encoded.rows, condition));
        }
        curves
    }

    fn baselines(&self) -> Result<Vec<BaselineAlignment>> {
        let mut found = Vec::new();
        for step in &self.done {
            let Work::Baseline { space, participant } = step.work else {
                continue;
            };
            for row in Encoded::read(&self.folder(step))?.rows {
                found.push(BaselineAlignment {
                    baseline: self.inputs.baselines[space].name().to_owned(),
                    participant: self.inputs.participants[participant].name.clone(),
                    mean_r: of_alignment(&row),
                    normalized: row.mean_r_normalized,
                    roi: row.roi,
                });
            }
        }
        Ok(found)
    }

    fn find(&self, case: Case) -> Option<&Encoded> {
        let mut encoded = self.encoded.iter();
        encoded
            .find(|(other, _)| *other == case)
            .map(|(_, encoded)| encoded)
    }

    /// What is paired in tests.
    pub(super) fn unit(&self) -> Unit {
        Unit::of(self.inputs.participants.len(), self.inputs.roles.test.len())
    }

    fn comparisons(&self, rois: &[String]) -> Result<Vec<super::Comparison>> {
        let (inputs, mut found) = (self.inputs, Vec::new());
        for model in 0..inputs.models.len() {
            for (condition, reference) in pairs(inputs) {
                let of = |condition, participant| {
                    self.find(Case {
                        model,
                        condition,
                        participant,
                    })
                };
                let both = |who| Some((of(condition, who)?, of(reference, who)?));
                let pair = Pair {
                    model: &inputs.models[model].name,
                    condition: &inputs.conditions[condition].name,
                    reference: &inputs.conditions[reference].name,
                    encoded: (0..inputs.participants.len()).filter_map(both).collect(),
                };
                found.extend(pair.compare(rois, self.unit())?);
            }
        }
        add_q_values(&mut found);
        Ok(found)
    }

    fn probes(&self) -> Result<Vec<super::ProbeCurve>> {
        let mut found = Vec::new();
        for step in &self.done {
            if let Work::Probe(case) = step.work {
                let [model, condition, participant] = self.inputs.names(case);
                let participant = self.inputs.is_tuned(case).then_some(participant);
                let names = (model, condition, participant);
                found.extend(gather::probes(&self.folder(step), names)?);
            }
        }
        Ok(found)
    }

    fn low_level(&self) -> Result<Vec<LowLevelImpact>> {
        let part = self.study.file.low_level.as_ref();
        let layers = part.and_then(|part| part.layers.clone());
        let mut found = Vec::new();
        for step in &self.done {
            let Work::LowLevel { space, case } = step.work else {
                continue;
            };
            let Some(full) = self.find(case) else {
                continue;
            };
            let [model, condition, participant] = self.inputs.names(case);
            let residual = Encoded::read(&self.folder(step))?;
            for full in &full.rows {
                let mut others = residual.rows.iter();
                let Some(residual) =
                    others.find(|row| (row.layer, &row.roi) == (full.layer, &full.roi))
                else {
                    continue;
                };
                if layers
                    .as_ref()
                    .is_some_and(|layers| !layers.contains(&full.layer))
                {
                    continue;
                }
                let percent = |(full, residual): (f64, f64)| {
                    (full > 0.0).then(|| 100.0 * (full - residual) / full)
                };
                let both = full.mean_r.zip(residual.mean_r);
                found.push(LowLevelImpact {
                    feature: self.inputs.low_level[space].name().to_owned(),
                    model: model.to_owned(),
                    condition: condition.to_owned(),
                    participant: participant.to_owned(),
                    roi: full.roi.clone(),
                    layer: full.layer,
                    full: full.mean_r,
                    residual: residual.mean_r,
                    impact: both.and_then(percent),
                });
            }
        }
        Ok(found)
    }

    /// Of the last layer and of the one that is best under the reference.
    fn voxels(&self) -> Result<Vec<VoxelChange>> {
        let mut found = Vec::new();
        for step in &self.done {
            let Work::Encode(case) = step.work else {
                continue;
            };
            let before = Case {
                condition: 0,
                ..case
            };
            let is_reference = case.condition == 0;
            let reference = self.step(Work::Encode(before));
            let Some(reference) = reference.filter(|_| !is_reference) else {
                continue;
            };
            let (r, r_before) = (
                correlations(&self.folder(step))?,
                correlations(&self.folder(reference))?,
            );
            let last = r.nrows().min(r_before.nrows()).saturating_sub(1);
            let mut layers = vec![self.best_layer(case.model).min(last), last];
            layers.dedup();
            let [model, condition, participant] = self.inputs.names(case).map(str::to_owned);
            for layer in layers {
                found.push(VoxelChange {
                    model: model.clone(),
                    condition: condition.clone(),
                    reference: self.inputs.conditions[0].name.clone(),
                    participant: participant.clone(),
                    ..voxels::change(layer, r_before.row(layer), r.row(layer))
                });
            }
        }
        Ok(found)
    }

    /// Layer with the highest mean r of all voxels over participants, in the model as it came.
    fn best_layer(&self, model: usize) -> usize {
        let mut sums: Vec<f64> = Vec::new();
        for (case, encoded) in &self.encoded {
            if case.model == model && case.condition == 0 {
                sums.resize(sums.len().max(encoded.n_layers()), 0.0);
                for row in encoded.of_roi("all") {
                    sums[row.layer] += row.mean_r.unwrap_or(0.0);
                }
            }
        }
        let best = (0..sums.len()).max_by(|&a, &b| sums[a].total_cmp(&sums[b]).then(b.cmp(&a)));
        best.unwrap_or(0)
    }

    fn training(&self) -> Result<Vec<TrainingCurve>> {
        let mut found = Vec::new();
        for step in &self.done {
            if let Work::Tune(case) = step.work {
                let [model, condition, participant] = self.inputs.names(case).map(str::to_owned);
                let (points, kept_step) = gather::training(&self.folder(step))?;
                found.push(TrainingCurve {
                    model,
                    condition,
                    participant,
                    points,
                    kept_step,
                });
            }
        }
        Ok(found)
    }

    /// Empty where nothing was tuned.
    fn sharing(&self) -> Vec<DataSharing> {
        if !self
            .inputs
            .conditions
            .iter()
            .any(|condition| condition.kind.is_tuned())
        {
            return Vec::new();
        }
        let of = |who: &super::participant::Participant| {
            let n_trs = |story: &&String| who.n_trs.get(*story).copied().unwrap_or(0);
            let has_read = |story: &&String| {
                who.roles.train.contains(story) || who.roles.validation.contains(story)
            };
            let total: usize = who.encoding.iter().map(|story| n_trs(&story)).sum();
            let read: usize = who
                .encoding
                .iter()
                .filter(has_read)
                .map(|story| n_trs(&story))
                .sum();
            DataSharing {
                participant: who.name.clone(),
                tuning: who.roles.train.clone(),
                validation: who.roles.validation.clone(),
                encoding: who.encoding.clone(),
                test: who.roles.test.clone(),
                shared: read as f64 / total.max(1) as f64,
            }
        };
        let is_tuned = |place: usize| {
            let of =
                |step: &&Step| matches!(step.work, Work::Tune(case) if case.participant == place);
            self.done.iter().copied().any(|step| of(&step))
        };
        let participants = self.inputs.participants.iter().enumerate();
        let tuned = participants.filter(|(place, _)| is_tuned(*place));
        tuned.map(|(_, who)| of(who)).collect()
    }
}

/// Every condition against the model as it came, and what was tuned to responses against each control.
fn pairs(inputs: &Inputs) -> Vec<(usize, usize)> {
    let of_kind = |kind| {
        let conditions = inputs.conditions.iter().enumerate();
        let of_kind = conditions.filter(move |(_, condition)| condition.kind == kind);
        of_kind.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let mut pairs: Vec<(usize, usize)> = (1..inputs.conditions.len()).map(|c| (c, 0)).collect();
    for tuned in of_kind(ConditionKind::Tuned) {
        let controls = of_kind(ConditionKind::Control).into_iter();
        pairs.extend(controls.map(|control| (tuned, control)));
    }
    pairs
}

fn provenance(plan: &Plan, command: &[String]) -> Value {
    let inputs = &plan.inputs;
    let keys = plan
        .steps
        .iter()
        .map(|step| (step.name.clone(), json!(step.key)));
    let responses = inputs
        .participants
        .iter()
        .map(|who| (who.name.clone(), json!(who.responses)));
    let models = inputs.models.iter().map(|model| {
        (
            model.name.clone(),
            json!({ "type": model.family, "sha256": model.sha256 }),
        )
    });
    json!({
        "command": command,
        "dataset": inputs.dataset.name(),
        "models": models.collect::<serde_json::Map<_, _>>(),
        "stories": inputs.stories,
        "responses": responses.collect::<serde_json::Map<_, _>>(),
        "steps": keys.collect::<serde_json::Map<_, _>>(),
    })
}
