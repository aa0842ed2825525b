//! Responses of several stories as one source of voxel tiles, read from the dataset on demand.
//!
//! A test story whose single hearings are stored is represented by their mean, which is what noise
//! ceilings are about; other stories by their one response.

use std::error::Error;
use std::ops::Range;

use braintune_encoding::{ResponseSource, mean_of_repeats, stack_repeats};
use braintune_fmri::{Responses, StoryDataset};
use ndarray::{Array2, Axis, concatenate, s};

use super::inputs::StoryInput;
use crate::error::Result;

/// Voxels whose repeats are in memory at once.
const REPEATED_VOXELS: usize = 1024;

/// Kept rows of `stories`, stacked; NaN reads as 0.
pub(super) struct StackedResponses<'a> {
    pub(super) dataset: &'a dyn StoryDataset,
    pub(super) subject: &'a str,
    pub(super) stories: &'a [StoryInput],
    pub(super) n_voxels: usize,
}

impl StackedResponses<'_> {
    /// The stored response to a story, kept rows.
    pub(super) fn stored(&self, story: &StoryInput, voxels: Range<usize>) -> Result<Array2<f32>> {
        let stored = self
            .dataset
            .responses_columns(self.subject, &story.name, voxels)?;
        kept(&stored, story)
    }

    /// Kept rows of each hearing of a story.
    pub(super) fn repeats(
        &self,
        story: &StoryInput,
        voxels: Range<usize>,
    ) -> Result<Vec<Array2<f32>>> {
        let repeats = self
            .dataset
            .repeats_columns(self.subject, &story.name, voxels)?;
        repeats.iter().map(|repeat| kept(repeat, story)).collect()
    }

    fn of_story(&self, story: &StoryInput, voxels: Range<usize>) -> Result<Array2<f32>> {
        if !story.is_repeated() {
            return self.stored(story, voxels);
        }
        let mut mean = Array2::zeros((story.rows.len(), voxels.len()));
        for start in voxels.clone().step_by(REPEATED_VOXELS) {
            let part = start..voxels.end.min(start + REPEATED_VOXELS);
            let place = part.start - voxels.start..part.end - voxels.start;
            mean.slice_mut(s![.., place])
                .assign(&mean_of(&self.repeats(story, part)?)?);
        }
        Ok(mean)
    }
}

fn kept(responses: &Responses, story: &StoryInput) -> Result<Array2<f32>> {
    let rows = responses.rows(story.rows.clone())?;
    Ok(rows.nan_to_zero().into_bold())
}

/// Mean of hearings, each `[n_trs, n_voxels]`.
pub(super) fn mean_of(repeats: &[Array2<f32>]) -> Result<Array2<f32>> {
    let views: Vec<_> = repeats.iter().map(Array2::view).collect();
    Ok(mean_of_repeats(stack_repeats(&views)?.view()))
}

impl ResponseSource for StackedResponses<'_> {
    fn n_samples(&self) -> usize {
        self.stories.iter().map(|story| story.rows.len()).sum()
    }

    fn n_voxels(&self) -> usize {
        self.n_voxels
    }

    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let parts = self.stories.iter();
        let parts: Vec<_> = parts
            .map(|story| self.of_story(story, voxels.clone()))
            .collect::<Result<_>>()?;
        let views: Vec<_> = parts.iter().map(Array2::view).collect();
        Ok(concatenate(Axis(0), &views)?)
    }
}
