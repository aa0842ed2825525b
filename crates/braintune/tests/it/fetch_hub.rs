//! Models from a hub on this machine, into the cache layout of `huggingface_hub`.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use braintune::fetch::{Checksum, FetchError, FetchEvent, HubModel, Plan, PlannedFile, Token};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::fetch_place::quick;
use crate::fetch_server::{Answer, Request, Server, bytes};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
/// `printf '{}' | git hash-object --stdin`
const BLOB: &str = "9e26dfeeb6e641a33dae4961196235bdb965b21b";

fn weights() -> Vec<u8> {
    bytes(200_000)
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Entries of a list: small files hold `{}`, large ones the weights.
fn small(name: &str) -> Value {
    json!({"rfilename": name, "size": 2, "blobId": BLOB})
}

fn large(name: &str) -> Value {
    let sha256 = sha256(&weights());
    json!({"rfilename": name, "size": 200_000, "blobId": BLOB, "lfs": {"sha256": sha256, "size": 200_000}})
}

fn usual() -> Vec<Value> {
    vec![
        small(".gitattributes"),
        small("config.json"),
        small("preprocessor_config.json"),
        small("generation_config.json"),
        large("model.safetensors"),
        large("pytorch_model.bin"),
    ]
}

/// A hub with one model; `fault` may answer in its place.
fn hub(
    files: Vec<Value>,
    fault: impl Fn(&Request) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    Server::start(move |request, _| {
        if let Some(answer) = fault(request) {
            return answer;
        }
        if request.path.starts_with("/api/models/org/name/revision/") {
            let list = json!({"sha": COMMIT, "siblings": files});
            return Answer::new(200, list.to_string());
        }
        let file = request
            .path
            .strip_prefix(&format!("/org/name/resolve/{COMMIT}/"));
        match file {
            Some(name) if name.contains("config") => Answer::file(request, b"{}", "\"small\""),
            Some(_) => Answer::file(request, &weights(), "\"large\""),
            None => Answer::new(404, "not found"),
        }
    })
}

fn model(server: &Server, cache: &Path) -> HubModel {
    let model = HubModel::new("org/name", cache).unwrap();
    model.with_endpoint(&server.url()).unwrap()
}

fn plan(model: &HubModel) -> Result<Plan, FetchError> {
    model.plan(&quick(), &mut |_| ControlFlow::Continue(()))
}

fn run(plan: &Plan) -> Result<(), FetchError> {
    plan.run(&quick(), &mut |_| ControlFlow::Continue(()))
        .map(drop)
}

fn refused(result: Result<Plan, FetchError>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{error}: no {part:?}");
    }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.files().iter().map(PlannedFile::name).collect()
}

