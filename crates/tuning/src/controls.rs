//! Controls, matched by construction: the same stories, steps and order, other responses.
//!
//! Each is a [`StoryDataset`] around another, so that everything else stays as it is. Held by
//! `tests/it/controls.rs`.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use braintune_fmri::{
    FmriError, Modality, Responses, Result, Story, StoryDataset, StoryTiming, Trim,
};
use ndarray::{Array2, Axis};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// TRs of a block (Moussa, Klakow & Toneva 2025).
pub const BLOCK_TRS: usize = 15;

/// What takes the place of a story's responses.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Control {
    /// The story's own responses, blocks of so many TRs in another order, fixed by the seed: none less than
    /// a block away from its place, what is left behind the last whole block first.
    BlockPermuted {
        /// TRs of a block, e.g. [`BLOCK_TRS`].
        block: usize,
    },
    /// Responses of the same subject to another of these stories, drawn by the seed: cut if longer, from
    /// their start again if shorter.
    OtherStory {
        /// Stories to draw from.
        stories: Vec<String>,
    },
    /// None: the model learns its own objective ([`OwnObjective`](crate::OwnObjective)) on the same audio, and
    /// the responses, which stay as they are, are not read.
    Stimulus {
        /// Folder of the units of each story's frames, `STORY.npy`, for models whose objective is to predict
        /// them (`HuBERT`).
        units: Option<PathBuf>,
    },
}

/// A dataset whose responses are a control's; with an example at [`StoryBatches`](crate::StoryBatches).
pub struct ControlDataset<'a> {
    inner: &'a dyn StoryDataset,
    control: Control,
    seed: u64,
    name: String,
}

impl std::fmt::Debug for ControlDataset<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlDataset")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> ControlDataset<'a> {
    /// `inner` with the responses of a control.
    #[must_use]
    pub fn new(inner: &'a dyn StoryDataset, control: Control, seed: u64) -> Self {
        let kind = match &control {
            Control::BlockPermuted { block } => format!("block-permuted {block}"),
            Control::OtherStory { .. } => "other-story".to_owned(),
            Control::Stimulus { .. } => "stimulus".to_owned(),
        };
        Self {
            name: format!("{} ({kind}, seed {seed})", inner.name()),
            inner,
            control,
            seed,
        }
    }

    /// A generator for one subject and story.
    fn rng(&self, subject: &str, story: &str) -> ChaCha8Rng {
        let text = format!("{}\n{subject}\n{story}", self.seed);
        ChaCha8Rng::from_seed(Sha256::digest(text).into())
    }

    /// The story whose responses are taken.
    fn source(&self, subject: &str, story: &str) -> Result<String> {
        let Control::OtherStory { stories } = &self.control else {
            return Ok(story.to_owned());
        };
        let heard = |other: &&String| *other != story && self.inner.has_responses(subject, other);
        let others: Vec<&String> = stories.iter().filter(heard).collect();
        if others.is_empty() {
            let reason = format!("{subject} has responses to no other story than {story}");
            return Err(FmriError::Other(reason.into()));
        }
        let drawn = self.rng(subject, story).random_range(0..others.len());
        Ok(others[drawn].clone())
    }

    /// Rows of the source in the order in which they stand for the story's `n_trs`.
    fn rows(
        &self,
        subject: &str,
        story: &str,
        n_trs: usize,
        n_source: usize,
    ) -> Result<Vec<usize>> {
        let rows: Vec<usize> = match self.control {
            Control::Stimulus { .. } => return Ok((0..n_trs).collect()),
            Control::OtherStory { .. } => {
                return Ok((0..n_trs).map(|row| row % n_source).collect());
            }
            Control::BlockPermuted { block } => {
                displaced(n_trs, block.max(1), &mut self.rng(subject, story))
            }
        };
        if rows.iter().copied().eq(0..n_trs) {
            let reason = format!(
                "{subject}, {story}: {n_trs} TRs are too few for blocks in another order, the control would be the real run; leave the story out"
            );
            return Err(FmriError::Other(reason.into()));
        }
        Ok(rows)
    }
}

/// Rows in blocks of another order: first what is left behind the last whole block, then the blocks, drawn
/// until none is less than a block away from its place (where a story has blocks enough for that; else that is said).
fn displaced(n_trs: usize, block: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    const DRAWS: usize = 10_000;
    let (n_blocks, n_rest) = (n_trs / block, n_trs % block);
    let mut blocks: Vec<usize> = (0..n_blocks).collect();
    let far =
        |(place, from): (usize, &usize)| (n_rest + place * block).abs_diff(from * block) >= block;
    let is_far = (0..DRAWS).any(|_| {
        blocks.shuffle(rng);
        blocks.iter().enumerate().all(far)
    });
    if !is_far {
        tracing::warn!(
            n_trs,
            block,
            "a story is too short for its blocks to move far from their places"
        );
    }
    let of_block = |b: &usize| b * block..(b + 1) * block;
    let rest = n_blocks * block..n_trs;
    rest.chain(blocks.iter().flat_map(of_block)).collect()
}

