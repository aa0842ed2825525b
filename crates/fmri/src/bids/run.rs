//! One run of one subject: its files, and when its TRs were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::events::{Sidecar, Sound, read_sound};
use super::names::{BidsName, sidecars};
use super::options::{BidsOptions, BidsRuns};
use crate::files::{list_dir, refuse_pointer};
use crate::{FmriError, NiftiFile, Result};

/// How far the TR of a header may be from that of a sidecar, and that of a run from that of its
/// story's first, in seconds.
pub(super) const TR_SLACK_S: f64 = 1e-3;

/// A run, from names alone.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) subject: String,
    /// The task, and the run where runs are parts of it.
    pub(super) task: String,
    pub(super) bold: PathBuf,
    /// The brain mask beside it.
    pub(super) mask: Option<PathBuf>,
    name: BidsName,
}

/// What the files of a run say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RunTiming {
    pub(super) n_trs: usize,
    pub(super) tr_s: f64,
    /// Midpoint of the first TR, in seconds from sound onset.
    pub(super) first_tr_s: f64,
}

/// All runs of a folder of derivatives, by subject, story, session and run.
pub(super) fn find_runs(derivatives: &Path, options: &BidsOptions) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for subject_dir in folders(derivatives, "sub-")? {
        let mut dirs = vec![subject_dir.join("func")];
        dirs.extend(
            folders(&subject_dir, "ses-")?
                .iter()
                .map(|dir| dir.join("func")),
        );
        for dir in dirs {
            let files = list_dir(&dir)?;
            let names = files
                .iter()
                .filter_map(|path| Some((path, BidsName::parse(path)?)));
            let names: Vec<_> = names.filter(|(_, name)| name.is_nifti()).collect();
            for (path, name) in &names {
                if let Some((subject, task)) = wanted(name, options) {
                    let is_mask = |other: &BidsName| {
                        other.suffix == "mask"
                            && other.get("desc") == Some("brain")
                            && other.is_beside(name)
                    };
                    let mask = names.iter().find(|(_, other)| is_mask(other));
                    runs.push(Run {
                        subject,
                        task,
                        bold: (*path).clone(),
                        mask: mask.map(|(path, _)| (*path).clone()),
                        name: name.clone(),
                    });
                }
            }
        }
    }
    refuse_twins(&runs)?;
    Ok(runs)
}

/// The subject and task of an image that is asked for.
fn wanted(name: &BidsName, options: &BidsOptions) -> Option<(String, String)> {
    let (subject, task) = (name.get("sub")?, name.get("task")?);
    let desc = options.desc.as_deref().unwrap_or("preproc");
    let is_space = |space: &String| name.get("space") == Some(space);
    let is_wanted = name.suffix == "bold"
        && name.get("desc") == Some(desc)
        // Single echoes come beside what they are combined to.
        && name.get("echo").is_none()
        && options.space.as_ref().is_none_or(is_space)
        && (options.tasks.is_empty() || options.tasks.iter().any(|other| other == task));
    let task = match (options.runs, name.get("run")) {
        (BidsRuns::Parts, Some(run)) => format!("{task}_run-{run}"),
        _ => task.to_owned(),
    };
    is_wanted.then(|| (format!("sub-{subject}"), task))
}

/// Two images of one run: in two spaces, or compressed and not.
fn refuse_twins(runs: &[Run]) -> Result<()> {
    let mut known: BTreeMap<[Option<&str>; 7], &Run> = BTreeMap::new();
    for run in runs {
        let keys = ["sub", "ses", "task", "acq", "dir", "rec", "run"];
        let key = keys.map(|key| run.name.get(key));
        if let Some(other) = known.insert(key, run) {
            return Err(FmriError::Bids {
                path: run.bold.clone(),
                reason: format!(
                    "{} is of the same run: choose a space, or move one of them away",
                    other.bold.display()
                ),
            });
        }
    }
    Ok(())
}

fn folders(dir: &Path, prefix: &str) -> Result<Vec<PathBuf>> {
    let mut paths = list_dir(dir)?;
    paths.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(prefix)) && path.is_dir()
    });
    Ok(paths)
}

impl Run {
    /// Whether the image is there, not only its name or a pointer to it.
    pub(super) fn is_fetched(&self) -> bool {
        self.bold.is_file() && refuse_pointer(&self.bold).is_ok()
    }

