//! What the folder of a run holds before it: the same result, one that may be replaced, or something to keep.
//!
//! A result of the same inputs under other settings (alphas, delays, trims, permutations, …) is replaced, and that is
//! said. One of another participant, model or story, and tables of which no `provenance.json` says what they are, stay,
//! and the run is refused. Held by `tests/it/refused.rs` of the command.

use std::path::Path;

use serde_json::Value;

use super::output::{OUTPUTS, RECORD, STORIES};
use super::state;
use crate::error::{Result, file_error, io_error};
use crate::provenance::Provenance;

/// Whether `out` holds the whole result of `new`, which was made on `n_test_stories`.
///
/// # Errors
/// It holds something that must not be replaced.
pub(super) fn is_complete(out: &Path, new: &Provenance, n_test_stories: usize) -> Result<bool> {
    let Some(old) = read(out)? else {
        return Ok(false);
    };
    if old.key == new.key {
        let all_there = OUTPUTS.iter().all(|name| out.join(name).is_file())
            && (n_test_stories < 2 || out.join(STORIES).is_file());
        let is_whole = all_there && old.outputs_are_whole(out);
        if !is_whole {
            tracing::warn!(
                "{} holds this result, but files of it are missing or were changed since: it is made again",
                out.display()
            );
        }
        return Ok(is_whole);
    }
    if let Some(difference) = difference(&old.inputs, &new.inputs) {
        let of = |key: &str| old.inputs[key].as_str().unwrap_or_default();
        return Err(file_error(
            out,
            format!(
                "holds results of {} by {}, {difference}; give another --out, or remove them",
                of("subject"),
                of("model")
            ),
        ));
    }
    let under = if old.braintune == new.braintune {
        "under other settings".to_owned()
    } else {
        format!("by version {}", old.braintune)
    };
    tracing::warn!(
        "{} holds results of the same inputs {under}: they are replaced",
        out.display()
    );
    Ok(false)
}

/// The record of an earlier run of `encode`, if there is one.
fn read(out: &Path) -> Result<Option<Provenance>> {
    let path = out.join(RECORD);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return no_record(out).map(|()| None);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(io_error("read", &path)(error)),
    };
    let foreign = |why: &str| {
        let advice = "it would be replaced; give another --out, or remove it";
        file_error(&path, format!("{why}: {advice}"))
    };
    let found: Provenance =
        serde_json::from_str(&text).map_err(|_| foreign("is damaged or no record of encode"))?;
    if found.inputs["subject"].is_string() && found.inputs["train"].is_array() {
        Ok(Some(found))
    } else {
        Err(foreign("is of another command than encode"))
    }
}

/// Tables without a record are ours only beside the state of a run that was stopped.
fn no_record(out: &Path) -> Result<()> {
    if state::is_there(out) {
        return Ok(());
    }
    let mut names = OUTPUTS.into_iter().chain([STORIES]);
    match names.find(|name| out.join(name).exists()) {
        None => Ok(()),
        Some(name) => Err(file_error(
            &out.join(name),
            "is there without a provenance.json and would be replaced; give another --out, or move it away",
        )),
    }
}

/// In what the inputs of two runs differ, settings aside.
fn difference(old: &Value, new: &Value) -> Option<String> {
    let text = |of: &Value| of.as_str().unwrap_or("nothing").to_owned();
    for (key, what) in [
        ("subject", "participant"),
        ("model", "model"),
        ("removed", "--remove"),
    ] {
        if old[key] != new[key] {
            let (old, new) = (text(&old[key]), text(&new[key]));
            return Some(format!(
                "this run has the {what} {new} where they have {old}"
            ));
        }
    }
    if old["model_sha256"] != new["model_sha256"] {
        return Some("this run is of other weights".to_owned());
    }
    let roles = [("train", "training"), ("test", "test")];
    roles.into_iter().find_map(|(key, what)| {
        let (old, new) = (stories(&old[key]), stories(&new[key]));
        let names = |of: &[(String, [Value; 2])]| -> Vec<String> {
            of.iter().map(|(name, _)| name.clone()).collect()
        };
        let (olds, news) = (names(&old), names(&new));
        if olds != news {
            return Some(format!(
                "this run has the {what} stories {} where they have {}",
                news.join(", "),
                olds.join(", ")
            ));
        }
        let (name, _) = new.iter().zip(&old).find(|(new, old)| new != old)?.0;
        Some(format!(
            "this run has another sound of {name}, or other responses to it"
        ))
    })
}

/// Names of stories, and the hashes of what belongs to them.
fn stories(list: &Value) -> Vec<(String, [Value; 2])> {
    let of = |story: &Value| {
        let name = story["story"].as_str().unwrap_or_default().to_owned();
        (
            name,
            ["audio_sha256", "responses_f32_sha256"].map(|key| story[key].clone()),
        )
    };
    list.as_array()
        .map_or_else(Vec::new, |list| list.iter().map(of).collect())
}
