//! Shares of an array job from the command line, their merge, and the sample script for SLURM.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::workplace::{assert_refused, assert_same, braintune, job, stderr, workplace};

fn run(folder: &Path, job: &[String], more: &[&str]) -> std::process::Output {
    let words: Vec<&str> = job
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    braintune(folder, &words)
}

#[test]
fn shares_and_their_merge_write_the_bytes_of_one_process() {
    let folder = workplace();
    let folder = folder.path();
    let one = run(folder, &job(folder, "dataset", "one", &[]), &[]);
    assert!(one.status.success(), "{}", stderr(&one));
    assert_refused(
        &braintune(folder, &["merge", "out"]),
        &["no share", "--shard i/n"],
    );
    let job = job(folder, "dataset", "out", &[]);
    assert_refused(&run(folder, &job, &["--shard", "0/2"]), &["i from 1 to n"]);
    let last = run(folder, &job, &["--shard", "2/2"]);
    assert!(last.status.success(), "{}", stderr(&last));
    assert!(stderr(&last).contains("1 of 3 pieces"), "{}", stderr(&last));
    assert_refused(
        &braintune(folder, &["merge", "out"]),
        &["2 of 3 pieces", "layer 0"],
    );
    let first = run(folder, &job, &["--shard=1/2"]);
    assert!(
        stderr(&first).contains("braintune merge out"),
        "{}",
        stderr(&first)
    );
    let merged = braintune(folder, &["merge", "out"]);
    assert!(merged.status.success(), "{}", stderr(&merged));
    assert_same(folder, "one", "out");
    // The record is of the command as one process would have it.
    let records = ["one", "out"].map(|out| {
        let text = std::fs::read_to_string(folder.join(out).join("provenance.json")).unwrap();
        text.replace("\"one\"", "\"out\"")
    });
    assert_eq!(records[0], records[1]);
    let again = braintune(folder, &["merge", "out"]);
    assert!(
        stderr(&again).contains("nothing to do"),
        "{}",
        stderr(&again)
    );
    std::fs::write(folder.join("out/.shard-command.json"), "{").unwrap();
    assert_refused(
        &braintune(folder, &["merge", "out"]),
        &["is damaged", ".shard-command.json"],
    );
}

/// Does what `sbatch` does with an array and with a job that waits for it, at once; SLURM itself ran the script by hand.
const SBATCH: &str = r#"#!/bin/sh
set -e
array=
for word; do
  shift
  case $word in
    --array=1-*) array=${word#--array=1-} ;;
    --export=ALL,*) export $(echo "${word#--export=ALL,}" | tr , ' ') ;;
    --*) ;;
    *) script=$word; break ;;
  esac
done
if [ -n "$array" ]; then
  for i in $(seq "$array"); do SLURM_ARRAY_TASK_ID=$i SLURM_CPUS_PER_TASK=1 sh "$script" "$@" >&2; done
else
  sh "$script" "$@" >&2
fi
echo 17
"#;

#[test]
fn the_script_for_slurm_submits_shares_and_their_merge() {
    let folder = workplace();
    let folder = folder.path();
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(bin.join("sbatch"), SBATCH).unwrap();
    std::fs::set_permissions(bin.join("sbatch"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/slurm.sh");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let submit = |words: &[String]| {
        let mut command = Command::new("sh");
        command
            .arg(&script)
            .args(words)
            .env("PATH", &path)
            .current_dir(folder);
        command
            .env("BRAINTUNE_CACHE", folder.join("cache"))
            .output()
            .unwrap()
    };
    let without = submit(&["2".to_owned()]);
    assert!(stderr(&without).contains("usage:"), "{}", stderr(&without));
    let program = env!("CARGO_BIN_EXE_braintune");
    let mut words = ["2", "out", program].map(str::to_owned).to_vec();
    words.extend(job(folder, "dataset", "out", &[]));
    let found = submit(&words);
    assert!(found.status.success(), "{}", stderr(&found));
    assert!(String::from_utf8_lossy(&found.stdout).contains("submitted 2 shares as job 17"));
    let one = run(folder, &job(folder, "dataset", "one", &[]), &[]);
    assert!(one.status.success(), "{}", stderr(&one));
    assert_same(folder, "one", "out");
}
