//! CREMA-D (Cao et al. 2014): the emotion that an actor was asked for.
//!
//! `1001_DFA_ANG_XX.wav`: actor, sentence, emotion, level; in `training` and `testing` as the paper has them, or all
//! in `AudioWAV`. Held by `tests/it/corpora.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{CorpusTask, child, data_problem, files, is_audio, name_of};
use crate::error::Result;
use crate::splits::{self, held_out};
use crate::task::{LabelSet, Recording, Split, Target};

const EMOTIONS: [&str; 6] = ["ANG", "DIS", "FEA", "HAP", "NEU", "SAD"];
/// The paper's clips, seconds.
const PAPER_S: f64 = 2.0;
const WHERE: &str = "CREMA-D is at https://github.com/CheyneyComputerScience/CREMA-D (Open Database License): its AudioWAV folder, fetched with Git LFS";

impl CorpusTask {
    /// Emotion, six classes, from the mean over a recording's frames.
    ///
    /// The corpus in `folder`. `training` and `testing` are the splits if they are there, else actors are drawn, a tenth
    /// to test and a tenth of the others to validate, so that no actor is in two splits. `paper` cuts or fills every
    /// recording to 2 s.
    ///
    /// # Errors
    /// No recordings (the message says where the corpus is to be had), names that are none of the corpus's, a split
    /// with nothing in it.
    pub fn crema_d(folder: &Path, paper: bool, seed: u64) -> Result<Self> {
        let audio = |folder: &Path| -> Result<Vec<PathBuf>> {
            Ok(files(folder)?
                .into_iter()
                .filter(|path| is_audio(path))
                .collect())
        };
        let official = child(folder, "training").zip(child(folder, "testing"));
        let named: Vec<(PathBuf, bool)> = if let Some((training, testing)) = &official {
            let training = audio(training)?.into_iter().map(|path| (path, false));
            training
                .chain(audio(testing)?.into_iter().map(|path| (path, true)))
                .collect()
        } else {
            let folder = child(folder, "AudioWAV").unwrap_or_else(|| folder.to_path_buf());
            audio(&folder)?
                .into_iter()
                .map(|path| (path, false))
                .collect()
        };
        if named.is_empty() {
            return Err(data_problem(
                folder,
                format!("no recordings in it; {WHERE}"),
            ));
        }
        let mut recordings = named
            .into_iter()
            .map(|(path, is_test)| recording(path, is_test, paper))
            .collect::<Result<Vec<_>>>()?;
        if official.is_none() {
            hold_out(&mut recordings, Split::Test, seed);
        }
        hold_out(&mut recordings, Split::Validation, seed.wrapping_add(1));
        splits::check(recordings.iter().map(|r| r.split), "CREMA-D")?;
        Ok(Self {
            name: "emotion",
            labels: LabelSet::OneOf(EMOTIONS.map(str::to_owned).to_vec()),
            recordings,
        })
    }
}

fn recording(audio: PathBuf, is_test: bool, paper: bool) -> Result<Recording> {
    let name = name_of(&audio).to_uppercase();
    let fields: Vec<&str> = name.split(['_', '.']).collect();
    let [actor, sentence, emotion, ..] = fields.as_slice() else {
        return Err(data_problem(
            &audio,
            "expected a name like 1001_DFA_ANG_XX.wav",
        ));
    };
    let Some(class) = EMOTIONS.iter().position(|known| known == emotion) else {
        let problem = format!("its emotion `{emotion}` is none of {}", EMOTIONS.join(", "));
        return Err(data_problem(&audio, problem));
    };
    let (group, text) = ((*actor).to_owned(), Some((*sentence).to_owned()));
    let split = if is_test { Split::Test } else { Split::Train };
    Ok(Recording {
        length_s: paper.then_some(PAPER_S),
        text,
        ..Recording::whole(audio, split, group, Target::Class(class))
    })
}

/// Gives a tenth of the groups that train to another split.
fn hold_out(recordings: &mut [Recording], split: Split, seed: u64) {
    let training = recordings.iter().filter(|r| r.split == Split::Train);
    let groups: BTreeSet<String> = training.map(|r| r.group.clone()).collect();
    let held = held_out(groups, seed);
    for recording in recordings.iter_mut().filter(|r| r.split == Split::Train) {
        if held.contains(&recording.group) {
            recording.split = split;
        }
    }
}
