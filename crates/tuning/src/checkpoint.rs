//! Where a run stands, on disk: written whole or not at all, found again after a crash.
//!
//! `state/step-N/` holds weights, moments and `state.json` with digests of the other files; the last two
//! are kept, and in `state/best-N/` the weights of the best evaluation and of the one that was it before, which
//! the older checkpoint may go on with. Held by `tests/it/resume.rs`.

mod differences;
mod of_ranks;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use braintune_backbone::SpeechBackbone;
use burn::module::Module;
use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::differences::differences;
use self::differences::was_and_is;
use crate::batch::TuningData;
use crate::digests::{Digests, of_file};
use crate::error::{Result, TuningError, io_error};
use crate::model::TuningModel;
use crate::step::Optimisers;

const WEIGHTS: &str = "weights.bpk";
const BACKBONE_MOMENTS: &str = "moments-backbone.bpk";
const HEAD_MOMENTS: &str = "moments-head.bpk";
const STATE: &str = "state.json";
const STEP: &str = "step-";
const BEST: &str = "best-";
/// Digits of a step in names.
const DIGITS: usize = 8;
const PART: &str = ".part";
const OLD: &str = ".old";
const LOCK: &str = ".lock";
/// Checkpoints that stay.
const KEPT: usize = 2;

/// What besides weights and moments a run needs to go on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Optimiser steps made.
    pub(crate) step: usize,
    /// Sum of the training losses since the last evaluation, and their number.
    pub(crate) losses: (f64, usize),
    /// Loss of the first step.
    pub(crate) first_loss: Option<f64>,
    /// Step and validation loss of the best evaluation.
    pub(crate) best: Option<(usize, f64)>,
    /// Evaluations since then.
    pub(crate) n_worse: usize,
    /// Whether the run is over.
    pub(crate) done: bool,
}

#[derive(Serialize, Deserialize)]
struct State {
    progress: Progress,
    /// Settings and data; a run goes on with the same only.
    run: Value,
    /// SHA-256 of the files beside it.
    files: Vec<(String, String)>,
    /// Of what was read of training and validation data.
    read: Vec<Digests>,
}

/// A folder of checkpoints of a run on these data.
pub(crate) struct Checkpoints<'a> {
    dir: PathBuf,
    run: Value,
    data: Vec<&'a dyn TuningData>,
}

/// What [`Checkpoints::resume`] found.
pub(crate) struct Resumed<B: SpeechBackbone> {
    pub(crate) model: TuningModel<B>,
    pub(crate) optimisers: Optimisers,
    pub(crate) progress: Progress,
    /// Checkpoints that could not be read, and why.
    pub(crate) skipped: Vec<(PathBuf, String)>,
}

impl<'a> Checkpoints<'a> {
    /// `run` says what besides the contents of `data` a run that goes on must have the same.
    pub(crate) fn new(
        dir: &Path,
        run: Value,
        data: impl IntoIterator<Item = &'a dyn TuningData>,
    ) -> Self {
        Self {
            dir: dir.to_path_buf(),
            run,
            data: data.into_iter().collect(),
        }
    }

    /// Writes a checkpoint and removes all but the last ones.
    pub(crate) fn save<B: SpeechBackbone>(
        &self,
        model: &TuningModel<B>,
        optimisers: &Optimisers,
        progress: &Progress,
    ) -> Result<()> {
        self.write(&step_name(progress.step), progress, |dir| {
            save_weights(model, &dir.join(WEIGHTS))?;
            let path = dir.join(BACKBONE_MOMENTS);
            optimisers
                .backbone
                .save(&path)
                .map_err(failed("write", &path))?;
            let path = dir.join(HEAD_MOMENTS);
            optimisers.head.save(&path).map_err(failed("write", &path))
        })?;
        self.keep_last(STEP)
    }

    /// Writes the weights of the best evaluation, then removes all but those and the ones before.
    pub(crate) fn save_best<B: SpeechBackbone>(
        &self,
        model: &TuningModel<B>,
        progress: &Progress,
    ) -> Result<()> {
        let name = best_name(progress.step);
        self.write(&name, progress, |dir| {
            save_weights(model, &dir.join(WEIGHTS))
        })?;
        self.keep_last(BEST)
    }

