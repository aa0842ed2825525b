//! What shares of an array job leave beside their pieces: the command, for `braintune merge` to find again.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Result, file_error, io_error};
use crate::files::{create_folder, write_atomically};

/// In the folder of results.
const FILE: &str = ".shard-command.json";

/// Keeps the command of a share, whose `--shard` and number are no part of it, in the folder of results.
///
/// # Errors
/// What the file system says.
pub fn keep(out: &Path, command: &[String], folder: &Path) -> Result<()> {
    create_folder(out)?;
    let path = out.join(FILE);
    let text = json!({
        "braintune": env!("CARGO_PKG_VERSION"),
        "folder": folder,
        "command": without_shard(command),
    });
    write_atomically(&path, format!("{text:#}\n").as_bytes())
}

/// Whether shares have left their command in a folder of results.
#[must_use]
pub fn is_there(out: &Path) -> bool {
    out.join(FILE).exists()
}

/// The command of shares in a folder of results, and the folder it was given in.
///
/// # Errors
/// No share worked there, or its record is damaged.
pub fn read(out: &Path) -> Result<(Vec<String>, PathBuf)> {
    let path = out.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(file_error(
                out,
                "no share (--shard i/n) of encode or study has worked here: give the folder that was their --out (shares of extract and tune are whole results, there is nothing to put together)",
            ));
        }
        text => text.map_err(io_error("read", &path))?,
    };
    let damaged = |why: &str| {
        file_error(
            &path,
            format!("is damaged ({why}): run any of the shares again, it writes it anew"),
        )
    };
    let found: Value = serde_json::from_str(&text).map_err(|e| damaged(&e.to_string()))?;
    let version = env!("CARGO_PKG_VERSION");
    if found["braintune"] != version {
        return Err(file_error(
            &path,
            format!(
                "shares were made by braintune {}, this is {version}: merge them with that version",
                found["braintune"]
            ),
        ));
    }
    let words = found["command"].as_array();
    let words: Option<Vec<String>> = words.map(|words| {
        words
            .iter()
            .filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    });
    match (words, found["folder"].as_str()) {
        (Some(words), Some(folder)) if !words.is_empty() => Ok((words, folder.into())),
        _ => Err(damaged("no command")),
    }
}

/// A command line without its `--shard`, as one process would have it.
fn without_shard(command: &[String]) -> Vec<String> {
    let mut words = command.iter();
    let mut left = Vec::with_capacity(command.len());
    while let Some(word) = words.next() {
        if word == "--shard" {
            words.next();
        } else if !word.starts_with("--shard=") {
            left.push(word.clone());
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_kept_without_its_share() {
        let folder = tempfile::tempdir().expect("a folder");
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        let said = read(folder.path()).expect_err("none worked").to_string();
        assert!(said.contains("--shard i/n"), "{said}");
        for given in [
            "braintune encode --shard 2/3 --seed 1",
            "braintune encode --shard=2/3 --seed 1",
        ] {
            keep(folder.path(), &words(given), Path::new("/somewhere")).expect("it is kept");
            let (command, from) = read(folder.path()).expect("it is read");
            assert_eq!(command, words("braintune encode --seed 1"));
            assert_eq!(from, Path::new("/somewhere"));
        }
        let path = folder.path().join(FILE);
        for (text, expected) in [
            ("{", "damaged"),
            ("{\"braintune\": \"0.0.1\"}", "0.0.1"),
            (
                &*format!("{{\"braintune\": {:?}}}", env!("CARGO_PKG_VERSION")),
                "damaged",
            ),
        ] {
            std::fs::write(&path, text).expect("it is written");
            let said = read(folder.path()).expect_err(text).to_string();
            assert!(said.contains(expected), "{said}");
        }
    }
}
