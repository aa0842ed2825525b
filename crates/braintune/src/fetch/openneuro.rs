//! Files of ds003020 (`LeBel` et al. 2023) from `OpenNeuro`'s public bucket.
//!
//! What [`Ds003020`](crate::fmri::Ds003020) reads, of chosen subjects and stories:
//! `derivative/{respdict.json, preprocessed_data/<subject>/<story>.hf5, TextGrids/<story>.TextGrid}` and
//! `stimuli/<story>.wav`. The bucket's lists give sizes and etags. Participants did not all hear
//! every story (UTS04 not `life`): what is not there is told, and an error where it was asked for by name.
//! Held by `tests/it/fetch_openneuro.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use braintune_fmri::StoryPreset;
use url::Url;

use super::client::Server;
use super::error::{FetchError, Result};
use super::names::{endpoint, is_inside, is_plain, join, shown};
use super::plan::{Plan, PlannedFile};
use super::s3::{Object, list};
use super::session::{Counts, Session, watched};
use super::{Checksum, FetchConfig, FetchEvent, OnFetch};

const ENDPOINT: &str = "https://s3.amazonaws.com/openneuro.org";
const DATASET: &str = "ds003020";
const RESPDICT: &str = "derivative/respdict.json";
const RESPONSES: &str = "derivative/preprocessed_data/";
const TEXTGRIDS: &str = "derivative/TextGrids/";
const AUDIO: &str = "stimuli/";

/// Subjects and stories of ds003020, and the folder they go to.
#[derive(Debug, Clone)]
pub struct Ds003020Files {
    folder: PathBuf,
    subjects: BTreeSet<String>,
    stories: Option<BTreeSet<String>>,
    /// Whether a story that is not there is an error.
    are_named: bool,
    endpoint: Url,
}

/// A file that the server does not have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Missing {
    /// "responses of UTS04", "audio", "TextGrid".
    pub what: String,
    /// The story.
    pub story: String,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: no {}", self.story, self.what)
    }
}

/// The dataset's files by name, without `ds003020/`.
type Files = BTreeMap<String, Object>;

impl Ds003020Files {
    /// All stories of `subjects`, into `folder`.
    ///
    /// # Errors
    /// No subject, or a name that cannot be one.
    pub fn new(folder: &Path, subjects: impl IntoIterator<Item = String>) -> Result<Self> {
        Ok(Self {
            folder: folder.to_path_buf(),
            subjects: plain_names("subject", subjects)?,
            stories: None,
            are_named: false,
            endpoint: endpoint(ENDPOINT)?,
        })
    }

    /// These stories only.
    ///
    /// # Errors
    /// No story, or a name that cannot be one.
    pub fn with_stories(mut self, stories: impl IntoIterator<Item = String>) -> Result<Self> {
        self.stories = Some(plain_names("story", stories)?);
        self.are_named = true;
        Ok(self)
    }

    /// The stories of a published list only, those of them that are there.
    #[must_use]
    pub fn with_preset(mut self, preset: StoryPreset) -> Self {
        let stories = preset.stories().into_iter();
        self.stories = Some(stories.map(ToOwned::to_owned).collect());
        self.are_named = false;
        self
    }

    /// Another address of the bucket, or a mirror's.
    ///
    /// # Errors
    /// `server` is no http or https address.
    pub fn with_endpoint(mut self, server: &str) -> Result<Self> {
        self.endpoint = endpoint(server)?;
        Ok(self)
    }

    /// Asks the bucket what there is.
    ///
    /// # Errors
    /// A subject or a named story that is not there, a file in the way, and any [`FetchError`] of a list.
    pub fn plan(&self, config: &FetchConfig, on: &mut OnFetch<'_>) -> Result<Plan> {
        let server = Server {
            endpoint: self.endpoint.clone(),
            token: None,
            advice: format!(
                "is {} OpenNeuro's bucket or a mirror of it? Try another --endpoint",
                shown(&self.endpoint)
            ),
        };
        let state = |counts: &Counts| FetchEvent::Listing {
            n_files: counts.files(),
        };
        let files = watched(config, server.clone(), on, state, |session| {
            self.list(session)
        })?;
        let (names, missing) = self.choose(&files)?;
        let planned = names.iter().filter_map(|name| files.get(name));
        let planned = planned.map(|object| self.planned(object)).collect();
        let plan = Plan::of_dataset(&self.folder, server, planned, missing)?;
        plan.compared(config, on)
    }

