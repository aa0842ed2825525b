//! `braintune extract`: hidden states of recordings, each recording in a file of its own.
//!
//! Beside each file is its `provenance.json`. Ranks of a job and shares of an array job ([`Shard`]) do whole recordings,
//! about equally many seconds each; what a file holds does not depend on who wrote it. Held by `tests/it/extract.rs` and
//! by `crates/cli/tests/it/extract.rs`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use braintune_audio::{load_audio, probe_audio};
use braintune_backbone::{CachedExtractor, FeatureExtractor};
use braintune_ranks::{Alone, Ranks, Shard};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{BraintuneError, Result, io_error, naming, with_sources};
use crate::event::{Event, OnEvent};
use crate::files::copy_file;
use crate::provenance::{Provenance, file_sha256};
use crate::together::{agree, gather, meet, share, together};

/// A recording and where its features go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// WAV, FLAC, MP3 or OGG at any rate.
    pub audio: PathBuf,
    /// A safetensors file.
    pub out: PathBuf,
}

impl Recording {
    /// Recordings whose features go into folder `out`, by the names of the recordings: `a.wav` into `a.safetensors`.
    ///
    /// # Errors
    /// Two recordings of one name.
    ///
    /// ```
    /// use braintune::extract::Recording;
    ///
    /// let found = Recording::into_folder(&["a/one.wav".into(), "a/two.mp3".into()], "features".as_ref())?;
    /// assert_eq!(found[1].out, std::path::Path::new("features/two.safetensors"));
    /// assert!(Recording::into_folder(&["a/one.wav".into(), "b/one.mp3".into()], "features".as_ref()).is_err());
    /// # Ok::<(), braintune::BraintuneError>(())
    /// ```
    pub fn into_folder(audio: &[PathBuf], out: &Path) -> Result<Vec<Self>> {
        let mut recordings: Vec<Self> = Vec::with_capacity(audio.len());
        for audio in audio {
            let mut name = audio.file_stem().unwrap_or_default().to_owned();
            name.push(".safetensors");
            let out = out.join(name);
            if let Some(other) = recordings.iter().find(|other| other.out == out) {
                return Err(BraintuneError::Input(format!(
                    "{} and {} would both become {}: rename one of them, or extract them into folders of their own",
                    other.audio.display(),
                    audio.display(),
                    out.display()
                )));
            }
            let audio = audio.clone();
            recordings.push(Self { audio, out });
        }
        Ok(recordings)
    }
}

/// What features are made with, and what is kept.
#[derive(Debug, Clone, Copy)]
pub struct ExtractConfig<'a> {
    /// Folder in which features are kept for other runs; none keeps nothing.
    pub cache: Option<&'a Path>,
    /// Leave files that are whole and of the same weights, sound and settings as they are.
    pub goes_on: bool,
    /// The command line, for provenance.
    pub command: &'a [String],
}

/// How it went with a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Extracted {
    /// Its features were written.
    Written {
        /// Rows of each state.
        n_times: usize,
        /// Whether it holds nothing but zeros.
        is_silent: bool,
    },
    /// They were there.
    AlreadyDone,
    /// They could not be made; why, naming the recording.
    Failed(String),
}

/// Writes the features of all recordings, shared out over ranks, all of which call it with the same arguments; how it
/// went with each, known to all ranks. A recording that fails is said there, the others go on.
///
/// `weights_sha256` identifies the weights behind `extractor`.
///
/// # Errors
/// A recording that is none, before anything is written; ranks that differ. Being stopped is
/// [`BraintuneError::Cancelled`]; what was written stays.
pub fn run_on(
    recordings: &[Recording],
    (extractor, weights_sha256): (Box<dyn FeatureExtractor>, &str),
    config: ExtractConfig<'_>,
    ranks: &dyn Ranks,
    on: &mut OnEvent<'_>,
) -> Result<Vec<Extracted>> {
    agree(ranks, &prints(recordings, &*extractor, weights_sha256))?;
    let costs = seconds(recordings, ranks)?;
    if let Some(first) = recordings.first() {
        meet(ranks, folder_of(&first.out))?;
    }
    let own = own(&costs, ranks.shard());
    let mine = work(
        recordings,
        &own,
        (extractor, weights_sha256),
        config,
        ranks.shard(),
        on,
    )?;
    let mut all: Vec<(usize, Extracted)> = gather(ranks, &mine)?.into_iter().flatten().collect();
    all.sort_by_key(|(place, _)| *place);
    Ok(all.into_iter().map(|(_, found)| found).collect())
}

