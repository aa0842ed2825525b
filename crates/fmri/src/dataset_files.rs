//! The files behind a dataset: what a preflight asks beyond [`StoryDataset`].
//!
//! Held by `tests/it/check.rs`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::responses::BadValueScan;
use crate::{BadValues, FmriError, Responses, Result, StoryDataset};

/// Values that a scan holds at once (8 MB).
const SCANNED_AT_ONCE: usize = 1 << 21;

/// How responses are stored, as the headers of their file say it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredAs {
    /// Sizes of the axes, in the order of the file.
    pub shape: Vec<usize>,
    /// Type of a value, such as `float32`.
    pub dtype: String,
    /// Layout and filters, such as `contiguous`.
    pub storage: String,
}

impl StoredAs {
    /// What a file's headers say.
    #[must_use]
    pub fn new(shape: Vec<usize>, dtype: impl Into<String>, storage: impl Into<String>) -> Self {
        Self {
            shape,
            dtype: dtype.into(),
            storage: storage.into(),
        }
    }
}

/// A dataset made of files, which [`check_dataset`](crate::check_dataset) can look at.
///
/// Implementers: [`Ds003020`](crate::Ds003020), [`FolderDataset`](crate::FolderDataset),
/// [`BidsDataset`](crate::BidsDataset).
pub trait DatasetFiles: StoryDataset {
    /// The folder of the dataset.
    fn dir(&self) -> &Path;

    /// The folder in which sounds are looked for.
    fn audio_dir(&self) -> PathBuf;

    /// Where the responses of a subject to a story are, or would be.
    fn response_path(&self, subject: &str, story: &str) -> PathBuf;

    /// Where the `TextGrid` of a story is, or would be.
    fn textgrid_path(&self, story: &str) -> PathBuf;

    /// Where files made of the dataset's own are kept, if it makes any.
    fn cache_dir(&self) -> Option<PathBuf> {
        None
    }

    /// Stories that the folder seems to have and the dataset does not, each with the reason.
    fn left_out(&self) -> &[(String, String)] {
        &[]
    }

    /// What the length of the stories is taken from, as messages say it.
    fn timing_source(&self) -> &str;

    /// Shape, type and storage of responses, from headers only, whatever the timing says.
    ///
    /// # Errors
    ///
    /// What the file can cause.
    fn stored_as(&self, subject: &str, story: &str) -> Result<StoredAs>;

    /// Files in the subject's folder that belong to no story.
    fn strays(&self, subject: &str) -> Vec<PathBuf> {
        let _ = subject;
        Vec::new()
    }

    /// What everybody knows to be wrong with the responses of a subject to a story.
    fn known_defect(&self, subject: &str, story: &str) -> Option<String> {
        let _ = (subject, story);
        None
    }

    /// Reads every value of the responses of a subject to a story, and of their single repeats:
    /// what each array is called, and what no model can use of it.
    ///
    /// # Errors
    ///
    /// As [`StoryDataset::responses_columns`].
    fn scan(&self, subject: &str, story: &str) -> Result<Vec<(String, BadValues)>> {
        let (n_trs, n_voxels) = self.response_shape(subject, story)?;
        let data = scan_tiles(n_trs, n_voxels, &mut |voxels| {
            Ok(vec![self.responses_columns(subject, story, voxels)?])
        })?;
        let data = data.into_iter().map(|found| ("data".to_owned(), found));
        let n_repeats = match self.repeats_columns(subject, story, 0..0) {
            Err(FmriError::NoRepeats { .. }) => return Ok(data.collect()),
            other => other?.len(),
        };
        let repeats = scan_tiles(n_trs * n_repeats, n_voxels, &mut |voxels| {
            self.repeats_columns(subject, story, voxels)
        })?;
        let repeats = repeats.into_iter().enumerate();
        let repeats = repeats.map(|(repeat, found)| (format!("repeat {repeat}"), found));
        Ok(data.chain(repeats).collect())
    }
}

const _: fn(&dyn DatasetFiles) = |_| {};

/// Scans the arrays that `read` gives of some voxels, a tile at a time.
fn scan_tiles(
    n_rows: usize,
    n_voxels: usize,
    read: &mut dyn FnMut(Range<usize>) -> Result<Vec<Responses>>,
) -> Result<Vec<BadValues>> {
    let n_tile = (SCANNED_AT_ONCE / n_rows.max(1)).max(1);
    let mut all: Vec<BadValues> = Vec::new();
    for start in (0..n_voxels).step_by(n_tile) {
        let arrays = read(start..n_voxels.min(start + n_tile))?;
        all.resize_with(arrays.len(), BadValues::default);
        for (found, responses) in all.iter_mut().zip(&arrays) {
            let mut scan = BadValueScan::new(responses.bold().ncols());
            scan.add_rows(responses.bold());
            found.append_columns(start, scan.finish());
        }
    }
    Ok(all)
}
