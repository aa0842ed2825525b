//! Repairs that cannot lose data: names that differ in case or extension, left-overs of writes.
//!
//! A file is renamed only if the expected one is missing and no other file fits as well, and never
//! over another; what is removed was never finished by this library. Held by `tests/it/fix.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataset::AUDIO_EXTENSIONS;
use crate::files::{PARTIAL_EXTENSION, list_dir};
use crate::{DatasetFiles, FmriError, Result};

/// Other extensions of the same formats.
const SAME_FORMAT: [&[&str]; 3] = [&["hf5", "h5", "hdf5", "hdf"], &["textgrid"], &["npy"]];
/// A partial file that nothing was written to for so long is no longer being written.
const ABANDONED: Duration = Duration::from_hours(1);

/// Something that [`fix_dataset`] did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fix {
    /// A file got the name under which it is looked for.
    Renamed {
        /// Its name before.
        #[serde(serialize_with = "super::lossy")]
        from: PathBuf,
        /// Its name now.
        #[serde(serialize_with = "super::lossy")]
        to: PathBuf,
    },
    /// The rest of a write that was interrupted over an hour ago is gone.
    Removed {
        /// The file.
        #[serde(serialize_with = "super::lossy")]
        path: PathBuf,
    },
}

/// Repairs what can be repaired without losing data, and says what was done.
///
/// Files of stories and of the responses of `subjects` whose name differs in upper and lower case, in blanks at its ends
/// or in another extension of the same format (`.h5`, `.hdf5`) get the expected name, if nothing
/// has that name, only one file fits, and no other story expects that one. Hidden `.partial` files of writes that stopped over an
/// hour ago are removed. Open the dataset anew afterwards.
///
/// # Errors
///
/// [`FmriError::Io`] at the first file that cannot be renamed or removed; what was done before
/// stays done.
///
/// ```no_run
/// use std::path::Path;
/// use braintune_fmri::{Ds003020, fix_dataset};
///
/// let dataset = Ds003020::open(Path::new("ds003020"))?;
/// for fix in fix_dataset(&dataset, &["UTS03".into()])? {
///     eprintln!("{fix:?}");
/// }
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
pub fn fix_dataset(dataset: &dyn DatasetFiles, subjects: &[String]) -> Result<Vec<Fix>> {
    let mut fixes = Vec::new();
    let names = Names::of(dataset);
    for expected in missing_files(dataset, subjects) {
        if let Some(from) = names.misnamed(&expected) {
            rename(&from, &expected)?;
            fixes.push(Fix::Renamed { from, to: expected });
        }
    }
    for folder in folders(dataset) {
        for path in list_dir(&folder)?.into_iter().filter(is_abandoned) {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
            fixes.push(Fix::Removed { path });
        }
    }
    Ok(fixes)
}

/// The names under which files of a dataset are looked for.
pub(super) struct Names(BTreeSet<PathBuf>);

impl Names {
    pub(super) fn of(dataset: &dyn DatasetFiles) -> Self {
        let mut names = BTreeSet::new();
        for story in dataset.stories() {
            names.extend(expected_audio(dataset, story.name()));
            names.extend(story.audio().map(Into::into));
            names.extend(story.textgrid().map(Into::into));
            names.insert(dataset.textgrid_path(story.name()));
            let subjects = dataset.subjects().iter();
            names.extend(subjects.map(|subject| dataset.response_path(subject, story.name())));
        }
        Self(names)
    }

    /// The one file beside `expected` that seems to be it under another name, if `expected` is
    /// missing and no other story looks for that file.
    pub(super) fn misnamed(&self, expected: &Path) -> Option<PathBuf> {
        if expected.symlink_metadata().is_ok() {
            return None;
        }
        let files = list_dir(expected.parent()?).unwrap_or_default().into_iter();
        let is_free = |path: &PathBuf| path.is_file() && !self.0.contains(path);
        let mut fitting = files.filter(|path| is_free(path) && is_like(path, expected));
        let found = fitting.next()?;
        fitting.next().is_none().then_some(found)
    }
}

/// Whether two names differ only in case, blanks at the ends, or extensions of one format.
fn is_like(path: &Path, expected: &Path) -> bool {
    let parts = |path: &Path| {
        let stem = path.file_stem()?.to_str()?.trim().to_lowercase();
        let extension = path.extension()?.to_str()?.trim().to_lowercase();
        let format = SAME_FORMAT
            .iter()
            .find(|names| names.contains(&&*extension));
        Some((
            stem,
            format.map_or(extension.clone(), |names| names[0].to_owned()),
        ))
    };
    matches!((parts(path), parts(expected)), (Some(a), Some(b)) if a == b)
}

/// The paths at which nothing is, of all files that stories and `subjects` can have.
fn missing_files(dataset: &dyn DatasetFiles, subjects: &[String]) -> Vec<PathBuf> {
    let mut missing = Vec::new();
    for story in dataset.stories() {
        if story.audio().is_none() {
            missing.extend(expected_audio(dataset, story.name()));
        }
        if story.textgrid().is_none() {
            missing.push(dataset.textgrid_path(story.name()));
        }
        let others = subjects.iter();
        let others = others.filter(|subject| !dataset.has_responses(subject, story.name()));
        missing.extend(others.map(|subject| dataset.response_path(subject, story.name())));
    }
    missing
}

/// The names under which the sound of a story is looked for.
pub(super) fn expected_audio(dataset: &dyn DatasetFiles, story: &str) -> [PathBuf; 4] {
    let dir = dataset.audio_dir();
    AUDIO_EXTENSIONS.map(|extension| dir.join(format!("{story}.{extension}")))
}

fn folders(dataset: &dyn DatasetFiles) -> BTreeSet<PathBuf> {
    let mut files = vec![dataset.audio_dir().join("_")];
    for story in dataset.stories() {
        files.push(dataset.textgrid_path(story.name()));
        let subjects = dataset.subjects().iter();
        files.extend(subjects.map(|subject| dataset.response_path(subject, story.name())));
    }
    let parents = files.iter().filter_map(|file| file.parent());
    let parents = parents.map(Into::into);
    parents.chain(dataset.cache_dir()).collect()
}

/// Whether the file is a part that [`write_atomically`](crate::files::write_atomically) left.
#[expect(clippy::ptr_arg, reason = "a filter over paths")]
fn is_abandoned(path: &PathBuf) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_partial = name.is_some_and(|name| {
        let parts: Vec<_> = name.rsplitn(3, '.').collect();
        name.starts_with('.')
            && matches!(&parts[..], [end, pid, _] if *end == PARTIAL_EXTENSION && pid.parse::<u32>().is_ok())
    });
    let age = || {
        path.symlink_metadata()
            .ok()?
            .modified()
            .ok()?
            .elapsed()
            .ok()
    };
    is_partial && path.is_file() && age().is_some_and(|age| age > ABANDONED)
}

/// A hard link first, since a rename would replace a file that came meanwhile.
fn rename(from: &Path, to: &Path) -> Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from).map_err(io_error("remove", from)),
        // Not every file system has links; on those that ignore case both names are one file.
        Err(_) if to.symlink_metadata().is_err() || is_same_file(from, to) => {
            fs::rename(from, to).map_err(io_error("rename", from))
        }
        Err(source) => Err(io_error("rename", from)(source)),
    }
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(std::io::Error) -> FmriError + 'a {
    move |source| FmriError::Io {
        doing,
        path: path.into(),
        source,
    }
}
