//! What the ranks of a job tell each other: failures, findings, and that they work on the same.
//!
//! All of it is called by all ranks in the same order. `together`, `first`, `agree` and `meet` make an error on one of
//! them one on all, so that nobody waits for a rank that has given up; `gather` and `share` leave that to their callers. Held by `tests/it/ranks.rs`, `study_ranks.rs`, `extract.rs`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use braintune_ranks::{Ranks, share_out};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{BraintuneError, Result, file_error, io_error, with_sources};
use crate::provenance::sha256_hex;

/// How long another machine may take to see a new file on storage that both share.
const NEW_FILE: Duration = Duration::from_secs(5);
/// How long it may take where it has looked before: network file systems remember for a minute what is not there.
const KNOWN_FILE: Duration = Duration::from_secs(90);
/// Longest value that a message shows.
const SHOWN: usize = 60;

/// How the work of a rank went.
#[derive(Serialize, Deserialize)]
enum Went {
    Well,
    Stopped,
    Wrong(String),
}

impl Went {
    fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Well,
            Err(BraintuneError::Cancelled) => Self::Stopped,
            Err(error) => Self::Wrong(with_sources(error)),
        }
    }
}

/// What this rank has, once no rank has failed.
///
/// # Errors
/// Its own error, else that of another rank, which is named.
pub(crate) fn together<T>(ranks: &dyn Ranks, mine: Result<T>) -> Result<T> {
    if ranks.n_ranks() == 1 {
        return mine;
    }
    let went = gather(ranks, &Went::of(&mine))?;
    let mine = mine?;
    for (rank, went) in went.into_iter().enumerate() {
        match went {
            Went::Well => {}
            Went::Stopped => return Err(BraintuneError::Cancelled),
            Went::Wrong(problem) => {
                return Err(BraintuneError::Input(format!("rank {rank}: {problem}")));
            }
        }
    }
    Ok(mine)
}

/// What the first rank's `work` gives, known to all.
pub(crate) fn first<T: Serialize + DeserializeOwned>(
    ranks: &dyn Ranks,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let mine = together(ranks, ranks.is_first().then(work).transpose())?;
    if ranks.n_ranks() == 1 {
        return mine.ok_or_else(silent);
    }
    let all = tell(ranks, mine.as_slice())?;
    let of_first = || {
        let of_first: Option<Vec<T>> = all.first().map(|bytes| read(bytes)).transpose()?;
        let of_first = of_first.and_then(|mut told| told.pop());
        of_first.ok_or_else(silent)
    };
    mine.map_or_else(of_first, Ok)
}

/// What each rank has, in the order of ranks.
pub(crate) fn gather<T: Serialize + DeserializeOwned>(
    ranks: &dyn Ranks,
    mine: &T,
) -> Result<Vec<T>> {
    tell(ranks, mine)?.iter().map(|bytes| read(bytes)).collect()
}

/// What `one` makes of each piece, made by one rank each and known to all, in the order of pieces.
///
/// # Errors
/// Those of `one`, on this rank alone.
pub(crate) fn share<T: Serialize + DeserializeOwned>(
    ranks: &dyn Ranks,
    costs: &[f64],
    mut one: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<T>> {
    let told = share_out(ranks, costs, |piece| {
        serde_json::to_vec(&one(piece)?).map_err(|e| unread(&e))
    })?;
    told.iter().map(|bytes| read(bytes)).collect()
}

fn tell<T: Serialize + ?Sized>(ranks: &dyn Ranks, mine: &T) -> Result<Vec<Vec<u8>>> {
    let mine = serde_json::to_vec(mine).map_err(|e| unread(&e))?;
    Ok(ranks.all_gather(&mine)?)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|e| unread(&e))
}

fn silent() -> BraintuneError {
    BraintuneError::Input("rank 0 said nothing".to_owned())
}

fn unread(error: &serde_json::Error) -> BraintuneError {
    BraintuneError::Input(format!(
        "what ranks tell each other cannot be read ({error}): start all of them from the same version of braintune"
    ))
}

/// All ranks have the same values of the same names.
///
/// # Errors
/// Another value on some rank, or another name.
pub(crate) fn agree(ranks: &dyn Ranks, prints: &[(String, String)]) -> Result<()> {
    if ranks.n_ranks() == 1 {
        return Ok(());
    }
    let all = gather(ranks, &prints.to_vec())?;
    for (rank, theirs) in all.iter().enumerate() {
        let n = all[0].len().max(theirs.len());
        let place = (0..n).find(|&place| all[0].get(place) != theirs.get(place));
        let Some(place) = place else { continue };
        let (of_first, of_rank) = (all[0].get(place), theirs.get(place));
        let what = of_first.or(of_rank).map_or("", |(what, _)| what.as_str());
        return Err(BraintuneError::Input(format!(
            "rank {rank} differs from rank 0 in {what}{}: all ranks need the same version of braintune, the same settings and the same data",
            values(of_first, of_rank)
        )));
    }
    Ok(())
}

/// Both values, if they are short and of the same thing.
fn values(of_first: Option<&(String, String)>, of_rank: Option<&(String, String)>) -> String {
    match (of_first, of_rank) {
        (Some((what, a)), Some((same, b))) if what == same && a.len().max(b.len()) <= SHOWN => {
            format!(" ({b} in place of {a})")
        }
        _ => String::new(),
    }
}

