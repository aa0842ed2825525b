//! `study` as a command: exit codes, the dry run, and kills wherever they come.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::tune::model;
use crate::workplace::{assert_refused, braintune, stderr, workplace};

/// One model, one participant, all kinds of steps but controls.
fn write_study(folder: &Path) {
    let text = format!(
        r#"
[dataset]
path = "dataset"
train_stories = ["paperboats"]
validation_stories = ["thelighthouse"]
encoding_stories = ["paperboats", "thelighthouse"]
[[models]]
name = "tiny"
path = "{}"
[conditions]
controls = []
[tuning]
epochs = 2
batch_size = 8
clip_s = 0.5
ceiling_threshold = 0.0
checkpoint_every = 4
[encoding]
window_s = 2.0
stride_s = 2.0
alphas = "logspace:1:3:3"
permutations = 20
bootstraps = 20
[probes]
tasks = ["word-rate"]
draws = 50
[baselines]
names = ["word-rate"]
"#,
        model()
    );
    std::fs::write(folder.join("study.toml"), text).unwrap();
}

/// Bytes of results that hold no time of day and no speed.
fn results(out: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![out.to_path_buf()];
    while let Some(dir) = folders.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let extension = path
                .extension()
                .and_then(|e| e.to_str())
                .unwrap_or_default();
            if path.is_dir() {
                // Checkpoints of a tuning run are no result.
                if name != "state" {
                    folders.push(path);
                }
            } else if ["safetensors", "npz", "csv", "svg", "png"].contains(&extension)
                && name != "training.csv"
            {
                found.insert(
                    path.strip_prefix(out).unwrap().into(),
                    std::fs::read(&path).unwrap(),
                );
            }
        }
    }
    found
}

#[test]
fn it_says_what_it_will_do_does_it_and_does_it_once() {
    let folder = workplace();
    write_study(folder.path());
    let run = |more: &[&str]| braintune(folder.path(), &[&["study", "study.toml"], more].concat());
    let dry = run(&["--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{}", stderr(&dry));
    let said = stderr(&dry);
    assert!(
        said.contains("tune tiny brain-tuned SIM01") && said.contains("to do"),
        "{said}"
    );
    // Sizes as everywhere else: powers of 1000.
    assert!(said.contains(" kB") && !said.contains("iB"), "{said}");
    let nodes = run(&[
        "--dry-run",
        "--nodes",
        "10",
        "--gpus",
        "2",
        "--gpu-speed",
        "20",
    ]);
    assert_eq!(nodes.status.code(), Some(0), "{}", stderr(&nodes));
    for part in [
        "10 nodes",
        "2 graphics cards each",
        "20.0 times as fast",
        "longest: ",
    ] {
        assert!(stderr(&nodes).contains(part), "{part}: {}", stderr(&nodes));
    }
    for (wrong, said) in [
        (&["--nodes", "2"][..], "--dry-run"),
        (&["--dry-run", "--nodes", "0"], "--nodes"),
        (&["--dry-run", "--gpu-speed", "2"], "--gpus"),
        (&["--dry-run", "--gpus", "1", "--gpu-speed", "0"], "above 0"),
    ] {
        let refused = run(wrong);
        assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
        assert!(stderr(&refused).contains(said), "{}", stderr(&refused));
    }
    assert!(!folder.path().join("study-results").exists());
    let done = run(&[]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(
        stderr(&done).contains("step 1 of 9: encode tiny pretrained SIM01"),
        "{}",
        stderr(&done)
    );
    assert!(folder.path().join("study-results/study.json").exists());
    let again = run(&[]);
    assert!(
        stderr(&again).contains("0 steps done now, 9 before, 0 failed"),
        "{}",
        stderr(&again)
    );

    let path = folder.path().join("study.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let failing = text.replace("epochs = 2", "epochs = 2\nlr_backbone = 1e30");
    std::fs::write(&path, failing).unwrap();
    let failed = run(&[]);
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    assert!(
        stderr(&failed).contains("failed:  tune tiny brain-tuned SIM01"),
        "{}",
        stderr(&failed)
    );
    std::fs::write(&path, text.replace("epochs", "epoch")).unwrap();
    assert_refused(&run(&[]), &["study.toml", "line 13", "epoch"]);
}

#[test]
fn shares_of_an_array_job_leave_the_files_of_one_process() {
    let folder = workplace();
    write_study(folder.path());
    let run = |more: &[&str]| braintune(folder.path(), &[&["study", "study.toml"], more].concat());
    let whole = run(&["--out", "whole"]);
    assert!(whole.status.success(), "{}", stderr(&whole));
    let dry = run(&["--dry-run", "--shard", "1/2"]);
    let n_own = stderr(&dry).matches(" to do ").count();
    assert!(n_own > 0 && n_own < 9, "{}", stderr(&dry));
    assert!(!folder.path().join("study-results").exists());
    for (share, n) in [("2/2", 9 - n_own), ("1/2", n_own)] {
        let done = run(&["--shard", share]);
        assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        let said = format!("share {share}: {n} steps done now, 0 before");
        assert!(stderr(&done).contains(&said), "{}", stderr(&done));
    }
    assert!(!folder.path().join("study-results/study.json").exists());
    let gathered = run(&[]);
    assert!(
        stderr(&gathered).contains("0 steps done now, 9 before, 0 failed"),
        "{}",
        stderr(&gathered)
    );
    let [whole, shares] = ["whole", "study-results"].map(|out| results(&folder.path().join(out)));
    assert_eq!(whole.len(), shares.len());
    for (name, bytes) in &whole {
        assert!(*bytes == shares[name], "{} differs", name.display());
    }
}

#[test]
fn killed_over_and_over_it_ends_with_the_same_files() {
    let folder = workplace();
    write_study(folder.path());
    let whole = braintune(folder.path(), &["study", "study.toml", "--out", "whole"]);
    assert!(whole.status.success(), "{}", stderr(&whole));
    std::fs::remove_dir_all(folder.path().join("cache")).unwrap();
    let mut n_killed = 0;
    for try_ in 1.. {
        let mut child = Command::new(env!("CARGO_BIN_EXE_braintune"))
            .args(["study", "study.toml", "--out", "killed"])
            .env("BRAINTUNE_CACHE", folder.path().join("cache"))
            .current_dir(folder.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_millis(150 * try_);
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            if std::time::Instant::now() > deadline {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        };
        match status {
            Some(status) => {
                assert!(status.success());
                break;
            }
            None => n_killed += 1,
        }
    }
    assert!(n_killed > 3, "killed {n_killed} times only");
    let (whole, killed) = (
        results(&folder.path().join("whole")),
        results(&folder.path().join("killed")),
    );
    assert_eq!(
        whole.keys().collect::<Vec<_>>(),
        killed.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &whole {
        assert!(*bytes == killed[name], "{} differs", name.display());
    }
}
