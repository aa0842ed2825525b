//! A file that is not whole yet, and what is known about it.
//!
//! `.<name>.partial` beside the file's place holds the bytes that have arrived, `.<name>.partial.json`
//! what they are part of. Bytes without a note, or with another one, are not gone on from.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use serde::{Deserialize, Serialize};

use super::checksum::{Checksum, Hasher};
use super::error::{FetchError, Result, io_error};

/// More than a note has: a damaged one must not fill the memory.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// What a partial file is part of.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    size: u64,
    checksum: String,
    /// The `ETag` that came with the bytes.
    etag: Option<String>,
}

/// The bytes of a file that have arrived.
pub(super) struct Partial {
    path: PathBuf,
    note_path: PathBuf,
    note: Note,
    file: File,
    len: u64,
    hasher: Hasher,
    checksum: Checksum,
}

/// Where the bytes of `target` are until it is whole.
pub(super) fn partial_path(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.partial"))
}

/// Bytes of `target` that an earlier run left.
pub(super) fn left_bytes(target: &Path) -> u64 {
    fs::metadata(partial_path(target)).map_or(0, |found| found.len())
}

impl Partial {
    /// What an earlier run left of `target`, if it is part of the same file; else nothing.
    pub(super) fn open(target: &Path, size: u64, checksum: &Checksum) -> Result<Self> {
        let path = partial_path(target);
        let note_path = path.with_added_extension("json");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_error("write", &path))?;
        let found = read_note(&note_path)?;
        let mut partial = Self {
            note: Note {
                size,
                checksum: checksum.to_string(),
                etag: None,
            },
            hasher: checksum.hasher(size),
            checksum: checksum.clone(),
            path,
            note_path,
            file,
            len: 0,
        };
        let is_same = |found: &Note| {
            (found.size, &found.checksum) == (size, &partial.note.checksum)
                // Without a checksum only the server can say that it is the same file still.
                && (*checksum != Checksum::SizeOnly || found.etag.is_some())
        };
        match found.filter(is_same) {
            Some(note) => partial.take_up(note)?,
            None => partial.restart(None)?,
        }
        Ok(partial)
    }

    /// Goes on from what is there: its bytes are hashed.
    fn take_up(&mut self, note: Note) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        self.note = note;
        loop {
            let read = match self.file.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(io_error("read", &self.path))?,
            };
            if read == 0 {
                break;
            }
            self.hasher.update(&buffer[..read]);
            self.len += read as u64;
        }
        if self.len > self.note.size {
            return self.restart(None);
        }
        Ok(())
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The `ETag` that the bytes so far came with.
    pub(super) fn etag(&self) -> Option<&str> {
        self.note.etag.as_deref()
    }

    /// Drops all bytes; the next ones come with `etag`.
    pub(super) fn restart(&mut self, etag: Option<&str>) -> Result<()> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(io_error("write", &self.path))?;
        self.len = 0;
        self.hasher = self.checksum.hasher(self.note.size);
        self.note.etag = etag.map(str::to_owned);
        let note = serde_json::to_vec(&self.note).map_err(|e| FetchError::Input(e.to_string()))?;
        let write = || {
            let mut file = AtomicWriteFile::open(&self.note_path)?;
            file.write_all(&note)?;
            file.commit()
        };
        write().map_err(io_error("write", &self.note_path))
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(io_error("write", &self.path))?;
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Puts what has arrived on the disk, for a later run.
    pub(super) fn keep(&self) {
        let _ = self.file.sync_data(); // another error is on its way
    }

    /// The checksum of what has arrived, if it is not the expected one.
    pub(super) fn mismatch(&mut self) -> Option<String> {
        let hasher = std::mem::replace(&mut self.hasher, Hasher::None);
        hasher
            .finish()
            .filter(|got| Some(got.as_str()) != self.checksum.value())
    }

    /// Removes the bytes and the note.
    pub(super) fn discard(self) -> Result<()> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(io_error("remove", &self.path))?;
        fs::remove_file(&self.note_path).map_err(io_error("remove", &self.note_path))
    }

    /// Makes the bytes the file `target`, on the disk before it has its name.
    pub(super) fn finish(self, target: &Path) -> Result<()> {
        self.file
            .sync_all()
            .map_err(io_error("write", &self.path))?;
        drop(self.file);
        fs::rename(&self.path, target).map_err(io_error("write", target))?;
        let _ = fs::remove_file(&self.note_path); // only clutter now
        sync_folder(target);
        Ok(())
    }
}

/// So that a new name survives a power cut; not every system can.
fn sync_folder(file: &Path) {
    if let Some(folder) = file.parent()
        && let Ok(folder) = File::open(folder)
    {
        let _ = folder.sync_all();
    }
}

/// None if there is no note, or it is damaged.
fn read_note(path: &Path) -> Result<Option<Note>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    Ok(serde_json::from_reader(file.take(MAX_NOTE_BYTES)).ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn open(target: &Path, size: u64) -> Partial {
        Partial::open(target, size, &Checksum::SizeOnly).unwrap()
    }

    #[test]
    fn bytes_are_gone_on_from_only_with_the_note_of_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.hf5");
        let mut partial = open(&target, 6);
        partial.restart(Some("\"e\"")).unwrap();
        partial.append(b"abc").unwrap();
        drop(partial);
        assert_eq!(left_bytes(&target), 3);
        let partial = open(&target, 6);
        assert_eq!((partial.len(), partial.etag()), (3, Some("\"e\"")));
        drop(partial);
        assert_eq!(open(&target, 7).len(), 0, "another size");
        fs::write(partial_path(&target), b"abc").unwrap();
        fs::write(folder.path().join(".a.hf5.partial.json"), "{").unwrap();
        assert_eq!(open(&target, 6).len(), 0, "a damaged note");
    }

    #[test]
    fn a_longer_partial_file_begins_anew_and_nothing_is_left_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let mut partial = open(&target, 2);
        partial.restart(Some("\"e\"")).unwrap();
        drop(partial);
        fs::write(partial_path(&target), b"abcdef").unwrap();
        let mut partial = open(&target, 2);
        assert_eq!(partial.len(), 0);
        partial.append(b"xy").unwrap();
        partial.finish(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"xy");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
