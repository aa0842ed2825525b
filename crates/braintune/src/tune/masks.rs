//! Which voxels of each subject are learnt, and how much each counts.
//!
//! Held by `tests/it/tune.rs` and `tests/it/targets.rs`.

use braintune_encoding::{TotalPower, stack_repeats};
use braintune_fmri::{FmriError, Responses, Story, StoryDataset};
use braintune_tuning::{HeadSharing, TunedSubject, TuningConfig, VoxelWeights};
use ndarray::Array1;

use crate::ceilings::{cc_max, check_ceiling, tiles};
use crate::error::{BraintuneError, Result};

/// Which voxels are learnt: a mask, or those above a noise ceiling.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelChoice {
    /// One mask for each subject, `[n_voxels]`; goes before ceilings, which then weight voxels at most.
    pub masks: Vec<Vec<bool>>,
    /// A ceiling (a correlation) for each subject, `[n_voxels]`; otherwise it comes from repeats of a test story.
    pub ceilings: Vec<Array1<f32>>,
    /// Voxels above it are learnt; all if there is none, and all under a head that several subjects share unless
    /// ceilings are given.
    pub threshold: Option<f32>,
}

impl Default for VoxelChoice {
    /// Ceilings from repeats, above 0.4 (Moussa & Toneva 2025).
    fn default() -> Self {
        Self {
            masks: Vec::new(),
            ceilings: Vec::new(),
            threshold: Some(0.4),
        }
    }
}

/// What is learnt of each subject.
pub(super) struct ChosenVoxels {
    pub(super) subjects: Vec<TunedSubject>,
    /// How much each voxel of each head counts, `[n_kept_voxels]` with mean 1; none if all alike.
    pub(super) weights: Vec<Option<Vec<f32>>>,
}

impl VoxelChoice {
    /// Voxels of each subject; all, with a warning, where there is no ceiling to be had.
    pub(super) fn choose(
        &self,
        dataset: &dyn StoryDataset,
        subjects: &[String],
        test_stories: &[String],
        config: &TuningConfig,
    ) -> Result<ChosenVoxels> {
        self.check_counts(subjects.len())?;
        let mut chosen = ChosenVoxels {
            subjects: Vec::with_capacity(subjects.len()),
            weights: Vec::with_capacity(subjects.len()),
        };
        let is_weighted = config.voxel_weights == VoxelWeights::Ceiling;
        // Ceilings of each subject would choose other voxels for each, and one head has the same for all.
        let is_shared = config.heads == HeadSharing::Shared;
        let is_common = is_shared && subjects.len() > 1 && self.ceilings.is_empty();
        let threshold = self.threshold.filter(|_| !is_common);
        for (i, name) in subjects.iter().enumerate() {
            let has_mask = self.masks.get(i).is_some() || threshold.is_none();
            let ceiling = match self.ceilings.get(i) {
                Some(ceiling) => {
                    let n_voxels = n_voxels(dataset, name).unwrap_or(ceiling.len());
                    Some(checked(name, ceiling, n_voxels)?)
                }
                None if has_mask && !is_weighted => None,
                None => from_repeats(dataset, name, test_stories)?,
            };
            let mask = self.mask((i, name), threshold, ceiling.as_ref())?;
            let weights = is_weighted.then(|| weights(name, ceiling.as_ref(), mask.as_deref()));
            chosen.weights.push(weights.transpose()?);
            let name = name.clone();
            chosen.subjects.push(TunedSubject { name, mask });
        }
        if is_shared {
            chosen.weights = vec![mean_of(&chosen.weights)];
        }
        Ok(chosen)
    }

    /// Whether there are voxels to learn, for whoever wants to know long before the run.
    pub(crate) fn check(
        &self,
        dataset: &dyn StoryDataset,
        subjects: &[String],
        test_stories: &[String],
        config: &TuningConfig,
    ) -> Result<()> {
        let chosen = self.choose(dataset, subjects, test_stories, config);
        chosen.map(|_| ())
    }

