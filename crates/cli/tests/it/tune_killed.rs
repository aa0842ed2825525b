//! `tune` killed by the system, or out of disk: with --resume it ends with the same bits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::tune::model;
use crate::workplace::{assert_refused, stderr, stories, workplace};

/// A clip of half a second and a checkpoint after every step: fast, and always near a write.
const SETTINGS: &str = "epochs = 4\nbatch_size = 8\nclip_s = 0.5\ncheckpoint_every = 1\n";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = workplace();
        std::fs::write(folder.path().join("tune.toml"), SETTINGS).unwrap();
        Self(folder)
    }

    fn arguments(&self, out: &str) -> Vec<String> {
        let (names, test) = stories(self.0.path());
        let model = model();
        let args = [
            ("--dataset", "dataset"),
            ("--subjects", "SIM01"),
            ("--model", &model),
            ("--config", "tune.toml"),
            ("--train-stories", &names[0]),
            ("--val-stories", &names[1]),
            ("--test-stories", &test),
            ("--out", out),
        ];
        let args = args.iter().flat_map(|(name, value)| [*name, *value]);
        let args = ["tune", "--resume"].into_iter().chain(args);
        args.map(str::to_owned).collect()
    }

    fn start(&self, out: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_braintune"))
            .args(self.arguments(out))
            .current_dir(self.0.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn finish(&self, out: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_braintune"));
        let command = command.args(self.arguments(out)).current_dir(self.0.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }

    fn state(&self, out: &str) -> PathBuf {
        self.0.path().join(out).join("state")
    }

    /// What a run ends with: weights to the bit, the log but for the speed.
    fn result(&self, out: &str) -> (Vec<u8>, Vec<u8>, Vec<String>) {
        let path = |name: &str| self.0.path().join(out).join(name);
        let read = |name: &str| std::fs::read(path(name)).unwrap();
        let log = std::fs::read_to_string(path("training.csv")).unwrap();
        let but_speed = |line: &str| {
            let cells = line.split(',').enumerate().filter(|(i, _)| *i != 6);
            let cells: Vec<&str> = cells.map(|(_, cell)| cell).collect();
            cells.join(",")
        };
        let log = log.lines().map(but_speed).collect();
        (read("model.safetensors"), read("head.safetensors"), log)
    }
}

/// Names in a folder that `is` wanted; none while there is no folder.
fn names(dir: &Path, is: impl Fn(&str) -> bool) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| is(name)).collect()
}

fn checkpoints(state: &Path) -> Vec<String> {
    names(state, |name| name.starts_with("step-"))
}

fn unfinished(state: &Path) -> Vec<String> {
    names(state, |name| name.strip_suffix(".part").is_some())
}

/// SIGKILL as soon as `is_time`; false if the process ended before.
fn kill_when(mut child: Child, is_time: impl Fn() -> bool) -> bool {
    while child.try_wait().unwrap().is_none() {
        if is_time() {
            child.kill().unwrap();
            return !child.wait().unwrap().success();
        }
        std::thread::yield_now();
    }
    false
}

#[test]
fn killed_between_and_within_writes_it_ends_with_the_same_bits() {
    let place = Place::new();
    place.finish("whole");
    let state = place.state("killed");
    assert!(kill_when(place.start("killed"), || !checkpoints(&state).is_empty()));
    assert!(!place.0.path().join("killed/model.safetensors").exists());
    // A kill may come when the write is over: what is left of it tells.
    let mut n_within = 0;
    for _ in 0..12 {
        if n_within == 2 || !kill_when(place.start("killed"), || !unfinished(&state).is_empty()) {
            break;
        }
        n_within += usize::from(!unfinished(&state).is_empty());
    }
    assert!(n_within > 0, "no kill came while a checkpoint was written");
    place.finish("killed");
    assert_eq!(unfinished(&state), Vec::<String>::new());
    assert!(place.result("killed") == place.result("whole"));
}

/// Runs with files of at most 16 blocks (8 or 16 kB): the log fits, weights do not.
fn run_without_room(place: &Place, out: &str) -> Output {
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$0\" \"$@\"";
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_braintune")])
        .args(place.arguments(out))
        .current_dir(place.0.path())
        .output()
        .unwrap()
}

/// Bytes of all files of all checkpoints.
fn contents(state: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for step in checkpoints(state) {
        for file in names(&state.join(&step), |_| true) {
            let path = state.join(&step).join(file);
            found.insert(path.clone(), std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_disk_that_is_full_is_an_error_that_leaves_the_checkpoints_whole() {
    let place = Place::new();
    place.finish("whole");
    let state = place.state("full");
    assert!(kill_when(place.start("full"), || checkpoints(&state).len() == 2));
    let before = contents(&state);
    let output = run_without_room(&place, "full");
    assert_refused(
        &output,
        &["cannot write", "full/state", "weights.bpk", "too large"],
    );
    assert!(contents(&state) == before);
    assert_eq!(
        unfinished(&state),
        Vec::<String>::new(),
        "room is given back"
    );
    place.finish("full");
    assert!(place.result("full") == place.result("whole"));
}
