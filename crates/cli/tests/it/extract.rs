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
