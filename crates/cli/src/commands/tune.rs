//! `braintune tune`: a model fine-tuned on responses.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use braintune::BraintuneError;
use braintune::arrays::{read_mask, read_vector};
use braintune::backbone::FrozenPart;
use braintune::device::Device;
use braintune::fmri::{StoryDataset, StoryPreset};
use braintune::ranks::{Ranks, Shard};
use braintune::tune::{
    Compute, StoryRoles, TuneOutcome, TuneSettings, VoxelChoice, run_on as run_together,
    run_on_devices, targets_from_folder,
};
use braintune::tuning::{
    BLOCK_TRS, Control, TargetDataset, TuningConfig, TuningEnd, TuningError, TuningEvent,
    VoxelWeights,
};
use clap::ValueEnum;

use super::model::DevicesArgs;
use super::stories::expand_given;
use super::{command_line, open};
use crate::interrupt;
use crate::progress::Progress;

/// Fine-tune a speech model to predict the fMRI of people who listen (brain-tuning).
///
/// For each TR the 10 s of audio that end with it go through the model, mean over time, and a linear
/// head per participant predicts the response of the same TR. Settings are the paper's unless --config
/// says otherwise. --out becomes a HuggingFace checkpoint folder with the weights of the best validation
/// loss, beside it head.safetensors, training.csv, training.svg, provenance.json, adapter/ with
/// LoRA, and state/. Interrupt it with Ctrl-C, or kill it: with --resume the same command goes on to the
/// same bits.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Dataset: the layout of OpenNeuro ds003020, a folder with a dataset.toml, or BIDS
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Participants, e.g. UTS01,UTS02
    #[arg(
        long,
        alias = "subject",
        value_name = "A,B,…",
        value_delimiter = ',',
        required_unless_present = "targets"
    )]
    subjects: Vec<String>,
    /// Learn these arrays in place of responses, features of another model, say: a folder with STORY.npy,
    /// [n_trs, n_targets], for each story to be tuned on or validated
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["subjects", "mask", "noise_ceiling", "ceiling_threshold", "voxel_weights"]
    )]
    targets: Option<PathBuf>,
    /// Model: a HuggingFace checkpoint folder, or the id of one in the local hub cache (HF_HOME)
    #[arg(long, value_name = "DIR|ID")]
    model: String,
    /// Folder for the tuned checkpoint
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Stories to tune on, or a published list of ds003020: tuning-train, first-27, …
    /// [default: every other story that a participant heard]
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    train_stories: Option<Vec<String>>,
    /// Stories that choose among the states of the run [default: stagefright and life, else the last but one]
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    val_stories: Option<Vec<String>>,
    /// Stories that are left for the evaluation [default: wheretheressmoke, else the last]
    #[arg(long, alias = "test-story", value_name = "C,…", value_delimiter = ',')]
    test_stories: Option<Vec<String>>,
    /// Settings in TOML; what is not in it has the paper's value
    #[arg(long, value_name = "F.toml")]
    config: Option<PathBuf>,
    /// Passes over the training stories
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Seed of heads, low-rank updates, order and controls
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Parts of the model to keep as they are: feature-encoder, feature-projection, layers:I-J, all
    #[arg(long, value_name = "PARTS", value_delimiter = ',')]
    freeze: Option<Vec<FrozenPart>>,
    /// Voxels to learn, one file for each participant: anything but 0 is learnt, [n_voxels]
    #[arg(long, value_name = "M.npy,…", value_delimiter = ',')]
    mask: Vec<PathBuf>,
    /// Noise ceiling (a correlation) of each voxel, one file for each participant [default: CCmax from the repeats of a test story, where there are any]
    #[arg(long, value_name = "F.npy,…", value_delimiter = ',')]
    noise_ceiling: Vec<PathBuf>,
    /// Voxels above this ceiling are learnt
    #[arg(long, value_name = "R", default_value_t = 0.4)]
    ceiling_threshold: f32,
    /// How much each voxel counts in the loss; goes before voxel_weights of --config
    #[arg(long)]
    voxel_weights: Option<WeightsKind>,
    /// A control in place of the real pairing of audio and responses
    #[arg(long)]
    control: Option<ControlKind>,
    /// Units of the frames of each story, STORY.npy, integers [n_frames] at 50 Hz: what HuBERT learns to predict under --control stimulus
    #[arg(long, value_name = "DIR", requires = "control")]
    units: Option<PathBuf>,
    /// Keep what the frozen parts give for each clip in this folder: later epochs, and other runs on the same audio,
    /// read it, with the same bits (Whisper tiny and clips of 10 s: 0.8 MB a TR; wav2vec2-base: 1 MB)
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// One model for each participant, in --out/PARTICIPANT, in place of one for all
    #[arg(long, conflicts_with = "targets")]
    each_subject: bool,
    /// With --each-subject: a share of the participants, i of n (from 1), for jobs that run beside each other
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Go on from --out/state; begins anew where there is none
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    device: DevicesArgs,
}

