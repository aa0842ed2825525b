//! Which files are to be fetched, and the fetching of them all.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use url::Url;

use super::client::Server;
use super::download::download;
use super::error::{FetchError, Result, io_error};
use super::hub_cache::Snapshot;
use super::openneuro::Missing;
use super::partial::{has_left, left_bytes};
use super::session::{Counts, Report, Session, watched};
use super::there::{compare, exists};
use super::{Checksum, FetchConfig, FetchEvent, OnFetch};
use crate::error::with_sources;

/// Files that fail one after the other until the rest is not tried.
const FAILURES_IN_A_ROW: usize = 3;

/// A file of a plan.
#[derive(Debug, Clone)]
pub struct PlannedFile {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) url: Url,
    pub(super) bytes: u64,
    pub(super) checksum: Checksum,
    /// The strong `ETag` of the list, as it comes with the file.
    pub(super) etag: Option<String>,
    pub(super) already: bool,
}

impl PlannedFile {
    /// Its name in the model or dataset, folders included.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its bytes go.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What it will be compared with.
    #[must_use]
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// Whether it is there already: with the right checksum, or size where the server has no checksum. Of a
    /// blob of the hub's cache, which its content names, the size is enough.
    #[must_use]
    pub fn already(&self) -> bool {
        self.already
    }

    /// Whether its content names it.
    pub(super) fn is_blob(&self) -> bool {
        let name = self.path.file_name().and_then(|name| name.to_str());
        name.is_some() && name == self.checksum.value()
    }

    /// The size of what is in its place.
    pub(super) fn found(&self) -> Result<Option<u64>> {
        match std::fs::metadata(&self.path) {
            Ok(found) => Ok(Some(found.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error("read", &self.path)(error)),
        }
    }
}

/// Files to fetch, with their sizes. Nothing is written before [`run`](Self::run).
#[derive(Debug, Clone)]
pub struct Plan {
    folder: PathBuf,
    files: Vec<PlannedFile>,
    missing: Vec<Missing>,
    server: Server,
    /// What makes blobs of the hub's cache a model.
    snapshot: Option<Snapshot>,
}

/// What a run of a plan brought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The model's snapshot, or the dataset.
    pub folder: PathBuf,
    /// Files that were not there before.
    pub n_files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them whose size alone could be compared.
    pub size_only: Vec<String>,
    /// Files that were there before with the same size, and were not compared: the server has no checksum
    /// of them.
    pub not_compared: Vec<String>,
}

