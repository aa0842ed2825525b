//! `extract`: the file that it writes.

use std::path::{Path, PathBuf};

use crate::workplace::{assert_refused, braintune, model, stderr, workplace};

/// The audio of one story.
fn story(folder: &Path) -> PathBuf {
    let mut stories = std::fs::read_dir(folder.join("dataset/stimuli")).unwrap();
    stories.next().unwrap().unwrap().path()
}

#[test]
fn windows_and_whole_clips_are_written() {
    let folder = workplace();
    let model = model();
    let story = story(folder.path());
    let base = [
        "extract",
        "--model",
        model.to_str().unwrap(),
        "--audio",
        story.to_str().unwrap(),
    ];
    let mut args = base.to_vec();
    args.extend([
        "--out",
        "new/f.safetensors",
        "--window-s",
        "4",
        "--stride-s",
        "4",
    ]);
    let output = braintune(folder.path(), &args);
    assert!(output.status.success(), "{}", stderr(&output));
    let bytes = std::fs::read(folder.path().join("new/f.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..800]).into_owned();
    for name in ["hidden_states.0", "hidden_states.2", "times"] {
        assert!(header.contains(name), "{header}");
    }
    assert!(
        folder
            .path()
            .join("new/f.safetensors.provenance.json")
            .exists()
    );
    let mut args = base.to_vec();
    args.extend(["--out", "w.safetensors", "--whole"]);
    assert_refused(
        &braintune(folder.path(), &args),
        &["longer than the 30 s", "--window-s"],
    );
    assert!(!folder.path().join("w.safetensors").exists());
}

#[test]
fn nothing_that_was_there_is_lost() {
    let folder = workplace();
    let model = crate::workplace::model_copy(folder.path());
    let story = story(folder.path());
    let run = |out: &str| {
        let args = [
            "extract",
            "--no-cache",
            "--model",
            "model",
            "--audio",
            story.to_str().unwrap(),
            "--window-s",
            "4",
            "--stride-s",
            "4",
            "--out",
            out,
        ];
        braintune(folder.path(), &args)
    };
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    assert_refused(&run("model/model.safetensors"), &["folder of the model"]);
    assert_eq!(
        std::fs::read(model.join("model.safetensors")).unwrap(),
        weights
    );
    std::fs::create_dir(folder.path().join("f.safetensors.parts")).unwrap();
    let kept = folder.path().join("f.safetensors.parts/notes.txt");
    std::fs::write(&kept, "mine").unwrap();
    let before = std::fs::read_dir(folder.path()).unwrap().count();
    let output = run("f.safetensors");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(kept.exists());
    // The features and their provenance, no scratch folder.
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        before + 2
    );
}

/// `extract` of several stories into a folder.
fn several(folder: &Path, out: &str, audio: &[&str], more: &[&str]) -> std::process::Output {
    let model = model();
    let mut args = vec!["extract", "--model", model.to_str().unwrap()];
    args.extend([
        "--window-s",
        "4",
        "--stride-s",
        "4",
        "--out",
        out,
        "--audio",
    ]);
    args.extend(audio);
    args.extend(more);
    braintune(folder, &args)
}

#[test]
fn several_recordings_go_into_a_folder_whole_or_in_shares() {
    let folder = workplace();
    let (mut stories, test) = crate::workplace::stories(folder.path());
    stories.push(test);
    let audio: Vec<String> = stories
        .iter()
        .map(|story| format!("dataset/stimuli/{story}.wav"))
        .collect();
    let audio: Vec<&str> = audio.iter().map(String::as_str).collect();
    let done = several(folder.path(), "whole", &audio, &[]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(
        stderr(&done).matches("wrote 3 hidden states").count(),
        audio.len()
    );
    let mut n_written = 0;
    for shard in ["2/2", "1/2"] {
        let more = ["--shard", shard, "--no-cache"];
        let done = several(folder.path(), "shares", &audio, &more);
        assert!(done.status.success(), "{}", stderr(&done));
        let n = stderr(&done).matches("wrote 3 hidden states").count();
        assert!(n > 0 && n < audio.len(), "{}", stderr(&done));
        n_written += n;
    }
    assert_eq!(n_written, audio.len());
    for story in &stories {
        let read = |out: &str| {
            std::fs::read(folder.path().join(format!("{out}/{story}.safetensors"))).unwrap()
        };
        assert!(read("whole") == read("shares"), "{story}");
    }
    let n_files = std::fs::read_dir(folder.path().join("shares"))
        .unwrap()
        .count();
    assert_eq!(n_files, 2 * audio.len());
    // Given one by one, again: nothing is left to do.
    let again = several(folder.path(), "shares", &audio[..1], &["--audio", audio[1]]);
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(stderr(&again).matches("already holds").count(), 2);
}

#[test]
fn what_several_recordings_cannot_be_is_said() {
    let folder = workplace();
    let story = story(folder.path());
    let story = story.to_str().unwrap();
    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let other = copy.join(Path::new(story).file_name().unwrap());
    std::fs::copy(story, &other).unwrap();
    let other = other.to_str().unwrap();
    assert_refused(
        &several(folder.path(), "out", &[story, other], &[]),
        &[story, other, "would both become", "rename"],
    );
    std::fs::write(folder.path().join("file"), "mine").unwrap();
    std::fs::rename(other, copy.join("b.wav")).unwrap();
    let renamed = copy.join("b.wav");
    let renamed = renamed.to_str().unwrap();
    assert_refused(
        &several(folder.path(), "file", &[story, renamed], &[]),
        &["--out file is a file", "folder"],
    );
    for shard in ["0/2", "3/2", "two"] {
        let refused = several(folder.path(), "out", &[story], &["--shard", shard]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(
            stderr(&refused).contains("i/n with i from 1 to n"),
            "{}",
            stderr(&refused)
        );
    }
    // One that fails is named, and costs no other.
    let short: Vec<u8> = std::fs::read(renamed).unwrap();
    let mut short = short[..44 + 200].to_vec();
    short[4..8].copy_from_slice(&236_u32.to_le_bytes());
    short[40..44].copy_from_slice(&200_u32.to_le_bytes());
    std::fs::write(renamed, short).unwrap();
    let failed = several(folder.path(), "out", &[renamed, story], &[]);
    assert_refused(&failed, &["b.wav", "shorter than one stride"]);
    assert!(
        stderr(&failed).contains("wrote 3 hidden states"),
        "{}",
        stderr(&failed)
    );
    assert!(!folder.path().join("out/b.safetensors").exists());
}