impl Args {
    /// Whether the very same command goes on.
    pub(crate) fn resumes(&self) -> bool {
        self.resume
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ControlKind {
    /// Blocks of 15 TRs of each story's responses in another order
    BlockPermuted,
    /// Responses to another training story
    OtherStory,
    /// No responses: the model's own objective on the same audio (wav2vec 2.0, HuBERT with --units)
    Stimulus,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WeightsKind {
    /// All alike
    Equal,
    /// In proportion to the noise ceiling of the voxel
    Ceiling,
}

/// As one of several processes, of which the first says how it goes.
pub(crate) fn run(args: &Args, ranks: &dyn Ranks) -> anyhow::Result<ExitCode> {
    if args.shard.is_some() && !args.each_subject {
        bail!(
            "--shard is for --each-subject: the steps of one model follow one another and cannot be shared out between jobs that never meet; add --each-subject, or start processes that do with mpirun"
        );
    }
    let dataset = open(&args.dataset)?;
    let folder = args.targets.as_deref();
    let targets = folder.map(|folder| targets_from_folder(&*dataset, folder));
    let targets = targets.transpose()?;
    let settings = settings(args, &*dataset, targets.as_ref())?;
    let devices = args.device.get()?;
    if devices.len() > 1 && ranks.n_ranks() > 1 {
        bail!("several devices of several processes: give each process one --device");
    }
    let model = braintune::model::resolve(&args.model)?;
    let runs = runs(args, settings, &*dataset)?;
    for (_, out) in runs.iter().filter(|_| ranks.is_first()) {
        check_out(args, out, &model)?;
    }
    if runs.is_empty() {
        let shard = args.shard.unwrap_or(Shard::WHOLE);
        say!(
            "share {shard} has none of the {} participants: nothing to do",
            args.subjects.len()
        );
    }
    let data = targets
        .as_ref()
        .map_or(&*dataset as &dyn StoryDataset, |targets| targets as _);
    for (settings, out) in &runs {
        if args.each_subject && ranks.is_first() {
            say!("{}:", settings.subjects.join(", "));
        }
        let outcome = tune(data, &model, settings, (&devices, ranks), out).map_err(|error| {
            match error {
                // Said by the exit code, in words of its own.
                BraintuneError::Cancelled => error.into(),
                error if args.each_subject => {
                    anyhow::Error::new(error).context(settings.subjects.join(", "))
                }
                error => error.into(),
            }
        })?;
        if ranks.is_first() {
            report(&outcome, out);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What is tuned, and into which folder: one model, or one for each participant of the share.
fn runs(
    args: &Args,
    settings: TuneSettings,
    dataset: &dyn StoryDataset,
) -> anyhow::Result<Vec<(TuneSettings, PathBuf)>> {
    if !args.each_subject {
        return Ok(vec![(settings, args.out.clone())]);
    }
    let each = settings.each_subject(dataset, args.shard.unwrap_or(Shard::WHOLE))?;
    let of = |settings: TuneSettings| {
        let out = args.out.join(settings.subjects.concat());
        (settings, out)
    };
    Ok(each.into_iter().map(of).collect())
}

fn tune(
    dataset: &dyn StoryDataset,
    model: &Path,
    settings: &TuneSettings,
    (devices, ranks): (&[Device], &dyn Ranks),
    out: &Path,
) -> Result<TuneOutcome, BraintuneError> {
    let mut progress = ranks.is_first().then(Progress::new);
    let on = &mut |event: &TuningEvent| {
        if let Some(progress) = &mut progress {
            tell(event, progress);
        }
        interrupt::poll()
    };
    let command = command_line();
    match devices {
        [device] => {
            let compute = Compute { device, ranks };
            run_together(dataset, model, settings, compute, out, &command, on)
        }
        devices => run_on_devices(dataset, model, settings, devices, out, &command, on),
    }
}

/// The results must not take the place of something else.
fn check_out(args: &Args, folder: &Path, model: &Path) -> anyhow::Result<()> {
    let out = folder.display();
    let real = folder.canonicalize().ok();
    let is_out = |input: &Path| real.is_some() && input.canonicalize().ok() == real;
    if is_out(model) {
        bail!(
            "--out {out} is the folder of the model, which would be replaced; give another place"
        );
    }
    let inputs = [
        Some(&args.dataset),
        args.targets.as_ref(),
        args.units.as_ref(),
    ];
    if inputs.into_iter().flatten().any(|input| is_out(input)) {
        bail!(
            "--out {out} is a folder of inputs, among which results would lie; give another place"
        );
    }
    let has_model = folder.join("model.safetensors").exists();
    let state = std::fs::read_dir(folder.join("state"));
    // A run that failed before its first checkpoint leaves hidden files at most.
    let is_shown = |entry: std::fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let has_state = state.is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(is_shown)));
    if has_state && !args.resume {
        bail!(
            "--out {out} holds the state of a run: go on with --resume, remove it, or give another place"
        );
    }
    if has_model && !has_state {
        bail!(
            "--out {out} holds a model and no state of a run: it would be replaced; give another place"
        );
    }
    Ok(())
}

fn settings(
    args: &Args,
    dataset: &dyn StoryDataset,
    targets: Option<&TargetDataset<'_>>,
) -> anyhow::Result<TuneSettings> {
    let [train, validation, test] = story_lists(args, dataset)?;
    let mut settings = if let Some(targets) = targets {
        let stories = StoryRoles::choose_for_targets(targets, train, validation, test)?;
        TuneSettings::new(vec![TargetDataset::SUBJECT.to_owned()], stories)
    } else {
        let stories = StoryRoles::choose(dataset, &args.subjects, train, validation, test)?;
        TuneSettings::new(args.subjects.clone(), stories)
    };
    settings.config = match &args.config {
        Some(file) => TuningConfig::from_file(file).map_err(|error| match error {
            TuningError::Setting { .. } => {
                anyhow::Error::new(error).context(file.display().to_string())
            }
            error => error.into(),
        })?,
        None => TuningConfig::default(),
    };
    if let Some(epochs) = args.epochs {
        settings.config.epochs = epochs;
    }
    if let Some(seed) = args.seed {
        settings.config.seed = seed;
    }
    if let Some(freeze) = &args.freeze {
        settings.config.freeze = freeze.iter().map(ToString::to_string).collect();
    }
    if let Some(weights) = args.voxel_weights {
        settings.config.voxel_weights = match weights {
            WeightsKind::Equal => VoxelWeights::Equal,
            WeightsKind::Ceiling => VoxelWeights::Ceiling,
        };
    }
    settings.config.check()?;
    settings.voxels = voxels(args, settings.config.voxel_weights)?;
    settings.control = control(args, &settings.stories)?;
    settings.resume = args.resume;
    settings.cache.clone_from(&args.cache);
    Ok(settings)
}

/// The stories to train on, to validate on, and to leave, as far as they are given. What a published
/// list of training stories has of the others is not trained on, nor what they are by default.
fn story_lists(
    args: &Args,
    dataset: &dyn StoryDataset,
) -> anyhow::Result<[Option<Vec<String>>; 3]> {
    let given = |names: &Option<Vec<String>>, taken: &[String]| {
        expand_given(dataset, &args.subjects, names.as_ref(), taken)
    };
    let usual = |preset: StoryPreset| {
        let stories = preset.stories().into_iter();
        stories.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let test = given(&args.test_stories, &[])?;
    let mut taken = test.clone().unwrap_or_else(|| usual(StoryPreset::Test));
    let validation = given(&args.val_stories, &taken)?;
    let of_validation = validation.clone();
    taken.extend(of_validation.unwrap_or_else(|| usual(StoryPreset::TuningValidation)));
    let train = given(&args.train_stories, &taken)?;
    Ok([train, validation, test])
}

fn control(args: &Args, stories: &StoryRoles) -> anyhow::Result<Option<Control>> {
    if args.units.is_some() && !matches!(args.control, Some(ControlKind::Stimulus)) {
        bail!("--units is for --control stimulus, no other control has any");
    }
    Ok(args.control.map(|control| match control {
        ControlKind::BlockPermuted => Control::BlockPermuted { block: BLOCK_TRS },
        ControlKind::OtherStory => Control::OtherStory {
            stories: stories.train.clone(),
        },
        ControlKind::Stimulus => Control::Stimulus {
            units: args.units.clone(),
        },
    }))
}

fn voxels(args: &Args, weights: VoxelWeights) -> anyhow::Result<VoxelChoice> {
    if args.ceiling_threshold.is_nan() {
        bail!("--ceiling-threshold NaN: ceilings are correlations, give a number below 1");
    }
    let has_both = !args.mask.is_empty() && !args.noise_ceiling.is_empty();
    if has_both && weights == VoxelWeights::Equal {
        bail!(
            "--mask chooses the voxels, --noise-ceiling beside it would do nothing: leave one out, or weight the voxels by it with --voxel-weights ceiling"
        );
    }
    let mut voxels = VoxelChoice {
        // Targets have no noise ceiling.
        threshold: args.targets.is_none().then_some(args.ceiling_threshold),
        ..VoxelChoice::default()
    };
    for file in &args.mask {
        voxels.masks.push(read_mask(file)?);
    }
    for file in &args.noise_ceiling {
        voxels.ceilings.push(read_vector(file)?);
    }
    Ok(voxels)
}

fn tell(event: &TuningEvent, progress: &mut Progress) {
    match event {
        TuningEvent::Resumed { step, skipped } => {
            for (path, problem) in skipped {
                say!(
                    "{} is damaged ({problem}), taking the checkpoint before it",
                    path.display()
                );
            }
            say!("going on from step {step}");
        }
        TuningEvent::Step(step) => {
            let stage = format!("epoch {}, loss {:.4},", step.epoch + 1, step.loss);
            progress.show_changing(&stage, step.step, step.n_steps);
        }
        TuningEvent::Reading { n_done, n_batches } => {
            progress.note(&format!("reading data, {} of {n_batches},", n_done + 1));
        }
        TuningEvent::Evaluating {
            n_done, n_batches, ..
        } => progress.note(&format!("validation, batch {} of {n_batches},", n_done + 1)),
        TuningEvent::Evaluated {
            step,
            epoch,
            train_loss,
            validation,
            is_best,
        } => {
            say!(
                "epoch {:>3}, step {step:>6}: training loss {train_loss:.4}, validation loss {:.4}{}{}",
                epoch + 1,
                validation.loss,
                validation
                    .mean_r
                    .map_or_else(String::new, |r| format!(", mean r {r:.4}")),
                if *is_best { ", the best" } else { "" }
            );
        }
        _ => {}
    }
}

fn report(outcome: &TuneOutcome, out: &Path) {
    let why = match outcome.end {
        TuningEnd::EarlyStopped => "the validation loss got no better",
        _ => "all epochs are done",
    };
    let best = outcome.best.map_or_else(
        || String::from("the last weights"),
        |(step, loss)| format!("the weights of step {step} (validation loss {loss:.4})"),
    );
    say!(
        "{} steps, {why}: wrote {best} into {}",
        outcome.n_steps,
        out.display()
    );
}
