//! SLURP (Bastianelli et al. 2020): the action that a user asks for.
//!
//! `dataset/slurp/{train,devel,test}.jsonl`, one object a line with `action` and `recordings`, and the audio in
//! `audio/slurp_real` or `slurp_real`. Held by `tests/it/corpora.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{CorpusTask, cut, data_problem, text_of};
use crate::error::Result;
use crate::splits;
use crate::task::{LabelSet, Recording, Split, Target};

/// The paper's clips, seconds.
const PAPER_S: f64 = 7.0;
const WHERE: &str = "SLURP's text is at https://github.com/pswietojanski/slurp (dataset/slurp/*.jsonl), its audio at https://zenodo.org/records/4274930 (slurp_real.tar.gz, CC BY-NC 4.0)";

/// What a line of the lists says.
#[derive(Deserialize)]
struct Item {
    action: String,
    #[serde(default)]
    sentence: Option<String>,
    recordings: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    file: String,
}

/// A line of the lists, and where it stands.
struct Line {
    path: PathBuf,
    /// From 1.
    number: usize,
    item: Item,
    split: Split,
}

impl Line {
    /// The first recording in `audio`, whose class is the place of its action among `actions`, sorted.
    fn recording(self, audio: &Path, actions: &[String]) -> Result<Recording> {
        let problem =
            |problem: String| data_problem(&self.path, format!("line {}: {problem}", self.number));
        let action = &self.item.action;
        let Ok(class) = actions.binary_search(action) else {
            let action = cut(action);
            return Err(problem(format!(
                "no training item has the action `{action}`"
            )));
        };
        let Some(File { file }) = self.item.recordings.first() else {
            return Err(problem("an item without a recording".to_owned()));
        };
        let (audio, target) = (audio.join(file), Target::Class(class));
        Ok(Recording {
            text: self.item.sentence,
            ..Recording::whole(audio, self.split, file.clone(), target)
        })
    }
}

impl CorpusTask {
    /// Action (46 in the whole corpus) of the first recording of each item, from the mean over its frames.
    ///
    /// The corpus in `folder` with its own lists. Classes are those of the training list, by name; `paper` cuts or fills
    /// every recording to 7 s. The lists do not name speakers: every recording is a group of its own.
    ///
    /// # Errors
    /// Lists or audio that are not there (the message says where they are to be had), a line that is no such object or
    /// has no recording, an action that the training list has not.
    pub fn slurp(folder: &Path, paper: bool) -> Result<Self> {
        let lines = lines(folder)?;
        let trained = lines.iter().filter(|line| line.split == Split::Train);
        let actions: BTreeSet<String> = trained.map(|line| line.item.action.clone()).collect();
        let actions: Vec<String> = actions.into_iter().collect();
        let audio = audio_folder(folder)?;
        let recordings = lines.into_iter().map(|line| {
            let recording = line.recording(&audio, &actions)?;
            Ok(Recording {
                length_s: paper.then_some(PAPER_S),
                ..recording
            })
        });
        let recordings = recordings.collect::<Result<Vec<_>>>()?;
        splits::check(recordings.iter().map(|r| r.split), "SLURP")?;
        Ok(Self {
            name: "action",
            labels: LabelSet::OneOf(actions),
            recordings,
        })
    }
}

/// All lines of the three lists.
fn lines(folder: &Path) -> Result<Vec<Line>> {
    let lists = [
        ("train", Split::Train),
        ("devel", Split::Validation),
        ("test", Split::Test),
    ];
    let mut lines = Vec::new();
    for (name, split) in lists {
        let path = list_path(folder, name)?;
        for (number, line) in (1..).zip(text_of(&path)?.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let item = serde_json::from_str(line).map_err(|e| {
                data_problem(&path, format!("line {number}: {e}, found `{}`", cut(line)))
            })?;
            lines.push(Line {
                path: path.clone(),
                number,
                item,
                split,
            });
        }
    }
    Ok(lines)
}

fn list_path(folder: &Path, name: &str) -> Result<PathBuf> {
    let file = format!("{name}.jsonl");
    let places = [folder.join("dataset/slurp").join(&file), folder.join(&file)];
    let found = places.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| data_problem(folder, format!("no dataset/slurp/{file} in it; {WHERE}")))
}

fn audio_folder(folder: &Path) -> Result<PathBuf> {
    let places = ["audio/slurp_real", "slurp_real"].map(|below| folder.join(below));
    let found = places.into_iter().find(|path| path.is_dir());
    found.ok_or_else(|| data_problem(folder, format!("no audio/slurp_real in it; {WHERE}")))
}
