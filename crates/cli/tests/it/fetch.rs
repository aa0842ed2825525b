//! `fetch` as people use it: what it shows, leaves and says.

use std::path::Path;
use std::process::{Command, Output};

use crate::fetch_server::{Answer, Server, bucket, bytes, dataset, etag};
use crate::workplace::{assert_refused, model, stderr, workplace};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The command without this machine's settings of the hub and of proxies.
fn quiet(folder: &Path) -> Command {
    const SET: [&str; 9] = [
        "HF_ENDPOINT",
        "HF_TOKEN",
        "HF_TOKEN_PATH",
        "HF_HUB_CACHE",
        "ALL_PROXY",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_braintune"));
    for name in SET {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command
        .env("HF_HOME", folder.join("hf"))
        .env("BRAINTUNE_CACHE", folder.join("cache"))
        .current_dir(folder);
    command
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = quiet(folder);
    command.arg("fetch").args(args);
    command
}

fn fetch(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn assert_said(output: &Output, parts: &[&str]) {
    let said = stderr(output);
    assert!(output.status.success(), "{said}");
    for part in parts {
        assert!(said.contains(part), "{said}: no {part:?}");
    }
}

/// A hub with the committed small checkpoint.
fn hub() -> Server {
    let folder = model();
    let read = move |name: &str| std::fs::read(folder.join(name)).unwrap();
    Server::start(move |request, _| {
        if request.path.starts_with("/api/models/org/micro/revision/") {
            let names = [
                "config.json",
                "preprocessor_config.json",
                "model.safetensors",
            ];
            let entries = names.map(|name| {
                let bytes = read(name);
                let sha256 = braintune::provenance::sha256_hex(&bytes);
                serde_json::json!({"rfilename": name, "size": bytes.len(), "lfs": {"sha256": sha256}})
            });
            let list = serde_json::json!({"sha": COMMIT, "siblings": entries});
            return Answer::new(200, list.to_string());
        }
        let name = request.path.rsplit('/').next().unwrap();
        Answer::file(request, &read(name), "\"x\"")
    })
}

#[test]
fn a_fetched_model_is_found_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let server = hub();
    let args = ["model", "org/micro", "--endpoint", &server.url()];
    let dry = fetch(folder.path(), &[&args[..], &["--dry-run"]].concat());
    assert_said(&dry, &["model.safetensors", "kB", "in 3 files"]);
    assert!(!folder.path().join("hf").exists());
    let output = fetch(folder.path(), &args);
    assert_said(&output, &["3 of 3 files fetched", "--model org/micro"]);
    let again = fetch(folder.path(), &args);
    assert_said(&again, &["(there)", "0 of 3 files fetched", "0 B to fetch"]);
    let name = format!("hf/hub/models--org--micro/snapshots/{COMMIT}/config.json");
    assert_eq!(
        std::fs::read(folder.path().join(name)).unwrap(),
        std::fs::read(model().join("config.json")).unwrap()
    );
}

#[test]
fn other_commands_find_a_fetched_model() {
    let folder = workplace();
    let server = hub();
    let args = ["model", "org/micro", "--endpoint", &server.url()];
    assert_said(&fetch(folder.path(), &args), &["--model org/micro"]);
    let mut stories = std::fs::read_dir(folder.path().join("dataset/stimuli")).unwrap();
    let story = stories.next().unwrap().unwrap().path();
    let mut command = quiet(folder.path());
    command.args(["extract", "--model", "org/micro", "--out", "f.safetensors"]);
    command
        .args(["--window-s", "4", "--stride-s", "4", "--audio"])
        .arg(story);
    assert_said(&command.output().unwrap(), &["hidden states"]);
}

#[test]
fn the_hub_of_the_environment_is_asked_with_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = hub();
    std::fs::create_dir(folder.path().join("hf")).unwrap();
    std::fs::write(folder.path().join("hf/token"), "hf_file\n").unwrap();
    let run = |token: Option<&str>| {
        let mut command = command(
            folder.path(),
            &["model", "org/micro", "--revision", "v1", "--dry-run"],
        );
        command.env("HF_ENDPOINT", server.url());
        if let Some(token) = token {
            command.env("HF_TOKEN", token);
        }
        command.output().unwrap()
    };
    assert_said(&run(None), &["model.safetensors"]);
    assert_said(&run(Some("hf_variable")), &["model.safetensors"]);
    let requests = server.requests("/revision/v1?");
    let tokens = requests
        .iter()
        .map(|request| request.header("authorization"));
    assert_eq!(
        tokens.collect::<Vec<_>>(),
        [Some("Bearer hf_file"), Some("Bearer hf_variable")]
    );
    assert_refused(&run(Some("two words")), &["HF_TOKEN"]);
    let wrong = fetch(folder.path(), &["model", "../x"]);
    assert_refused(&wrong, &["no model id"]);
}

#[test]
fn a_dataset_arrives_and_what_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = bucket(dataset(b"life 1"), 1000, |_, _| None);
    let url = server.url();
    let args = [
        "dataset",
        "ds003020",
        "--out",
        "ds",
        "--subject",
        "UTS01",
        "UTS02",
        "--endpoint",
        &url,
    ];
    let output = fetch(folder.path(), &args);
    assert_said(
        &output,
        &[
            "life: no responses of UTS02",
            "8 of 8 files fetched",
            "braintune check",
        ],
    );
    let file = folder
        .path()
        .join("ds/derivative/preprocessed_data/UTS01/life.hf5");
    assert_eq!(std::fs::read(file).unwrap(), b"life 1");
    let named = fetch(
        folder.path(),
        &[&args[..], &["--stories", "life,souls"]].concat(),
    );
    assert_refused(&named, &["life: no responses of UTS02"]);
    let args = ["dataset", "ds003020", "--out", "ds", "--endpoint", &url];
    let nobody = fetch(folder.path(), &args);
    assert_eq!(nobody.status.code(), Some(2));
    assert!(stderr(&nobody).contains("--subject"), "{}", stderr(&nobody));
}

