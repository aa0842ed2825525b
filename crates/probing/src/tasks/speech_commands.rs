//! Speech Commands (Warden 2018): which word is said.
//!
//! A folder for each word, `testing_list.txt` and `validation_list.txt` with `word/file.wav` lines; all else is for
//! training. Held by `tests/it/corpora.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{CorpusTask, cut, data_problem, files, folders, is_audio, name_of, text_of};
use crate::error::Result;
use crate::splits;
use crate::task::{LabelSet, Recording, Split, Target};

const WHERE: &str = "Speech Commands v0.02 is at http://download.tensorflow.org/data/speech_commands_v0.02.tar.gz (CC BY 4.0); unpack it and give its folder";

impl CorpusTask {
    /// Word identity, 35 classes in the whole corpus, from the mean over a recording's frames.
    ///
    /// The corpus in `folder` with its official lists, which share no speaker.
    ///
    /// # Errors
    /// No word folders or lists (the message says where the corpus is to be had), lines of a list that name no file, a split with nothing in it.
    pub fn speech_commands(folder: &Path) -> Result<Self> {
        let words: Vec<PathBuf> = folders(folder)?
            .into_iter()
            .filter(|word| !name_of(word).starts_with(['_', '.']))
            .collect();
        if words.is_empty() {
            return Err(data_problem(
                folder,
                format!("no folder of a word in it; {WHERE}"),
            ));
        }
        let (testing, validation) = (
            list(folder, "testing_list.txt")?,
            list(folder, "validation_list.txt")?,
        );
        if let Some(both) = testing.intersection(&validation).next() {
            let problem = format!("{both} is in testing_list.txt and in validation_list.txt");
            return Err(data_problem(folder, problem));
        }
        let mut recordings = Vec::new();
        for (class, word) in words.iter().enumerate() {
            for audio in files(word)?.into_iter().filter(|path| is_audio(path)) {
                let key = format!("{}/{}", name_of(word), name_of(&audio));
                let split = if testing.contains(&key) {
                    Split::Test
                } else if validation.contains(&key) {
                    Split::Validation
                } else {
                    Split::Train
                };
                recordings.push(recording(audio, class, split));
            }
        }
        check_lists(
            folder,
            &recordings,
            [
                ("testing_list.txt", &testing),
                ("validation_list.txt", &validation),
            ],
        )?;
        splits::check(recordings.iter().map(|r| r.split), "Speech Commands")?;
        Ok(Self {
            name: "words",
            labels: LabelSet::OneOf(words.iter().map(|word| name_of(word)).collect()),
            recordings,
        })
    }
}

fn recording(audio: PathBuf, class: usize, split: Split) -> Recording {
    let name = name_of(&audio);
    let speaker = name.split("_nohash_").next().unwrap_or(&name).to_owned();
    Recording::whole(audio, split, speaker, Target::Class(class))
}

/// Lines of one of the lists.
fn list(folder: &Path, name: &str) -> Result<BTreeSet<String>> {
    let path = folder.join(name);
    if !path.exists() {
        return Err(data_problem(folder, format!("no {name} in it; {WHERE}")));
    }
    let text = text_of(&path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(|line| line.replace('\\', "/")).collect())
}

/// Every line of a list names a recording.
fn check_lists(
    folder: &Path,
    recordings: &[Recording],
    lists: [(&str, &BTreeSet<String>); 2],
) -> Result<()> {
    let keys: BTreeSet<String> = recordings
        .iter()
        .filter_map(|r| {
            Some(format!(
                "{}/{}",
                name_of(r.audio.parent()?),
                name_of(&r.audio)
            ))
        })
        .collect();
    for (name, list) in lists {
        let missing: Vec<_> = list.iter().filter(|line| !keys.contains(*line)).collect();
        if let Some(first) = missing.first() {
            let problem = format!(
                "{} of {} lines name no recording, the first is `{}`: the copy is not whole",
                missing.len(),
                list.len(),
                cut(first)
            );
            return Err(data_problem(&folder.join(name), problem));
        }
    }
    Ok(())
}