impl Plan {
    /// Files of a dataset folder. One that is there with another size is the user's: an error.
    pub(super) fn of_dataset(
        folder: &Path,
        server: Server,
        mut files: Vec<PlannedFile>,
        missing: Vec<Missing>,
    ) -> Result<Self> {
        for file in &mut files {
            match file.found()? {
                Some(got) if got != file.bytes => return Err(exists(file, got)),
                found => file.already = found.is_some(),
            }
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            files,
            missing,
            server,
            snapshot: None,
        })
    }

    /// Compares the files that are there with their checksums; another one is the user's: an error.
    pub(super) fn compared(self, config: &FetchConfig, on: &mut OnFetch<'_>) -> Result<Self> {
        let is_compared = |file: &&PlannedFile| file.already && file.checksum.value().is_some();
        let files: Vec<_> = self.files.iter().filter(is_compared).collect();
        if files.is_empty() {
            return Ok(self);
        }
        let bytes_total = total(files.iter().copied(), |file| file.bytes);
        let state = |counts: &Counts| FetchEvent::Comparing {
            bytes_done: counts.bytes(),
            bytes_total,
        };
        watched(config, self.server.clone(), on, state, |session| {
            let on = |n| session.counts.add_bytes(n);
            files
                .iter()
                .try_for_each(|file| compare(file, session, &on))
        })?;
        Ok(self)
    }

    /// Blobs of the hub's cache, named by their content. One of another size is damaged and replaced.
    pub(super) fn of_model(
        server: Server,
        mut files: Vec<PlannedFile>,
        snapshot: Snapshot,
    ) -> Result<Self> {
        for file in &mut files {
            file.already = file.found()? == Some(file.bytes);
        }
        Ok(Self {
            folder: snapshot.folder(),
            files,
            missing: Vec::new(),
            server,
            snapshot: Some(snapshot),
        })
    }

    /// The model's snapshot, or the dataset's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The files, those that are there already included.
    #[must_use]
    pub fn files(&self) -> &[PlannedFile] {
        &self.files
    }

    /// What the server does not have, where that is no error.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        total(&self.files, |file| file.bytes)
    }

    /// Bytes that are to come; what an interrupted run left is not counted again.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        let left = self.files.iter().filter(|file| !file.already);
        total(left, |file| {
            file.bytes.saturating_sub(left_bytes(&file.path))
        })
    }

    /// Fetches what is not there.
    ///
    /// A file that fails does not stop the others, unless they would meet the same or three fail one after
    /// the other; what has arrived is kept and gone on from by the next run.
    ///
    /// # Errors
    /// Any [`FetchError`]: of the one file that failed, or [`FetchError::Several`].
    #[tracing::instrument(skip_all, fields(n_files = self.files.len()))]
    pub fn run(&self, config: &FetchConfig, on: &mut OnFetch<'_>) -> Result<Fetched> {
        let left: Vec<&PlannedFile> = self.files.iter().filter(|file| !file.already).collect();
        // What an interrupted run left of files that are whole now is removed.
        let leftover = |file: &&PlannedFile| file.already && has_left(&file.path);
        let mut work = left.clone();
        work.extend(self.files.iter().filter(leftover));
        if !work.is_empty() {
            self.check_space()?;
            let state = |counts: &Counts| self.state(counts);
            watched(config, self.server.clone(), on, state, |session| {
                fetch_all(&work, session)
            })?;
        }
        if let Some(snapshot) = &self.snapshot {
            snapshot.write()?;
        }
        let size_only = |already: bool| {
            let of = move |file: &&PlannedFile| {
                file.already == already && file.checksum == Checksum::SizeOnly
            };
            let names = self.files.iter().filter(of);
            names.map(|file| file.name.clone()).collect()
        };
        Ok(Fetched {
            folder: self.folder.clone(),
            n_files: left.len(),
            bytes: total(left.iter().copied(), |file| file.bytes),
            size_only: size_only(false),
            not_compared: size_only(true),
        })
    }

    fn state(&self, counts: &Counts) -> FetchEvent<'static> {
        let already = self.files.iter().filter(|file| file.already);
        FetchEvent::Fetching {
            bytes_done: total(already.clone(), |file| file.bytes) + counts.bytes(),
            bytes_total: self.bytes(),
            files_done: already.count() + counts.files(),
            n_files: self.files.len(),
        }
    }

    fn check_space(&self) -> Result<()> {
        let needed = self.bytes_left();
        let mut folders = self.folder.ancestors().filter(|folder| folder.exists());
        let folder = folders.next().unwrap_or(Path::new("."));
        match fs4::available_space(folder) {
            Ok(available) if available < needed => Err(FetchError::NoSpace {
                path: folder.to_path_buf(),
                needed,
                available,
            }),
            // Where it is not known, the disk says so when it is full.
            _ => Ok(()),
        }
    }
}

/// Sizes are a server's word: they must not overflow.
fn total<'f>(
    files: impl IntoIterator<Item = &'f PlannedFile>,
    bytes: impl Fn(&PlannedFile) -> u64,
) -> u64 {
    files.into_iter().map(bytes).fold(0, u64::saturating_add)
}

/// Fetches files, several at a time.
fn fetch_all(files: &[&PlannedFile], session: &Session<'_>) -> Result<()> {
    let next = AtomicUsize::new(0);
    let in_a_row = AtomicUsize::new(0);
    let halted = AtomicBool::new(false);
    let failures = Mutex::new(Vec::new());
    let work = || {
        while !halted.load(Ordering::SeqCst)
            && let Some(file) = files.get(next.fetch_add(1, Ordering::SeqCst))
        {
            let Err(error) = download(file, session) else {
                in_a_row.store(0, Ordering::SeqCst);
                continue;
            };
            let n = in_a_row.fetch_add(1, Ordering::SeqCst) + 1;
            if error.stops_all() || n >= FAILURES_IN_A_ROW {
                halted.store(true, Ordering::SeqCst);
            }
            session.report(Report::Failed(file.name.clone(), with_sources(&error)));
            let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
            failures.push(error);
        }
    };
    thread::scope(|scope| {
        for _ in 0..session.config.jobs.clamp(1, files.len().max(1)) {
            scope.spawn(work);
        }
    });
    summary(
        failures
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
    )
}

fn summary(mut failures: Vec<FetchError>) -> Result<()> {
    let n_failed = failures.len();
    match n_failed {
        0 => Ok(()),
        1 => Err(failures.remove(0)),
        _ => {
            // What stopped the others is what needs doing.
            let first = failures.iter().position(FetchError::stops_all).unwrap_or(0);
            Err(FetchError::Several {
                n_failed,
                first: Box::new(failures.swap_remove(first)),
            })
        }
    }
}