#[test]
fn a_proxy_of_the_environment_is_used_except_for_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = bucket(dataset(b"life 1"), 1000, |_, _| None);
    let run = |endpoint: &str| {
        let args = [
            "dataset",
            "ds003020",
            "--out",
            "ds",
            "--subject",
            "UTS02",
            "--dry-run",
        ];
        let mut command = command(
            folder.path(),
            &[&args[..], &["--endpoint", endpoint]].concat(),
        );
        command.env("HTTP_PROXY", proxy.url()).output().unwrap()
    };
    assert_said(&run("http://bucket.example"), &["souls.hf5"]);
    assert_eq!(proxy.requests("bucket.example:80").len(), 4);
    let server = bucket(dataset(b"life 1"), 1000, |_, _| None);
    assert_said(&run(&server.url()), &["souls.hf5"]);
    assert_eq!(server.requests("prefix").len(), 4);
    assert_eq!(proxy.requests("bucket.example:80").len(), 4);
    // One that cannot be used is not gone past.
    let args = ["model", "org/micro", "--dry-run"];
    let mut command = command(folder.path(), &args);
    command.env("ALL_PROXY", "ftp://proxy.example");
    assert_refused(&command.output().unwrap(), &["ALL_PROXY", "socks5h://"]);
}

/// Ctrl-C, twice resumed: exit code 1 and the advice, then the rest only.
#[cfg(unix)]
#[test]
fn an_interrupted_fetch_goes_on() {
    use crate::fetch_server::End;
    let folder = tempfile::tempdir().unwrap();
    let response = bytes(300_000);
    let tag = etag(&response);
    let whole = response.clone();
    let server = bucket(dataset(&response), 1000, move |request, n| {
        let is_first = n == 0 && request.path.ends_with("life.hf5");
        is_first.then(|| {
            Answer::file(request, &whole, &tag)
                .cut(100_000)
                .end(End::Stall)
        })
    });
    let url = server.url();
    let args = [
        "dataset",
        "ds003020",
        "--out",
        "ds",
        "--subject",
        "UTS01",
        "--endpoint",
        &url,
    ];
    let mut command = command(folder.path(), &args);
    let mut child = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let partial = folder
        .path()
        .join("ds/derivative/preprocessed_data/UTS01/.life.hf5.partial");
    let began = std::time::Instant::now();
    while std::fs::metadata(&partial).map_or(0, |found| found.len()) < 100_000 {
        let ended = child.try_wait().unwrap();
        let is_late = began.elapsed() > std::time::Duration::from_mins(1);
        if ended.is_some() || is_late {
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            panic!("ended {ended:?}, late {is_late}: {}", stderr(&output));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let number = child.id().to_string();
    Command::new("kill")
        .args(["-INT", &number])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("the same command goes on"),
        "{}",
        stderr(&output)
    );
    assert_said(&fetch(folder.path(), &args), &["is complete"]);
    let asked: Vec<_> = server
        .requests("life.hf5")
        .iter()
        .map(crate::fetch_server::Request::from)
        .collect();
    assert_eq!(asked, [0, 100_000]);
    assert!(std::fs::read(partial.with_file_name("life.hf5")).unwrap() == response);
}
