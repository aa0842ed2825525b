//! What single hearings of the test stories tell: noise ceilings, and whether all is as it should be.
//!
//! `[n_repeats, n_test_trs, n_voxels]`, a few voxels at a time → `CCmax` of each voxel, the
//! correlation with the mean of the repeats that a perfect model reaches. Several test stories are
//! put one after another, which needs the same number of hearings of each. Held by
//! `tests/it/ceilings.rs`.

use std::ops::Range;

use braintune_encoding::pearson_r;
use braintune_fmri::{Responses, StoryDataset};
use ndarray::{Array1, Array2, Array3, Axis, s};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::config::{BadVoxels, EncodeConfig};
use super::inputs::{Inputs, StoryInput};
use super::responses::{StackedResponses, mean_of};
use crate::ceilings::{cc_max, tiles};
use crate::error::{BraintuneError, Result};
use crate::event::{Event, OnEvent, tell};
use crate::provenance::{sha256_hex, values_sha256};
use crate::split::Split;
use crate::together::share;

/// Below this correlation the stored response to a story is not the mean of its repeats.
const SAME: f32 = 0.99;

/// Ceilings of voxels and what they came from.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// `CCmax` of each voxel, or what was given in its place.
    pub(super) ceiling: Option<Array1<f32>>,
    /// SHA-256 of all repeats used, if any.
    pub(super) sha256: Option<String>,
}

impl Repeats {
    /// Reads the repeats of all test stories once; several ranks some of the voxels each.
    pub(super) fn read(
        dataset: &dyn StoryDataset,
        inputs: &Inputs,
        config: &EncodeConfig,
        split: Split<'_>,
        on: &mut OnEvent<'_>,
    ) -> Result<Self> {
        let mut found = Self {
            ceiling: config.noise_ceiling.clone(),
            sha256: None,
        };
        if !inputs.test.iter().any(StoryInput::is_repeated) {
            return Ok(found);
        }
        let wants_ceiling = found.ceiling.is_none() && have_equal_repeats(&inputs.test);
        let pass = Pass::new(dataset, inputs, config);
        let tiles: Vec<Range<usize>> = tiles(inputs.n_voxels, pass.values_of_voxel()).collect();
        let mut read = |tile: &Range<usize>| {
            tell(on, Event::Stage("repeats of the test stories"))?;
            pass.tile(tile.clone(), wants_ceiling)
        };
        let done: Vec<Tile> = match split.fellows() {
            None => tiles.iter().map(read).collect::<Result<_>>()?,
            Some(ranks) => share(ranks, &vec![1.0; tiles.len()], |tile| read(&tiles[tile]))?,
        };
        pass.warn(&done);
        let hashes: Vec<&str> = done.iter().map(|tile| tile.sha256.as_str()).collect();
        found.sha256 = Some(sha256_hex(hashes.concat().as_bytes()));
        if wants_ceiling {
            let bits = done.into_iter().flat_map(|tile| tile.ceiling);
            found.ceiling = Some(bits.map(f32::from_bits).collect());
        }
        Ok(found)
    }

    /// For provenance and the key of a result.
    pub(super) fn record(&self, config: &EncodeConfig) -> Value {
        json!({
            "repeats_f32_sha256": self.sha256,
            "from": match (&config.noise_ceiling, &self.ceiling) {
                (Some(_), _) => "file",
                (None, Some(_)) => "repeats",
                (None, None) => "nothing",
            },
            "sha256": self.ceiling.as_ref().map(|ceiling| {
                values_sha256(ceiling.view().insert_axis(Axis(0)))
            }),
            "total_power": format!("{:?}", config.total_power),
            "threshold": config.ceiling_threshold,
            "low_ceiling": format!("{:?}", config.low_ceiling),
        })
    }
}

/// Says so if ceilings cannot be had of stories some of which were repeated.
fn have_equal_repeats(stories: &[StoryInput]) -> bool {
    let equal = stories
        .iter()
        .all(|story| story.n_repeats == stories[0].n_repeats);
    if !equal {
        let counts: Vec<String> = stories
            .iter()
            .map(|story| format!("{} {}", story.name, story.n_repeats))
            .collect();
        tracing::warn!(
            "test stories have unequal numbers of repeats ({}): no noise ceiling; test on one of them or give --noise-ceiling",
            counts.join(", ")
        );
    }
    equal
}

/// One way through the voxels.
struct Pass<'a> {
    responses: StackedResponses<'a>,
    config: &'a EncodeConfig,
}

