//! From a configuration to a folder: the order in which things are drawn and written.
//!
//! Each story draws from streams of its own, so that it does not depend on the stories before it.
//! `ground_truth.json` comes first and marks the folder as ours, `respdict.json`, without which no
//! reader opens the dataset, comes last. Held by `tests/it/dataset.rs` and
//! `tests/it/reproducible.rs`.

use std::fs;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;

use braintune_audio::write_wav;
use braintune_fmri::{StoryTiming, write_responses, write_textgrid};
use ndarray::Array;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use tracing::{debug, instrument};

use crate::dataset::{SimulatedDataset, SimulatedParticipant};
use crate::lexicon::Lexicon;
use crate::speech::tell_story;
use crate::voxels::{Voxel, draw_voxels, rois};
use crate::{Result, SimulationConfig, SimulationError, features, responses, truth, write};

/// Names of the first test stories; later ones are numbered.
const TEST_STORIES: [&str; 4] = ["thelasttrain", "quietharbour", "thegreendoor", "atnoon"];
/// Names of the first training stories; later ones are numbered.
const TRAIN_STORIES: [&str; 8] = [
    "paperboats",
    "thelighthouse",
    "winterkeys",
    "twobridges",
    "saltandcopper",
    "theorchard",
    "lanterns",
    "aletterhome",
];

/// How far a simulation has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SimulationEvent {
    /// The simulation begins.
    Started {
        /// Stories to be written, the test story included.
        n_stories: usize,
    },
    /// All files of a story are on disk.
    StoryWritten {
        /// Stories written so far, this one included.
        n_written: usize,
        /// Its name.
        story: String,
    },
}

/// Simulates participants and writes them to the folder `out`, which is created.
///
/// ```text
/// derivative/preprocessed_data/SIM01/<story>.hf5   `data` [n_trs, n_voxels] f32, z-scored; of the
///                                                  test stories also `individual_repeats`
/// derivative/TextGrids/<story>.TextGrid            tiers `phone` and `word`
/// derivative/respdict.json                         story -> TRs, the test stories last
/// stimuli/<story>.wav                              16 kHz, mono, 16 bit
/// word_classes.csv                                 what words mean
/// rois.json  noise_ceiling-SIM01.npy  ground_truth.json  the truth
/// ```
///
/// A file appears under its name when it is complete, and `respdict.json`, without which the dataset
/// cannot be opened, when all others are there. A run that was interrupted can be repeated. `on` may
/// stop it.
///
/// # Errors
///
/// [`SimulationError::Config`] if a setting is out of range; [`SimulationError::Occupied`] if `out`
/// holds a dataset that this configuration did not write, which stays untouched;
/// [`SimulationError::Cancelled`]; [`SimulationError::Io`], [`SimulationError::Hdf5`],
/// [`SimulationError::Audio`] or [`SimulationError::Fmri`] if a file cannot be written.
#[instrument(skip_all, fields(seed = config.seed(), n_voxels = config.n_voxels()))]
pub fn simulate(
    config: &SimulationConfig,
    out: &Path,
    on: &mut dyn FnMut(SimulationEvent) -> ControlFlow<()>,
) -> Result<SimulatedDataset> {
    config.check()?;
    let voxels: Vec<Vec<Voxel>> = (0..config.n_participants())
        .map(|k| draw_voxels(config, &mut stream(config, Draw::Voxels(k))))
        .collect();
    let dataset = dataset(config, out, &voxels);
    let truth = truth::ground_truth(config, &dataset, &voxels);
    check_unoccupied(&dataset, &truth)?;
    create_dirs(&dataset)?;
    write::write_bytes(&dataset.ground_truth_path(), &truth)?;
    write::write_bytes(&dataset.rois_path(), &truth::rois(&dataset))?;
    for participant in dataset.participants() {
        write::write_npy(
            participant.noise_ceiling_path(),
            participant.noise_ceiling(),
        )?;
    }
    let simulation = Simulation {
        config,
        dataset: &dataset,
        lexicon: Lexicon::draw(&mut stream(config, Draw::Lexicon)),
        voxels: &voxels,
    };
    if !config.has_own_words_per_story() {
        let classes = simulation.lexicon.classes_csv();
        write::write_bytes(&dataset.word_classes_path(), &classes)?;
    }
    let n_acquired = simulation.write_stories(on)?;
    write::write_bytes(&dataset.respdict_path(), &truth::respdict(&n_acquired))?;
    Ok(dataset)
}

fn go_on(flow: ControlFlow<()>) -> Result<()> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(SimulationError::Cancelled),
    }
}

/// What is drawn from a stream of its own.
#[derive(Clone, Copy)]
enum Draw {
    /// The voxels of the participant at this place.
    Voxels(usize),
    Lexicon,
    /// The sound of the story at this place.
    Speech(usize),
    /// The noise in the responses to it, of the participant at the first place.
    Noise(usize, usize),
    /// Its words, where it has words of its own.
    Words(usize),
}

/// Streams of one participant.
const PER_PARTICIPANT: u64 = 1 << 32;

fn stream(config: &SimulationConfig, draw: Draw) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed());
    rng.set_stream(match draw {
        Draw::Voxels(participant) => PER_PARTICIPANT * participant as u64,
        Draw::Lexicon => 1,
        Draw::Speech(k) => 2 + 2 * k as u64,
        Draw::Noise(participant, k) => 3 + 2 * k as u64 + PER_PARTICIPANT * participant as u64,
        Draw::Words(k) => 1000 + k as u64,
    });
    rng
}

