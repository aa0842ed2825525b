//! Models of the HuggingFace hub: what a repository lists, and which of it a checkpoint needs.
//!
//! The list is `GET {endpoint}/api/models/{id}/revision/{revision}?blobs=true`: sizes, git blob ids, the
//! SHA-256 of large files, and the commit, from which files are then fetched
//! (`{endpoint}/{id}/resolve/{commit}/{file}`), so that no push in between mixes two versions.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::checksum::is_hex;
use super::client::{Server, Token, answer};
use super::error::{FetchError, Result};
use super::hub_cache::Snapshot;
use super::names::{endpoint, is_inside, is_plain_path, join, shown};
use super::plan::{Plan, PlannedFile};
use super::retry::retried;
use super::session::watched;
use super::{Checksum, FetchConfig, FetchEvent, OnFetch};

const ENDPOINT: &str = "https://huggingface.co";
/// Configurations that a checkpoint folder may have; the first one must be there.
const CONFIGS: [&str; 3] = [
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
];

/// A model of the hub, and the cache it goes to.
#[derive(Debug, Clone)]
pub struct HubModel {
    id: String,
    revision: String,
    cache: PathBuf,
    endpoint: Url,
    token: Option<Token>,
}

#[derive(Deserialize)]
struct Repository {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: String,
}

impl HubModel {
    /// The model `id` (`org/name`) at `main`, for the hub cache `cache`.
    ///
    /// # Errors
    /// `id` is no id of the hub.
    pub fn new(id: &str, cache: &Path) -> Result<Self> {
        let is_id_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_part = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
                && part.chars().all(is_id_char)
                && !part.contains("--")
                && !part.contains("..")
        };
        if id.len() > 96 || id.split('/').count() > 2 || !id.split('/').all(is_part) {
            return Err(FetchError::Input(format!(
                "{id:?} is no model id; expected something like facebook/wav2vec2-base"
            )));
        }
        Ok(Self {
            id: id.to_owned(),
            revision: "main".to_owned(),
            cache: cache.to_path_buf(),
            endpoint: endpoint(ENDPOINT)?,
            token: None,
        })
    }

    /// As the environment has it: the cache of `HF_HUB_CACHE`, `HF_HOME` or `XDG_CACHE_HOME`, the server of `HF_ENDPOINT`, the
    /// token of `HF_TOKEN` or of the file that `hf auth login` writes.
    ///
    /// # Errors
    /// As [`new`](Self::new); a variable that cannot be used, a token file that cannot be read.
    pub fn from_env(id: &str) -> Result<Self> {
        let mut model = Self::new(id, &crate::model::hub_cache())?;
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let Some(server) = set("HF_ENDPOINT") {
            model = model.with_endpoint(&server)?;
        }
        model.token = match set("HF_TOKEN") {
            Some(token) => Some(Token::new(&token)?),
            None => token_file()?,
        };
        Ok(model)
    }

    /// Another branch, tag or commit than `main`.
    ///
    /// # Errors
    /// `revision` cannot be one.
    pub fn with_revision(mut self, revision: &str) -> Result<Self> {
        if !is_plain_path(revision) {
            return Err(FetchError::Input(format!(
                "{revision:?} is no revision; expected a branch, a tag or a commit"
            )));
        }
        revision.clone_into(&mut self.revision);
        Ok(self)
    }

    /// Another server that talks like the hub. The token goes there.
    ///
    /// # Errors
    /// `server` is no http or https address.
    pub fn with_endpoint(mut self, server: &str) -> Result<Self> {
        self.endpoint = endpoint(server)?;
        Ok(self)
    }

    /// Who we are there.
    #[must_use]
    pub fn with_token(mut self, token: Token) -> Self {
        self.token = Some(token);
        self
    }

    /// The model's folder in the cache.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.cache.join(crate::model::cache_name(&self.id))
    }

    /// Asks the hub which files the model has: those that [`backbone`](crate::backbone) reads, weights as
    /// safetensors if there are such.
    ///
    /// # Errors
    /// Any [`FetchError`] of a list: no such model, no access, no answer, an answer that is none.
    pub fn plan(&self, config: &FetchConfig, on: &mut OnFetch<'_>) -> Result<Plan> {
        let mut url = join(&self.endpoint, ["api", "models"]);
        url = join(&url, self.id.split('/').chain(["revision", &self.revision]));
        url.set_query(Some("blobs=true"));
        let state = |_: &_| FetchEvent::Listing { n_files: 0 };
        let text = watched(config, self.server(), on, state, |session| {
            retried(session, &self.id, || session.client.text(&url))
        })?;
        let list: Repository = serde_json::from_str(&text)
            .map_err(|e| answer(&url, format!("is no list of a model's files: {e}")))?;
        self.plan_of(&url, &list)
    }

    fn server(&self) -> Server {
        let page = shown(&join(&self.endpoint, self.id.split('/')));
        let access = match self.token {
            Some(_) => {
                "if it is gated, ask for access on its page; the token may be wrong or too old"
            }
            None => "if it is gated or private, ask for access on its page and set HF_TOKEN",
        };
        Server {
            endpoint: self.endpoint.clone(),
            token: self.token.clone(),
            advice: format!(
                "is there a model {} with a revision {}? See {page}; {access}",
                self.id, self.revision
            ),
        }
    }

    fn plan_of(&self, url: &Url, list: &Repository) -> Result<Plan> {
        if !is_hex(&list.sha, 40) {
            let problem = format!("the commit is {:?}, expected 40 hex digits", list.sha);
            return Err(answer(url, problem));
        }
        let is_commit = self.revision.eq_ignore_ascii_case(&list.sha);
        if is_hex(&self.revision, 40) && !is_commit {
            let (sha, asked) = (&list.sha, &self.revision);
            let problem =
                format!("the commit is {sha}, asked for was {asked}; try another --endpoint");
            return Err(answer(url, problem));
        }
        let names = || list.siblings.iter().map(|file| file.rfilename.as_str());
        if let Some(name) = names().find(|name| !is_inside(name)) {
            return Err(FetchError::Name {
                url: shown(url),
                name: name.to_owned(),
            });
        }
        let wanted = self.wanted(&names().collect::<Vec<_>>())?;
        let mut files: Vec<PlannedFile> = Vec::new();
        let mut links = Vec::new();
        for name in wanted {
            let siblings = &list.siblings;
            if let Some(sibling) = siblings.iter().find(|file| file.rfilename == name) {
                let (file, blob) = self.file(url, &list.sha, sibling)?;
                // Two names can have one content: one blob.
                if files.iter().all(|other| other.path != file.path) {
                    files.push(file);
                }
                links.push((name, blob));
            }
        }
        let snapshot = Snapshot {
            repository: self.folder(),
            commit: list.sha.clone(),
            revision: (!is_commit).then(|| self.revision.clone()),
            files: links,
        };
        Plan::of_model(self.server(), files, snapshot)
    }

    /// A file, and the name of its blob.
    fn file(&self, url: &Url, commit: &str, sibling: &Sibling) -> Result<(PlannedFile, String)> {
        let name = &sibling.rfilename;
        let lfs = sibling
            .lfs
            .as_ref()
            .map(|lfs| lfs.sha256.to_ascii_lowercase());
        let git = sibling.blob_id.as_ref().map(|id| id.to_ascii_lowercase());
        let (bytes, checksum) = match (sibling.size, lfs, git) {
            (Some(bytes), Some(hex), _) if is_hex(&hex, 64) => (bytes, Checksum::Sha256(hex)),
            (Some(bytes), None, Some(hex)) if is_hex(&hex, 40) => (bytes, Checksum::GitSha1(hex)),
            _ => {
                let problem = format!("the list has no size or checksum of {name}, expected both");
                return Err(answer(url, problem));
            }
        };
        let blob = checksum.value().unwrap_or_default().to_owned();
        let repository = crate::model::cache_name(&self.id);
        let parts = self.id.split('/').chain(["resolve", commit, name]);
        let file = PlannedFile {
            name: name.clone(),
            path: self.folder().join("blobs").join(&blob),
            lock: self
                .cache
                .join(".locks")
                .join(repository)
                .join(format!("{blob}.lock")),
            url: join(&self.endpoint, parts),
            bytes,
            checksum,
            etag: None,
            already: false,
        };
        Ok((file, blob))
    }

    /// Names of the files that make a checkpoint folder.
    fn wanted(&self, names: &[&str]) -> Result<Vec<String>> {
        let lacks = |what: &str| {
            let (id, revision) = (&self.id, &self.revision);
            FetchError::Missing(format!(
                "{id} has no {what} at revision {revision}, so braintune cannot load it; choose a model of transformers' layout"
            ))
        };
        if !names.contains(&CONFIGS[0]) {
            return Err(lacks(CONFIGS[0]));
        }
        if !CONFIGS[1..].iter().any(|name| names.contains(name)) {
            return Err(lacks("preprocessor_config.json"));
        }
        let mut weights = ["model.safetensors", "pytorch_model.bin"].into_iter();
        let weights = weights.find_map(|file| weights_of(file, names));
        let weights = weights.ok_or_else(|| lacks("model.safetensors or pytorch_model.bin"))?;
        let configs = CONFIGS.iter().filter(|name| names.contains(name));
        Ok(configs
            .map(|&name| name.to_owned())
            .chain(weights)
            .collect())
    }
}

