//! The cache layout of `huggingface_hub`.
//!
//! ```text
//! models--org--name/blobs/<etag>                    bytes, named by git blob id or SHA-256
//! models--org--name/snapshots/<commit>/<file>       -> ../../blobs/<etag>
//! models--org--name/refs/<revision>                 the commit
//! .locks/models--org--name/<etag>.lock
//! ```
//!
//! Held by `tests/it/fetch_hub.rs`. By hand: `huggingface_hub` 2.4.0 finds what is written here, writes the same tree
//! but for its `CACHEDIR.TAG`, and what it wrote is found here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Result, io_error};
use crate::files::replace;

/// A model at a commit: what its files are called, and which blobs they are.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// The folder `models--org--name`.
    pub(super) repository: PathBuf,
    pub(super) commit: String,
    /// The branch or tag that led to the commit; none if it was the commit that was asked for.
    pub(super) revision: Option<String>,
    /// File names and blobs.
    pub(super) files: Vec<(String, String)>,
}

impl Snapshot {
    pub(super) fn folder(&self) -> PathBuf {
        self.repository.join("snapshots").join(&self.commit)
    }

    /// Links the blobs; the name of the revision comes last, when all is there.
    pub(super) fn write(&self) -> Result<()> {
        let folder = self.folder();
        fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        for (name, blob) in &self.files {
            place(
                &self.repository.join("blobs").join(blob),
                &folder.join(name),
                symlink,
            )?;
        }
        let Some(revision) = &self.revision else {
            return Ok(());
        };
        let path = self.repository.join("refs").join(revision);
        if fs::read_to_string(&path).is_ok_and(|commit| commit == self.commit) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(&self.repository);
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        replace(&path, self.commit.as_bytes()).map_err(io_error("write", &path))
    }
}

/// Makes `file` of a snapshot the blob: a link, where links can be made, else a copy.
fn place(blob: &Path, file: &Path, symlink: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<()> {
    let to = Path::new("../../blobs").join(blob.file_name().unwrap_or_default());
    if fs::read_link(file).is_ok_and(|found| found == to) {
        return Ok(());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = file.with_file_name(format!(".{name}.{}.new", std::process::id()));
    let _ = fs::remove_file(&new); // of a process of the same number that was killed
    let linked = symlink(&to, &new);
    if linked.is_err() && is_copy(file, blob) {
        return Ok(());
    }
    let made = linked.or_else(|_| fs::copy(blob, &new).map(drop));
    let placed = made.and_then(|()| fs::rename(&new, file));
    if placed.is_err() {
        let _ = fs::remove_file(&new); // the error that matters is the one returned
    }
    placed.map_err(io_error("write", file))
}

/// A copy of an earlier run: copies get their name when they are whole, and a commit's files do not change.
fn is_copy(file: &Path, blob: &Path) -> bool {
    let size = |path: &Path| fs::metadata(path).ok().map(|found| found.len());
    let is_file = fs::symlink_metadata(file).is_ok_and(|found| found.is_file());
    is_file && size(file) == size(blob)
}

#[cfg(unix)]
fn symlink(to: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, link)
}

#[cfg(windows)]
fn symlink(to: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(to, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn where_links_cannot_be_made_files_are_copied_and_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let blob = folder.path().join("blobs/abc");
        let file = folder.path().join("snapshots/1/config.json");
        for path in [&blob, &file] {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        fs::write(&blob, "{}").unwrap();
        let none = |_: &Path, _: &Path| Err(io::ErrorKind::PermissionDenied.into());
        place(&blob, &file, none).unwrap();
        assert!(!file.is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
        fs::write(&file, "[]").unwrap();
        place(&blob, &file, none).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "[]", "not copied again");
        fs::write(&file, "[").unwrap();
        place(&blob, &file, none).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}", "of another size");
        place(&blob, &file, symlink).unwrap();
        #[cfg(unix)]
        assert_eq!(fs::read_link(&file).unwrap(), Path::new("../../blobs/abc"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "{}");
        assert_eq!(fs::read_dir(file.parent().unwrap()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn the_name_of_a_revision_is_written_when_it_changes() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot = Snapshot {
            repository: folder.path().to_path_buf(),
            commit: "1".to_owned(),
            revision: Some("main".to_owned()),
            files: Vec::new(),
        };
        let main = folder.path().join("refs/main");
        let write = |snapshot: &Snapshot| {
            snapshot.write().unwrap();
            (fs::metadata(&main).unwrap().ino(), fs::read(&main).unwrap())
        };
        let first = write(&snapshot);
        assert_eq!(write(&snapshot), first, "each writing makes a new file");
        snapshot.commit = "2".to_owned();
        assert_eq!(write(&snapshot).1, b"2");
    }
}
