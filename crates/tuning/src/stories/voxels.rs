//! Voxels of the subjects and outputs of the heads, from the headers of responses. Held by `tests/it/stories.rs`.

use super::{Plan, StoryBatches, TunedSubject};
use crate::config::HeadSharing;
use crate::error::{Result, TuningError};

impl StoryBatches<'_> {
    /// What [`n_voxels`](Self::n_voxels) gives, from the headers of all responses.
    pub(super) fn check_voxels(&self) -> Result<Vec<usize>> {
        let n_voxels: Result<Vec<usize>> =
            (0..self.subjects.len()).map(|s| self.n_kept(s)).collect();
        let n_voxels = n_voxels?;
        if self.heads == HeadSharing::PerSubject {
            return Ok(n_voxels);
        }
        let refused = |problem: String| {
            Err(TuningError::Setting {
                name: "heads",
                value: "shared".to_owned(),
                expected: format!("per-subject, because {problem}"),
            })
        };
        if let Some(other) = n_voxels.iter().find(|n| **n != n_voxels[0]) {
            let both = format!("{} and {other}", n_voxels[0]);
            return refused(format!("the subjects differ in voxels ({both})"));
        }
        let first = &self.subjects[0];
        if let Some(other) = self.subjects.iter().find(|s| s.mask != first.mask) {
            let names = format!("{} and {}", first.name, other.name);
            return refused(format!(
                "an output would be one voxel of one subject and another of the other: the masks of {names} differ; give all the same mask, or none"
            ));
        }
        Ok(n_voxels[..1].to_vec())
    }

    /// Voxels of a subject that are learnt, the same in every story.
    fn n_kept(&self, subject: usize) -> Result<usize> {
        let TunedSubject { name, mask } = &self.subjects[subject];
        let mut first: Option<(&str, usize)> = None;
        for Plan { name: story, .. } in &self.stories {
            if !self.dataset.has_responses(name, story) {
                continue;
            }
            let (_, n_voxels) = self.dataset.response_shape(name, story)?;
            let (of, expected) = match (mask, first) {
                (Some(mask), _) => ("its mask", mask.len()),
                (None, Some((earlier, n))) => (earlier, n),
                (None, None) => (story.as_str(), n_voxels),
            };
            if n_voxels != expected {
                return Err(TuningError::VoxelCount {
                    subject: name.clone(),
                    story: story.clone(),
                    n_voxels,
                    of: of.to_owned(),
                    expected,
                });
            }
            first = first.or(Some((story, n_voxels)));
        }
        let Some((_, n_voxels)) = first else {
            let stories: Vec<&str> = self.stories.iter().map(|plan| plan.name.as_str()).collect();
            return Err(TuningError::Empty {
                what: "responses",
                reason: format!("{name} heard none of {}", stories.join(", ")),
            });
        };
        let Some(mask) = mask else {
            return Ok(n_voxels);
        };
        match mask.iter().filter(|kept| **kept).count() {
            0 => Err(TuningError::NoVoxels {
                subject: name.clone(),
                reason: "the mask leaves out all".to_owned(),
            }),
            kept => Ok(kept),
        }
    }
}
