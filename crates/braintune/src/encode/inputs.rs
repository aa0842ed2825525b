//! Everything that can be known to be wrong before the first window is extracted.
//!
//! Stories and their audio, TRs and their responses are matched here, once; later stages trust it.

use std::ops::Range;
use std::path::PathBuf;

use braintune_audio::probe_audio;
use braintune_encoding::Folds;
use braintune_fmri::{BadValues, FmriError, Responses, StoryDataset};
use braintune_ranks::Ranks;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::config::{BadVoxels, CrossValidation, EncodeConfig};
use super::repeats::Repeats;
use crate::ceilings::check_ceiling;
use crate::error::{BraintuneError, Result};
use crate::event::{Event, OnEvent, tell};
use crate::names::repeated;
use crate::provenance::{file_sha256, sha256_hex, values_sha256};
use crate::split::Split;
use crate::together::{see_same_files, share};

/// Stories of one participant, found and fit for use.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) train: Vec<StoryInput>,
    pub(super) test: Vec<StoryInput>,
    pub(super) n_voxels: usize,
    /// Stories that would be fitted on by default and have no responses.
    left_out: Vec<String>,
}

/// One story: where its audio is and which rows of its TR grid count.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoryInput {
    pub(super) name: String,
    pub(super) audio: PathBuf,
    /// Midpoints of all TRs of the grid, seconds from sound onset.
    pub(super) tr_times: Vec<f64>,
    /// Rows of the grid that are kept.
    pub(super) rows: Range<usize>,
    /// Hearings of a test story that are stored one by one; 0 where there are none.
    pub(super) n_repeats: usize,
    audio_sha256: String,
    responses_sha256: String,
}

impl Inputs {
    pub(super) fn check(
        dataset: &dyn StoryDataset,
        config: &EncodeConfig,
        split: Split<'_>,
        on: &mut OnEvent<'_>,
    ) -> Result<Self> {
        let subject = &config.subject;
        dataset.check_subject(subject)?;
        let names = story_names(dataset, config)?;
        let mut n_voxels = None;
        for (name, _) in &names {
            quick_check(dataset, subject, name, &mut n_voxels)?;
        }
        let n_voxels = n_voxels.unwrap_or_default();
        config.regions.check(n_voxels)?;
        check_numbers(config, n_voxels)?;
        let mut inputs = Self {
            train: Vec::new(),
            test: Vec::new(),
            n_voxels,
            left_out: without_responses(dataset, config),
        };
        say_left_out(&inputs.left_out, subject);
        let total = names.len();
        let mut done = 0;
        let check = |place: usize| {
            let (name, is_test) = &names[place];
            let event = Event::Checking {
                story: name,
                done,
                total,
            };
            tell(on, event)?;
            done += 1;
            StoryInput::check(dataset, config, name, *is_test)
        };
        let stories = match split.fellows() {
            Some(ranks) if one_reads(ranks, dataset, subject, &names)? => {
                share(ranks, &vec![1.0; total], check)?
            }
            _ => (0..total).map(check).collect::<Result<Vec<_>>>()?,
        };
        for (story, (_, is_test)) in stories.into_iter().zip(&names) {
            let place = if *is_test {
                &mut inputs.test
            } else {
                &mut inputs.train
            };
            place.push(story);
        }
        check_delays(&inputs.train, config)?;
        check_delays(&inputs.test, config)?;
        inputs.folds(config)?; // settings that give none are said before anything long begins
        Ok(inputs)
    }

    /// The folds over the training rows.
    pub(super) fn folds(&self, config: &EncodeConfig) -> Result<Folds> {
        let rows_per_story: Vec<usize> = self.train.iter().map(|story| story.rows.len()).collect();
        config.cv.folds(&rows_per_story, config.seed)
    }

    /// Training stories, then test stories.
    pub(super) fn stories(&self) -> impl Iterator<Item = &StoryInput> {
        self.train.iter().chain(&self.test)
    }

    pub(super) fn n_stories(&self) -> usize {
        self.train.len() + self.test.len()
    }

    /// What ranks must have the same of, by story.
    pub(super) fn prints(&self) -> impl Iterator<Item = (String, String)> {
        self.stories().flat_map(|story| {
            [
                (
                    format!("the sound of {}", story.name),
                    story.audio_sha256.clone(),
                ),
                (
                    format!("the responses to {}", story.name),
                    story.responses_sha256.clone(),
                ),
            ]
        })
    }

    /// Hashes of the `TextGrid`s of stories that have one, for features that are made of labels.
    pub(super) fn labels_sha256(&self, dataset: &dyn StoryDataset) -> Result<Value> {
        let mut hashes = serde_json::Map::new();
        for story in self.stories() {
            if let Some(path) = dataset.story(&story.name)?.textgrid() {
                hashes.insert(story.name.clone(), file_sha256(path)?.into());
            }
        }
        Ok(hashes.into())
    }