/// All ranks see the folder `out` of the first one, where it is.
///
/// # Errors
/// A rank that does not see what the first one writes there.
pub(crate) fn meet(ranks: &dyn Ranks, out: &Path) -> Result<()> {
    if ranks.n_ranks() == 1 {
        return Ok(());
    }
    let place = |name: &str| out.join(name);
    let name = first(ranks, || {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let name = format!(".ranks-{}-{}", std::process::id(), now.as_nanos());
        let path = place(&name);
        std::fs::write(&path, []).map_err(io_error("write", &path))?;
        Ok(name)
    })?;
    let seen = if wait_for(&place(&name), NEW_FILE) {
        Ok(())
    } else {
        Err(file_error(
            out,
            "is not the folder that rank 0 writes to: results of several ranks go to storage that all of their machines share; give such a folder as --out",
        ))
    };
    let seen = together(ranks, seen);
    if ranks.is_first() {
        let _ = std::fs::remove_file(place(&name)); // only clutter now
    }
    seen
}

/// Whether a file that another rank has written is seen here.
pub(crate) fn sees(path: &Path) -> bool {
    wait_for(path, KNOWN_FILE)
}

fn wait_for(path: &Path, patience: Duration) -> bool {
    let begun = Instant::now();
    while !path.exists() {
        if begun.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Whether all ranks see the very same files, so that one of them reading each is enough: by path, length, time and
/// number in the file system.
pub(crate) fn see_same_files(
    ranks: &dyn Ranks,
    files: impl Iterator<Item = PathBuf>,
) -> Result<bool> {
    if ranks.n_ranks() == 1 {
        return Ok(true);
    }
    let mine: String = files.map(|path| state_of(&path)).collect();
    let all = ranks.all_gather(sha256_hex(mine.as_bytes()).as_bytes())?;
    Ok(all.iter().all(|one| *one == all[0]))
}

/// What tells a file from another one without reading it.
fn state_of(path: &Path) -> String {
    let Ok(found) = std::fs::metadata(path) else {
        return format!("{}: none\n", path.display());
    };
    let modified = found.modified().ok();
    let modified = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let modified = modified.map(|at| at.as_nanos());
    format!(
        "{}: {} {modified:?} {}\n",
        path.display(),
        found.len(),
        number(&found)
    )
}

/// The number of a file in its file system, which machines that share this agree on.
#[cfg(unix)]
fn number(found: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn number(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use braintune_ranks::ThreadRanks;

    use super::*;

    fn each<T: Send>(n: usize, work: impl Fn(&ThreadRanks) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let ranks = ThreadRanks::group(n).into_iter();
            let threads: Vec<_> = ranks.map(|rank| scope.spawn(|| work(&{ rank }))).collect();
            let threads = threads.into_iter();
            threads.map(|t| t.join().expect("it runs")).collect()
        })
    }

    #[test]
    fn an_error_of_one_rank_is_one_of_all() {
        let said = each(3, |ranks| {
            let mine = match ranks.rank() {
                1 => Err(BraintuneError::Input("no weights".to_owned())),
                rank => Ok(rank),
            };
            together(ranks, mine).expect_err("one failed").to_string()
        });
        assert_eq!(
            said,
            ["rank 1: no weights", "no weights", "rank 1: no weights"]
        );
        let stopped = each(2, |ranks| {
            let mine = match ranks.rank() {
                1 => Err(BraintuneError::Cancelled),
                rank => Ok(rank),
            };
            together(ranks, mine)
        });
        let is_stopped = |result: &Result<usize>| matches!(result, Err(BraintuneError::Cancelled));
        assert!(stopped.iter().all(is_stopped));
        assert_eq!(
            each(2, |ranks| together(ranks, Ok(7)).expect("well")),
            [7, 7]
        );
    }

    #[test]
    fn the_first_rank_works_for_all() {
        let found = each(3, |ranks| {
            let mut has_worked = false;
            let found = first(ranks, || {
                has_worked = true;
                Ok(0.1_f64 + 0.2)
            });
            // Nothing, and an option of nothing, are something to say.
            assert_eq!(first(ranks, || Ok(())).ok(), Some(()));
            assert_eq!(first(ranks, || Ok(None::<u8>)).ok(), Some(None));
            (has_worked, found.expect("it works"))
        });
        assert_eq!(
            found,
            [(true, 0.1 + 0.2), (false, 0.1 + 0.2), (false, 0.1 + 0.2)]
        );
    }

    #[test]
    fn a_rank_that_differs_is_named_with_what_differs() {
        let said = |version: &'static str, story: &'static str| {
            let said = each(3, |ranks| {
                let is_last = ranks.rank() == 2;
                let prints = [
                    ("the version", if is_last { version } else { "0.1.0" }),
                    ("the sound of a", if is_last { story } else { "71" }),
                ];
                let prints = prints.map(|(what, value)| (what.to_owned(), value.to_owned()));
                agree(ranks, &prints).map_err(|e| e.to_string())
            });
            assert!(said.iter().all(|one| *one == said[0]), "{said:?}");
            said[0].clone().err().unwrap_or_default()
        };
        assert_eq!(said("0.1.0", "71"), "");
        let version = said("0.0.9", "71");
        assert!(
            version.contains("rank 2 differs from rank 0 in the version (0.0.9 in place of 0.1.0)"),
            "{version}"
        );
        assert!(said("0.1.0", "72").contains("the sound of a"));
    }
}
