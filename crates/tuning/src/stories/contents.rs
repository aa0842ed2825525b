//! Whether audio and responses are what they were: digests of what is learnt, taken when it is read.
//!
//! Hashing takes far less time than decoding. Held by `tests/it/changed.rs`.

use std::sync::PoisonError;

use ndarray::Array2;

use super::{Plan, StoryBatches};
use crate::digests::{self, Digests, difference};
use crate::error::{Result, TuningError, io_error};

/// What something is, and its digest.
type Named = (String, String);

impl StoryBatches<'_> {
    /// Of the bytes of a story's audio file.
    pub(super) fn audio_digest(&self, story: usize) -> Result<Named> {
        let path = self.audio_path(story)?;
        let digest = digests::of_file(path).map_err(io_error("read", path))?;
        Ok((self.audio_name(story), digest))
    }

    /// Of the values that are learnt, `[n_trs, n_kept_voxels]`, whatever else their file holds.
    pub(super) fn bold_digest(&self, story: usize, subject: usize, bold: &Array2<f32>) -> Named {
        let digest = digests::of_values(bold);
        (self.bold_name(story, subject), digest)
    }

    fn audio_name(&self, story: usize) -> String {
        format!("audio of {}", self.stories[story].name)
    }

    fn bold_name(&self, story: usize, subject: usize) -> String {
        let Plan { name, .. } = &self.stories[story];
        format!("responses of {} to {name}", self.subjects[subject].name)
    }

    /// Remembers a digest; one that is known must be the same.
    pub(super) fn same_as_before(&self, (what, digest): &Named) -> Result<()> {
        let mut known = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(difference) = difference(&known, what, digest) {
            return Err(TuningError::DataChanged { difference });
        }
        known.insert(what.clone(), digest.clone());
        Ok(())
    }

    /// What of `recorded` differs from what is there now; the rest is remembered.
    pub(super) fn differences(&self, recorded: &Digests) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut compare = |now: Named| match difference(recorded, &now.0, &now.1) {
            Some(difference) => {
                found.push(difference);
                Ok(())
            }
            None => self.same_as_before(&now),
        };
        for (story, Plan { name, .. }) in self.stories.iter().enumerate() {
            if recorded.contains_key(&self.audio_name(story)) {
                compare(self.audio_digest(story)?)?;
            }
            for (subject, who) in self.subjects.iter().enumerate() {
                let known = recorded.contains_key(&self.bold_name(story, subject));
                if known && self.dataset.has_responses(&who.name, name) {
                    let bold = self.bold(story, subject)?;
                    compare(self.bold_digest(story, subject, &bold))?;
                }
            }
        }
        Ok(found)
    }
}
