//! SLURP (Bastianelli et al. 2020): the action that a user asks for.
//!
//! `dataset/slurp/{train,devel,test}.jsonl`, one object a line with `action` and `recordings`, and the audio in
//! `audio/slurp_real` or `slurp_real`. Held by `tests/it/corpora.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{CorpusTask, cut, data_problem, text_of};
use crate::error::Result;
use crate::splits;
use crate::task::{LabelSet, Recording, Split, Target};

/// The paper's clips, seconds.
const PAPER_S: f64 = 7.0;
const WHERE: &str = "SLURP's text is at https://github.com/pswietojanski/slurp (dataset/slurp/*.jsonl), its audio at https://zenodo.org/records/4274930 (slurp_real.tar.gz, CC BY-NC 4.0)";

/// A line of the lists.
#[derive(Deserialize)]
struct Line {
    action: String,
    #[serde(default)]
    sentence: Option<String>,
    recordings: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    file: String,
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
        let lists = [
            ("train", Split::Train),
            ("devel", Split::Validation),
            ("test", Split::Test),
        ];
        let mut lines = Vec::new();
        for (name, split) in lists {
            let path = list_path(folder, name)?;
            for (number, line) in text_of(&path)?.lines().enumerate() {
                if line.trim().is_empty() {
                    continue;
                }
                let parsed: Line = serde_json::from_str(line).map_err(|e| {
                    data_problem(
                        &path,
                        format!("line {}: {e}, found `{}`", number + 1, cut(line)),
                    )
                })?;
                lines.push((path.clone(), number + 1, parsed, split));
            }
        }
        let trained = lines
            .iter()
            .filter(|(_, _, _, split)| *split == Split::Train);
        let mut classes: BTreeMap<String, usize> = trained
            .map(|(_, _, line, _)| (line.action.clone(), 0))
            .collect();
        for (number, class) in classes.values_mut().enumerate() {
            *class = number;
        }
        let audio = audio_folder(folder)?;
        let recordings = lines
            .into_iter()
            .map(|(path, number, line, split)| {
                let Some(&class) = classes.get(&line.action) else {
                    let problem = format!(
                        "line {number}: no training item has the action `{}`",
                        cut(&line.action)
                    );
                    return Err(data_problem(&path, problem));
                };
                let Some(File { file }) = line.recordings.first() else {
                    return Err(data_problem(
                        &path,
                        format!("line {number}: an item without a recording"),
                    ));
                };
                let (audio, target) = (audio.join(file), Target::Class(class));
                Ok(Recording {
                    length_s: paper.then_some(PAPER_S),
                    text: line.sentence,
                    ..Recording::whole(audio, split, file.clone(), target)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        splits::check(recordings.iter().map(|r| r.split), "SLURP")?;
        Ok(Self {
            name: "action",
            labels: LabelSet::OneOf(classes.into_keys().collect()),
            recordings,
        })
    }
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