impl StoryDataset for ControlDataset<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn modality(&self) -> Modality {
        self.inner.modality()
    }

    fn subjects(&self) -> &[String] {
        self.inner.subjects()
    }

    fn stories(&self) -> &[Story] {
        self.inner.stories()
    }

    fn sound_lengths_s(&self, story: &str) -> Result<RangeInclusive<f64>> {
        self.inner.sound_lengths_s(story)
    }

    fn timing(&self, story: &str) -> Result<StoryTiming> {
        self.inner.timing(story)
    }

    fn has_responses(&self, subject: &str, story: &str) -> bool {
        self.inner.has_responses(subject, story)
    }

    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        self.inner.response_shape(subject, story)
    }

    fn responses_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Responses> {
        let (n_trs, _) = self.inner.response_shape(subject, story)?;
        let source = self.source(subject, story)?;
        let bold = self.inner.responses_columns(subject, &source, voxels)?;
        let rows = self.rows(subject, story, n_trs, bold.bold().nrows())?;
        let bold = bold.bold().select(Axis(0), &rows);
        Responses::from_bold(bold, &self.inner.timing(story)?)
    }

    fn default_trims(&self) -> (Trim, Trim) {
        self.inner.default_trims()
    }
}

/// Reads targets of a story, `[n_trs, n_columns]` for a range of columns.
type ReadTargets<'a> = Box<
    dyn Fn(&str, Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'a,
>;

/// A dataset whose responses are other arrays, `[n_trs, n_targets]` for each story: features of another
/// model, say, in place of fMRI. One subject, [`TargetDataset::SUBJECT`].
pub struct TargetDataset<'a> {
    inner: &'a dyn StoryDataset,
    /// `(n_trs, n_targets)` by story.
    shapes: BTreeMap<String, (usize, usize)>,
    read: ReadTargets<'a>,
    subjects: [String; 1],
    name: String,
}

impl std::fmt::Debug for TargetDataset<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetDataset")
            .field("stories", &self.shapes.keys())
            .finish_non_exhaustive()
    }
}

impl<'a> TargetDataset<'a> {
    /// Who has the targets.
    pub const SUBJECT: &'static str = "targets";

    /// `inner`'s stories with targets of these shapes, `(n_trs, n_targets)`, a row for each TR that its responses
    /// have; `read` gives a range of columns of a story's.
    ///
    /// # Errors
    /// A story that is not there, other numbers of rows or targets (both numbers are said), no target at all.
    pub fn new(
        inner: &'a dyn StoryDataset,
        shapes: BTreeMap<String, (usize, usize)>,
        read: impl Fn(&str, Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'a,
    ) -> Result<Self> {
        let n_targets = shapes
            .values()
            .next()
            .map_or(0, |(_, n_targets)| *n_targets);
        for (story, shape) in &shapes {
            let stored = inner.timing(story)?.stored().len();
            if *shape != (stored, n_targets) || n_targets == 0 {
                let problem = format!(
                    "targets of {story}: expected {stored} rows (its TRs) of {} values, found {shape:?}",
                    n_targets.max(1)
                );
                return Err(FmriError::Other(problem.into()));
            }
        }
        Ok(Self {
            name: format!("{} (targets)", inner.name()),
            subjects: [Self::SUBJECT.to_owned()],
            inner,
            shapes,
            read: Box::new(read),
        })
    }

    /// The dataset whose stories these are.
    #[must_use]
    pub fn inner(&self) -> &'a dyn StoryDataset {
        self.inner
    }

    fn shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        self.check_subject(subject)?;
        let found = self.shapes.get(story).copied();
        found.ok_or_else(|| FmriError::Other(format!("there are no targets for {story}").into()))
    }
}

impl StoryDataset for TargetDataset<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn subjects(&self) -> &[String] {
        &self.subjects
    }

    fn stories(&self) -> &[Story] {
        self.inner.stories()
    }

    fn sound_lengths_s(&self, story: &str) -> Result<RangeInclusive<f64>> {
        self.inner.sound_lengths_s(story)
    }

    fn timing(&self, story: &str) -> Result<StoryTiming> {
        self.inner.timing(story)
    }

    fn has_responses(&self, subject: &str, story: &str) -> bool {
        subject == Self::SUBJECT && self.shapes.contains_key(story)
    }

    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        self.shape(subject, story)
    }

    fn responses_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Responses> {
        let (_, n_targets) = self.shape(subject, story)?;
        if voxels.end > n_targets {
            let problem = format!("targets of {story}: there are {n_targets} only");
            return Err(FmriError::Other(problem.into()));
        }
        let targets = (self.read)(story, voxels).map_err(FmriError::Other)?;
        Responses::from_bold(targets, &self.timing(story)?)
    }

    fn default_trims(&self) -> (Trim, Trim) {
        self.inner.default_trims()
    }
}
