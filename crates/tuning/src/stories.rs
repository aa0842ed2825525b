//! Batches from a story dataset: for each TR the audio that ends with it, and its response.
//!
//! Audio `[n_samples]` and responses `[n_trs, n_voxels]` → clips `[batch, clip_s · rate]`, zeros where
//! there is no sound, and `[batch, n_kept_voxels]` (Moussa & Toneva 2025; `docs/tuning.md`). One story
//! is in memory at a time. Held by `tests/it/stories.rs`.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    reason = "samples of a story are far fewer than 2^53"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use braintune_audio::{SampleRate, load_audio, probe_audio};
use braintune_fmri::{Story, StoryDataset};
use braintune_ranks::Shard;
use ndarray::{Array2, Axis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use crate::batch::{TuningBatch, TuningData};
use crate::config::{HeadSharing, TuningConfig};
use crate::digests::{self, Digests};
use crate::error::{Result, TuningError};
use crate::units::StoryUnits;

/// A subject and the voxels that are learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunedSubject {
    /// As the dataset calls it.
    pub name: String,
    /// Which voxels are learnt, `[n_voxels]`; all if there is none.
    pub mask: Option<Vec<bool>>,
}

/// Batches of consecutive TRs of stories, story by story, subjects taking turns.
///
/// ```
/// use braintune_audio::{SampleRate, Waveform, write_wav};
/// use braintune_fmri::{InMemoryDataset, Story, StoryDataset, StoryTiming};
/// use braintune_tuning::{Control, ControlDataset, StoryBatches, TunedSubject, TuningConfig, TuningData};
/// use ndarray::Array2;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let folder = tempfile::tempdir()?;
/// # let audio = folder.path().join("tale.wav");
/// # write_wav(&audio, &Waveform::from_samples(vec![0.1; 40 * 16_000], SampleRate::SPEECH)?)?;
/// let mut dataset = InMemoryDataset::new("example");
/// let timing = StoryTiming::new(20, 2.0, 1.0, 0..20)?; // 20 TRs of 2 s
/// dataset.add_story(Story::new("tale").with_audio(&audio), timing)?;
/// dataset.add_responses("S1", "tale", Array2::from_shape_fn((20, 3), |(tr, _)| tr as f32))?;
/// // The same audio with other responses.
/// let control = ControlDataset::new(&dataset, Control::BlockPermuted { block: 5 }, 1);
///
/// let first = |dataset: &dyn StoryDataset| {
///     let subjects = vec![TunedSubject { name: "S1".to_owned(), mask: None }];
///     let (stories, config) = (["tale".to_owned()], TuningConfig::default());
///     StoryBatches::new(dataset, subjects, &stories, SampleRate::SPEECH, &config)?.batch(0, 0)
/// };
/// let (batch, other) = (first(&dataset)?, first(&control)?);
/// assert_eq!(batch.samples, other.samples);
/// assert_ne!(batch.bold, other.bold);
/// # Ok(())
/// # }
/// ```
pub struct StoryBatches<'a> {
    dataset: &'a dyn StoryDataset,
    subjects: Vec<TunedSubject>,
    heads: HeadSharing,
    stories: Vec<Plan>,
    rate: SampleRate,
    clip_len: usize,
    shuffle: Option<u64>,
    nan_to_zero: bool,
    /// Whether responses are left alone.
    stimulus_only: bool,
    units: Option<StoryUnits>,
    /// Outputs of each head.
    n_voxels: Vec<usize>,
    /// Of the story that was read last.
    current: Mutex<Option<Current>>,
    /// Of all that was read so far.
    digests: Mutex<Digests>,
}

/// What of a story goes into batches.
struct Plan {
    name: String,
    /// Sample with which each kept TR ends.
    ends: Vec<i64>,
    /// Kept rows of the grid.
    rows: Range<usize>,
    /// Subject and kept rows, from 0, of each batch.
    batches: Vec<(usize, Range<usize>)>,
}

/// A story in memory.
#[derive(Clone)]
struct Current {
    story: usize,
    samples: Arc<Vec<f32>>,
    /// By subject.
    bold: BTreeMap<usize, Arc<Array2<f32>>>,
}

