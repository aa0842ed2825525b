//! Which voxels of each subject are learnt.

use braintune_encoding::{NoiseCeiling, TotalPower, stack_repeats};
use braintune_fmri::{FmriError, Responses, StoryDataset};
use braintune_tuning::TunedSubject;
use ndarray::Array1;

use crate::error::{BraintuneError, Result};

/// Values of repeats in memory at once: 64 MB.
const VALUES: usize = 1 << 24;

/// Which voxels are learnt: a mask, or those above a noise ceiling.
#[derive(Debug, Clone, PartialEq)]
pub struct VoxelChoice {
    /// One mask for each subject, `[n_voxels]`; goes before ceilings.
    pub masks: Vec<Vec<bool>>,
    /// A ceiling (a correlation) for each subject, `[n_voxels]`; otherwise it comes from repeats of a test story.
    pub ceilings: Vec<Array1<f32>>,
    /// Voxels above it are learnt; all if there is none.
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

impl VoxelChoice {
    /// The mask of each subject; none, with a warning, where there is no ceiling to be had.
    pub(super) fn masks(
        &self,
        dataset: &dyn StoryDataset,
        subjects: &[String],
        test_stories: &[String],
    ) -> Result<Vec<TunedSubject>> {
        for (what, n) in [
            ("masks", self.masks.len()),
            ("noise ceilings", self.ceilings.len()),
        ] {
            if n > 0 && n != subjects.len() {
                return Err(BraintuneError::Input(format!(
                    "{n} {what} for {} subjects: give one for each, in the same order",
                    subjects.len()
                )));
            }
        }
        let one = |(i, name): (usize, &String)| {
            Ok(TunedSubject {
                name: name.clone(),
                mask: self.mask(dataset, (i, name), test_stories)?,
            })
        };
        subjects.iter().enumerate().map(one).collect()
    }

    fn mask(
        &self,
        dataset: &dyn StoryDataset,
        (i, subject): (usize, &str),
        test_stories: &[String],
    ) -> Result<Option<Vec<bool>>> {
        if let Some(mask) = self.masks.get(i) {
            return Ok(Some(mask.clone()));
        }
        let Some(threshold) = self.threshold else {
            return Ok(None);
        };
        let ceiling = match self.ceilings.get(i) {
            Some(ceiling) => Some(ceiling.clone()),
            None => from_repeats(dataset, subject, test_stories)?,
        };
        let Some(ceiling) = ceiling else {
            tracing::warn!(
                "{subject}: no noise ceiling to be had (no test story was repeated): all voxels are learnt; choose with --mask or --noise-ceiling"
            );
            return Ok(None);
        };
        above(threshold, subject, &ceiling).map(Some)
    }
}

fn above(threshold: f32, subject: &str, ceiling: &Array1<f32>) -> Result<Vec<bool>> {
    let mask: Vec<bool> = ceiling.iter().map(|c| *c > threshold).collect();
    if mask.contains(&true) {
        return Ok(mask);
    }
    let highest = ceiling.iter().fold(f32::NAN, |a: f32, b| a.max(*b));
    Err(BraintuneError::Input(format!(
        "{subject}: no voxel has a noise ceiling above {threshold}, the highest of {} is {highest:.3}; lower --ceiling-threshold or give a --mask",
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
        let rows = timing.kept(trim)?;
        let (_, n_voxels) = dataset.response_shape(subject, story)?;
        let step = (VALUES / (rows.len() * n_repeats).max(1)).max(1);
        let mut ceiling = Vec::with_capacity(n_voxels);
        for start in (0..n_voxels).step_by(step) {
            let voxels = start..n_voxels.min(start + step);
            let repeats = dataset.repeats_columns(subject, story, voxels)?;
            let repeats: Vec<Responses> = repeats
                .into_iter()
                .map(|repeat| Ok(repeat.rows(rows.clone())?.nan_to_zero()))
                .collect::<Result<_>>()?;
            let views: Vec<_> = repeats.iter().map(Responses::bold).collect();
            let stacked = stack_repeats(&views)?;
            let part = NoiseCeiling::from_repeats(stacked.view(), TotalPower::default())?;
            #[expect(clippy::cast_possible_truncation, reason = "correlations")]
            ceiling.extend(part.cc_max().iter().map(|&c| c as f32));
        }
        return Ok(Some(ceiling.into()));
    }
    Ok(None)
}
