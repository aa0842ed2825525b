//! `braintune encode`: the main job on a dataset.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use braintune::arrays::{read_folds, read_vector};
use braintune::backbone::Windows;
use braintune::encode::{
    BadVoxels, CrossValidation, EncodeConfig, ModelFeatures, Outcome, Regions, run_on_grid_split,
    run_split,
};
use braintune::encoding::{Alphas, Delays};
use braintune::fmri::{Story, StoryDataset, Trim};
use braintune::lowlevel::{LowLevelSpace, grid_features};
use braintune::{Event, Folders, Split};
use clap::{ArgGroup, ValueEnum};

use super::model::{CacheArgs, ModelArgs, SOURCE, WindowArgs};
use super::stories::{expand, expand_given};
use super::{ShardArgs, check_out_folder, open, report};
use crate::progress::Progress;

/// Test story of ds003020, which was heard ten times.
const USUAL_TEST_STORY: &str = "wheretheressmoke";

/// How well every layer of a model predicts every voxel of a participant.
///
/// Features at window ends, Lanczos to the TRs, z-score per story, FIR delays inside each story,
/// ridge (penalty alpha squared) with one alpha per voxel chosen by leaving a story out, Pearson r
/// on the test stories, with the mean of a story's single repeats where the dataset has them.
/// Writes alignment.csv (mean r per layer and region, r / noise ceiling, 95 % interval, q value of
/// mean r > 0), voxels.npz (r, best_alpha [n_layers, n_voxels], noise_ceiling [n_voxels]) and
/// provenance.json into --out. Interrupt it with Ctrl-C as you like: the same command goes on from
/// what is done.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new(SOURCE).required(true)))]
pub(crate) struct Args {
    /// Dataset: the layout of OpenNeuro ds003020, a folder with a dataset.toml, or BIDS
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Participant, e.g. UTS03
    #[arg(long)]
    subject: String,
    #[command(flatten)]
    model: ModelArgs,
    /// Low-level features in place of a model, one row of alignment.csv each: acoustic (power spectrum, MFCC and
    /// energy), power-spectrum, mfcc, energy, word-rate, phoneme-rate, phonemes, diphones, triphones, articulation, or
    /// several as one, word-rate+mfcc. All but the first four are made of the dataset's TextGrids
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', group = SOURCE)]
    features: Option<Vec<LowLevelSpace>>,
    /// Low-level features, as for --features, to take out of every layer by a ridge (penalties 1e-6 to 1e9, one per
    /// column by ten folds) before it is encoded: the low-level impact is what the alignment loses by it
    #[arg(long, value_name = "A|A+B")]
    remove: Option<LowLevelSpace>,
    #[command(flatten)]
    cache: CacheArgs,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Stories to fit on, or a published list of ds003020: first-27, encoding-train, tuning-train, …
    /// [default: every other story with responses]
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    train_stories: Option<Vec<String>>,
    /// Stories to test on
    #[arg(
        long,
        alias = "test-story",
        value_name = "C,…",
        value_delimiter = ',',
        default_value = USUAL_TEST_STORY
    )]
    test_stories: Vec<String>,
    #[command(flatten)]
    windows: WindowArgs,
    /// FIR delays in TRs
    #[arg(
        long,
        value_name = "TRS",
        allow_hyphen_values = true,
        default_value = EncodeConfig::DELAYS
    )]
    delays: Delays,
    /// Alphas, rising; the penalty is alpha squared, S/(S^2+alpha^2)
    #[arg(
        long,
        value_name = "GRID",
        allow_hyphen_values = true,
        default_value = EncodeConfig::ALPHAS
    )]
    alphas: Alphas,
    /// How alphas are chosen: leave one story out, or bootstrapped chunks [default: story; bootstrap with --compat huth]
    #[arg(long, conflicts_with = "folds")]
    cv: Option<Cv>,
    /// Validation rows of each fold in place of --cv: JSON [[row, …], …], counted from 0 over the kept
    /// TRs of the training stories one after another, in the order of --train-stories; all others train
    #[arg(long, value_name = "F.json")]
    folds: Option<PathBuf>,
    /// What chooses the alpha [default: r2; signed square root of R2 with --compat huth]
    #[arg(long)]
    score: Option<super::ridge::Score>,
    /// TRs dropped at the start and end of each training story [default: the dataset's, 10,5]
    #[arg(long, value_name = "N,M")]
    trim: Option<Trim>,
    /// TRs dropped at the start and end of each test story [default: the dataset's, 50,5]
    #[arg(long, value_name = "N,M")]
    test_trim: Option<Trim>,
    /// Regions of interest: JSON {"name": [voxel indices from 0, …], …}
    #[arg(long, value_name = "F.json")]
    rois: Option<PathBuf>,
    /// Noise ceiling (a correlation) of each voxel [default: CCmax from the repeats of the test story, where it has any]
    #[arg(long, value_name = "F.npy")]
    noise_ceiling: Option<PathBuf>,
    /// Voxels at or below this ceiling are left out of mean r / ceiling
    #[arg(long, value_name = "R", default_value_t = 0.05)]
    ceiling_threshold: f32,
    /// Orders of blocks of test TRs in the test of mean r > 0; 0 leaves q_value empty
    #[arg(long, value_name = "N", default_value_t = 1000)]
    permutations: usize,
    /// Draws of blocks of test TRs behind the 95 % interval of mean r; 0 leaves it empty
    #[arg(long, value_name = "N", default_value_t = 1000)]
    bootstraps: usize,
    /// What to do with voxels that hold NaN or are constant: stop and say where, or take NaN as 0
    #[arg(long, value_name = "WHAT")]
    bad_voxels: Option<Bad>,
    /// Reproduce HuthLab's reference code: bootstrap chunks (or --folds), signed square root of R2, delays across story
    /// borders, NaN as 0, ceilings with a total power of 1, low-ceiling voxels as zeros in means
    #[arg(long)]
    compat: Option<Compat>,
    /// Seed of bootstrapped chunks, permutations and intervals
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    shard: ShardArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cv {
    Story,
    Bootstrap,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Bad {
    Stop,
    Zero,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Compat {
    Huth,
}

pub(crate) fn run(args: &Args, split: Split<'_>) -> anyhow::Result<ExitCode> {
    let windows = args.windows.windows(&args.model)?;
    check_out_folder(&args.out, [("the dataset", &*args.dataset)])?;
    let dataset = open(&args.dataset)?;
    let config = config(args, &*dataset)?;
    let (split, command) = args.shard.split(split, &args.out)?;
    let outcome = match &args.features {
        Some(spaces) => {
            args.model.check_unused()?;
            check_removed(spaces, args.remove.as_ref())?;
            let features = grid_features(spaces.clone())?;
            let mut progress = Progress::new();
            let mut on = |event: Event<'_>| progress.on(event);
            let out = &args.out;
            run_on_grid_split(
                &*dataset,
                features,
                &config,
                out,
                (&command, split),
                &mut on,
            )?
        }
        None => of_model(args, windows, &*dataset, &config, (&command, split))?,
    };
    args.shard.keep(&args.out)?;
    report(&outcome, &args.out);
    Ok(ExitCode::SUCCESS)
}

/// What is left of features without themselves is how stories differ in scale, which tells nothing.
fn check_removed(spaces: &[LowLevelSpace], removed: Option<&LowLevelSpace>) -> anyhow::Result<()> {
    let Some(removed) = removed else {
        return Ok(());
    };
    if let Some(space) = spaces.iter().find(|space| space.is_within(removed)) {
        bail!(
            "--features {space} --remove {removed}: nothing would be left of {space}; leave one of them out"
        );
    }
    Ok(())
}

fn of_model(
    args: &Args,
    windows: Windows,
    dataset: &dyn StoryDataset,
    config: &EncodeConfig,
    part: (&[String], Split<'_>),
) -> anyhow::Result<Outcome> {
    let folders = args.model.folders()?;
    check_out_folder(&args.out, folders.iter().map(|(what, dir)| (*what, &**dir)))?;
    let tuned_on = args.model.tuned_on()?;
    let model = args.model.load()?;
    let model = ModelFeatures::windowed(&args.model.name()?, model, windows)?.tuned_on(tuned_on);
    let cache = args.cache.folder()?;
    let folders = Folders {
        cache: &cache,
        out: &args.out,
    };
    let mut progress = Progress::new();
    let mut on = |event: Event<'_>| progress.on(event);
    Ok(run_split(dataset, model, config, folders, part, &mut on)?)
}

fn config(args: &Args, dataset: &dyn StoryDataset) -> anyhow::Result<EncodeConfig> {
    let (trim, test_trim) = dataset.default_trims();
    dataset.check_subject(&args.subject)?;
    if args.test_stories == [USUAL_TEST_STORY] && dataset.story(USUAL_TEST_STORY).is_err() {
        let stories = dataset.stories().iter().map(Story::name);
        bail!(
            "{} has no story {USUAL_TEST_STORY}, the default of --test-stories: name test stories, it has {}",
            args.dataset.display(),
            stories.collect::<Vec<_>>().join(", ")
        );
    }
    let subject = std::slice::from_ref(&args.subject);
    let test_stories = expand(dataset, subject, &args.test_stories, &[])?;
    let train_stories = expand_given(dataset, subject, args.train_stories.as_ref(), &test_stories)?;
    let noise_ceiling = args.noise_ceiling.as_deref().map(read_vector);
    let mut config = EncodeConfig {
        train_stories,
        delays: args.delays.clone(),
        alphas: args.alphas.clone(),
        trim: args.trim.unwrap_or(trim),
        test_trim: args.test_trim.unwrap_or(test_trim),
        noise_ceiling: noise_ceiling.transpose()?,
        ceiling_threshold: args.ceiling_threshold,
        n_permutations: args.permutations,
        n_bootstraps: args.bootstraps,
        regions: args
            .rois
            .as_deref()
            .map(Regions::read)
            .transpose()?
            .unwrap_or_default(),
        seed: args.seed,
        remove: args.remove.clone(),
        ..EncodeConfig::new(&args.subject, test_stories)?
    };
    choose(args, &mut config)?;
    Ok(config)
}

/// What flags say in place of the defaults, or of the reference code's.
fn choose(args: &Args, config: &mut EncodeConfig) -> anyhow::Result<()> {
    if args.compat.is_some() {
        say!(
            "compat huth differs from the defaults: delays leak over story borders, alphas are chosen on random chunks by the signed square root of R2, ceilings take the variance of a repeat as 1, voxels of low ceiling count as zeros"
        );
        *config = config.clone().huth();
    }
    match (args.cv, &args.folds) {
        (Some(Cv::Story), _) => config.cv = CrossValidation::Story,
        (Some(Cv::Bootstrap), _) => config.cv = CrossValidation::Bootstrap,
        (None, Some(file)) => config.cv = CrossValidation::Rows(read_folds(file)?),
        (None, None) => {}
    }
    if let Some(score) = args.score {
        config.score = score.into();
    }
    match args.bad_voxels {
        Some(Bad::Stop) => config.bad_voxels = BadVoxels::Stop,
        Some(Bad::Zero) => config.bad_voxels = BadVoxels::Zero,
        None => {}
    }
    Ok(())
}