/// As [`run_on`], one share of an array job: places of its recordings, and how it went with each.
///
/// # Errors
/// As [`run_on`].
pub fn run_shard(
    recordings: &[Recording],
    extractor: (Box<dyn FeatureExtractor>, &str),
    config: ExtractConfig<'_>,
    shard: Shard,
    on: &mut OnEvent<'_>,
) -> Result<Vec<(usize, Extracted)>> {
    let own = own(&seconds(recordings, &Alone)?, shard);
    work(recordings, &own, extractor, config, shard, on)
}

/// What all ranks are to have alike.
fn prints(
    recordings: &[Recording],
    extractor: &dyn FeatureExtractor,
    weights: &str,
) -> Vec<(String, String)> {
    let settings = [
        (
            "the version of braintune",
            env!("CARGO_PKG_VERSION").to_owned(),
        ),
        ("the weights", weights.to_owned()),
        ("the settings of features", extractor.settings()),
        ("the number of recordings", recordings.len().to_string()),
    ];
    let settings = settings.map(|(what, value)| (what.to_owned(), value));
    let audio = recordings.iter().map(|recording| {
        let name = recording.audio.display().to_string();
        ("the list of recordings".to_owned(), name)
    });
    settings.into_iter().chain(audio).collect()
}

/// How long each recording is; each is looked at by one rank.
fn seconds(recordings: &[Recording], ranks: &dyn Ranks) -> Result<Vec<f64>> {
    let mut own = None;
    let all = share(ranks, &vec![1.0; recordings.len()], |place| {
        let found = length_s(&recordings[place].audio);
        Ok(found.unwrap_or_else(|error| {
            own.get_or_insert(error);
            0.0
        }))
    })?;
    together(ranks, own.map_or(Ok(all), Err))
}

fn length_s(audio: &Path) -> Result<f64> {
    /// Of a FLAC stream that does not say its length: bytes of a second of speech.
    const BYTES: f64 = 16_000.0;
    let found = probe_audio(audio)?;
    let size = std::fs::metadata(audio).map_or(0, |meta| meta.len()) as f64;
    Ok(found.duration_s().unwrap_or(size / BYTES))
}

/// Places of the recordings of one share.
fn own(costs: &[f64], shard: Shard) -> Vec<usize> {
    let owners = Shard::owners(costs, shard.count());
    let places = (0..costs.len()).filter(|&place| owners[place] == shard.index());
    places.collect()
}

