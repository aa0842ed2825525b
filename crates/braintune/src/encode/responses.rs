//! Responses of several stories as one source of voxel tiles, read from the dataset on demand.

use std::error::Error;
use std::ops::Range;

use braintune_encoding::ResponseSource;
use braintune_fmri::StoryDataset;
use ndarray::{Array2, Axis, concatenate};

use super::inputs::StoryInput;

/// Kept rows of `stories`, stacked; NaN reads as 0.
pub(super) struct StackedResponses<'a> {
    pub(super) dataset: &'a dyn StoryDataset,
    pub(super) subject: &'a str,
    pub(super) stories: &'a [StoryInput],
    pub(super) n_voxels: usize,
}

impl ResponseSource for StackedResponses<'_> {
    fn n_samples(&self) -> usize {
        self.stories.iter().map(|story| story.rows.len()).sum()
    }

    fn n_voxels(&self) -> usize {
        self.n_voxels
    }

    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let mut parts = Vec::with_capacity(self.stories.len());
        for story in self.stories {
            let stored =
                self.dataset
                    .responses_columns(self.subject, &story.name, voxels.clone())?;
            parts.push(stored.rows(story.rows.clone())?.nan_to_zero().into_bold());
        }
        let views: Vec<_> = parts.iter().map(Array2::view).collect();
        Ok(concatenate(Axis(0), &views)?)
    }
}
