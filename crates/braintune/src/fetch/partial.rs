//! A file that is not whole yet, and what is known about it.
//!
//! `.<name>.partial` beside the file's place holds the bytes that have arrived, `.<name>.partial.json`
//! what they are part of. Bytes without a note, or with another one, are not gone on from; nor are those
//! of a file without checksum, if not an `ETag` says that they are of the version that is listed.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::checksum::{Checksum, Hasher};
use super::error::{FetchError, Result, io_error};
use super::plan::PlannedFile;
use crate::files::replace;

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
    /// How often bytes were dropped.
    drops: u32,
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

/// Whether an earlier run left something of `target`.
pub(super) fn has_left(target: &Path) -> bool {
    let path = partial_path(target);
    path.with_added_extension("json").exists() || path.exists()
}

impl Partial {
    /// What an earlier run left of `target`, if it is part of the same file; else nothing.
    /// `check` is asked between reads whether to go on.
    pub(super) fn open(file: &PlannedFile, check: &dyn Fn() -> Result<()>) -> Result<Self> {
        let (size, checksum) = (file.bytes, &file.checksum);
        let path = partial_path(&file.path);
        let note_path = path.with_added_extension("json");
        let bytes = OpenOptions::new()
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
            file: bytes,
            len: 0,
            drops: 0,
        };
        let is_same = |found: &Note| {
            (found.size, &found.checksum) == (size, &partial.note.checksum)
                && (*checksum != Checksum::SizeOnly || is_version(found, file.etag.as_deref()))
        };
        match found.filter(is_same) {
            Some(note) => partial.take_up(note, check)?,
            None => partial.restart(None)?,
        }
        // All bytes are here, so no answer will say whether they are of the listed version.
        let is_unsure = *checksum == Checksum::SizeOnly && file.etag.is_none();
        if partial.len == size && is_unsure {
            partial.restart(None)?;
        }
        Ok(partial)
    }

    /// Goes on from what is there: its bytes are hashed, where there is something to compare.
    fn take_up(&mut self, note: Note, check: &dyn Fn() -> Result<()>) -> Result<()> {
        if self.checksum == Checksum::SizeOnly {
            let end = self.file.seek(SeekFrom::End(0));
            self.len = end.map_err(io_error("read", &self.path))?;
        } else {
            self.hash(check)?;
        }
        self.note = note;
        if self.len > self.note.size {
            return self.restart(None);
        }
        Ok(())
    }

    fn hash(&mut self, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            check()?;
            let read = match self.file.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.map_err(io_error("read", &self.path))?,
            };
            if read == 0 {
                return Ok(());
            }
            self.hasher.update(&buffer[..read]);
            self.len += read as u64;
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// The `ETag` that the bytes so far came with.
    pub(super) fn etag(&self) -> Option<&str> {
        self.note.etag.as_deref()
    }

    /// How often bytes that were here were dropped.
    pub(super) fn drops(&self) -> u32 {
        self.drops
    }

    /// Drops all bytes; the next ones come with `etag`.
    pub(super) fn restart(&mut self, etag: Option<&str>) -> Result<()> {
        self.drops += u32::from(self.len > 0);
        self.file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(io_error("write", &self.path))?;
        self.len = 0;
        self.hasher = self.checksum.hasher(self.note.size);
        self.note.etag = etag.map(str::to_owned);
        let note = serde_json::to_vec(&self.note).map_err(|e| FetchError::Input(e.to_string()))?;
        replace(&self.note_path, &note).map_err(io_error("write", &self.note_path))
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
        let found = self.file.metadata();
        let found = found.map_err(io_error("read", &self.path))?.len();
        if found != self.note.size {
            let expected = self.note.size;
            return Err(io_error("finish", &self.path)(std::io::Error::other(
                format!(
                    "it has {found} bytes, expected {expected}: something else wrote to it; run the same again"
                ),
            )));
        }
        drop(self.file);
        fs::rename(&self.path, target).map_err(io_error("write", target))?;
        let _ = fs::remove_file(&self.note_path); // only clutter now
        sync_folder(target);
        Ok(())
    }
}

/// Removes what is left of `target`, which is whole.
pub(super) fn clear(target: &Path) -> Result<()> {
    let path = partial_path(target);
    for path in [path.with_added_extension("json"), path] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io_error("remove", &path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether bytes with this note are of the version whose `ETag` is listed; where none is, the server
/// is to say it.
fn is_version(note: &Note, listed: Option<&str>) -> bool {
    match (note.etag.as_deref(), listed) {
        (Some(found), Some(listed)) => found == listed,
        (found, _) => found.is_some(),
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

    /// A file without checksum.
    fn planned(target: &Path, bytes: u64, etag: Option<&str>) -> PlannedFile {
        PlannedFile {
            name: "a".to_owned(),
            path: target.to_path_buf(),
            lock: target.with_extension("lock"),
            url: url::Url::parse("http://127.0.0.1/a").unwrap(),
            bytes,
            checksum: Checksum::SizeOnly,
            etag: etag.map(str::to_owned),
            already: false,
        }
    }

    fn open(target: &Path, size: u64) -> Partial {
        Partial::open(&planned(target, size, None), &|| Ok(())).unwrap()
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

    #[test]
    fn bytes_without_checksum_are_gone_on_from_only_with_the_listed_etag() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let leave = |bytes: &[u8]| {
            let mut partial = open(&target, 3);
            partial.restart(Some("\"e-2\"")).unwrap();
            partial.append(bytes).unwrap();
        };
        let len = |etag| {
            let partial = Partial::open(&planned(&target, 3, etag), &|| Ok(()));
            partial.unwrap().len()
        };
        leave(b"ab");
        assert_eq!(len(Some("\"e-2\"")), 2);
        assert_eq!(len(None), 2, "the server will say it");
        assert_eq!(len(Some("\"f-2\"")), 0);
        leave(b"abc");
        assert_eq!(len(Some("\"e-2\"")), 3);
        assert_eq!(len(None), 0, "nobody will say it");
    }

    #[test]
    fn a_stop_ends_the_hashing_and_another_length_is_not_renamed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let mut file = planned(&target, 3, None);
        file.checksum = Checksum::Md5("0".repeat(32));
        let mut partial = Partial::open(&file, &|| Ok(())).unwrap();
        partial.append(b"abc").unwrap();
        let stop = || Err(FetchError::Cancelled);
        let stopped = Partial::open(&file, &stop).err();
        assert!(
            matches!(stopped, Some(FetchError::Cancelled)),
            "{stopped:?}"
        );
        fs::write(partial_path(&target), b"abcd").unwrap();
        let error = partial.finish(&target).unwrap_err();
        assert!(
            matches!(
                error,
                FetchError::Io {
                    action: "finish",
                    ..
                }
            ),
            "{error}"
        );
        assert!(!target.exists());
    }
}