fn folder_of(file: &Path) -> &Path {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Does recordings one after another.
fn work(
    recordings: &[Recording],
    own: &[usize],
    (extractor, weights): (Box<dyn FeatureExtractor>, &str),
    config: ExtractConfig<'_>,
    shard: Shard,
    on: &mut OnEvent<'_>,
) -> Result<Vec<(usize, Extracted)>> {
    let Some(&first) = own.first() else {
        return Ok(Vec::new());
    };
    // Without a cache the parts still go to disk, so that memory does not grow with the recording.
    let scratch = match config.cache {
        None => Some(Scratch::new(&recordings[first].out, shard)?),
        Some(_) => None,
    };
    let kept = scratch.as_ref().map(|scratch| scratch.0.as_path());
    let kept = config.cache.or(kept).unwrap_or(Path::new("."));
    let worker = Worker {
        extractor: CachedExtractor::new(extractor, weights.to_owned(), kept)?,
        weights,
        config,
    };
    let mut found = Vec::with_capacity(own.len());
    for (done, &place) in own.iter().enumerate() {
        let one = worker.one(&recordings[place], (done, own.len()), on);
        let one = match one {
            Err(BraintuneError::Cancelled) => return Err(BraintuneError::Cancelled),
            Err(error) => Extracted::Failed(said(&recordings[place].audio, &error)),
            Ok(one) => one,
        };
        found.push((place, one));
    }
    Ok(found)
}

/// An error on one line that names the recording.
fn said(audio: &Path, error: &BraintuneError) -> String {
    let (name, problem) = (audio.display().to_string(), with_sources(error));
    if problem.contains(&name) {
        problem
    } else {
        format!("{name}: {problem}")
    }
}

/// A folder that is gone when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(out: &Path, shard: Shard) -> Result<Self> {
        let mut name = format!("parts-{}", std::process::id());
        if shard.count() > 1 {
            // Processes of several machines may have one number.
            name = format!("{name}-{}", shard.index() + 1);
        }
        let folder = out.with_added_extension(name);
        std::fs::create_dir(&folder).map_err(io_error("create", &folder))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // only clutter now
    }
}

struct Worker<'a> {
    extractor: CachedExtractor<Box<dyn FeatureExtractor>>,
    weights: &'a str,
    config: ExtractConfig<'a>,
}

impl Worker<'_> {
    fn one(
        &self,
        Recording { audio: path, out }: &Recording,
        (stories_done, n_stories): (usize, usize),
        on: &mut OnEvent<'_>,
    ) -> Result<Extracted> {
        let inputs = json!({
            "model_sha256": self.weights,
            "audio_sha256": file_sha256(path)?,
            "features": self.extractor.settings(),
        });
        let provenance = Provenance::new(self.config.command.to_vec(), inputs);
        if self.config.goes_on && is_done(out, &provenance) {
            return Ok(Extracted::AlreadyDone);
        }
        let audio = load_audio(path)?;
        let story = path.file_name().unwrap_or_default().to_string_lossy();
        let complete = self.extractor.complete(&audio, &mut |at| {
            on(Event::Extracting {
                story: &story,
                done: at.done,
                total: at.total,
                stories_done,
                n_stories,
            })
        });
        let complete = complete.map_err(|error| naming(path, error))?;
        provenance.write_beside(out, |out| copy_file(&complete, out))?;
        if self.config.cache.is_none() {
            std::fs::remove_file(&complete).map_err(io_error("remove", &complete))?;
        }
        Ok(Extracted::Written {
            n_times: self.extractor.times(&audio)?.len(),
            is_silent: audio.samples().iter().all(|sample| *sample == 0.0),
        })
    }
}

/// Whether a file is there, whole, and of the same inputs.
fn is_done(out: &Path, provenance: &Provenance) -> bool {
    let record = std::fs::read(out.with_added_extension("provenance.json"));
    let record = record.map(|text| serde_json::from_slice::<Provenance>(&text));
    let is_same = matches!(record, Ok(Ok(record)) if record.key == provenance.key);
    is_same && is_whole(out).unwrap_or(false)
}

/// Whether a safetensors file is as long as its header says.
fn is_whole(path: &Path) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let mut header = Vec::new();
    file.take(length.min(size)).read_to_end(&mut header)?;
    let header: Map<String, Value> = serde_json::from_slice(&header)?;
    let ends = header
        .values()
        .map(|tensor| tensor["data_offsets"][1].as_u64());
    let end = ends.flatten().max().unwrap_or(0);
    Ok(header.contains_key("times")
        && 8_u64.checked_add(end).and_then(|end| size.checked_sub(end)) == Some(length))
}
