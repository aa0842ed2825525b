//! One entry of the feature cache, told from what is not one by its name and its header.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use crate::error::{Result, io_error};

/// Digits of a SHA-256 in hexadecimal, with which every name begins.
const KEY: usize = 64;
/// Headers of feature files have a few kilobytes.
const MAX_HEADER: u64 = 1 << 20;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EntryKind {
    /// Hidden states of a recording, all layers.
    Features,
    /// What the frozen parts of a model that is tuned give for a batch of clips.
    Frozen,
    /// Rows of an extraction that is not finished.
    Unfinished,
    /// Left over by a write that was stopped.
    Leftover,
    /// A file of the cache's name that cannot be read.
    Damaged,
}

impl EntryKind {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Frozen => "frozen parts",
            Self::Unfinished => "unfinished",
            Self::Leftover => "left over",
            Self::Damaged => "damaged",
        }
    }

    /// Whether nobody writes to it any more.
    pub(super) fn is_finished(self) -> bool {
        !matches!(self, Self::Unfinished | Self::Leftover)
    }
}

/// A file or folder of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// What stands for the weights it came from, if it says.
    pub weights: Option<String>,
    /// Hidden states times their width, in words; empty where that means nothing.
    pub shape: String,
    /// Its bytes.
    pub n_bytes: u64,
    /// When it was last of use.
    pub last_used: SystemTime,
}

/// What a header tells.
struct Described {
    kind: EntryKind,
    weights: Option<String>,
    shape: String,
}

impl Described {
    fn only(kind: EntryKind) -> Self {
        Self {
            kind,
            weights: None,
            shape: String::new(),
        }
    }
}

impl Entry {
    /// None for what is not the cache's, links included.
    pub(super) fn read(path: &Path) -> Result<Option<Self>> {
        let meta = std::fs::symlink_metadata(path).map_err(io_error("read", path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let described = match ending(&name) {
            Some(".safetensors") if meta.is_file() => describe(path)?,
            Some(".parts") if meta.is_dir() => return unfinished(path, &meta),
            None if meta.is_file() && is_leftover(&name) => {
                Some(Described::only(EntryKind::Leftover))
            }
            _ => None,
        };
        let Some(described) = described else {
            return Ok(None);
        };
        Ok(Some(Self {
            path: path.to_path_buf(),
            kind: described.kind,
            weights: described.weights,
            shape: described.shape,
            n_bytes: meta.len(),
            last_used: meta.modified().map_err(io_error("read", path))?,
        }))
    }

    /// Of a folder only the cache's own files, and the folder if it is empty then.
    pub(super) fn remove(&self) -> Result<()> {
        if self.kind != EntryKind::Unfinished {
            return gone(&self.path, std::fs::remove_file(&self.path));
        }
        for part in parts(&self.path)?.unwrap_or_default() {
            gone(&part, std::fs::remove_file(&part))?;
        }
        gone(&self.path, std::fs::remove_dir(&self.path))
    }
}

fn gone(path: &Path, removed: std::io::Result<()>) -> Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// What follows the key in the name of an entry.
fn ending(name: &str) -> Option<&str> {
    let (key, ending) = name.split_at_checked(KEY)?;
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    key.chars().all(is_hex).then_some(ending)
}

/// A temporary name of an entry or of a part: `.<name>.<letters and digits>`.
fn is_leftover(name: &str) -> bool {
    let inner = name
        .strip_prefix('.')
        .and_then(|name| name.rsplit_once('.'));
    inner.is_some_and(|(name, random)| {
        let is_ours = ending(name) == Some(".safetensors") || is_part(name);
        is_ours && !random.is_empty() && random.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

fn is_part(name: &str) -> bool {
    let rows = name
        .strip_suffix(".safetensors")
        .and_then(|name| name.split_once('-'));
    rows.is_some_and(|(start, end)| {
        let is_row = |row: &str| row.len() >= 9 && row.chars().all(|c| c.is_ascii_digit());
        is_row(start) && is_row(end)
    })
}

/// A folder of parts; none if something else lies in it.
fn unfinished(path: &Path, meta: &Metadata) -> Result<Option<Entry>> {
    let Some(parts) = parts(path)? else {
        return Ok(None);
    };
    let mut entry = Entry {
        path: path.to_path_buf(),
        kind: EntryKind::Unfinished,
        weights: None,
        shape: String::new(),
        n_bytes: 0,
        last_used: meta.modified().map_err(io_error("read", path))?,
    };
    for part in parts {
        let Ok(meta) = std::fs::symlink_metadata(&part) else {
            continue; // a run beside this one has finished it
        };
        entry.n_bytes += meta.len();
        let modified = meta.modified().map_err(io_error("read", &part))?;
        entry.last_used = entry.last_used.max(modified);
    }
    Ok(Some(entry))
}

fn parts(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(Vec::new())),
        listing => listing.map_err(io_error("read", folder))?,
    };
    let mut parts = Vec::new();
    for found in listing {
        let path = found.map_err(io_error("read", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_symlink() || !(is_part(&name) || is_leftover(&name)) {
            return Ok(None);
        }
        parts.push(path);
    }
    parts.sort();
    Ok(Some(parts))
}

/// What a file of the cache's name holds; none for something that the cache never writes.
fn describe(path: &Path) -> Result<Option<Described>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io_error("read", path))?,
    };
    let header = match header(&mut file) {
        Header::Json(Value::Object(header)) => header,
        Header::TooLong => return Ok(None),
        _ => return Ok(Some(Described::only(EntryKind::Damaged))),
    };
    let weights = header
        .get("__metadata__")
        .and_then(|notes| notes.get("weights"));
    let weights = weights.and_then(Value::as_str).map(str::to_owned);
    if header.contains_key("times") && header.contains_key("hidden_states.0") {
        let width = &header["hidden_states.0"]["shape"][1];
        let is_layer = |name: &&String| name.starts_with("hidden_states.");
        return Ok(Some(Described {
            kind: EntryKind::Features,
            weights,
            shape: format!("{} x {width}", header.keys().filter(is_layer).count()),
        }));
    }
    let is_ours = header.contains_key("output") && weights.is_some();
    Ok(is_ours.then_some(Described {
        weights,
        ..Described::only(EntryKind::Frozen)
    }))
}

/// What a safetensors file begins with.
enum Header {
    Json(Value),
    /// Longer than any of the cache's.
    TooLong,
    Broken,
}

fn header(file: &mut File) -> Header {
    let mut length = [0; 8];
    if file.read_exact(&mut length).is_err() {
        return Header::Broken;
    }
    let length = u64::from_le_bytes(length);
    let size = file.metadata().map_or(0, |meta| meta.len());
    if length > MAX_HEADER && length < size {
        return Header::TooLong;
    }
    let mut json = Vec::new();
    match file.take(length.min(MAX_HEADER)).read_to_end(&mut json) {
        Ok(_) => serde_json::from_slice(&json).map_or(Header::Broken, Header::Json),
        Err(_) => Header::Broken,
    }
}
