//! From a configuration to a folder: the order in which things are drawn and written.
//!
//! Each story draws from streams of its own, so that it does not depend on the stories before it.
//! `ground_truth.json` comes first and marks the folder as ours, `respdict.json`, without which no
//! reader opens the dataset, comes last. Held by `tests/it/main.rs`.

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

use crate::lexicon::{Word, draw_lexicon};
use crate::speech::tell_story;
use crate::voxels::{Voxel, draw_voxels, rois};
use crate::{
    Result, SimulatedParticipant, SimulationConfig, SimulationError, acoustics, responses, truth,
    write,
};

const TEST_STORY: &str = "thelasttrain";
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

/// Simulates a participant and writes it to the folder `out`, which is created.
///
/// ```text
/// derivative/preprocessed_data/SIM01/<story>.hf5   `data` [n_trs, n_voxels] f32, z-scored; of the
///                                                  test story also `individual_repeats`
/// derivative/TextGrids/<story>.TextGrid            tiers `phone` and `word`
/// derivative/respdict.json                         story -> TRs, the test story last
/// stimuli/<story>.wav                              16 kHz, mono, 16 bit
/// rois.json  noise_ceiling.npy  ground_truth.json  the truth
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
) -> Result<SimulatedParticipant> {
    config.check()?;
    let voxels = draw_voxels(config, &mut stream(config, Draw::Voxels));
    let participant = participant(config, out, &voxels);
    let truth = truth::ground_truth(config, &participant, &voxels);
    check_unoccupied(&participant, &truth)?;
    create_dirs(&participant)?;
    write::write_bytes(&participant.ground_truth_path(), &truth)?;
    write::write_bytes(&participant.rois_path(), &truth::rois(&participant))?;
    write::write_npy(
        &participant.noise_ceiling_path(),
        participant.noise_ceiling(),
    )?;

    let simulation = Simulation {
        config,
        participant: &participant,
        lexicon: draw_lexicon(&mut stream(config, Draw::Lexicon)),
        voxels: &voxels,
    };
    let stories = simulation.stories();
    go_on(on(SimulationEvent::Started {
        n_stories: stories.len(),
    }))?;
    let mut n_acquired = Vec::with_capacity(stories.len());
    for (k, story) in stories.iter().enumerate() {
        let timing = simulation.write_story(k, story)?;
        n_acquired.push((story.name, responses::n_acquired(&timing)));
        go_on(on(SimulationEvent::StoryWritten {
            n_written: k + 1,
            story: story.name.into(),
        }))?;
    }
    write::write_bytes(&participant.respdict_path(), &truth::respdict(&n_acquired))?;
    Ok(participant)
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
    Voxels,
    Lexicon,
    /// The sound of the story at this place.
    Speech(usize),
    /// The noise in the responses to it.
    Noise(usize),
}

fn stream(config: &SimulationConfig, draw: Draw) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed());
    rng.set_stream(match draw {
        Draw::Voxels => 0,
        Draw::Lexicon => 1,
        Draw::Speech(k) => 2 + 2 * k as u64,
        Draw::Noise(k) => 3 + 2 * k as u64,
    });
    rng
}

fn participant(config: &SimulationConfig, out: &Path, voxels: &[Voxel]) -> SimulatedParticipant {
    let name = |k: usize| match TRAIN_STORIES.get(k) {
        Some(&name) => name.to_owned(),
        None => format!("story{:03}", k + 1),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "ceilings are stored as f32"
    )]
    let ceilings = voxels.iter().map(|voxel| voxel.noise_ceiling as f32);
    SimulatedParticipant::new(
        out,
        (0..config.n_train_stories()).map(name).collect(),
        TEST_STORY.into(),
        rois(voxels),
        Array::from_iter(ceilings),
    )
}

/// An error if the folder holds a dataset, or a part of one, that is not this simulation.
fn check_unoccupied(participant: &SimulatedParticipant, truth: &[u8]) -> Result<()> {
    let dir = participant.dataset_dir();
    let path = participant.ground_truth_path();
    let is_ours = match fs::read(&path) {
        Ok(found) => found == truth,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let entries = ["derivative", "stimuli", "rois.json", "noise_ceiling.npy"];
            !entries.iter().any(|entry| dir.join(entry).exists())
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

fn create_dirs(participant: &SimulatedParticipant) -> Result<()> {
    let story = participant.test_story();
    let files = [
        participant.ground_truth_path(),
        participant.audio_path(story),
        participant.textgrid_path(story),
        participant.response_path(story),
    ];
    files
        .iter()
        .filter_map(|file| file.parent())
        .try_for_each(write::create_dir)
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
    participant: &'a SimulatedParticipant,
    lexicon: Vec<Word>,
    voxels: &'a [Voxel],
}

impl Simulation<'_> {
    fn stories(&self) -> Vec<PlannedStory<'_>> {
        let train = self
            .participant
            .train_stories()
            .iter()
            .map(|name| PlannedStory {
                name,
                story_s: self.config.story_s(),
                n_hearings: 1,
            });
        let test = PlannedStory {
            name: self.participant.test_story(),
            story_s: self.config.test_story_s(),
            n_hearings: self.config.n_repeats(),
        };
        train.chain([test]).collect()
    }

    fn write_story(&self, k: usize, story: &PlannedStory<'_>) -> Result<StoryTiming> {
        let speech_rng = &mut stream(self.config, Draw::Speech(k));
        let spoken = tell_story(&self.lexicon, story.story_s, speech_rng)?;
        write_wav(&self.participant.audio_path(story.name), &spoken.waveform)?;
        write_textgrid(
            &self.participant.textgrid_path(story.name),
            &spoken.textgrid,
        )?;

        let timing = responses::timing(story.story_s)?;
        let features = acoustics::features(&spoken.waveform)?;
        let signals = responses::signals(features.view(), self.voxels, &timing);
        let noise_rng = &mut stream(self.config, Draw::Noise(k));
        let path = self.participant.response_path(story.name);
        if story.n_hearings == 1 {
            let data = responses::hearing(signals.view(), self.voxels, noise_rng);
            write_responses(&path, data.mapv(to_f32).view())?;
        } else {
            let repeats =
                responses::hearings(signals.view(), self.voxels, story.n_hearings, noise_rng);
            let data = responses::averaged(&repeats).mapv(to_f32);
            write::write_repeated_responses(&path, &data, &repeats.mapv(to_f32))?;
        }
        debug!(story = story.name, n_trs = signals.nrows(), "story written");
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
