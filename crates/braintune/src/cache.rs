//! What the feature cache holds, and how it is made smaller: what has not been of use for longest goes first.
//!
//! Entries are what [`CachedExtractor`](braintune_backbone::CachedExtractor) and
//! [`FrozenCache`](braintune_backbone::FrozenCache) write: files and folders whose names begin with a SHA-256 in
//! hexadecimal. When a file was last of use is its time of modification, which reading sets. Anything else in the
//! folder is told and never touched. Runs go on beside a cleaning: they make again what is gone. Held by
//! `tests/it/cache.rs`.

mod entry;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use self::entry::{Entry, EntryKind};
use crate::error::{Result, io_error};
use crate::model::{user_caches_of, variable};

/// What is not finished and was written to within this time may still be worked on.
const IN_WORK: Duration = Duration::from_hours(24);

/// What a folder of kept features holds.
///
/// ```
/// use std::time::SystemTime;
///
/// use braintune::cache::{CacheContents, CacheLimits, remove};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// # std::fs::write(folder.join("notes.txt"), "not the cache's")?;
/// let contents = CacheContents::read(folder)?;
/// let limits = CacheLimits { max_bytes: Some(20_000_000_000), max_age: None };
/// let cleaned = remove(&contents.beyond(limits, SystemTime::now()))?;
/// assert_eq!((cleaned.n_entries, contents.n_bytes()), (0, 0));
/// assert_eq!(contents.others.len(), 1); // told, and left as it is
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheContents {
    /// Entries, least recently used first.
    pub entries: Vec<Entry>,
    /// Files and folders that are not the cache's, by name; they are left as they are.
    pub others: Vec<PathBuf>,
}

/// Entries of one kind from one model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheGroup {
    /// What they are.
    pub kind: EntryKind,
    /// SHA-256 of the weights they came from, or what else stands for these; none in files that do not say.
    pub weights: Option<String>,
    /// What a file holds, in words: `13 x 768`.
    pub shape: String,
    /// How many entries.
    pub n_entries: usize,
    /// Bytes in all.
    pub n_bytes: u64,
    /// When one of them was last of use.
    pub last_used: SystemTime,
}

/// What may stay in a cache. Without either limit nothing may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheLimits {
    /// Bytes of all entries.
    pub max_bytes: Option<u64>,
    /// Since an entry was last of use.
    pub max_age: Option<Duration>,
}

/// What a cleaning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Cleaned {
    /// Entries that are gone.
    pub n_entries: usize,
    /// Their bytes.
    pub n_bytes: u64,
    /// Entries that were used since the folder was read, and stay.
    pub n_used_since: usize,
}

/// Where features are kept unless another place is given: `XDG_CACHE_HOME`/braintune, else `~/.cache/braintune`; `None`
/// where neither `XDG_CACHE_HOME` nor `HOME` is set.
#[must_use]
pub fn default_folder() -> Option<PathBuf> {
    default_folder_of(variable)
}

fn default_folder_of(get: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    user_caches_of(get).map(|caches| caches.join("braintune"))
}

impl CacheContents {
    /// Reads names, sizes, times and headers; a folder that is not there holds nothing.
    ///
    /// # Errors
    /// What the file system says.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut contents = Self {
            entries: Vec::new(),
            others: Vec::new(),
        };
        let listing = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(contents),
            listing => listing.map_err(io_error("read", folder))?,
        };
        for found in listing {
            let path = found.map_err(io_error("read", folder))?.path();
            match Entry::read(&path) {
                // A run beside this one has given it its name, or cleaned.
                _ if std::fs::symlink_metadata(&path).is_err() => {}
                Ok(Some(entry)) => contents.entries.push(entry),
                Ok(None) => contents.others.push(path),
                Err(error) => return Err(error),
            }
        }
        contents
            .entries
            .sort_by(|a, b| (a.last_used, &a.path).cmp(&(b.last_used, &b.path)));
        contents.others.sort();
        Ok(contents)
    }

    /// Bytes of all entries.
    #[must_use]
    pub fn n_bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.n_bytes).sum()
    }

    /// Entries by kind and model.
    #[must_use]
    pub fn groups(&self) -> Vec<CacheGroup> {
        let mut groups: BTreeMap<_, CacheGroup> = BTreeMap::new();
        for entry in &self.entries {
            let key = (entry.kind, entry.weights.clone(), entry.shape.clone());
            let group = groups.entry(key).or_insert_with(|| CacheGroup {
                kind: entry.kind,
                weights: entry.weights.clone(),
                shape: entry.shape.clone(),
                n_entries: 0,
                n_bytes: 0,
                last_used: entry.last_used,
            });
            group.n_entries += 1;
            group.n_bytes += entry.n_bytes;
            group.last_used = group.last_used.max(entry.last_used);
        }
        groups.into_values().collect()
    }

    /// What has to go for the rest to be within `limits` at the time `now`, in the order in which it goes. What may
    /// still be worked on stays, whatever its size.
    #[must_use]
    pub fn beyond(&self, limits: CacheLimits, now: SystemTime) -> Vec<&Entry> {
        let age = |entry: &Entry| now.duration_since(entry.last_used).unwrap_or_default();
        let removable = |entry: &&Entry| entry.kind.is_finished() || age(entry) >= IN_WORK;
        let mut left = self.n_bytes();
        let goes = |entry: &&Entry| {
            let too_old = limits.max_age.is_some_and(|most| age(entry) > most);
            let too_much = limits.max_bytes.is_some_and(|most| left > most);
            let goes = too_old || too_much || limits == CacheLimits::default();
            left -= if goes { entry.n_bytes } else { 0 };
            goes
        };
        self.entries.iter().filter(removable).filter(goes).collect()
    }
}

/// Removes entries; one that was used since it was read stays, one that is gone already is fine.
///
/// # Errors
/// What the file system says; entries before that one are gone.
pub fn remove(entries: &[&Entry]) -> Result<Cleaned> {
    let mut cleaned = Cleaned::default();
    for entry in entries {
        match Entry::read(&entry.path) {
            Ok(Some(now)) if now.last_used > entry.last_used => {
                cleaned.n_used_since += 1;
                continue;
            }
            Ok(Some(_)) => {}
            // Another process took it away, or put something else there.
            Ok(None) | Err(_) => continue,
        }
        entry.remove()?;
        cleaned.n_entries += 1;
        cleaned.n_bytes += entry.n_bytes;
    }
    Ok(cleaned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_in_the_users_cache() {
        let of = |set: &'static [(&str, &str)]| {
            default_folder_of(move |name| {
                let found = set.iter().find(|(other, _)| *other == name)?;
                Some(OsString::from(found.1))
            })
        };
        let both = of(&[("XDG_CACHE_HOME", "/xdg"), ("HOME", "/me")]);
        assert_eq!(both.as_deref(), Some(Path::new("/xdg/braintune")));
        let home = of(&[("HOME", "/me")]);
        assert_eq!(home.as_deref(), Some(Path::new("/me/.cache/braintune")));
        assert_eq!(of(&[]), None);
    }
}
