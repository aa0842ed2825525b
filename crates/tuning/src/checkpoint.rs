//! Where a run stands, on disk: written whole or not at all, found again after a crash.
//!
//! `state/step-N/` holds weights, moments and `state.json` with digests of the other files; the last two
//! are kept, and in `state/best-N/` the weights of the best evaluation. Held by `tests/it/resume.rs`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use braintune_backbone::SpeechBackbone;
use burn::module::Module;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::batch::TuningData;
use crate::digests::{Digests, of_file};
use crate::error::{Result, TuningError, io_error};
use crate::model::TuningModel;
use crate::step::Optimisers;

const WEIGHTS: &str = "weights.bpk";
const BACKBONE_MOMENTS: &str = "moments-backbone.bpk";
const HEAD_MOMENTS: &str = "moments-head.bpk";
const STATE: &str = "state.json";
const BEST: &str = "best-";
const PART: &str = ".part";
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
        let mut steps = self.steps()?;
        steps.truncate(steps.len().saturating_sub(KEPT));
        for old in steps {
            fs::remove_dir_all(&old).map_err(io_error("remove", &old))?;
        }
        Ok(())
    }

    /// Writes the weights of the best evaluation, then removes those before.
    pub(crate) fn save_best<B: SpeechBackbone>(
        &self,
        model: &TuningModel<B>,
        progress: &Progress,
    ) -> Result<()> {
        let name = best_name(progress.step);
        self.write(&name, progress, |dir| {
            save_weights(model, &dir.join(WEIGHTS))
        })?;
        for (other, path) in entries(&self.dir)? {
            if other.starts_with(BEST) && other != name {
                fs::remove_dir_all(&path).map_err(io_error("remove", &path))?;
            }
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
        remove_if_there(&dir)?;
        fs::rename(&temporary, &dir).map_err(io_error("rename", &temporary))?;
        // The new name is on disk before anything older is removed.
        sync_folder(&self.dir).map_err(io_error("write", &self.dir))
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

    /// Folders of checkpoints, oldest first.
    fn steps(&self) -> Result<Vec<PathBuf>> {
        if !self.dir.is_dir() {
            return Ok(Vec::new());
        }
        let mut steps: Vec<PathBuf> = entries(&self.dir)?
            .into_iter()
            .filter(|(name, _)| name.starts_with("step-"))
            .map(|(_, path)| path)
            .collect();
        steps.sort();
        Ok(steps)
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
        let steps = self.steps().unwrap_or_default();
        let last = steps.last().and_then(|path| {
            path.file_name()?
                .to_str()?
                .strip_prefix("step-")?
                .parse()
                .ok()
        });
        last.unwrap_or(0)
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
        for dir in self.steps()?.into_iter().rev() {
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
                differences: differences(&state.run, &self.run),
            }));
        }
        let changed = self.changed(&state.read).map_err(Broken::Other)?;
        if !changed.is_empty() {
            return Err(Broken::Other(TuningError::OtherRun {
                path: self.dir.clone(),
                differences: changed.join("; "),
            }));
        }
        let model = load_weights(model.clone(), &dir.join(WEIGHTS)).map_err(Broken::Damaged)?;
        let damaged = |e: &dyn std::fmt::Display| Broken::Damaged(e.to_string());
        let optimisers = Optimisers {
            backbone: optimisers
                .backbone
                .load(dir.join(BACKBONE_MOMENTS))
                .map_err(|e| damaged(&e))?,
            head: optimisers
                .head
                .load(dir.join(HEAD_MOMENTS))
                .map_err(|e| damaged(&e))?,
        };
        Ok((model, optimisers, state.progress))
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
        self.remove(|name| name.starts_with("step-") || name.starts_with(BEST))
    }

    /// Removes what was being written when a run was killed.
    pub(crate) fn sweep(&self) -> Result<()> {
        self.remove(|name| {
            name.strip_suffix(PART)
                .is_some_and(|name| name.starts_with('.'))
        })
    }

    fn remove(&self, which: impl Fn(&str) -> bool) -> Result<()> {
        if !self.dir.is_dir() {
            return Ok(());
        }
        for (name, path) in entries(&self.dir)? {
            if which(&name) {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }
}

enum Broken {
    /// The next one may be whole.
    Damaged(String),
    Other(TuningError),
}

fn step_name(step: usize) -> String {
    format!("step-{step:08}")
}

fn best_name(step: usize) -> String {
    format!("{BEST}{step:08}")
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

/// What differs between two records, key by key.
fn differences(old: &Value, new: &Value) -> String {
    let mut found = Vec::new();
    collect_differences("", old, new, &mut found);
    found.join("; ")
}

fn collect_differences(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect_differences(&path, &of(a), &of(b), found);
            }
        }
        _ if old != new => found.push(format!("{path} was {old} and is {new}")),
        _ => {}
    }
}

fn save_weights<B: SpeechBackbone>(model: &TuningModel<B>, path: &Path) -> Result<()> {
    model.clone().save_file(path).map_err(failed("write", path))
}

fn load_weights<B: SpeechBackbone>(
    model: TuningModel<B>,
    path: &Path,
) -> Result<TuningModel<B>, String> {
    model
        .try_load_file(path)
        .map_err(|e| format!("{}: {e}", path.display()))
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