    /// Removes all folders of a kind but the last ones.
    fn keep_last(&self, kind: &str) -> Result<()> {
        let mut folders = self.folders(kind)?;
        folders.truncate(folders.len().saturating_sub(KEPT));
        for old in folders {
            fs::remove_dir_all(&old).map_err(io_error("remove", &old))?;
        }
        Ok(())
    }

    /// Weights of the best evaluation.
    pub(crate) fn load_best<B: SpeechBackbone>(
        &self,
        model: TuningModel<B>,
        step: usize,
    ) -> Result<TuningModel<B>> {
        let dir = self.dir.join(best_name(step));
        let broken = |problem| TuningError::BestWeights {
            path: self.dir.clone(),
            problem,
        };
        verify(&dir).map_err(broken)?;
        load_weights(model, &dir.join(WEIGHTS)).map_err(broken)
    }

    /// A folder under a temporary name, renamed when all of it is on disk.
    fn write(
        &self,
        name: &str,
        progress: &Progress,
        files: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        let (dir, temporary) = (self.dir.join(name), self.dir.join(format!(".{name}{PART}")));
        remove_if_there(&temporary)?;
        fs::create_dir_all(&temporary).map_err(io_error("create", &temporary))?;
        if let Err(error) = files(&temporary).and_then(|()| self.seal(&temporary, progress)) {
            let _ = fs::remove_dir_all(&temporary); // a full disk gets its room back
            return Err(error);
        }
        // One of the same name is out of the way, not gone, until the new one has it.
        let old = self.dir.join(format!(".{name}{OLD}"));
        remove_if_there(&old)?;
        if dir.exists() {
            fs::rename(&dir, &old).map_err(io_error("rename", &dir))?;
        }
        fs::rename(&temporary, &dir).map_err(io_error("rename", &temporary))?;
        // The new name is on disk before anything older is removed.
        sync_folder(&self.dir).map_err(io_error("write", &self.dir))?;
        remove_if_there(&old)
    }

    /// Puts all files of a folder on disk, and their digests beside them.
    fn seal(&self, dir: &Path, progress: &Progress) -> Result<()> {
        let mut digests = Vec::new();
        for (file, path) in entries(dir)? {
            digests.push((file, of_file(&path).map_err(io_error("read", &path))?));
            let sync = fs::File::open(&path).and_then(|file| file.sync_all());
            sync.map_err(io_error("write", &path))?;
        }
        digests.sort();
        let state = State {
            progress: progress.clone(),
            run: self.run.clone(),
            files: digests,
            read: self.data.iter().map(|data| data.digests()).collect(),
        };
        let text = serde_json::to_vec_pretty(&state).map_err(|e| failed("write", dir)(e))?;
        // Syncs the folder too.
        write_atomically(&dir.join(STATE), &text)
    }