/// What the repeats of some voxels tell.
#[derive(Serialize, Deserialize)]
struct Tile {
    /// Bits of `CCmax` of each, where it is wanted: some can be NaN, which JSON has not.
    ceiling: Vec<u32>,
    /// Of all values.
    sha256: String,
    /// Voxels by story whose stored response is not the mean of the repeats.
    n_unlike: Vec<usize>,
}

impl<'a> Pass<'a> {
    fn new(dataset: &'a dyn StoryDataset, inputs: &'a Inputs, config: &'a EncodeConfig) -> Self {
        Self {
            responses: StackedResponses {
                dataset,
                subject: &config.subject,
                stories: &inputs.test,
                n_voxels: inputs.n_voxels,
            },
            config,
        }
    }

    fn values_of_voxel(&self) -> usize {
        let stories = self.responses.stories.iter();
        stories.map(|s| s.rows.len() * s.n_repeats.max(1)).sum()
    }

    /// Reads the repeats of some voxels and checks them. Stories are put one after another where all have as many
    /// repeats; ceilings are wanted only then.
    fn tile(&self, voxels: Range<usize>, wants_ceiling: bool) -> Result<Tile> {
        let mut hasher = Sha256::new();
        let stories = self.responses.stories;
        let n_rows = stories.iter().map(|story| story.rows.len()).sum();
        let mut stacked = Array3::zeros((stories[0].n_repeats, n_rows, voxels.len()));
        let mut n_unlike = vec![0; stories.len()];
        let mut row = 0;
        for (story, n_unlike) in stories.iter().zip(&mut n_unlike) {
            let rows = row..row + story.rows.len();
            row = rows.end;
            if !story.is_repeated() {
                continue;
            }
            let repeats = self.checked(story, voxels.clone())?;
            *n_unlike = self.unlike(story, &repeats, voxels.clone())?;
            for (k, repeat) in repeats.iter().enumerate() {
                for row in repeat.rows() {
                    let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
                    hasher.update(bytes);
                }
                if k < stacked.len_of(Axis(0)) {
                    stacked.slice_mut(s![k, rows.clone(), ..]).assign(repeat);
                }
            }
        }
        let ceiling = wants_ceiling.then(|| cc_max(stacked.view(), self.config.total_power));
        let ceiling = ceiling.transpose()?.into_iter().flatten();
        Ok(Tile {
            ceiling: ceiling.map(f32::to_bits).collect(),
            sha256: hex::encode(hasher.finalize()),
            n_unlike,
        })
    }

    /// Kept rows of each hearing; no infinite values, and no NaN unless it is to be taken as 0.
    fn checked(&self, story: &StoryInput, voxels: Range<usize>) -> Result<Vec<Array2<f32>>> {
        let (dataset, subject) = (self.responses.dataset, self.responses.subject);
        let repeats = dataset.repeats_columns(subject, &story.name, voxels.clone())?;
        let of_repeat = |(k, repeat): (usize, &Responses)| {
            let kept = repeat.rows(story.rows.clone())?;
            let bad = |value: &f32| match self.config.bad_voxels {
                BadVoxels::Zero => value.is_infinite(),
                BadVoxels::Stop => !value.is_finite(),
            };
            let bold = kept.bold();
            match bold.indexed_iter().find(|(_, value)| bad(value)) {
                None => Ok(kept.nan_to_zero().into_bold()),
                Some(((row, voxel), value)) => Err(BraintuneError::Input(format!(
                    "story {} of {subject}: repeat {k} holds {value} at row {row}, voxel {} of the rows used; `--bad-voxels zero` takes NaN as 0 and goes on, infinite values must be mended",
                    story.name,
                    voxels.start + voxel
                ))),
            }
        };
        repeats.iter().enumerate().map(of_repeat).collect()
    }

    /// How many voxels have a stored response that is not the mean of the repeats.
    fn unlike(
        &self,
        story: &StoryInput,
        repeats: &[Array2<f32>],
        voxels: Range<usize>,
    ) -> Result<usize> {
        let stored = self.responses.stored(story, voxels)?;
        let r = pearson_r(stored.view(), mean_of(repeats)?.view())?;
        // 0 is what a constant voxel has.
        Ok(r.iter().filter(|&&r| r != 0.0 && r < SAME).count())
    }

    fn warn(&self, tiles: &[Tile]) {
        for (place, story) in self.responses.stories.iter().enumerate() {
            let n: usize = tiles.iter().map(|tile| tile.n_unlike[place]).sum();
            if n > 0 {
                tracing::warn!(
                    "story {}: in {n} of {} voxels the stored response is not the mean of the repeats; r is against the mean of the repeats",
                    story.name,
                    self.responses.n_voxels
                );
            }
        }
    }
}