/// The one file of weights, or its index and all shards of one number; none if they are not all there.
fn weights_of(file: &str, names: &[&str]) -> Option<Vec<String>> {
    if names.contains(&file) {
        return Some(vec![file.to_owned()]);
    }
    let index = format!("{file}.index.json");
    if !names.contains(&index.as_str()) {
        return None;
    }
    let (stem, extension) = file.rsplit_once('.')?;
    let count = |name: &&str| -> Option<usize> {
        let shard = name.strip_prefix(stem)?.strip_suffix(extension)?;
        let (first, n) = shard.strip_suffix('.')?.split_once("-of-")?;
        (first == "-00001" && n.len() == 5).then(|| n.parse().ok())?
    };
    let n = names.iter().find_map(count)?;
    let mut wanted = vec![index];
    wanted.extend((1..=n).map(|i| format!("{stem}-{i:05}-of-{n:05}.{extension}")));
    let all = wanted.iter().all(|name| names.contains(&name.as_str()));
    all.then_some(wanted)
}

/// The token that `hf auth login` left.
fn token_file() -> Result<Option<Token>> {
    let path = match crate::model::variable("HF_TOKEN_PATH") {
        Some(path) => PathBuf::from(path),
        None => crate::model::hub_home().join("token"),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => Ok(None),
        Ok(text) => Token::new(&text).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(super::error::io_error("read", &path)(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::weights_of;

    #[test]
    fn shards_are_taken_whole_or_not_at_all() {
        let of = |names: &[&str]| weights_of("model.safetensors", names);
        let index = "model.safetensors.index.json";
        let (one, two) = (
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
        );
        assert_eq!(
            of(&["model.safetensors", index]).unwrap(),
            ["model.safetensors"]
        );
        let other = "model.fp16-00001-of-00001.safetensors";
        assert_eq!(of(&[other, two, index, one]).unwrap(), [index, one, two]);
        assert_eq!(of(&[index, one]), None);
        assert_eq!(of(&[one, two]), None);
    }
}