    /// Folders of a kind, oldest first; what else somebody keeps here is none of ours.
    fn folders(&self, kind: &str) -> Result<Vec<PathBuf>> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut found: Vec<PathBuf> = entries(&self.dir)?
            .into_iter()
            .filter(|(name, path)| step_of(name, kind).is_some() && path.is_dir())
            .map(|(_, path)| path)
            .collect();
        found.sort();
        Ok(found)
    }

    /// Whether this very state is on disk: a step may have been written before its evaluation was made.
    pub(crate) fn holds(&self, progress: &Progress) -> bool {
        let dir = self.dir.join(step_name(progress.step));
        fs::read(dir.join(STATE)).is_ok_and(|text| {
            let state = serde_json::from_slice::<State>(&text);
            state.is_ok_and(|state| state.progress == *progress)
        })
    }

    /// The last step that is on disk, 0 if none.
    pub(crate) fn last_step(&self) -> usize {
        let steps = self.folders(STEP).unwrap_or_default();
        let last = steps.last().and_then(|path| path.file_name()?.to_str());
        last.and_then(|name| step_of(name, STEP)).unwrap_or(0)
    }

    /// The newest checkpoint that can be read; none if there is none at all.
    ///
    /// # Errors
    /// Those that are there are of another run, or all are damaged.
    pub(crate) fn resume<B: SpeechBackbone>(
        &self,
        model: &TuningModel<B>,
        optimisers: impl Fn() -> Optimisers,
    ) -> Result<Option<Resumed<B>>> {
        let mut skipped: Vec<(PathBuf, String)> = Vec::new();
        for dir in self.folders(STEP)?.into_iter().rev() {
            match self.read(&dir, model, optimisers()) {
                Ok((model, optimisers, progress)) => {
                    // Their steps will be made again, and written again.
                    for (damaged, _) in &skipped {
                        remove_if_there(damaged)?;
                    }
                    return Ok(Some(Resumed {
                        model,
                        optimisers,
                        progress,
                        skipped,
                    }));
                }
                Err(Broken::Other(error)) => return Err(error),
                Err(Broken::Damaged(problem)) => skipped.push((dir, problem)),
            }
        }
        match skipped.into_iter().next() {
            Some((_, problem)) => Err(TuningError::Checkpoint {
                path: self.dir.clone(),
                problem,
            }),
            None => Ok(None),
        }
    }

    fn read<B: SpeechBackbone>(
        &self,
        dir: &Path,
        model: &TuningModel<B>,
        optimisers: Optimisers,
    ) -> Result<(TuningModel<B>, Optimisers, Progress), Broken> {
        let state = verify(dir).map_err(Broken::Damaged)?;
        if state.run != self.run {
            return Err(Broken::Other(TuningError::OtherRun {
                path: self.dir.clone(),
                differences: differences(&state.run, &self.run, &was_and_is),
            }));
        }
        let changed = self.changed(&state.read).map_err(Broken::Other)?;
        if !changed.is_empty() {
            return Err(Broken::Other(TuningError::OtherRun {
                path: self.dir.clone(),
                differences: changed.join("; "),
            }));
        }
        if let Some((step, _)) = state.progress.best {
            self.mend_best(step, &state.progress)?;
        }
        let model = load_weights(model.clone(), &dir.join(WEIGHTS)).map_err(Broken::Damaged)?;
        let moments = |file: &str| {
            let read = read_whole(&dir.join(file), OptimizerRecord::from_bytes);
            read.map_err(Broken::Damaged)
        };
        let optimisers = Optimisers {
            backbone: optimisers.backbone.load_record(moments(BACKBONE_MOMENTS)?),
            head: optimisers.head.load_record(moments(HEAD_MOMENTS)?),
        };
        Ok((model, optimisers, state.progress))
    }

    /// The best weights are whole, or are made whole from the checkpoint of the same step; a run must not learn at its
    /// end that they are lost.
    fn mend_best(&self, step: usize, progress: &Progress) -> Result<(), Broken> {
        let Err(problem) = verify(&self.dir.join(best_name(step))) else {
            return Ok(());
        };
        let same = self.dir.join(step_name(step));
        if verify(&same).is_err() {
            return Err(Broken::Damaged(format!("the best weights: {problem}")));
        }
        let copied = self.write(&best_name(step), progress, |dir| {
            let (from, to) = (same.join(WEIGHTS), dir.join(WEIGHTS));
            let copied = fs::copy(&from, &to).map_err(io_error("copy", &from));
            copied.map(|_| ())
        });
        copied.map_err(Broken::Other)
    }

    /// What of the data that were read before is not what it was.
    fn changed(&self, read: &[Digests]) -> Result<Vec<String>> {
        let mut changed = Vec::new();
        for (data, recorded) in self.data.iter().zip(read) {
            changed.extend(data.changed(recorded).map_err(TuningError::Batch)?);
        }
        Ok(changed)
    }

    /// Removes what an earlier run left, and nothing else.
    pub(crate) fn clear(&self) -> Result<()> {
        for old in [self.folders(STEP)?, self.folders(BEST)?].concat() {
            remove_if_there(&old)?;
        }
        Ok(())
    }

    /// Removes what was being written when a run was killed; what was out of the way by then gets its name again.
    pub(crate) fn sweep(&self) -> Result<()> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        for (name, path) in entries(&self.dir)? {
            let Some(name) = name.strip_prefix('.') else {
                continue;
            };
            if name.ends_with(PART) {
                remove_if_there(&path)?;
            } else if let Some(name) = name.strip_suffix(OLD) {
                let place = self.dir.join(name);
                if place.exists() {
                    remove_if_there(&path)?;
                } else {
                    fs::rename(&path, &place).map_err(io_error("rename", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Keeps other runs out of the folder for as long as what is given lives. None where the file system has no locks.
    pub(crate) fn lock(&self) -> Result<Option<fs::File>> {
        fs::create_dir_all(&self.dir).map_err(io_error("create", &self.dir))?;
        let path = self.dir.join(LOCK);
        let open = fs::OpenOptions::new().create(true).append(true).open(&path);
        let file = open.map_err(io_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Err(TuningError::InUse {
                path: self.dir.clone(),
            }),
            Err(fs::TryLockError::Error(_)) => Ok(None),
        }
    }
}

enum Broken {
    /// The next one may be whole.
    Damaged(String),
    Other(TuningError),
}

fn step_name(step: usize) -> String {
    format!("{STEP}{step:0DIGITS$}")
}

fn best_name(step: usize) -> String {
    format!("{BEST}{step:0DIGITS$}")
}

/// The step in a name of this kind.
fn step_of(name: &str, kind: &str) -> Option<usize> {
    let digits = name.strip_prefix(kind)?;
    let is_number = digits.len() >= DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// The state of a folder whose files are those that were written.
fn verify(dir: &Path) -> Result<State, String> {
    let at = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let path = dir.join(STATE);
    let text = fs::read(&path).map_err(|e| at(&path, &e))?;
    let state: State = serde_json::from_slice(&text).map_err(|e| at(&path, &e))?;
    for (file, digest) in &state.files {
        let path = dir.join(file);
        if of_file(&path).map_err(|e| at(&path, &e))? != *digest {
            return Err(at(&path, &"its content is not what was written"));
        }
    }
    Ok(state)
}

fn save_weights<B: SpeechBackbone>(model: &TuningModel<B>, path: &Path) -> Result<()> {
    model.clone().save_file(path).map_err(failed("write", path))
}

fn load_weights<B: SpeechBackbone>(
    model: TuningModel<B>,
    path: &Path,
) -> Result<TuningModel<B>, String> {
    let record = read_whole(path, ModuleRecord::from_bytes)?;
    let loaded = model.try_load_record(record);
    loaded.map_err(|e| format!("{}: {e}", path.display()))
}

/// A record whose values are in memory: burn reads those of a file when they are first used, when it may be gone.
fn read_whole<R, E: std::fmt::Display>(
    path: &Path,
    parse: impl FnOnce(Bytes) -> Result<R, E>,
) -> Result<R, String> {
    let at = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let bytes = fs::read(path).map_err(|e| at(&e))?;
    parse(Bytes::from_bytes_vec(bytes)).map_err(|e| at(&e))
}

fn failed<'a, E: std::fmt::Display>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(E) -> TuningError + 'a {
    move |e| TuningError::Io {
        doing,
        path: path.to_path_buf(),
        source: std::io::Error::other(e.to_string()),
    }
}

fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>> {
    let list = fs::read_dir(dir).map_err(io_error("list", dir))?;
    let mut found = Vec::new();
    for entry in list {
        let entry = entry.map_err(io_error("list", dir))?;
        found.push((
            entry.file_name().to_string_lossy().into_owned(),
            entry.path(),
        ));
    }
    Ok(found)
}

fn remove_if_there(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(io_error("remove", dir))?;
    }
    Ok(())
}

/// Puts the names in a folder on disk; where folders cannot be opened, the file system does it in its time.
fn sync_folder(dir: &Path) -> std::io::Result<()> {
    if cfg!(unix) {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Writes `bytes` under a temporary name beside `path` and renames.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file =
        atomic_write_file::AtomicWriteFile::open(path).map_err(io_error("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.commit())
        .map_err(io_error("write", path))
}
