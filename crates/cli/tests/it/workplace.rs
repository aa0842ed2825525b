//! A simulated dataset and a small model on disk, made once, copied for tests that damage them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// Runs the command; its feature cache is in `folder`.
pub(crate) fn braintune(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_braintune"))
        .args(args)
        .env("BRAINTUNE_CACHE", folder.join("cache"))
        .current_dir(folder)
        .output()
        .unwrap()
}

/// The committed small Whisper checkpoint.
pub(crate) fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures/whisper-micro")
}

/// A simulated participant, made once per test process.
fn simulated() -> &'static Path {
    static DATASET: OnceLock<tempfile::TempDir> = OnceLock::new();
    DATASET
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let output = braintune(folder.path(), &["simulate", "--out", "dataset"]);
            assert!(output.status.success(), "{}", stderr(&output));
            folder
        })
        .path()
}

/// A folder with `dataset/`, a copy of the simulated participant.
pub(crate) fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&simulated().join("dataset"), &folder.path().join("dataset"));
    folder
}

/// A folder with `model/`, a copy of the committed checkpoint.
pub(crate) fn model_copy(folder: &Path) -> PathBuf {
    let to = folder.join("model");
    copy(&model(), &to);
    to
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Names of the simulated training stories and the test story.
pub(crate) fn stories(folder: &Path) -> (Vec<String>, String) {
    let json = std::fs::read_to_string(folder.join("dataset/derivative/respdict.json")).unwrap();
    // In the order of the file, the test story last.
    let mut names: Vec<String> = json
        .split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    let test = names.pop().unwrap();
    (names, test)
}

/// `encode` of the simulated participant with the small model into `out/`.
pub(crate) fn encode(folder: &Path, more: &[&str]) -> Output {
    let words = words(folder, ("dataset", "out"), "2");
    let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
    args.extend(["--test-trim", "10,5"]);
    args.extend(more);
    braintune(folder, &args)
}

/// Words of `encode` of a copy of the simulated participant into `out`.
pub(crate) fn job(folder: &Path, dataset: &str, out: &str, more: &[&str]) -> Vec<String> {
    let mut words = words(folder, (dataset, out), "4");
    words.extend(more.iter().map(ToString::to_string));
    words
}

/// Words of `encode` of a copy of the simulated participant into `out`, with windows of so many seconds.
pub(crate) fn words(folder: &Path, (dataset, out): (&str, &str), window_s: &str) -> Vec<String> {
    let (_, test) = stories(folder);
    let model = model();
    let words = [
        "encode",
        "--dataset",
        dataset,
        "--subject",
        "SIM01",
        "--model",
        model.to_str().unwrap(),
        "--test-stories",
        &test,
        "--window-s",
        window_s,
        "--stride-s",
        "2",
        "--out",
        out,
    ];
    words.map(str::to_owned).to_vec()
}

/// Both folders hold the same results of `encode`, to the byte.
#[track_caller]
pub(crate) fn assert_same(folder: &Path, one: &str, other: &str) {
    for name in ["alignment.csv", "voxels.npz"] {
        let [one, other] =
            [one, other].map(|out| std::fs::read(folder.join(out).join(name)).unwrap());
        assert!(one == other, "{name}");
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exit code 2, one line that begins with `error:` and holds all of `parts`, nothing on stdout, no panic.
#[track_caller]
pub(crate) fn assert_refused(output: &Output, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty(), "stdout: {:?}", output.stdout);
    assert!(!text.contains("panicked"), "{text}");
    let errors: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("error:"))
        .collect();
    assert_eq!(errors.len(), 1, "{text}");
    for part in parts {
        assert!(
            errors[0].contains(part),
            "expected `{part}` in: {}",
            errors[0]
        );
    }
}