    /// Name of the run in that of a file, unique in the dataset.
    pub(super) fn file_stem(&self) -> String {
        let keys = [
            "sub", "ses", "task", "acq", "dir", "rec", "run", "space", "res", "desc",
        ];
        let parts = keys.iter().filter_map(|key| {
            let label = self.name.get(key)?;
            Some(format!("{key}-{label}"))
        });
        parts.collect::<Vec<_>>().join("_")
    }

    /// Reads headers, sidecars and events; `root` is the raw dataset.
    pub(super) fn timing(&self, root: &Path, options: &BidsOptions) -> Result<RunTiming> {
        let image = NiftiFile::open(&self.bold)?;
        let beside = self.sidecar_beside()?;
        let tr_s = self.tr_s(root, &image, &beside)?;
        let sound = self.sound(root, options)?;
        // Slices that were brought to one moment of the TR are of that moment, else of its middle on
        // average.
        let moment_s = beside.slice_time_s().unwrap_or(tr_s / 2.0);
        Ok(RunTiming {
            n_trs: image.header().n_volumes(),
            tr_s,
            first_tr_s: moment_s - sound.onset_s,
        })
    }

    /// The sidecar of the derivative; empty if there is none.
    fn sidecar_beside(&self) -> Result<Sidecar> {
        let name = self.bold.file_name().and_then(|name| name.to_str());
        let stem = name.and_then(|name| name.split('.').next());
        let path = self
            .bold
            .with_file_name(format!("{}.json", stem.unwrap_or_default()));
        if path.symlink_metadata().is_err() {
            return Ok(Sidecar::default());
        }
        Sidecar::read(&path)
    }

    /// The TR of the sidecars, which the header must not contradict.
    fn tr_s(&self, root: &Path, image: &NiftiFile, beside: &Sidecar) -> Result<f64> {
        let bids_error = |reason| FmriError::Bids {
            path: self.bold.clone(),
            reason,
        };
        let mut said = beside.repetition_time;
        if said.is_none() {
            for path in sidecars(root, &self.name, "bold", "json")? {
                said = Sidecar::read(&path)?.repetition_time;
                if said.is_some() {
                    break;
                }
            }
        }
        let tr_s = match (said, image.header().tr_s()) {
            (Some(said), Some(header)) if (said - header).abs() > TR_SLACK_S => {
                return Err(bids_error(format!(
                    "its header has a TR of {header} s, its sidecar a RepetitionTime of {said} s"
                )));
            }
            (Some(tr_s), _) | (None, Some(tr_s)) => tr_s,
            (None, None) => {
                return Err(bids_error(
                    "no TR: expected `RepetitionTime` in a sidecar or a step of time in its header"
                        .into(),
                ));
            }
        };
        if tr_s.is_finite() && tr_s > 0.0 {
            return Ok(tr_s);
        }
        Err(bids_error(format!("a RepetitionTime of {tr_s} s")))
    }

    /// The sound of the run; `root` is the raw dataset.
    pub(super) fn sound(&self, root: &Path, options: &BidsOptions) -> Result<Sound> {
        let events = sidecars(root, &self.name, "events", "tsv")?;
        match (events.first(), options.onset_s) {
            // The sound is still named there, if it is one.
            (Some(path), Some(onset_s)) => Ok(Sound {
                onset_s,
                file: read_sound(path, None).ok().and_then(|sound| sound.file),
            }),
            (None, Some(onset_s)) => Ok(Sound {
                onset_s,
                file: None,
            }),
            (Some(path), None) => read_sound(path, options.trial_type.as_deref()),
            (None, None) => Err(FmriError::Missing {
                what: format!("events of {}, which say when the sound began,", self.task),
                path: self.events_path(root),
            }),
        }
    }

    /// Where the events of the run should be.
    fn events_path(&self, root: &Path) -> PathBuf {
        let keys = ["sub", "ses", "task", "acq", "run"];
        let parts = keys.iter().filter_map(|key| {
            let label = self.name.get(key)?;
            Some(format!("{key}-{label}"))
        });
        let stem = parts.collect::<Vec<_>>().join("_");
        let mut dir = root.join(&self.subject);
        if let Some(session) = self.name.get("ses") {
            dir.push(format!("ses-{session}"));
        }
        dir.join("func").join(format!("{stem}_events.tsv"))
    }
}
