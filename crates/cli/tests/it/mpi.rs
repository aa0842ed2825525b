//! The command under `mpirun`: the bytes of one process on one host and on two, and what is said when a rank cannot go on.
//!
//! Built with feature `mpi`, for OpenMPI. What a machine does not permit is skipped with a line that says so.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::workplace::{assert_same, braintune, job, stderr, stories, workplace};

/// One test at a time: ranks that wait keep a core busy.
fn in_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An MPI program, started by `launcher`, whose ranks may be more than there are cores.
fn prepared(folder: &Path, launcher: &[&str]) -> Command {
    let mut command = Command::new(launcher[0]);
    command
        .args(&launcher[1..])
        .env("BRAINTUNE_CACHE", folder.join("cache"))
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        // Ranks that wait let others work.
        .env("OMPI_MCA_mpi_yield_when_idle", "1")
        .current_dir(folder);
    command
}

fn mpirun(folder: &Path, n: usize, job: &[String]) -> Output {
    let mut command = prepared(folder, &["mpirun", "-n", &n.to_string()]);
    command
        .arg(env!("CARGO_BIN_EXE_braintune"))
        .args(job)
        .output()
        .unwrap()
}

/// By one process.
fn alone(folder: &Path, job: &[String]) {
    let words: Vec<&str> = job.iter().map(String::as_str).collect();
    let done = braintune(folder, &words);
    assert!(done.status.success(), "{}", stderr(&done));
}

#[test]
fn any_number_of_ranks_writes_the_bytes_of_one_process() {
    let _turn = in_turn();
    let folder = workplace();
    let folder = folder.path();
    alone(folder, &job(folder, "dataset", "one", &[]));
    for n in [2, 4] {
        std::fs::remove_dir_all(folder.join("cache")).unwrap();
        let out = format!("by-{n}");
        let found = mpirun(folder, n, &job(folder, "dataset", &out, &[]));
        assert!(found.status.success(), "{}", stderr(&found));
        assert_eq!(
            stderr(&found).matches("wrote ").count(),
            1,
            "{}",
            stderr(&found)
        );
        assert_same(folder, "one", &out);
        let again = mpirun(folder, n, &job(folder, "dataset", &out, &[]));
        assert!(
            stderr(&again).contains("nothing to do"),
            "{}",
            stderr(&again)
        );
    }
}

#[test]
fn what_several_processes_cannot_do_together_is_refused() {
    let _turn = in_turn();
    let folder = workplace();
    let folder = folder.path();
    let words = ["check", "--dataset", "dataset"].map(str::to_owned);
    let refused = mpirun(folder, 2, &words);
    assert!(!refused.status.success());
    assert!(
        stderr(&refused).contains("start this command without mpirun"),
        "{}",
        stderr(&refused)
    );
    let refused = mpirun(
        folder,
        2,
        &job(folder, "dataset", "out", &["--shard", "1/2"]),
    );
    assert!(!refused.status.success());
    assert!(
        stderr(&refused).contains("start without mpirun"),
        "{}",
        stderr(&refused)
    );
}

#[test]
fn a_rank_with_another_copy_of_the_data_is_named() {
    let _turn = in_turn();
    let folder = workplace();
    let folder = folder.path();
    let (training, _) = stories(folder);
    let status = Command::new("cp")
        .args(["-r", "dataset", "copy"])
        .current_dir(folder)
        .status();
    assert!(status.unwrap().success());
    // One bit of one value of a response, near the end of the file.
    let file = folder.join(format!(
        "copy/derivative/preprocessed_data/SIM01/{}.hf5",
        training[1]
    ));
    let mut bytes = std::fs::read(&file).unwrap();
    let place = bytes.len() - 401;
    bytes[place] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let mut command = prepared(folder, &["mpirun", "-n", "1"]);
    command
        .arg(env!("CARGO_BIN_EXE_braintune"))
        .args(job(folder, "dataset", "out", &[]));
    command.args([":", "-n", "1"]);
    command
        .arg(env!("CARGO_BIN_EXE_braintune"))
        .args(job(folder, "copy", "out", &[]));
    let refused = command.output().unwrap();
    assert!(!refused.status.success());
    let expected = format!(
        "rank 1 differs from rank 0 in the responses to {}",
        training[1]
    );
    assert!(stderr(&refused).contains(&expected), "{}", stderr(&refused));
    assert!(!folder.join("out/alignment.csv").exists());
}

#[test]
fn a_rank_that_is_killed_ends_the_job_and_the_next_run_goes_on() {
    let _turn = in_turn();
    let folder = workplace();
    let folder = folder.path();
    let long = ["--stride-s", "0.5"];
    let job = |out: &str| -> Vec<String> {
        let mut words = job(folder, "dataset", out, &[]);
        let stride = words.iter().position(|word| word == "--stride-s").unwrap();
        words.splice(stride..stride + 2, long.map(str::to_owned));
        words
    };
    let mut command = prepared(folder, &["mpirun", "-n", "2"]);
    command
        .arg(env!("CARGO_BIN_EXE_braintune"))
        .args(job("out"));
    let mut running = command.stderr(Stdio::piped()).spawn().unwrap();
    kill_a_rank(&mut running, &folder.join("cache"));
    let ended = running.wait_with_output().unwrap();
    assert!(!ended.status.success());
    // OpenMPI's words.
    assert!(stderr(&ended).contains("signal 9"), "{}", stderr(&ended));
    assert!(!folder.join("out/provenance.json").exists());
    let kept = std::fs::read_dir(folder.join("cache")).unwrap().count();
    assert!(kept > 0);
    let rest = mpirun(folder, 2, &job("out"));
    assert!(rest.status.success(), "{}", stderr(&rest));
    std::fs::remove_dir_all(folder.join("cache")).unwrap();
    alone(folder, &job("one"));
    assert_same(folder, "one", "out");
}

