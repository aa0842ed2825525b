//! What a study says in words: settings, what was left out, warnings.

use std::collections::BTreeSet;

use braintune_backbone::WindowFeature;
use braintune_tuning::BLOCK_TRS;

use super::comparisons::FEWEST_UNITS;
use super::file::Study;
use super::inputs::Inputs;
use super::participant::Participant;
use super::results::{Excluded, Setting, StepStatus, StudyResults, Unit};
use super::summary::Found;
use crate::encode::{BadVoxels, CrossValidation};
use crate::error::Result;

/// Settings in words.
pub(super) fn settings(study: &Study, inputs: &Inputs) -> Result<Vec<Setting>> {
    let mut settings = of_encoding(study, inputs)?;
    let mut conditions = inputs.conditions.iter();
    if conditions.any(|condition| condition.kind.is_tuned()) {
        settings.extend(of_tuning(study, inputs));
    }
    if let Some(probes) = &study.file.probes {
        settings.push(setting("probes", probes.tasks.join(", ")));
    }
    settings.push(setting("seed", study.file.seed.to_string()));
    Ok(settings)
}

fn setting(name: &str, value: String) -> Setting {
    Setting {
        name: name.to_owned(),
        value,
    }
}

fn of_encoding(study: &Study, inputs: &Inputs) -> Result<Vec<Setting>> {
    let (part, windows) = (&study.file.encoding, study.windows()?);
    let features = format!(
        "windows of {} s, one each {} s ({})",
        windows.length_s(),
        windows.stride_s(),
        match windows.feature() {
            WindowFeature::StrideMean => "mean of the newest stride",
            _ => "last frame",
        }
    );
    let alphas = part.alphas()?;
    let alphas = alphas.as_slice();
    let grid = format!(
        "{} from {} to {}, penalty alpha squared, one per voxel",
        alphas.len(),
        alphas[0],
        alphas[alphas.len() - 1]
    );
    let chosen_by = match part.cv() {
        CrossValidation::Story => format!("leaving one story out, {:?}", part.score()),
        _ => format!("bootstrapped chunks, {:?}", part.score()),
    };
    let (trim, test_trim) = inputs.trims(study);
    let trims = format!("{trim} of training stories, {test_trim} of test stories");
    let tests = format!(
        "{} block bootstraps, {} block permutations",
        part.bootstraps, part.permutations
    );
    let threshold = part.ceiling_threshold.to_string();
    Ok(vec![
        setting("dataset", inputs.dataset.name().to_owned()),
        setting("test stories", inputs.roles.test.join(", ")),
        setting("features", features),
        setting("FIR delays", format!("{} TRs", part.delays()?)),
        setting("ridge alphas", grid),
        setting("alphas chosen by", chosen_by),
        setting("TRs dropped at both ends", trims),
        setting("ceiling threshold of means", threshold),
        setting("intervals and tests", tests),
    ])
}

fn of_tuning(study: &Study, inputs: &Inputs) -> [Setting; 4] {
    let (tuning, roles) = (&study.tuning, &inputs.roles);
    let config = &tuning.config;
    let steps = format!(
        "{} epoch{} at most, batches of {} clips of {} s, learning rates {:e} (backbone) and {:e} (head)",
        config.epochs,
        if config.epochs == 1 { "" } else { "s" },
        config.batch_size,
        config.clip_s,
        config.lr_backbone,
        config.lr_head
    );
    let voxels = format!("noise ceiling above {}", tuning.ceiling_threshold);
    [
        setting("tuning stories", roles.train.join(", ")),
        setting("validation stories", roles.validation.join(", ")),
        setting("tuning", steps),
        setting("voxels tuned to", voxels),
    ]
}

/// What was left out, and why.
pub(super) fn excluded(found: &Found<'_>) -> Vec<Excluded> {
    let mut excluded = found.inputs.excluded.clone();
    let threshold = found.study.file.encoding.ceiling_threshold;
    let regions = found
        .inputs
        .participants
        .iter()
        .flat_map(|who| who.regions.names());
    let regions: BTreeSet<&str> = regions.collect();
    for (place, who) in found.inputs.participants.iter().enumerate() {
        let is_low = |c: &&f32| !is_above(**c, threshold);
        let ceiling = found.ceiling(place);
        let n_low = ceiling.map_or(0, |ceiling| ceiling.iter().filter(is_low).count());
        if n_low > 0 {
            excluded.push(Excluded {
                what: format!("{}: {n_low} of {} voxels", who.name, who.n_voxels),
                why: format!(
                    "noise ceiling at or below {threshold}: they have no part in normalised means"
                ),
            });
        }
        let missing = regions.iter().filter(|roi| who.regions.get(roi).is_none());
        excluded.extend(missing.map(|roi| Excluded {
            what: format!("{}: region {roi}", who.name),
            why: "the participant's file of regions has none of this name".to_owned(),
        }));
    }
    excluded
}

