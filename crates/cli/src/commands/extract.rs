//! `braintune extract`: hidden states of every layer for one audio file.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use braintune::audio::Waveform;
use braintune::backbone::{CachedExtractor, FeatureExtractor};
use braintune::files::copy_file;
use braintune::provenance::{Provenance, file_sha256};
use braintune::{BraintuneError, Event};
use clap::ArgGroup;

use super::model::{CacheArgs, ModelArgs, SOURCE, WindowArgs};
use super::{check_output, check_replaceable, command_line};
use crate::progress::Progress;

/// Hidden states of every layer for one audio file.
///
/// Writes safetensors: hidden_states.{i} f32 [n_windows, d_model] for i = 0 (input of the first
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
    /// Audio: WAV, FLAC, MP3 or OGG at any rate, resampled to what the model takes
    #[arg(long, value_name = "FILE")]
    audio: PathBuf,
    /// Where to write, e.g. features.safetensors
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
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

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let windows = args.windows.windows(&args.model)?;
    let audio = braintune::audio::load_audio(&args.audio)?;
    if audio.samples().iter().all(|sample| *sample == 0.0) {
        say!(
            "warning: {} is silent from its beginning to its end",
            args.audio.display()
        );
    }
    check_output(&args.out, &[&args.audio])?;
    args.model.check_outside(&args.out)?;
    check_replaceable(&args.out, "features of extract", holds_features)?;
    let model = args.model.load()?;
    let weights = model.weights_sha256().to_owned();
    let extractor = if args.whole {
        model.into_whole_clip()
    } else {
        model.into_windowed(windows)
    };
    let settings = extractor.settings();
    // Without a cache the parts still go to disk, so that memory does not grow with the story.
    let scratch = args
        .out
        .with_added_extension(format!("parts-{}", std::process::id()));
    let folder = if args.keeps_features() {
        args.cache.folder()?
    } else {
        std::fs::create_dir(&scratch)
            .with_context(|| format!("cannot create {}", scratch.display()))?;
        scratch.clone()
    };
    let extractor = CachedExtractor::new(extractor, weights.clone(), &folder)?;
    let inputs = serde_json::json!({
        "model_sha256": weights,
        "audio_sha256": file_sha256(&args.audio)?,
        "features": settings,
    });
    let done = write(
        &extractor,
        args,
        &audio,
        &Provenance::new(command_line(), inputs),
    );
    if !args.keeps_features() {
        let _ = std::fs::remove_dir_all(&scratch); // only clutter now
    }
    done.with_context(|| args.audio.display().to_string())?;
    let (n_times, n_states) = (
        extractor.times(&audio)?.len(),
        extractor.spec().n_hidden_states(),
    );
    say!(
        "wrote {n_states} hidden states at {n_times} times to {}",
        args.out.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// What notes and names at the beginning of features of the deepest models take.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Whether a file begins as [`write`] leaves it: the name of its first state stands in the header.
fn holds_features(file: &Path) -> bool {
    let mut start = Vec::new();
    let read =
        File::open(file).and_then(|file| file.take(MAX_HEADER_BYTES).read_to_end(&mut start));
    let name = b"\"hidden_states.0\"";
    read.is_ok() && start.windows(name.len()).any(|part| part == name)
}

fn write(
    extractor: &CachedExtractor<Box<dyn FeatureExtractor>>,
    args: &Args,
    audio: &Waveform,
    provenance: &Provenance,
) -> anyhow::Result<()> {
    let name = args.audio.file_name().unwrap_or_default().to_string_lossy();
    let mut progress = Progress::new();
    let complete = extractor.complete(audio, &mut |at| {
        progress.on(Event::Extracting {
            story: &name,
            done: at.done,
            total: at.total,
            stories_done: 0,
            n_stories: 1,
        })
    });
    let complete = complete.map_err(BraintuneError::from)?;
    Ok(provenance.write_beside(&args.out, |out| copy_file(&complete, out))?)
}
