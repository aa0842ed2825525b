//! Files that are there in one piece or not at all: written under a temporary name and renamed.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;

use crate::error::{Result, file_error, io_error};

/// Writes a file under a temporary name and renames.
///
/// # Errors
/// What the file system says, naming the file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes).map_err(io_error("write", path))
}

/// Makes a folder and those around it.
///
/// # Errors
/// What the file system says; a file in its place.
pub fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| {
        let file = path.ancestors().find(|place| place.is_file());
        file.map_or_else(
            || io_error("create", path)(error),
            |file| {
                let problem = "is a file where a folder is expected; give another place";
                file_error(file, problem)
            },
        )
    })
}

/// Copies a file under a temporary name and renames.
///
/// # Errors
/// What the file system says, naming the file.
pub fn copy_file(from: &Path, to: &Path) -> Result<()> {
    let mut source = File::open(from).map_err(io_error("read", from))?;
    write_streamed(to, |file| std::io::copy(&mut source, file).map(|_| ()))
}

/// As [`write_atomically`], for callers with errors of their own.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    streamed(path, |file| file.write_all(bytes))
}

/// Writes a file piece by piece under a temporary name and renames.
pub(crate) fn write_streamed(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<()> {
    streamed(path, write).map_err(io_error("write", path))
}

fn streamed(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut file = AtomicWriteFile::open(path)?;
    let mut buffered = BufWriter::new(file.as_file_mut());
    write(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.commit()
}

/// Removes a file; one that is not there is fine.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(io_error("remove", path)(e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.txt");
        write_atomically(&path, b"old").expect("it is written");
        let failed = write_streamed(&path, |file| {
            file.write_all(b"new")?;
            Err(std::io::Error::other("no more"))
        });
        let said = failed.expect_err("it failed").to_string();
        assert!(said.contains("write") && said.contains("x.txt"), "{said}");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"old");
        let n_files = std::fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(n_files, 1);
        remove_if_there(&path).expect("it goes");
        remove_if_there(&path).expect("it is gone");
        assert!(remove_if_there(folder.path()).is_err());
    }
}