fn is_above(ceiling: f32, threshold: f32) -> bool {
    ceiling > threshold
}

/// What a reader has to know before believing a number.
pub(super) fn warnings(found: &Found<'_>, results: &StudyResults) -> Vec<String> {
    let mut warnings = found.inputs.warnings.clone();
    for (place, who) in found.inputs.participants.iter().enumerate() {
        warnings.extend(of_ceilings(found, place, who));
    }
    warnings.extend(of_units(found, results));
    warnings.extend(of_short_stories(found));
    for sharing in &results.sharing {
        if sharing.shared > 0.0 {
            warnings.push(format!(
                "{}: tuning has read {:.0} % of the TRs that encoding models were fitted on; test stories were read by neither",
                sharing.participant,
                100.0 * sharing.shared
            ));
        }
    }
    for step in &results.steps {
        if step.status != StepStatus::Done {
            let problem = step.problem.as_deref().unwrap_or_default();
            warnings.push(format!("`{}` is missing: {problem}", step.name));
        }
    }
    if found.study.file.encoding.bad_voxels() == BadVoxels::Zero {
        warnings.push("NaN in responses was taken as 0 by encoding models".to_owned());
    }
    warnings
}

fn of_ceilings(found: &Found<'_>, place: usize, who: &Participant) -> Vec<String> {
    let name = &who.name;
    let mut warnings = Vec::new();
    let mut conditions = found.inputs.conditions.iter();
    if !who.has_ceilings() && conditions.any(|condition| condition.kind.is_tuned()) {
        warnings.push(format!(
            "{name}: no test story was repeated and no noise ceiling is given: all voxels are tuned to"
        ));
    }
    let threshold = found.study.file.encoding.ceiling_threshold;
    let Some(ceiling) = found.ceiling(place) else {
        if found
            .encoded
            .iter()
            .any(|(case, _)| case.participant == place)
        {
            warnings.push(format!(
                "{name}: no noise ceiling is to be had (test stories without repeats, or with unequal numbers of them): nothing is normalised"
            ));
        }
        return warnings;
    };
    let has_none = |voxels: &[usize]| {
        !voxels
            .iter()
            .any(|&voxel| is_above(ceiling[voxel], threshold))
    };
    let empty = who.regions.iter().filter(|(_, voxels)| has_none(voxels));
    warnings.extend(empty.map(|(roi, _)| {
        format!(
            "{name}: no voxel of region {roi} has a noise ceiling above {threshold}: its normalised alignment is left out"
        )
    }));
    warnings
}

/// Fewer whole blocks than these cannot all move a block away from their places.
const FEWEST_BLOCKS: usize = 3;

/// Stories whose blocks the control cannot move far.
fn of_short_stories(found: &Found<'_>) -> Option<String> {
    let mut conditions = found.inputs.conditions.iter();
    conditions.find(|condition| condition.name == "block-permuted")?;
    let mut short = BTreeSet::new();
    for who in &found.inputs.participants {
        let n_trs = |story: &&String| who.n_trs.get(*story).copied().unwrap_or(0);
        let tuned_on = who.roles.train.iter();
        short.extend(tuned_on.filter(|story| n_trs(story) < FEWEST_BLOCKS * BLOCK_TRS));
    }
    let names: Vec<&str> = short.into_iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| {
        format!(
            "block-permuted: {} have fewer than {FEWEST_BLOCKS} blocks of {BLOCK_TRS} TRs, so that some of their responses stay near their places: the control is milder than it should be",
            names.join(", ")
        )
    })
}

fn of_units(found: &Found<'_>, results: &StudyResults) -> Vec<String> {
    let unit = found.unit();
    let fewest = results
        .comparisons
        .iter()
        .map(|comparison| comparison.n_units)
        .min();
    let mut warnings = Vec::new();
    if let Some(n) = fewest.filter(|&n| n < FEWEST_UNITS) {
        warnings.push(format!(
            "some comparisons have {n} unit{} ({}): below {FEWEST_UNITS} no difference could have p < 0.05 two-sided, so that they have no p value",
            if n == 1 { "" } else { "s" },
            unit.name()
        ));
    }
    if unit == Unit::ParticipantByStory && !results.comparisons.is_empty() {
        warnings.push(format!(
            "comparisons pair participants and test stories ({} x {}): stories of one participant are no independent participants, so that p values speak for these participants only",
            found.inputs.participants.len(),
            found.inputs.roles.test.len()
        ));
    }
    warnings
}

impl Found<'_> {
    /// Noise ceiling of a participant's voxels, from whatever was encoded.
    fn ceiling(&self, participant: usize) -> Option<&ndarray::Array1<f32>> {
        let mut encoded = self.encoded.iter();
        encoded.find_map(|(case, encoded)| {
            encoded
                .ceiling
                .as_ref()
                .filter(|_| case.participant == participant)
        })
    }
}
