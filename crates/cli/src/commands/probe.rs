//! `braintune probe`: what can be read from every layer.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use braintune::backbone::PretrainedModel;
use braintune::encode::EncodeConfig;
use braintune::probe::{ModelProbed, ProbedModel, QuestionSettings};
use braintune::probing::{ProbeKind, ProbeSettings, ProbeTask, TimitSplit, is_timit};
use clap::ValueEnum;

use super::model::{CacheArgs, DeviceArgs, name_of};
use super::{check_out_folder, command_line};
use crate::progress::Progress;

/// What can be read from every layer of a model: a probe per layer on labelled speech.
///
/// Recordings go through the model once, whole; rows of features are means over a recording, over a labelled
/// stretch, or single frames. Probes are fitted on training rows (logistic regression, ridge for numbers; features
/// standardised), their penalty is chosen on validation rows, scores are on test rows with 95 % intervals over
/// speakers or stories. Writes probes.csv (task, model, layer, metric, value, ci_low, ci_high, n_train, n_test, n_groups), what each
/// probe says of each test row (TASK.predictions.csv), a figure
/// per task (SVG and PNG), provenance.json, and with several models paired.csv. Interrupt it with Ctrl-C as you like:
/// features are kept, the same command goes on from them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to ask
    #[arg(long, value_name = "T,…", value_delimiter = ',', required = true)]
    task: Vec<Question>,
    /// The corpus: TIMIT for phonemes, phoneme-frames, sentence-type; Speech Commands for words; CREMA-D for emotion;
    /// SLURP for action; a dataset of stories (ds003020, dataset.toml, BIDS) for story-words, story-meaning, story-phonemes,
    /// word-rate, part-of-story;
    /// TIMIT or any folder of audio for the others
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Models: HuggingFace checkpoint folders, or ids in the local hub cache (HF_HOME); others are compared with the first
    #[arg(long, value_name = "DIR|ID,…", value_delimiter = ',', required = true)]
    model: Vec<String>,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    cache: CacheArgs,
    /// How TIMIT is split [default: paper for phonemes under --compat paper, else official]
    #[arg(long)]
    split: Option<SplitKind>,
    /// What is fitted
    #[arg(long, default_value = "linear", conflicts_with = "compat")]
    probe: Fitted,
    /// Epochs of the paper's probe [default: 50; 100 for sentence-type]
    #[arg(long, value_name = "N", requires = "compat", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// The paper's probe and data: one linear layer by full-batch Adam (1e-3), features as they are, its random split of
    /// phonemes, clips of 2 s (CREMA-D) and 7 s (SLURP)
    #[arg(long)]
    compat: Option<Compat>,
    /// Words of story-words: the most frequent of the training stories
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..))]
    n_words: u32,
    /// Classes of words for story-meaning, a CSV with the columns word and class [default: word_classes.csv in --data]
    #[arg(long, value_name = "F.csv")]
    classes: Option<PathBuf>,
    /// Draws behind the 95 % intervals
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(2..=EncodeConfig::MAX_DRAWS as i64))]
    bootstraps: u32,
    /// Leave out the control on random labels
    #[arg(long)]
    no_control: bool,
    /// Seed of splits, draws, controls and of weights to begin with
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Question {
    /// Which of 39 phonemes an utterance has
    Phonemes,
    /// The phoneme of each frame
    PhonemeFrames,
    /// SA, SI or SX
    SentenceType,
    /// Which word is said
    Words,
    /// Which emotion was asked for
    Emotion,
    /// What a user asks to be done
    Action,
    /// 40 MFCC of each frame
    Mfcc,
    /// 40 MFCC over the first 4 s at once, the paper's
    MfccTrack,
    /// 80 log-mel energies of each frame
    Fbank,
    /// Fundamental frequency of each frame (YIN)
    Pitch,
    /// RMS of each frame, dB
    Energy,
    /// Which of the most frequent words is said
    StoryWords,
    /// Which class (of meaning, or any other) a word belongs to
    StoryMeaning,
    /// The phoneme of each frame
    StoryPhonemes,
    /// Words that begin in 2 s
    WordRate,
    /// First, second or last third of a story
    PartOfStory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SplitKind {
    /// TRAIN and TEST; speakers are disjoint
    Official,
    /// Random utterances, as the paper has for phonemes; speakers and sentences are shared
    Paper,
    /// The official one without sentences of the test in training
    TextDisjoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fitted {
    /// Logistic regression or ridge
    Linear,
    /// One hidden layer of 64 units
    Mlp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Compat {
    Paper,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    check_flags(args)?;
    check_out_folder(&args.out, [("the data", &*args.data)])?;
    let tasks = args.task.iter().map(|&question| task(question, args));
    let tasks = tasks.collect::<anyhow::Result<Vec<_>>>()?;
    let device = args.device.get()?;
    let cache = args.cache.folder()?;
    let mut models = Vec::with_capacity(args.model.len());
    for named in &args.model {
        let folder = braintune::model::resolve(named)?;
        check_out_folder(&args.out, [("a model", &*folder)])?;
        let model = PretrainedModel::load(&folder, device.clone())?;
        models.push(ProbedModel::new(name_of(named), model, &cache)?);
    }
    let mut progress = Progress::new();
    let results = braintune::probe::run(
        &tasks,
        &models,
        &settings(args),
        &args.out,
        &command_line(),
        &mut |event| progress.on(event),
    )?;
    drop(progress);
    for of_task in &results {
        table(of_task);
    }
    say!(
        "wrote {}",
        args.out
            .join("{probes.csv,*.predictions.csv,*.svg,*.png,provenance.json}")
            .display()
    );
    Ok(ExitCode::SUCCESS)
}

/// A split or a table that no task would heed is refused.
fn check_flags(args: &Args) -> anyhow::Result<()> {
    use Question::{
        Action, Emotion, PartOfStory, StoryMeaning, StoryPhonemes, StoryWords, WordRate, Words,
    };
    if args.classes.is_some() && !args.task.contains(&Question::StoryMeaning) {
        bail!("--classes is for the task story-meaning; leave it out, or ask for that task");
    }
    let others = [
        Words,
        Emotion,
        Action,
        StoryWords,
        StoryMeaning,
        StoryPhonemes,
        WordRate,
        PartOfStory,
    ];
    let heeds = |task: &Question| !others.contains(task) && is_timit(&args.data);
    if args.split.is_some() && !args.task.iter().all(heeds) {
        bail!(
            "--split is for tasks on TIMIT: other corpora have splits of their own (docs/probing.md); leave it out"
        );
    }
    Ok(())
}

fn settings(args: &Args) -> ProbeSettings {
    let mut settings = ProbeSettings {
        control: !args.no_control,
        seed: args.seed,
        ..ProbeSettings::default()
    };
    settings.bootstrap.n_draws = args.bootstraps as usize;
    settings.bootstrap.seed = args.seed;
    settings.kind = match (args.compat, args.probe) {
        (Some(Compat::Paper), _) => ProbeKind::Paper {
            n_epochs: args.epochs.map(|n| n as usize),
        },
        (None, Fitted::Mlp) => ProbeKind::Mlp,
        (None, Fitted::Linear) => ProbeKind::Linear,
    };
    settings
}

fn task(question: Question, args: &Args) -> anyhow::Result<Box<dyn ProbeTask>> {
    let paper = args.compat.is_some();
    let split = match args.split {
        Some(SplitKind::Paper) => TimitSplit::Paper,
        Some(SplitKind::TextDisjoint) => TimitSplit::TextDisjoint,
        None if paper && question == Question::Phonemes => TimitSplit::Paper,
        Some(SplitKind::Official) | None => TimitSplit::Official,
    };
    let settings = QuestionSettings {
        split,
        n_words: args.n_words as usize,
        paper,
        classes: args.classes.clone(),
        seed: args.seed,
    };
    let question = question.to_possible_value();
    let name = question.as_ref().map_or("", |value| value.get_name());
    Ok(name
        .parse::<braintune::probe::Question>()?
        .task(&args.data, &settings)?)
}

fn table(of_task: &[ModelProbed]) {
    for ModelProbed { model, found, .. } in of_task {
        let baseline = found
            .baseline
            .map_or_else(String::new, |score| format!(", most frequent {score:.4}"));
        say!(
            "{} of {model}: {} training rows, {} test rows{baseline}",
            found.task,
            found.n_train,
            found.n_test
        );
        for layer in &found.layers {
            let Some(first) = layer.scores.first() else {
                continue;
            };
            let interval = first.value.interval;
            say!(
                "{:>5}  {} {:.4}{}{}",
                layer.layer,
                first.metric,
                first.value.estimate,
                interval.map_or_else(String::new, |(low, high)| format!(
                    "  ({low:.4} to {high:.4})"
                )),
                layer.control.map_or_else(String::new, |control| format!(
                    "  random labels {:.4}",
                    control.value
                ))
            );
        }
    }
}
