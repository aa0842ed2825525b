//! One model for each participant, and which of them a share of an array job tunes.
//!
//! Held by `tests/it/tune_ranks.rs`.

use braintune_fmri::StoryDataset;
use braintune_ranks::Shard;
use braintune_tuning::Control;

use super::TuneSettings;
use crate::error::{BraintuneError, Result};

impl TuneSettings {
    /// Settings of a run for each subject alone, of those subjects that are `shard`'s: with its own mask and ceilings,
    /// and the stories that it heard of those chosen for all. Subjects take turns between shares.
    ///
    /// # Errors
    /// Numbers of masks or ceilings that do not fit; a subject that heard no training story, or no validation story
    /// where there are some.
    pub fn each_subject(&self, dataset: &dyn StoryDataset, shard: Shard) -> Result<Vec<Self>> {
        let n = self.subjects.len();
        self.voxels.check_counts(n)?;
        let owners = Shard::owners(&vec![1.0; n], shard.count());
        let mine = owners.into_iter().enumerate();
        mine.filter(|(_, owner)| *owner == shard.index())
            .map(|(subject, _)| self.alone(dataset, subject))
            .collect()
    }

    fn alone(&self, dataset: &dyn StoryDataset, index: usize) -> Result<Self> {
        let name = &self.subjects[index];
        let mut alone = self.clone();
        alone.subjects = vec![name.clone()];
        // One for each subject, or none.
        alone.voxels.masks = self.voxels.masks.get(index).cloned().into_iter().collect();
        alone.voxels.ceilings = self
            .voxels
            .ceilings
            .get(index)
            .cloned()
            .into_iter()
            .collect();
        for (role, flag, stories) in [
            ("training", "--train-stories", &mut alone.stories.train),
            ("validation", "--val-stories", &mut alone.stories.validation),
        ] {
            let all = stories.join(", ");
            let had_some = !stories.is_empty();
            stories.retain(|story| dataset.has_responses(name, story));
            if had_some && stories.is_empty() {
                return Err(BraintuneError::Input(format!(
                    "{name} has responses to none of the {role} stories {all}: name others ({flag}), or leave {name} out"
                )));
            }
        }
        if let Some(Control::OtherStory { stories }) = &mut alone.control {
            stories.retain(|story| dataset.has_responses(name, story));
        }
        Ok(alone)
    }
}