    fn list(&self, session: &Session<'_>) -> Result<Files> {
        let mut files = Files::new();
        for prefix in [RESPDICT, RESPONSES, TEXTGRIDS, AUDIO] {
            for object in list(session, &self.endpoint, &format!("{DATASET}/{prefix}"))? {
                if object.key.ends_with('/') {
                    continue; // how some tools keep empty folders
                }
                let name = object.key.strip_prefix(DATASET).unwrap_or_default();
                let name = name.strip_prefix('/').filter(|name| is_inside(name));
                let Some(name) = name else {
                    return Err(FetchError::Name {
                        url: shown(&self.endpoint),
                        name: object.key,
                    });
                };
                files.insert(name.to_owned(), object);
            }
        }
        Ok(files)
    }

    /// Names of the files to fetch, and what is not there.
    fn choose(&self, files: &Files) -> Result<(Vec<String>, Vec<Missing>)> {
        let there = responses(files);
        if let Some(unknown) = self.subjects.iter().find(|name| !there.contains_key(*name)) {
            let known: Vec<_> = there.into_keys().collect();
            return Err(FetchError::Missing(format!(
                "{DATASET} has no subject {unknown}; it has {}",
                known.join(", ")
            )));
        }
        if !files.contains_key(RESPDICT) {
            return Err(FetchError::Missing(format!(
                "{} has no {DATASET}/{RESPDICT}; try another --endpoint",
                shown(&self.endpoint)
            )));
        }
        let heard = self
            .subjects
            .iter()
            .filter_map(|subject| there.get(subject));
        let heard = heard.flatten().map(|story| (*story).to_owned()).collect();
        let stories: BTreeSet<String> = self.stories.clone().unwrap_or(heard);
        let mut names = vec![RESPDICT.to_owned()];
        let mut missing = Vec::new();
        for story in stories {
            let mut want = |name: String, what: String| {
                if files.contains_key(&name) {
                    names.push(name);
                } else {
                    let story = story.clone();
                    missing.push(Missing { what, story });
                }
            };
            for subject in &self.subjects {
                let name = format!("{RESPONSES}{subject}/{story}.hf5");
                want(name, format!("responses of {subject}"));
            }
            want(format!("{AUDIO}{story}.wav"), "audio".to_owned());
            want(
                format!("{TEXTGRIDS}{story}.TextGrid"),
                "TextGrid".to_owned(),
            );
        }
        self.check_named(&missing)?;
        Ok((names, missing))
    }

    /// What was asked for by name must be there; `TextGrid`s are for probes only.
    fn check_named(&self, missing: &[Missing]) -> Result<()> {
        let needed = missing.iter().filter(|missing| missing.what != "TextGrid");
        let needed: Vec<_> = needed.map(ToString::to_string).collect();
        if !self.are_named || needed.is_empty() {
            return Ok(());
        }
        Err(FetchError::Missing(format!(
            "{DATASET} lacks some of what --stories names ({}); leave these stories or subjects out",
            needed.join(", ")
        )))
    }

    fn planned(&self, object: &Object) -> PlannedFile {
        let name = object.key.strip_prefix(DATASET).unwrap_or_default();
        let name = name.trim_start_matches('/').to_owned();
        let lock = format!("{}.lock", name.replace('/', "--"));
        PlannedFile {
            path: self.folder.join(&name),
            lock: self.folder.join(".locks").join(lock),
            url: join(&self.endpoint, object.key.split('/')),
            bytes: object.bytes,
            checksum: Checksum::from_s3_etag(&object.etag),
            etag: strong(&object.etag),
            already: false,
            name,
        }
    }
}

/// An etag as it comes with the file; some mirrors leave the quotes out of their lists.
fn strong(etag: &str) -> Option<String> {
    let bare = etag.trim_matches('"');
    let is_strong = !bare.is_empty() && !etag.starts_with("W/");
    is_strong.then(|| format!("\"{bare}\""))
}

/// Stories by subject.
fn responses(files: &Files) -> BTreeMap<String, BTreeSet<&str>> {
    let mut there = BTreeMap::<String, BTreeSet<&str>>::new();
    let names = files.keys().filter_map(|name| name.strip_prefix(RESPONSES));
    for (subject, file) in names.filter_map(|name| name.split_once('/')) {
        if let Some(story) = file.strip_suffix(".hf5").filter(|story| is_plain(story)) {
            there.entry(subject.to_owned()).or_default().insert(story);
        }
    }
    there
}

fn plain_names(what: &str, names: impl IntoIterator<Item = String>) -> Result<BTreeSet<String>> {
    let names: BTreeSet<String> = names.into_iter().collect();
    let problem = match names.iter().find(|name| !is_plain(name)) {
        Some(name) => format!("{name:?} cannot be the name of a {what}"),
        None if names.is_empty() => format!("name at least one {what}"),
        None => return Ok(names),
    };
    Err(FetchError::Input(problem))
}
