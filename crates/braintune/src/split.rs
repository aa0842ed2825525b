//! Which part of a job this process does, and what processes that work together must have the same of.
//!
//! Who does what never changes a result: pieces of work have fixed sizes, each is done whole by one process and kept on
//! disk, and one process puts them together in their order. Held by `tests/it/ranks.rs`.

use std::path::Path;
use std::time::UNIX_EPOCH;

use braintune_ranks::{Alone, Ranks, Shard};

use crate::error::{BraintuneError, Result, file_error};
use crate::files::{remove_if_there, write_atomically};

/// Which part of a job this process does.
#[derive(Debug, Clone, Copy)]
pub enum Split<'a> {
    /// With others at the same time, or alone: pieces are shared out, and the first rank writes the result.
    Ranks(&'a dyn Ranks),
    /// One share of an array job: its pieces are kept for [`Split::Merge`], which writes the result.
    Shard(Shard),
    /// What shares have left is put together; missing pieces are an error.
    Merge,
}

impl Split<'static> {
    /// The whole job by one process.
    #[must_use]
    pub fn whole() -> Self {
        Self::Ranks(&Alone)
    }
}

impl<'a> Split<'a> {
    /// The share that is this process's own; none where pieces are only put together.
    pub(crate) fn shard(self) -> Option<Shard> {
        match self {
            Self::Ranks(ranks) => Some(ranks.shard()),
            Self::Shard(shard) => Some(shard),
            Self::Merge => None,
        }
    }

    /// Those that work at the same time, if there is more than one.
    pub(crate) fn fellows(self) -> Option<&'a dyn Ranks> {
        match self {
            Self::Ranks(ranks) if ranks.n_ranks() > 1 => Some(ranks),
            _ => None,
        }
    }
}

/// Compares what all ranks must have the same of, each thing under its name.
///
/// # Errors
/// The first thing in which a rank differs from the first rank, and which one.
pub(crate) fn agree(ranks: &dyn Ranks, things: &[(String, String)]) -> Result<()> {
    type Said = (String, Vec<(String, String)>);
    let mine = serde_json::to_vec(&(ranks.name(), things)).map_err(unreadable)?;
    let all = ranks.all_gather(&mine)?;
    let read = |bytes: &Vec<u8>| serde_json::from_slice::<Said>(bytes).map_err(unreadable);
    let all: Vec<Said> = all.iter().map(read).collect::<Result<_>>()?;
    let Some(((first, expected), others)) = all.split_first() else {
        return Ok(());
    };
    const ADVICE: &str = "all ranks must run the same version on the same data and settings";
    for (name, found) in others {
        let mut pairs = found.iter().zip(expected);
        if let Some((theirs, ours)) = pairs.find(|(theirs, ours)| theirs != ours) {
            return Err(BraintuneError::Input(format!(
                "{name} has another {} than {first}, {} and {}: {ADVICE}",
                theirs.0, theirs.1, ours.1
            )));
        }
        if found.len() != expected.len() {
            return Err(BraintuneError::Input(format!(
                "{name} compares {} things with {first}, which has {}: {ADVICE}",
                found.len(),
                expected.len()
            )));
        }
    }
    Ok(())
}

/// What ranks said of each other cannot be read.
pub(crate) fn unreadable(error: serde_json::Error) -> BraintuneError {
    BraintuneError::Input(format!(
        "what another rank sent cannot be read ({error}): do all ranks run the same version of braintune?"
    ))
}

/// Whether all ranks see the very same files: one of them reading each is enough then.
///
/// # Errors
/// What passing it on can cause.
pub(crate) fn see_same_files<'p>(
    ranks: &dyn Ranks,
    files: impl Iterator<Item = &'p Path>,
) -> Result<bool> {
    let mine = files.map(identity).collect::<Vec<_>>().join("\n");
    let all = ranks.all_gather(mine.as_bytes())?;
    Ok(all.iter().all(|theirs| *theirs == all[0]))
}

/// What tells a file from its copies: its number on its disk, size and time.
fn identity(path: &Path) -> String {
    let Ok(found) = std::fs::metadata(path) else {
        return format!("{} is not there", path.display());
    };
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&found);
    #[cfg(not(unix))]
    let number = 0;
    let modified = found.modified().ok();
    let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("{} {number} {} {modified:?}", path.display(), found.len())
}

/// Checks that all ranks see what the first one writes in `folder`, which is made if need be.
///
/// # Errors
/// A rank that does not; what the file system says.
pub(crate) fn share_folder(ranks: &dyn Ranks, folder: &Path) -> Result<()> {
    let path = folder.join(".seen-by-all-ranks");
    let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    let text = format!(
        "{} {}",
        std::process::id(),
        now.unwrap_or_default().as_nanos()
    );
    if ranks.is_first() {
        crate::files::create_folder(folder)?;
        write_atomically(&path, text.as_bytes())?;
    }
    let all = ranks.all_gather(text.as_bytes())?;
    let sees_it = std::fs::read(&path).is_ok_and(|found| found == all[0]);
    let blind = if sees_it { String::new() } else { ranks.name() };
    let all = ranks.all_gather(blind.as_bytes())?;
    if ranks.is_first() {
        remove_if_there(&path)?;
    }
    match all.iter().find(|name| !name.is_empty()) {
        None => Ok(()),
        Some(name) => Err(file_error(
            folder,
            format!(
                "{} does not see here what the first rank writes: results must go to storage that all ranks share, give another --out",
                String::from_utf8_lossy(name)
            ),
        )),
    }
}