/// Samples of a story and responses `[n_trs, n_kept_voxels]` of a subject.
type Recording = (Arc<Vec<f32>>, Arc<Array2<f32>>);

impl std::fmt::Debug for StoryBatches<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stories = self.stories.iter().map(|plan| &plan.name);
        f.debug_struct("StoryBatches")
            .field("stories", &stories.collect::<Vec<_>>())
            .field("subjects", &self.subjects)
            .finish_non_exhaustive()
    }
}

impl<'a> StoryBatches<'a> {
    /// Batches of `stories`, for a backbone that takes audio at `rate`. Rows of the dataset's default
    /// trim for training stories are kept. A subject who did not hear a story has no batch of it.
    ///
    /// # Errors
    /// No stories or subjects, stories without audio, masks that do not fit, that leave no voxel, or that
    /// differ in size under a shared head; all from headers, before anything is read.
    pub fn new(
        dataset: &'a dyn StoryDataset,
        subjects: Vec<TunedSubject>,
        stories: &[String],
        rate: SampleRate,
        config: &TuningConfig,
    ) -> Result<Self> {
        let clip_len = (config.clip_s * f64::from(rate.as_hz())).round() as usize;
        let mut batches = Self {
            dataset,
            subjects,
            heads: config.heads,
            stories: Vec::with_capacity(stories.len()),
            rate,
            clip_len,
            shuffle: config.shuffle_stories.then_some(config.seed),
            nan_to_zero: config.nan_to_zero,
            stimulus_only: false,
            units: None,
            n_voxels: Vec::new(),
            current: Mutex::new(None),
            digests: Mutex::new(Digests::new()),
        };
        for subject in &batches.subjects {
            dataset.check_subject(&subject.name)?;
        }
        for story in stories {
            let plan = batches.plan(story, config.batch_size)?;
            batches.stories.push(plan);
        }
        if batches.n_batches() == 0 {
            return Err(TuningError::Empty {
                what: "batches",
                reason: format!("no subject has responses to any of {stories:?}"),
            });
        }
        batches.n_voxels = batches.check_voxels()?;
        Ok(batches)
    }

