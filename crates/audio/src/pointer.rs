//! Files that stand in for data not fetched yet: git-annex and Git LFS pointers.
//!
//! Data sets on `OpenNeuro`, `GIN` and `DataLad` are git-annex repositories. Until a file is fetched,
//! its place is held by a broken symlink into `.git/annex/objects`, or by a one-line text file
//! (`/annex/objects/<key>`, `git-annex` 10 `doc/internals/pointer_file.mdwn`). Git LFS uses a text
//! file of its own. Held by `tests/it/bad_input.rs`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A git-annex pointer file is never longer than this (git-annex's `maxPointerSz`).
const MAX_POINTER_BYTES: u64 = 32 * 1024;

/// Which tool left a pointer in place of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PointerKind {
    /// git-annex, and `DataLad` on top of it.
    GitAnnex,
    /// Git LFS.
    GitLfs,
}

impl PointerKind {
    /// The command that fetches the data.
    #[must_use]
    pub fn fetch_hint(self) -> &'static str {
        match self {
            Self::GitAnnex => "`datalad get` or `git annex get` on it",
            Self::GitLfs => "`git lfs pull`",
        }
    }
}

impl fmt::Display for PointerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitAnnex => "git-annex",
            Self::GitLfs => "Git LFS",
        })
    }
}

/// Says whether the file at `path`, of whatever type, is a pointer to data not fetched yet.
///
/// `None` for data, for a symlink that leads to data, and where nothing can be read.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use braintune_audio::{PointerKind, pointer_kind};
///
/// let dir = tempfile::tempdir()?;
/// let path = dir.path().join("story.hf5");
/// std::fs::write(&path, "/annex/objects/MD5E-s4096--0cc175b9c0f1b6a831c399e269772661.hf5\n")?;
/// assert_eq!(pointer_kind(&path), Some(PointerKind::GitAnnex));
/// # Ok(()) }
/// ```
#[must_use]
pub fn pointer_kind(path: &Path) -> Option<PointerKind> {
    let Ok(file) = File::open(path) else {
        let target = std::fs::read_link(path).ok()?;
        return names_annex_object(&target.to_string_lossy()).then_some(PointerKind::GitAnnex);
    };
    let size = file
        .metadata()
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    if size > MAX_POINTER_BYTES {
        return None;
    }
    let mut head = Vec::new();
    file.take(1024).read_to_end(&mut head).ok()?;
    let head = String::from_utf8(head).ok()?;
    if head.starts_with("version https://git-lfs") {
        return Some(PointerKind::GitLfs);
    }
    let annexed =
        head.replace('\\', "/").starts_with("/annex/objects/") || names_annex_object(&head);
    annexed.then_some(PointerKind::GitAnnex)
}

fn names_annex_object(text: &str) -> bool {
    text.replace('\\', "/").contains(".git/annex/objects")
}