    /// Settings and hashes, for provenance and for the key of a result.
    pub(super) fn record(
        &self,
        config: &EncodeConfig,
        (model_name, weights): (&str, &str),
        features: &str,
        repeats: &Repeats,
    ) -> Value {
        let stories = |stories: &[StoryInput]| -> Vec<Value> {
            stories
                .iter()
                .map(|story| {
                    json!({
                        "story": story.name,
                        "audio_sha256": story.audio_sha256,
                        "responses_f32_sha256": story.responses_sha256,
                        "rows": [story.rows.start, story.rows.end],
                    })
                })
                .collect()
        };
        let mut record = json!({
            "subject": config.subject,
            "model": model_name,
            "model_sha256": weights,
            "features": features,
            "train": stories(&self.train),
            "test": stories(&self.test),
            "delays": config.delays.as_slice(),
            "alphas": config.alphas.as_slice(),
            "cv": match &config.cv {
                CrossValidation::Rows(rows) => sha256_hex(json!(rows).to_string().as_bytes()),
                cv => format!("{cv:?}"),
            },
            "score": format!("{:?}", config.score),
            "delays_cross_stories": config.delays_cross_stories,
            "bad_voxels": format!("{:?}", config.bad_voxels),
            "ceiling": repeats.record(config),
            "permutations": config.n_permutations,
            "bootstraps": config.n_bootstraps,
            "regions": config.regions,
            "seed": config.seed,
        });
        if !self.left_out.is_empty() {
            record["left_out"] = json!(self.left_out);
        }
        record
    }
}

/// Whether a story can be read by one rank for all: they see the same files.
fn one_reads(
    ranks: &dyn Ranks,
    dataset: &dyn StoryDataset,
    subject: &str,
    names: &[(String, bool)],
) -> Result<bool> {
    let mut files = Vec::new();
    for (name, _) in names {
        let responses = dataset.response_file(subject, name);
        // Of a dataset that keeps them elsewhere nothing is known: a path that no rank has in common with another.
        let responses =
            responses.unwrap_or_else(|| PathBuf::from(format!("of rank {}", ranks.rank())));
        files.extend([
            dataset.story(name)?.require_audio()?.to_path_buf(),
            responses,
        ]);
    }
    see_same_files(ranks, files.into_iter())
}

/// Stories that would be fitted on and have no responses; none where the training stories were given.
fn without_responses(dataset: &dyn StoryDataset, config: &EncodeConfig) -> Vec<String> {
    if config.train_stories.is_some() {
        return Vec::new();
    }
    let stories = dataset.stories().iter().map(braintune_fmri::Story::name);
    stories
        .filter(|name| !config.test_stories.iter().any(|test| test == name))
        .filter(|name| !dataset.has_responses(&config.subject, name))
        .map(str::to_owned)
        .collect()
}

fn say_left_out(stories: &[String], subject: &str) {
    const MAX_NAMED: usize = 10;
    if stories.is_empty() {
        return;
    }
    let named = stories.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>();
    let more = match stories.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    tracing::warn!(
        "left out, no responses of {subject}: {}{more}; braintune check says whether files have another name",
        named.join(", ")
    );
}

/// Training and test stories by name, training first; `true` marks a test story.
fn story_names(dataset: &dyn StoryDataset, config: &EncodeConfig) -> Result<Vec<(String, bool)>> {
    let test = &config.test_stories;
    let train = config.train_stories.clone().unwrap_or_else(|| {
        let usable = dataset.stories().iter().map(braintune_fmri::Story::name);
        usable
            .filter(|name| !test.iter().any(|test| test == name))
            .filter(|name| dataset.has_responses(&config.subject, name))
            .map(str::to_owned)
            .collect()
    });
    if train.is_empty() || test.is_empty() {
        return Err(BraintuneError::Input(format!(
            "{} training and {} test stories: at least one of each is needed",
            train.len(),
            test.len()
        )));
    }
    if let Some(twice) = repeated(train.iter().chain(test).map(String::as_str)) {
        return Err(BraintuneError::Input(format!(
            "story {twice} is named twice among training and test stories"
        )));
    }
    let train = train.into_iter().map(|name| (name, false));
    Ok(train
        .chain(test.iter().map(|name| (name.clone(), true)))
        .collect())
}

/// Headers only: audio is there and whole, rows and voxels are what they should be.
fn quick_check(
    dataset: &dyn StoryDataset,
    subject: &str,
    name: &str,
    n_voxels: &mut Option<usize>,
) -> Result<()> {
    let audio = dataset.story(name)?.require_audio()?;
    let length_s = probe_audio(audio)?.duration_s();
    let timing = dataset.timing(name)?;
    let expected = dataset.sound_lengths_s(name)?;
    if let Some(length_s) = length_s.filter(|length_s| !expected.contains(length_s)) {
        let most = match *expected.end() {
            most if most.is_finite() => format!("{:.1} to {most:.1} s", expected.start()),
            _ => format!("at least {:.1} s", expected.start()),
        };
        return Err(BraintuneError::Input(format!(
            "story {name}: {} holds {length_s:.1} s of audio, its TRs end at {:.1} s: expected a sound of {most}; is it the right file?",
            audio.display(),
            timing.end_s()
        )));
    }
    let (_, n) = dataset.response_shape(subject, name)?;
    match *n_voxels {
        Some(expected) if expected != n => Err(BraintuneError::Input(format!(
            "story {name} of {subject} has {n} voxels, the stories before it have {expected}"
        ))),
        _ => {
            *n_voxels = Some(n);
            Ok(())
        }
    }
}