/// Kills one of the ranks once features are being made.
fn kill_a_rank(running: &mut Child, cache: &Path) {
    let begun = Instant::now();
    let has_parts = || {
        let entries = std::fs::read_dir(cache).into_iter().flatten().flatten();
        let of_parts =
            entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "parts"));
        of_parts
            .flat_map(|entry| std::fs::read_dir(entry.path()))
            .flatten()
            .count()
            > 0
    };
    while !has_parts() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "nothing was begun"
        );
        assert!(running.try_wait().unwrap().is_none(), "it ended before");
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = running.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    let last = children.split_whitespace().last().unwrap();
    let killed = Command::new("kill").args(["-9", last]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn a_disk_that_is_full_is_said_and_nothing_is_lost() {
    let _turn = in_turn();
    let folder = workplace();
    let folder = folder.path();
    let small = folder.join("small");
    std::fs::create_dir(&small).unwrap();
    let mount = |options: &str| {
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&small)
            .output();
        done.is_ok_and(|done| done.status.success())
    };
    if !mount("size=32k") {
        eprintln!("SKIPPED: a full disk, because this machine lets us mount none");
        return;
    }
    let _unmounted = Unmount(small.clone());
    let job = job(folder, "dataset", "small/out", &["--permutations", "400"]);
    let full = mpirun(folder, 2, &job);
    assert!(!full.status.success());
    let said = stderr(&full);
    assert!(
        said.contains("No space left") && said.contains("small/out"),
        "{said}"
    );
    assert!(!small.join("out/provenance.json").exists());
    assert!(mount("remount,size=32m"));
    let rest = mpirun(folder, 2, &job);
    assert!(rest.status.success(), "{}", stderr(&rest));
    std::fs::remove_dir_all(folder.join("cache")).unwrap();
    let one = job.iter().map(|word| word.replace("small/out", "one"));
    alone(folder, &one.collect::<Vec<_>>());
    assert_same(folder, "one", "small/out");
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// Two network namespaces with a cable between them, 10.77.0.1 and 10.77.0.2; gone when dropped.
struct Hosts;

impl Hosts {
    const SCRIPT: &str = "set -e
        for n in 1 2; do ip netns add braintune-$n; done
        ip link add bt-1 netns braintune-1 type veth peer name bt-2 netns braintune-2
        for n in 1 2; do
            ip -n braintune-$n addr add 10.77.0.$n/24 dev bt-$n
            ip -n braintune-$n link set lo up
            ip -n braintune-$n link set bt-$n up
        done
        ip netns exec braintune-1 unshare --uts true";

    fn make() -> Option<Self> {
        let made = Command::new("sh").args(["-c", Self::SCRIPT]).output();
        let hosts = Self;
        made.is_ok_and(|made| made.status.success())
            .then_some(hosts)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in ["braintune-1", "braintune-2"] {
            let _ = Command::new("ip").args(["netns", "del", host]).output();
        }
    }
}

#[test]
fn two_hosts_write_the_bytes_of_one_process() {
    let _turn = in_turn();
    let Some(_hosts) = Hosts::make() else {
        eprintln!("SKIPPED: two hosts, because this machine lets us make no network namespaces");
        return;
    };
    let folder = workplace();
    let folder = folder.path();
    // In the place of ssh: a host, then words for its shell.
    let agent = folder.join("agent.sh");
    let text = "#!/bin/sh\nn=${1#10.77.0.}; shift\nexec ip netns exec braintune-$n unshare --uts sh -c \"hostname host-$n; $*\"\n";
    std::fs::write(&agent, text).unwrap();
    std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ranks = format!(
        "hostname host-1; exec mpirun --host 10.77.0.1:1,10.77.0.2:1 -n 2 --mca plm_rsh_agent {} \
         --mca btl tcp,self --mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24 -x BRAINTUNE_CACHE \"$@\"",
        agent.display()
    );
    let launcher = [
        "ip",
        "netns",
        "exec",
        "braintune-1",
        "unshare",
        "--uts",
        "sh",
        "-c",
        &ranks,
        "sh",
    ];
    // Each rank tells where it is before it becomes the command.
    let program = format!(
        "echo at $(hostname); exec {} \"$@\"",
        env!("CARGO_BIN_EXE_braintune")
    );
    let mut command = prepared(folder, &launcher);
    command
        .args(["sh", "-c", &program, "sh"])
        .args(job(folder, "dataset", "hosts", &[]));
    let found = command.output().unwrap();
    assert!(found.status.success(), "{}", stderr(&found));
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(
        said.contains("at host-1") && said.contains("at host-2"),
        "{said}"
    );
    std::fs::remove_dir_all(folder.join("cache")).unwrap();
    alone(folder, &job(folder, "dataset", "one", &[]));
    assert_same(folder, "one", "hosts");
}