    /// Masks and ceilings are none, or one for each subject.
    pub(super) fn check_counts(&self, n_subjects: usize) -> Result<()> {
        for (what, n) in [
            ("masks", self.masks.len()),
            ("noise ceilings", self.ceilings.len()),
        ] {
            if n > 0 && n != n_subjects {
                return Err(BraintuneError::Input(format!(
                    "{n} {what} for {n_subjects} subjects: give one for each, in the same order"
                )));
            }
        }
        Ok(())
    }

    fn mask(
        &self,
        (i, subject): (usize, &str),
        threshold: Option<f32>,
        ceiling: Option<&Array1<f32>>,
    ) -> Result<Option<Vec<bool>>> {
        if let Some(mask) = self.masks.get(i) {
            return Ok(Some(mask.clone()));
        }
        let Some(threshold) = threshold else {
            return Ok(None);
        };
        let Some(ceiling) = ceiling else {
            tracing::warn!(
                "{subject}: no noise ceiling to be had (no test story was repeated): all voxels are learnt; choose with --mask or --noise-ceiling, in a study with noise_ceiling"
            );
            return Ok(None);
        };
        above(threshold, subject, ceiling).map(Some)
    }
}

/// Ceilings of the voxels that are learnt over their mean; below 0, or NaN, they are 0.
fn weights(
    subject: &str,
    ceiling: Option<&Array1<f32>>,
    mask: Option<&[bool]>,
) -> Result<Vec<f32>> {
    let refused =
        |problem: String| BraintuneError::Input(format!("voxel_weights = \"ceiling\": {problem}"));
    let ceiling = ceiling.ok_or_else(|| {
        refused(format!(
            "{subject} has no noise ceiling (no test story was repeated); give --noise-ceiling"
        ))
    })?;
    if let Some(mask) = mask.filter(|mask| mask.len() != ceiling.len()) {
        return Err(refused(format!(
            "the mask of {subject} has {} voxels, its noise ceiling {}: they must be of the same",
            mask.len(),
            ceiling.len()
        )));
    }
    let is_kept = |voxel: usize| mask.is_none_or(|mask| mask[voxel]);
    let kept = ceiling
        .iter()
        .enumerate()
        .filter(|(voxel, _)| is_kept(*voxel));
    let kept: Vec<f64> = kept.map(|(_, c)| f64::from(c.max(0.0))).collect();
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    if !(mean > 0.0 && mean.is_finite()) {
        return Err(refused(format!(
            "no voxel of {subject} that is learnt has a ceiling above 0, or one is infinite"
        )));
    }
    #[expect(clippy::cast_possible_truncation, reason = "weights are about 1")]
    Ok(kept.into_iter().map(|c| (c / mean) as f32).collect())
}

/// Mean over subjects; those that differ in voxels are refused when their batches are made.
fn mean_of(weights: &[Option<Vec<f32>>]) -> Option<Vec<f32>> {
    let all: Vec<&Vec<f32>> = weights.iter().flatten().collect();
    let (first, n) = (all.first()?, all.len() as f32);
    let mean = |voxel: usize| all.iter().filter_map(|of| of.get(voxel)).sum::<f32>() / n;
    Some((0..first.len()).map(mean).collect())
}

/// Voxels of a subject, where responses to any story can be read.
fn n_voxels(dataset: &dyn StoryDataset, subject: &str) -> Option<usize> {
    let mut stories = dataset.stories().iter().map(Story::name);
    let shape = stories.find_map(|story| dataset.response_shape(subject, story).ok());
    shape.map(|(_, n_voxels)| n_voxels)
}

fn checked(subject: &str, ceiling: &Array1<f32>, n_voxels: usize) -> Result<Array1<f32>> {
    match check_ceiling(ceiling.view(), n_voxels) {
        Ok(()) => Ok(ceiling.clone()),
        Err(problem) => Err(BraintuneError::Input(format!("{subject}: {problem}"))),
    }
}