/// How often a story was heard, where single hearings are stored.
fn n_repeats(dataset: &dyn StoryDataset, subject: &str, story: &str) -> Result<usize> {
    match dataset.repeats_columns(subject, story, 0..0) {
        Ok(repeats) => Ok(repeats.len()),
        Err(FmriError::NoRepeats { .. }) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

fn check_numbers(config: &EncodeConfig, n_voxels: usize) -> Result<()> {
    let (permutations, bootstraps) = (config.n_permutations, config.n_bootstraps);
    EncodeConfig::check_numbers(permutations, bootstraps, config.ceiling_threshold)
        .map_err(BraintuneError::Input)?;
    let Some(ceiling) = &config.noise_ceiling else {
        return Ok(());
    };
    let refused = |problem| BraintuneError::Input(format!("{}: {problem}", config.subject));
    check_ceiling(ceiling.view(), n_voxels).map_err(refused)
}

/// Delays that reach past every story would leave designs of zeros.
fn check_delays(stories: &[StoryInput], config: &EncodeConfig) -> Result<()> {
    let longest = config
        .delays
        .as_slice()
        .iter()
        .copied()
        .max()
        .unwrap_or_default();
    match stories.iter().find(|story| story.rows.len() <= longest) {
        None => Ok(()),
        Some(story) => Err(BraintuneError::Input(format!(
            "story {} keeps {} TRs, a delay of {longest} TRs reaches past all of them",
            story.name,
            story.rows.len()
        ))),
    }
}

impl StoryInput {
    /// Whether the mean of several hearings stands for the response.
    pub(super) fn is_repeated(&self) -> bool {
        self.n_repeats > 1
    }

    fn check(
        dataset: &dyn StoryDataset,
        config: &EncodeConfig,
        name: &str,
        is_test: bool,
    ) -> Result<Self> {
        let trim = if is_test {
            config.test_trim
        } else {
            config.trim
        };
        let timing = dataset.timing(name)?;
        let rows = trim
            .rows(timing.n_trs())
            .map_err(|e| BraintuneError::Input(format!("story {name}: {e} TRs")))?;
        if rows.len() < 2 {
            return Err(BraintuneError::Input(format!(
                "story {name}: a trim of {trim} leaves one TR of {}, of which no correlation can be taken",
                timing.n_trs()
            )));
        }
        let all = dataset.responses(&config.subject, name)?;
        let responses = all.rows(rows.clone());
        let responses = responses
            .map_err(|e| BraintuneError::Input(format!("story {name} (trim {trim}): {e}")))?;
        check_values(&responses, config, name)?;
        let audio = dataset.story(name)?.require_audio()?.to_path_buf();
        Ok(Self {
            name: name.to_owned(),
            tr_times: timing.tr_times().to_vec(),
            rows,
            n_repeats: if is_test {
                n_repeats(dataset, &config.subject, name)?
            } else {
                0
            },
            audio_sha256: file_sha256(&audio)?,
            responses_sha256: values_sha256(all.bold()),
            audio,
        })
    }
}

/// NaN, infinite and constant voxels: an error, or a warning where they are taken as zero.
fn check_values(responses: &Responses, config: &EncodeConfig, story: &str) -> Result<()> {
    let bad = responses.bad_values();
    let subject = &config.subject;
    if let Some(voxel) = bad.implausible_voxels.first() {
        tracing::warn!(
            "story {story} of {subject}: {} voxels have values beyond {:e}, the first is voxel {voxel}: no recording has them, were they damaged?",
            bad.implausible_voxels.len(),
            BadValues::PLAUSIBLE
        );
    }
    if bad.is_empty() {
        return Ok(());
    }
    let place = bad.first.map_or(String::new(), |(row, voxel)| {
        format!(", the first at row {row}, voxel {voxel} of the rows used")
    });
    let found = format!(
        "story {story} of {subject}: {} voxels hold NaN, {} infinite values, {} are constant{place}",
        bad.nan_voxels.len(),
        bad.infinite_voxels.len(),
        bad.constant_voxels.len(),
    );
    match config.bad_voxels {
        _ if bad.n_infinite > 0 => Err(BraintuneError::Input(format!(
            "{found}; mend the infinite ones, they are never used"
        ))),
        BadVoxels::Zero => {
            tracing::warn!("{found}; NaN is taken as 0, these voxels get low or no correlation");
            Ok(())
        }
        BadVoxels::Stop => Err(BraintuneError::Input(format!(
            "{found}; `--bad-voxels zero` takes NaN as 0 and goes on, as the field's reference code does"
        ))),
    }
}