    /// The same batches in the order given, for validation.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.shuffle = None;
        self
    }

    /// The same clips in the same order without responses, which are not read; with the units of their
    /// frames if there are some.
    #[must_use]
    pub fn stimulus_only(mut self, units: Option<StoryUnits>) -> Self {
        self.stimulus_only = true;
        self.n_voxels = Vec::new();
        self.units = units;
        self
    }

    /// Reads all responses of some stories, one after the other; [`TuningData::check`].
    fn check_stories(
        &self,
        stories: Range<usize>,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>> {
        let (first, n) = (stories.start, stories.len());
        for (story, plan) in self
            .stories
            .iter()
            .enumerate()
            .take(stories.end)
            .skip(first)
        {
            if on(story - first, n).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            for (subject, TunedSubject { name, .. }) in self.subjects.iter().enumerate() {
                if self.dataset.has_responses(name, &plan.name) {
                    self.bold(story, subject)?;
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Outputs that each head needs.
    #[must_use]
    pub fn n_voxels(&self) -> &[usize] {
        &self.n_voxels
    }

    /// Says so if the sound's length, where its header tells it, does not fit the responses.
    fn check_length(&self, story: &str, sound_s: f64) -> Result<()> {
        let expected = self.dataset.sound_lengths_s(story)?;
        if expected.contains(&sound_s) {
            return Ok(());
        }
        Err(TuningError::SoundLength {
            story: story.to_owned(),
            sound_s,
            least_s: *expected.start(),
            most_s: *expected.end(),
        })
    }

    fn plan(&self, name: &str, batch_size: usize) -> Result<Plan> {
        let audio = self.dataset.story(name)?.require_audio()?;
        if let Some(sound_s) = probe_audio(audio)?.duration_s() {
            self.check_length(name, sound_s)?;
        }
        let timing = self.dataset.timing(name)?;
        let (trim, _) = self.dataset.default_trims();
        let rows = timing.kept(trim)?;
        let rate = f64::from(self.rate.as_hz());
        let end = |time: f64| ((time + timing.tr_s() / 2.0) * rate).round() as i64;
        let times = timing.tr_times();
        let mut batches = Vec::new();
        for start in (0..rows.len()).step_by(batch_size) {
            let part = start..rows.len().min(start + batch_size);
            for (subject, TunedSubject { name: who, .. }) in self.subjects.iter().enumerate() {
                if self.dataset.has_responses(who, name) {
                    batches.push((subject, part.clone()));
                }
            }
        }
        Ok(Plan {
            name: name.to_owned(),
            ends: rows.clone().map(|row| end(times[row])).collect(),
            rows,
            batches,
        })
    }

    /// Stories in the order of an epoch.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.stories.len()).collect();
        if let Some(seed) = self.shuffle {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(epoch as u64 + 1);
            order.shuffle(&mut rng);
        }
        order
    }

    /// The story and its batch that are batch `index` of an epoch.
    fn place(&self, epoch: usize, mut index: usize) -> Option<(usize, usize)> {
        for story in self.order(epoch) {
            let n = self.stories[story].batches.len();
            if index < n {
                return Some((story, index));
            }
            index -= n;
        }
        None
    }

    /// The story with the responses of a subject, from memory if it is the one that was read last.
    fn read(&self, story: usize, subject: usize) -> Result<Recording> {
        let mut held = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = match held.take() {
            Some(current) if current.story == story => current,
            _ => {
                self.same_as_before(&self.audio_digest(story)?)?;
                Current {
                    story,
                    samples: Arc::new(self.audio(story)?),
                    bold: BTreeMap::new(),
                }
            }
        };
        let bold = if let Some(bold) = current.bold.get(&subject) {
            Arc::clone(bold)
        } else {
            let bold = Arc::new(self.bold(story, subject)?);
            self.same_as_before(&self.bold_digest(story, subject, &bold))?;
            current.bold.insert(subject, Arc::clone(&bold));
            bold
        };
        let samples = Arc::clone(&current.samples);
        *held = Some(current);
        Ok((samples, bold))
    }

    fn audio_path(&self, story: usize) -> Result<&Path> {
        let story = self.dataset.story(&self.stories[story].name)?;
        Ok(story.require_audio()?)
    }

    fn audio(&self, story: usize) -> Result<Vec<f32>> {
        let Plan { name, .. } = &self.stories[story];
        let audio = load_audio(self.audio_path(story)?)?.resampled(self.rate)?;
        self.check_length(name, audio.duration_s())?;
        if let Some(units) = &self.units {
            units.check(name, audio.samples().len())?;
        }
        Ok(audio.into_samples())
    }

    fn bold(&self, story: usize, subject: usize) -> Result<Array2<f32>> {
        let Plan { name, rows, .. } = &self.stories[story];
        if self.stimulus_only {
            return Ok(Array2::zeros((rows.len(), 0)));
        }
        let TunedSubject { name: who, mask } = &self.subjects[subject];
        let mut bold = self.dataset.responses(who, name)?.rows(rows.clone())?;
        if self.nan_to_zero {
            bold = bold.nan_to_zero();
        }
        let bold = bold.into_bold();
        let n_voxels = bold.ncols();
        let kept: Vec<usize> = match mask {
            Some(mask) => (0..n_voxels).filter(|&voxel| mask[voxel]).collect(),
            None => (0..n_voxels).collect(),
        };
        let bold = bold.select(Axis(1), &kept);
        let mut bad = bold.indexed_iter().filter(|(_, value)| !value.is_finite());
        match bad.next() {
            Some(((row, column), _)) => Err(TuningError::NotFinite {
                subject: who.clone(),
                story: name.clone(),
                n_bad: 1 + bad.count(),
                row,
                voxel: kept[column],
            }),
            None => Ok(bold),
        }
    }

    fn load(&self, epoch: usize, index: usize) -> Result<TuningBatch> {
        let Some((story, index)) = self.place(epoch, index) else {
            return Err(TuningError::Empty {
                what: "batch",
                reason: format!("number {index} of {}", self.n_batches()),
            });
        };
        let plan = &self.stories[story];
        let (subject, rows) = plan.batches[index].clone();
        let (samples, bold) = self.read(story, subject)?;
        let mut clips = Array2::zeros((rows.len(), self.clip_len));
        for (mut clip, &end) in clips.outer_iter_mut().zip(&plan.ends[rows.clone()]) {
            if let Some(clip) = clip.as_slice_mut() {
                copy_clip(&samples, end, clip);
            }
        }
        let head = match self.heads {
            HeadSharing::PerSubject => subject,
            HeadSharing::Shared => 0,
        };
        let recording = format!("{}/{}", self.subjects[subject].name, plan.name);
        let ends = &plan.ends[rows.clone()];
        let bold = bold.slice_axis(Axis(0), rows.into()).to_owned();
        let batch = TuningBatch::new(head, recording, clips, bold);
        Ok(match &self.units {
            Some(units) => batch.with_units(units.of_clips(&plan.name, ends, self.clip_len)),
            None => batch,
        })
    }
}

impl TuningData for StoryBatches<'_> {
    fn n_batches(&self) -> usize {
        self.stories.iter().map(|plan| plan.batches.len()).sum()
    }

    fn batch(
        &self,
        epoch: usize,
        index: usize,
    ) -> Result<TuningBatch, Box<dyn Error + Send + Sync>> {
        Ok(self.load(epoch, index)?)
    }

    fn check(
        &self,
        share: Shard,
        on: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, Box<dyn Error + Send + Sync>> {
        Ok(self.check_stories(share.range(self.stories.len()), on)?)
    }

    fn digests(&self) -> Digests {
        let digests = self.digests.lock();
        digests.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn changed(&self, recorded: &Digests) -> Result<Vec<String>, Box<dyn Error + Send + Sync>> {
        Ok(self.differences(recorded)?)
    }

    fn fingerprint(&self) -> serde_json::Value {
        let stories = self.stories.iter().map(|plan| {
            let audio = self.dataset.story(&plan.name).ok().and_then(Story::audio);
            let bytes = audio.and_then(|path| Some(std::fs::metadata(path).ok()?.len()));
            json!({ "story": plan.name, "rows": plan.rows, "n_batches": plan.batches.len(), "audio_bytes": bytes })
        });
        let subjects = self.subjects.iter().map(|subject| {
            json!({ "subject": subject.name, "mask": subject.mask.as_ref().map(|m| digests::of_mask(m)) })
        });
        let mut all = json!({
            "dataset": self.dataset.name(),
            "stories": stories.collect::<Vec<_>>(),
            "subjects": subjects.collect::<Vec<_>>(),
        });
        if self.stimulus_only {
            all["units"] = json!(self.units.as_ref().map(StoryUnits::digest));
        }
        all
    }
}

mod contents;
mod voxels;

/// The samples up to `end` into `clip`, zeros where there are none.
fn copy_clip(samples: &[f32], end: i64, clip: &mut [f32]) {
    let first = end - clip.len() as i64;
    let from = first.clamp(0, samples.len() as i64);
    let to = end.clamp(from, samples.len() as i64);
    let (from, to) = (from as usize, to as usize);
    let offset = (from as i64 - first) as usize;
    if from < to {
        clip[offset..offset + to - from].copy_from_slice(&samples[from..to]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp)] // copies
    fn clips_are_chronological_with_zeros_where_there_is_no_sound() {
        let samples: Vec<f32> = (1_u8..=10).map(f32::from).collect();
        let clip = |end| {
            let mut clip = [0.0; 4];
            copy_clip(&samples, end, &mut clip);
            clip
        };
        assert_eq!(clip(6), [3.0, 4.0, 5.0, 6.0]);
        assert_eq!(clip(2), [0.0, 0.0, 1.0, 2.0]);
        assert_eq!(clip(12), [9.0, 10.0, 0.0, 0.0]);
        assert_eq!(clip(-3), [0.0; 4]);
        assert_eq!(clip(0), [0.0; 4]);
        assert_eq!(clip(99), [0.0; 4]);
    }
}
