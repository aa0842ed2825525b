//! The tasks: each a corpus in the layout that it comes in, or what a story dataset has itself.

mod acoustic;
mod corpus;
mod crema_d;
mod slurp;
mod speech_commands;
mod story;
mod timit;
mod word_classes;

pub use acoustic::{AcousticTask, Acoustics};
pub use corpus::CorpusTask;
pub use story::{StoryProbe, StoryQuestion};
pub use timit::{TimitPhonemes, TimitSentenceType, TimitUtterance, is_timit, timit_utterances};
pub use word_classes::WordClasses;

use std::path::{Path, PathBuf};

use crate::error::{ProbingError, Result};

/// Entries of a folder, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |source| ProbingError::Io {
        path: folder.to_path_buf(),
        source,
    };
    let mut entries = std::fs::read_dir(folder)
        .map_err(io)?
        .map(|entry| entry.map(|entry| entry.path()).map_err(io))
        .collect::<Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = entries(folder)?.into_iter();
    Ok(entries.filter(|path| path.is_dir()).collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = entries(folder)?.into_iter();
    Ok(entries.filter(|path| !path.is_dir()).collect())
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The entry of that name in any case.
fn child(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = entries(folder).ok()?;
    entries
        .into_iter()
        .find(|path| name_of(path).eq_ignore_ascii_case(name))
}

fn is_audio(path: &Path) -> bool {
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    ["wav", "flac", "ogg", "mp3"].contains(&extension.as_str())
}

/// Text of a file.
fn text_of(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| ProbingError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn data_problem(path: &Path, problem: impl Into<String>) -> ProbingError {
    ProbingError::Data {
        path: path.to_path_buf(),
        problem: problem.into(),
    }
}

/// The beginning of a text that a file holds, for messages.
fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}