fn dataset(config: &SimulationConfig, out: &Path, voxels: &[Vec<Voxel>]) -> SimulatedDataset {
    let participant = |(k, voxels): (usize, &Vec<Voxel>)| {
        let subject = format!("SIM{:02}", k + 1);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "ceilings are stored as f32"
        )]
        let ceilings = voxels.iter().map(|voxel| voxel.noise_ceiling as f32);
        SimulatedParticipant {
            noise_ceiling_path: out.join(format!("noise_ceiling-{subject}.npy")),
            noise_ceiling: Array::from_iter(ceilings),
            subject,
        }
    };
    SimulatedDataset {
        dir: out.into(),
        train_stories: names(&TRAIN_STORIES, "story", config.n_train_stories()),
        test_stories: names(&TEST_STORIES, "test", config.n_test_stories()),
        rois: rois(voxels.first().map_or(&[], Vec::as_slice)),
        participants: voxels.iter().enumerate().map(participant).collect(),
    }
}

/// `n` names, the first from a list.
fn names(first: &[&str], prefix: &str, n: usize) -> Vec<String> {
    let name = |k: usize| match first.get(k) {
        Some(&name) => name.to_owned(),
        None => format!("{prefix}{:03}", k + 1),
    };
    (0..n).map(name).collect()
}

/// An error if the folder holds a dataset, or a part of one, that is not this simulation.
fn check_unoccupied(dataset: &SimulatedDataset, truth: &[u8]) -> Result<()> {
    let dir = dataset.dataset_dir();
    let path = dataset.ground_truth_path();
    let is_ours = match fs::read(&path) {
        Ok(found) => found == truth,
        // The truth is written first: whatever is there without it is somebody else's.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
        }
        Err(source) => {
            return Err(SimulationError::Io {
                doing: "read",
                path,
                source,
            });
        }
    };
    if is_ours {
        Ok(())
    } else {
        Err(SimulationError::Occupied { path: dir.into() })
    }
}

fn create_dirs(dataset: &SimulatedDataset) -> Result<()> {
    let story = dataset.test_story();
    let responses = dataset
        .participants()
        .iter()
        .map(|participant| dataset.response_path(participant.subject(), story));
    let files = [
        dataset.ground_truth_path(),
        dataset.audio_path(story),
        dataset.textgrid_path(story),
    ];
    files
        .into_iter()
        .chain(responses)
        .filter_map(|file| file.parent().map(Path::to_path_buf))
        .try_for_each(|folder| write::create_dir(&folder))
}

/// A story to be written.
struct PlannedStory<'a> {
    name: &'a str,
    story_s: f64,
    n_hearings: usize,
}

/// What all stories of a simulation share.
struct Simulation<'a> {
    config: &'a SimulationConfig,
    dataset: &'a SimulatedDataset,
    lexicon: Lexicon,
    voxels: &'a [Vec<Voxel>],
}

impl<'a> Simulation<'a> {
    fn stories(&self) -> Vec<PlannedStory<'a>> {
        let planned = |story_s, n_hearings| {
            move |name: &'a String| PlannedStory {
                name,
                story_s,
                n_hearings,
            }
        };
        let (config, dataset) = (self.config, self.dataset);
        let train = dataset.train_stories.iter();
        let test = dataset.test_stories.iter();
        train
            .map(planned(config.story_s(), 1))
            .chain(test.map(planned(config.test_story_s(), config.n_repeats())))
            .collect()
    }

    /// Writes every story; the TRs that each has in `respdict.json`.
    fn write_stories(
        &self,
        on: &mut dyn FnMut(SimulationEvent) -> ControlFlow<()>,
    ) -> Result<Vec<(&'a str, usize)>> {
        let stories = self.stories();
        go_on(on(SimulationEvent::Started {
            n_stories: stories.len(),
        }))?;
        let mut n_acquired = Vec::with_capacity(stories.len());
        for (k, story) in stories.iter().enumerate() {
            let timing = self.write_story(k, story)?;
            n_acquired.push((story.name, responses::n_acquired(&timing)));
            go_on(on(SimulationEvent::StoryWritten {
                n_written: k + 1,
                story: story.name.into(),
            }))?;
        }
        Ok(n_acquired)
    }

    fn write_story(&self, k: usize, story: &PlannedStory<'_>) -> Result<StoryTiming> {
        let own_words = self
            .config
            .has_own_words_per_story()
            .then(|| Lexicon::draw(&mut stream(self.config, Draw::Words(k))));
        let lexicon = own_words.as_ref().unwrap_or(&self.lexicon);
        let speech_rng = &mut stream(self.config, Draw::Speech(k));
        let spoken = tell_story(lexicon, story.story_s, speech_rng)?;
        write_wav(&self.dataset.audio_path(story.name), &spoken.waveform)?;
        write_textgrid(&self.dataset.textgrid_path(story.name), &spoken.textgrid)?;

        let timing = responses::timing(story.story_s)?;
        let features = features::features(&spoken)?;
        for (p, voxels) in self.voxels.iter().enumerate() {
            let signals = responses::signals(features.view(), voxels, &timing);
            let noise_rng = &mut stream(self.config, Draw::Noise(p, k));
            let subject = self.dataset.participants[p].subject();
            let path = self.dataset.response_path(subject, story.name);
            if story.n_hearings == 1 {
                let data = responses::hearing(signals.view(), voxels, noise_rng);
                write_responses(&path, data.mapv(to_f32).view())?;
            } else {
                let repeats =
                    responses::hearings(signals.view(), voxels, story.n_hearings, noise_rng);
                let data = responses::averaged(&repeats).mapv(to_f32);
                write::write_repeated_responses(&path, &data, &repeats.mapv(to_f32))?;
            }
        }
        debug!(
            story = story.name,
            n_trs = timing.stored().len(),
            "story written"
        );
        Ok(timing)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "responses are stored as f32"
)]
fn to_f32(value: f64) -> f32 {
    value as f32
}
