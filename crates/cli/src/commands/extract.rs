//! `braintune extract`: hidden states of every layer for audio files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use braintune::Event;
use braintune::extract::{self, ExtractConfig, Extracted, Recording};
use braintune::ranks::{Ranks, Shard};
use clap::ArgGroup;

use super::model::{CacheArgs, ModelArgs, SOURCE, WindowArgs};
use super::{check_alone, check_output, check_replaceable, command_line};
use crate::progress::Progress;

/// Hidden states of every layer for audio files.
///
/// Writes safetensors, a file for each recording: hidden_states.{i} f32 [n_windows, d_model] for i = 0 (input of the first
/// layer) to the last layer, numbered and normalised as transformers does, and times f64, seconds
/// of window ends (with --whole: frame centres, with --window-feature stride-mean: middles of
/// strides). A window's feature is its last frame that saw audio, unless --window-feature says
/// otherwise. Beside it, a file with .provenance.json in its name says what it was made from.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new(SOURCE).required(true)))]
pub(crate) struct Args {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// Audio: WAV, FLAC, MP3 or OGG at any rate, resampled to what the model takes; one file or several
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    audio: Vec<PathBuf>,
    /// Where to write, e.g. features.safetensors; of several recordings a folder, into which each goes under its name,
    /// and in which features that are there already are left
    #[arg(long, value_name = "FILE|DIR")]
    out: PathBuf,
    /// Do one share of the recordings, i from 1 to n: for array jobs
    #[arg(long, value_name = "i/n")]
    shard: Option<Shard>,
    /// Every frame of one clip (at most 30 s for Whisper) instead of windows
    #[arg(long, conflicts_with_all = ["window_s", "stride_s", "window_feature", "share_convolutions"])]
    whole: bool,
    #[command(flatten)]
    windows: WindowArgs,
    /// Do not keep features for the next run
    #[arg(long)]
    no_cache: bool,
}

impl Args {
    /// Whether features are kept for the next run.
    pub(crate) fn keeps_features(&self) -> bool {
        !self.no_cache
    }
}

pub(crate) fn run(args: &Args, ranks: &dyn Ranks) -> anyhow::Result<ExitCode> {
    check_alone(args.shard, ranks)?;
    let windows = args.windows.windows(&args.model)?;
    let recordings = args.recordings()?;
    let model = args.model.load()?;
    let weights = model.weights_sha256().to_owned();
    let extractor = if args.whole {
        model.into_whole_clip()
    } else {
        model.into_windowed(windows)
    };
    let n_states = extractor.spec().n_hidden_states();
    let cache = args.keeps_features().then(|| args.cache.folder());
    let (cache, command) = (cache.transpose()?, command_line());
    let config = ExtractConfig {
        cache: cache.as_deref(),
        goes_on: recordings.len() > 1 || args.shard.is_some(),
        command: &command,
    };
    let mut progress = Progress::new();
    let mut on = |event: Event<'_>| progress.on(event);
    let with = (extractor, &*weights);
    let found = if let Some(shard) = args.shard {
        extract::run_shard(&recordings, with, config, shard, &mut on)?
    } else {
        let all = extract::run_on(&recordings, with, config, ranks, &mut on)?;
        all.into_iter().enumerate().collect()
    };
    drop(progress);
    if ranks.is_first() {
        report(&recordings, &found, n_states);
    }
    failed(&found)?;
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// Where the features of each recording go, once that is known to lose nothing.
    fn recordings(&self) -> anyhow::Result<Vec<Recording>> {
        let recordings = match &self.audio[..] {
            [audio] => vec![Recording {
                audio: audio.clone(),
                out: self.out.clone(),
            }],
            several if self.out.is_file() => bail!(
                "--out {} is a file, and the features of {} recordings go into a folder: give another name",
                self.out.display(),
                several.len()
            ),
            several => Recording::into_folder(several, &self.out)?,
        };
        let inputs: Vec<&PathBuf> = self.audio.iter().collect();
        for Recording { out, .. } in &recordings {
            check_output(out, &inputs)?;
            self.model.check_outside(out)?;
            check_replaceable(out, "features of extract", holds_features)?;
        }
        Ok(recordings)
    }
}

/// What became of each recording but those that failed.
fn report(recordings: &[Recording], found: &[(usize, Extracted)], n_states: usize) {
    for (place, found) in found {
        let Recording { audio, out } = &recordings[*place];
        match found {
            Extracted::Written { n_times, is_silent } => {
                if *is_silent {
                    say!(
                        "warning: {} is silent from its beginning to its end",
                        audio.display()
                    );
                }
                say!(
                    "wrote {n_states} hidden states at {n_times} times to {}",
                    out.display()
                );
            }
            Extracted::AlreadyDone => say!(
                "{} already holds the features of {}",
                out.display(),
                audio.display()
            ),
            _ => {}
        }
    }
}

/// An error that names every recording that failed.
fn failed(found: &[(usize, Extracted)]) -> anyhow::Result<()> {
    let failed = found.iter().filter_map(|(_, found)| match found {
        Extracted::Failed(problem) => Some(problem.as_str()),
        _ => None,
    });
    let failed: Vec<&str> = failed.collect();
    match failed[..] {
        [] => Ok(()),
        [problem] => bail!("{problem}"),
        _ => bail!(
            "{} of {} recordings failed: {}",
            failed.len(),
            found.len(),
            failed.join("; ")
        ),
    }
}

/// What notes and names at the beginning of features of the deepest models take.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Whether a file begins as `extract` leaves it: the name of its first state stands in the header.
fn holds_features(file: &Path) -> bool {
    let mut start = Vec::new();
    let read =
        File::open(file).and_then(|file| file.take(MAX_HEADER_BYTES).read_to_end(&mut start));
    let name = b"\"hidden_states.0\"";
    read.is_ok() && start.windows(name.len()).any(|part| part == name)
}