fn above(threshold: f32, subject: &str, ceiling: &Array1<f32>) -> Result<Vec<bool>> {
    let mask: Vec<bool> = ceiling.iter().map(|c| *c > threshold).collect();
    if mask.contains(&true) {
        return Ok(mask);
    }
    let highest = ceiling.iter().fold(f32::NAN, |a: f32, b| a.max(*b));
    Err(BraintuneError::Input(format!(
        "{subject}: no voxel has a noise ceiling above {threshold}, the highest of {} is {highest:.3}; lower --ceiling-threshold, in a study ceiling_threshold of [tuning]",
        ceiling.len()
    )))
}

/// `CCmax` of each voxel from the repeats of the first test story that has some.
fn from_repeats(
    dataset: &dyn StoryDataset,
    subject: &str,
    test_stories: &[String],
) -> Result<Option<Array1<f32>>> {
    let (_, trim) = dataset.default_trims();
    for story in test_stories {
        if !dataset.has_responses(subject, story) {
            continue;
        }
        let n_repeats = match dataset.repeats_columns(subject, story, 0..0) {
            Ok(repeats) => repeats.len(),
            Err(FmriError::NoRepeats { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        if n_repeats < 2 {
            continue;
        }
        let timing = dataset.timing(story)?;
        let rows = timing.kept(trim).map_err(|e| {
            BraintuneError::Input(format!(
                "test story {story}: {e} TRs (the dataset's trim of test stories): name others, or give a noise ceiling (--noise-ceiling, in a study noise_ceiling)"
            ))
        })?;
        let (_, n_voxels) = dataset.response_shape(subject, story)?;
        let mut ceiling = Vec::with_capacity(n_voxels);
        for voxels in tiles(n_voxels, rows.len() * n_repeats) {
            let repeats = dataset.repeats_columns(subject, story, voxels)?;
            let repeats: Vec<Responses> = repeats
                .into_iter()
                .map(|repeat| Ok(repeat.rows(rows.clone())?.nan_to_zero()))
                .collect::<Result<_>>()?;
            let views: Vec<_> = repeats.iter().map(Responses::bold).collect();
            ceiling.extend(cc_max(
                stack_repeats(&views)?.view(),
                TotalPower::default(),
            )?);
        }
        return Ok(Some(ceiling.into()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ceiling_that_a_study_takes_is_one_that_its_tuning_takes() {
        let rounded = Array1::from(vec![1.0005, 0.3, f32::NAN]);
        let taken = checked("S", &rounded, 3).expect("a correlation, rounded");
        assert_eq!(
            above(0.4, "S", &taken).expect("one is high"),
            [true, false, false]
        );
        let refused = checked("S", &Array1::from(vec![0.5, 1.5]), 2);
        let refused = refused.expect_err("no correlation").to_string();
        assert!(
            refused.starts_with("S: ") && refused.contains("voxel 1 is 1.5"),
            "{refused}"
        );
    }

    #[test]
    fn weights_are_ceilings_over_the_mean_of_those_that_are_learnt() {
        let ceiling = Array1::from(vec![0.9, 0.2, f32::NAN, -0.5, 0.6]);
        let mask = [false, true, true, true, true];
        let found = weights("S", Some(&ceiling), Some(&mask)).expect("they fit");
        assert_eq!(found, [1.0, 0.0, 0.0, 3.0]);
        let all = weights("S", Some(&Array1::from(vec![0.4, 1.2])), None).expect("they fit");
        assert_eq!(
            mean_of(&[Some(all), Some(vec![1.5, 0.5])]),
            Some(vec![1.0, 1.0])
        );
    }

    #[test]
    fn weights_that_cannot_be_are_refused() {
        let refused = |ceiling: Option<Vec<f32>>, mask: &[bool]| {
            let ceiling = ceiling.map(Array1::from);
            let found = weights("S", ceiling.as_ref(), Some(mask));
            found.expect_err("they do not fit").to_string()
        };
        assert!(refused(None, &[true]).contains("give --noise-ceiling"));
        let error = refused(Some(vec![0.5; 3]), &[true; 2]);
        assert!(
            error.contains("has 2 voxels") && error.contains("ceiling 3"),
            "{error}"
        );
        for value in [0.0, f32::NAN, f32::INFINITY] {
            assert!(refused(Some(vec![value; 2]), &[true; 2]).contains("above 0"));
        }
    }
}