#[test]
fn the_cache_is_laid_out_as_huggingface_hub_has_it() {
    let cache = tempfile::tempdir().unwrap();
    let server = hub(usual(), |_| None);
    let plan = plan(&model(&server, cache.path())).unwrap();
    // Both configurations hold the same bytes: one blob.
    assert_eq!(names(&plan), ["config.json", "model.safetensors"]);
    assert_eq!(plan.bytes(), 200_002);
    assert_eq!(
        *plan.files()[0].checksum(),
        Checksum::GitSha1(BLOB.to_owned())
    );
    let repository = cache.path().join("models--org--name");
    assert!(!repository.exists(), "a plan writes nothing");
    let fetched = plan
        .run(&quick(), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    let snapshot = repository.join("snapshots").join(COMMIT);
    assert_eq!(fetched.folder, snapshot);
    let sha256 = sha256(&weights());
    for (name, blob) in [
        ("config.json", BLOB),
        ("preprocessor_config.json", BLOB),
        ("model.safetensors", &sha256),
    ] {
        #[cfg(unix)]
        assert_eq!(
            fs::read_link(snapshot.join(name)).unwrap(),
            Path::new("../../blobs").join(blob)
        );
        assert_eq!(
            fs::read(snapshot.join(name)).unwrap(),
            fs::read(repository.join("blobs").join(blob)).unwrap()
        );
    }
    assert_eq!(
        fs::read(snapshot.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(
        fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    assert_eq!(fs::read_dir(&snapshot).unwrap().count(), 3);
    assert_eq!(fs::read_dir(repository.join("blobs")).unwrap().count(), 2);
    let lock = cache
        .path()
        .join(format!(".locks/models--org--name/{BLOB}.lock"));
    assert!(lock.exists());
    let again = model(&server, cache.path());
    let again = again
        .plan(&quick(), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(again.bytes_left(), 0);
}

#[test]
fn a_commit_needs_no_ref_and_a_branch_may_have_folders() {
    let cache = tempfile::tempdir().unwrap();
    let server = hub(usual(), |_| None);
    let refs = cache.path().join("models--org--name/refs");
    let commit = model(&server, cache.path()).with_revision(COMMIT).unwrap();
    run(&plan(&commit).unwrap()).unwrap();
    assert!(!refs.exists());
    let branch = model(&server, cache.path())
        .with_revision("refs/pr/1")
        .unwrap();
    run(&plan(&branch).unwrap()).unwrap();
    assert_eq!(fs::read_to_string(refs.join("refs/pr/1")).unwrap(), COMMIT);
    assert_eq!(server.requests("refs%2Fpr%2F1").len(), 1);
    // Another commit than the one that was asked for is not taken for it.
    let other = "f".repeat(40);
    let other_model = model(&server, cache.path()).with_revision(&other).unwrap();
    refused(plan(&other_model), &[COMMIT, &other]);
}

#[test]
fn a_model_whose_weights_do_not_arrive_gets_no_name() {
    let cache = tempfile::tempdir().unwrap();
    let server = hub(usual(), |request| {
        let mut wrong = weights();
        wrong[0] ^= 1;
        let is_weights = request.path.ends_with("model.safetensors");
        is_weights.then(|| Answer::new(200, wrong))
    });
    let error = run(&plan(&model(&server, cache.path())).unwrap()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("sha256 is") && message.contains(&sha256(&weights())),
        "{message}"
    );
    assert!(!cache.path().join("models--org--name/refs/main").exists());
}

#[test]
fn small_files_are_compared_with_gits_blob_id() {
    let cache = tempfile::tempdir().unwrap();
    let server = hub(usual(), |request| {
        request
            .path
            .ends_with("/config.json")
            .then(|| Answer::new(200, "[]"))
    });
    let error = run(&plan(&model(&server, cache.path())).unwrap()).unwrap_err();
    // `printf '[]' | git hash-object --stdin`
    let expected = "git blob sha1 is 0637a088a01e8ddab3bf3fa98dbe804cbde1a0dc";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn the_token_goes_to_the_hub_and_not_where_it_redirects() {
    let cache = tempfile::tempdir().unwrap();
    let elsewhere = Server::start(|request, n| {
        let answer = Answer::file(request, &weights(), "\"cdn\"");
        if n == 0 { answer.cut(100_000) } else { answer }
    });
    let to = format!("{}/signed?Signature=secret", elsewhere.url());
    let server = hub(usual(), move |request| {
        let is_weights = request.path.ends_with("model.safetensors");
        is_weights.then(|| Answer::new(302, "").with("Location", &to))
    });
    let model = model(&server, cache.path()).with_token(Token::new("hf_secret").unwrap());
    let mut told = Vec::new();
    let plan = plan(&model).unwrap();
    plan.run(&quick(), &mut |event| {
        if !matches!(event, FetchEvent::Fetching { .. }) {
            told.push(format!("{event:?}"));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let at_hub = server.requests("/");
    assert_eq!(at_hub.len(), 4);
    let sees = |request: &Request| request.header("authorization").map(str::to_owned);
    assert!(
        at_hub
            .iter()
            .all(|request| sees(request).as_deref() == Some("Bearer hf_secret"))
    );
    let there = elsewhere.requests("/signed");
    assert_eq!(
        there.iter().map(Request::from).collect::<Vec<_>>(),
        [0, 100_000]
    );
    assert!(there.iter().all(|request| sees(request).is_none()));
    assert!(
        !told.is_empty() && !told.concat().contains("secret"),
        "{told:?}"
    );
    assert!(!format!("{model:?}{plan:?}").contains("hf_secret"));
}

#[test]
fn who_may_not_enter_is_told_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    for (status, token, part) in [
        (401, None, "HF_TOKEN"),
        (403, None, "gated"),
        (401, Some("old"), "token may be wrong"),
        (404, None, "revision main"),
    ] {
        let server = hub(usual(), move |_| Some(Answer::new(status, "no")));
        let mut model = model(&server, cache.path());
        if let Some(token) = token {
            model = model.with_token(Token::new(token).unwrap());
        }
        let page = format!("{}/org/name", server.url());
        refused(
            plan(&model),
            &[&status.to_string(), part, "org/name", &page],
        );
        assert_eq!(server.requests("/").len(), 1, "no second try");
    }
}

#[test]
fn weights_are_safetensors_if_there_are_any() {
    let cache = tempfile::tempdir().unwrap();
    let configs = || vec![small("config.json"), small("processor_config.json")];
    let of = |more: &[Value]| {
        let server = hub([&configs()[..], more].concat(), |_| None);
        plan(&model(&server, cache.path()))
    };
    let bin = of(&[large("pytorch_model.bin"), large("tf_model.h5")]).unwrap();
    assert_eq!(names(&bin), ["config.json", "pytorch_model.bin"]);
    // Shards with bytes of their own, so that none is another's blob.
    let shard = |i: usize| {
        let name = format!("model-0000{i}-of-00002.safetensors");
        json!({"rfilename": name, "size": 1, "lfs": {"sha256": format!("{i:064}")}})
    };
    let index = json!({"rfilename": "model.safetensors.index.json", "size": 2, "blobId": format!("{:040}", 1)});
    let shards = of(&[
        shard(1),
        shard(2),
        index.clone(),
        large("pytorch_model.bin"),
    ])
    .unwrap();
    assert_eq!(
        names(&shards)[1..],
        [
            "model.safetensors.index.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors"
        ]
    );
    refused(
        of(&[shard(1), index]),
        &["no model.safetensors or pytorch_model.bin"],
    );
    refused(of(&[]), &["no model.safetensors"]);
    let server = hub(vec![large("model.safetensors")], |_| None);
    refused(plan(&model(&server, cache.path())), &["no config.json"]);
}

#[test]
fn lists_that_are_wrong_are_refused() {
    let cache = tempfile::tempdir().unwrap();
    let with = |entry: Value| [&usual()[..], &[entry]].concat();
    for name in [
        "../../../.ssh/authorized_keys",
        "/etc/passwd",
        "a\\..\\b",
        "a//b",
        "",
    ] {
        let server = hub(with(small(name)), |_| None);
        refused(plan(&model(&server, cache.path())), &["no plain file name"]);
    }
    for (key, value) in [
        ("size", json!(null)),
        ("blobId", json!("../../x")),
        (
            "lfs",
            json!({"sha256": "../../../../../../../../../../../../../../../../etc/cron.d/x"}),
        ),
    ] {
        let mut files = usual();
        files[1][key] = value;
        let server = hub(files, |_| None);
        refused(
            plan(&model(&server, cache.path())),
            &["config.json", "size or checksum"],
        );
    }
    for (text, part) in [
        ("<html>", "no list of a model's files"),
        ("{\"sha\": \"../..\", \"siblings\": []}", "40 hex digits"),
        ("{\"siblings\": []}", "sha"),
    ] {
        let server = hub(usual(), move |_| Some(Answer::new(200, text)));
        refused(
            plan(&model(&server, cache.path())),
            &[part, "/api/models/org/name"],
        );
    }
    assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
}

#[test]
fn ids_revisions_and_endpoints_are_checked() {
    let cache = Path::new("cache");
    for id in ["", "a/b/c", "../x", "a/..", "/a", "a b", "a--b/c", "a/.b"] {
        assert!(HubModel::new(id, cache).is_err(), "{id}");
    }
    let model = HubModel::new("gpt2", cache).unwrap();
    for revision in ["", "../main", "a//b", ".git"] {
        assert!(model.clone().with_revision(revision).is_err(), "{revision}");
    }
    assert!(model.with_endpoint("huggingface.co").is_err());
}
