//! `braintune simulate`: simulated participants on disk.

use std::path::PathBuf;
use std::process::ExitCode;

use braintune::Event;
use braintune::simulation::{SimulatedParticipant, SimulationConfig, simulate};

use crate::progress::Progress;

/// Simulated participants with known ground truth, in the layout of ds003020.
///
/// Stories of synthetic speech with TextGrids; responses of regions that are driven by spectra and MFCC, loudness,
/// phones, the meaning of words (which their sound does not give) or nothing, through a haemodynamic response that
/// differs from voxel to voxel, plus autocorrelated noise; test stories heard several times. Beside them rois.json,
/// word_classes.csv, noise_ceiling-SUBJECT.npy and ground_truth.json.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for the dataset
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Same seed, same dataset; another seed is another language
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Participants, who hear the same stories
    #[arg(long, value_name = "N", default_value_t = SimulationConfig::default().n_participants())]
    participants: usize,
    /// Stories heard once
    #[arg(long, value_name = "N", default_value_t = SimulationConfig::default().n_train_stories())]
    train_stories: usize,
    /// Stories heard several times
    #[arg(long, value_name = "N", default_value_t = SimulationConfig::default().n_test_stories())]
    test_stories: usize,
    /// How often these are heard
    #[arg(long, value_name = "N", default_value_t = SimulationConfig::default().n_repeats())]
    repeats: usize,
    /// Seconds of a story heard once
    #[arg(long, value_name = "S", default_value_t = SimulationConfig::default().story_s())]
    story_s: f64,
    /// Seconds of a story heard several times
    #[arg(long, value_name = "S", default_value_t = SimulationConfig::default().test_story_s())]
    test_story_s: f64,
    /// Voxels of each participant
    #[arg(long, value_name = "N", default_value_t = SimulationConfig::default().n_voxels())]
    voxels: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = SimulationConfig::default()
        .with_seed(args.seed)
        .with_n_participants(args.participants)
        .with_n_train_stories(args.train_stories)
        .with_n_test_stories(args.test_stories)
        .with_n_repeats(args.repeats)
        .with_story_s(args.story_s)
        .with_test_story_s(args.test_story_s)
        .with_n_voxels(args.voxels);
    let mut progress = Progress::new();
    let simulated = simulate(&config, &args.out, &mut |_| {
        progress.on(Event::Stage("simulating"))
    });
    drop(progress);
    let simulated = simulated.map_err(braintune::BraintuneError::from)?;
    let subjects = simulated
        .participants()
        .iter()
        .map(SimulatedParticipant::subject);
    say!(
        "wrote {}: {}, {} training stories, test stories {}",
        args.out.display(),
        subjects.collect::<Vec<_>>().join(", "),
        simulated.train_stories().len(),
        simulated.test_stories().join(", ")
    );
    Ok(ExitCode::SUCCESS)
}
