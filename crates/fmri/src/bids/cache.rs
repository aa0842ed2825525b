//! Responses taken out of an image once and kept as HDF5, `[n_trs, n_voxels]` under the key `data`.
//!
//! The name of a kept file ends in a digest of the options, and of length and time stamp of the image
//! and of its masks: when one of them changes, another file is made, and old ones may be deleted.
//! One run is worked on at a time, in memory of one volume and a tile of voxels (32 MB).

use std::fmt::Write as _;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use tracing::{debug, instrument};

use super::filter;
use super::options::Filter;
use crate::files::{partial_beside, read_error, write_atomically};
use crate::hdf5::{self, Boxes};
use crate::response_file::DATA;
use crate::{FmriError, NiftiFile, ResponseFile, Result, VoxelMask};

/// Changes when the same options give other values.
const VERSION: u32 = 1;
/// Values that are held at once.
const TILE_VALUES: usize = 1 << 23;
/// Rows that are written at once, in values.
const BLOCK_VALUES: usize = 1 << 20;
/// Runs are prepared one after the other: two would need twice the memory and write one file.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// What responses of a run are made of.
pub(super) struct Recipe<'a> {
    pub(super) bold: &'a Path,
    pub(super) mask: &'a VoxelMask,
    /// The files the mask was read from.
    pub(super) mask_paths: &'a [PathBuf],
    pub(super) filter: &'a Filter,
    /// Name of the run.
    pub(super) stem: String,
    pub(super) tr_s: f64,
}

impl Recipe<'_> {
    /// The responses, made if they are not kept in `dir`.
    #[instrument(skip_all, fields(run = self.stem))]
    pub(super) fn responses(&self, dir: &Path) -> Result<ResponseFile> {
        let path = dir.join(format!("{}_{}.hf5", self.stem, self.digest()?));
        if let Some(file) = self.kept(&path) {
            return Ok(file);
        }
        let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.kept(&path) {
            return Ok(file);
        }
        debug!(path = %path.display(), "taking responses out of an image");
        fs::create_dir_all(dir).map_err(|source| FmriError::Io {
            doing: "write",
            path: dir.into(),
            source,
        })?;
        self.make(&path)?;
        ResponseFile::open(&path)
    }

    /// The file at `path` if it is whole.
    fn kept(&self, path: &Path) -> Option<ResponseFile> {
        let file = ResponseFile::open(path).ok()?;
        let [_, n_voxels] = file.shape().ok()?;
        (n_voxels == self.mask.n_voxels()).then_some(file)
    }

    /// The first 16 hexadecimal digits of a SHA-256.
    fn digest(&self) -> Result<String> {
        let mut digest = Sha256::new();
        let mut add = |text: String| digest.update(format!("{text}\n"));
        add(format!("braintune-bids {VERSION}"));
        add(format!(
            "{:?} {:?} {}",
            self.filter,
            self.mask.order(),
            self.tr_s.to_bits()
        ));
        let paths = std::iter::once(self.bold).chain(self.mask_paths.iter().map(PathBuf::as_path));
        for path in paths {
            let metadata = fs::metadata(path);
            let metadata = metadata.map_err(|error| read_error(path, "image", error))?;
            let modified = metadata.modified().ok();
            let modified = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            add(format!("{name} {} {modified:?}", metadata.len()));
        }
        let mut text = String::new();
        for byte in &digest.finalize()[..8] {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Ok(text)
    }

    fn make(&self, path: &Path) -> Result<()> {
        let image = NiftiFile::open(self.bold)?;
        self.mask.check_grid(&image)?;
        write_atomically(path, |partial| {
            if !self.filter.is_over_time() {
                return self.write_rows(&image, partial);
            }
            let rows = partial_beside(&path.with_extension("rows"));
            let written = self
                .write_rows(&image, &rows)
                .and_then(|()| self.write_columns(&rows, partial));
            // Best effort: the error that matters is the one returned.
            let _ = fs::remove_file(&rows);
            written
        })
    }

    /// Volumes, smoothed if asked for, as rows of voxels inside the mask.
    fn write_rows(&self, image: &NiftiFile, path: &Path) -> Result<()> {
        let (n_trs, n_voxels) = (image.header().n_volumes(), self.mask.n_voxels());
        let smoother = self.filter.smoother(self.mask)?;
        write_boxes(path, [n_trs, n_voxels], &mut |boxes| {
            let mut block: Vec<f32> = Vec::new();
            let (mut first, mut failure) = (0, None);
            image.for_each_volume(&mut |t, volume| {
                let row = filter::row(smoother.as_ref(), self.mask, volume);
                let flushed = row.and_then(|row| {
                    block.extend(row);
                    if block.len() < BLOCK_VALUES && t + 1 < n_trs {
                        return Ok(());
                    }
                    let rows = first..t + 1;
                    first = t + 1;
                    let written = boxes.write(rows, 0..n_voxels, &block);
                    block.clear();
                    written.map_err(|source| write_failure(path, source))
                });
                match flushed {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => {
                        failure = Some(error);
                        ControlFlow::Break(())
                    }
                }
            })?;
            failure.map_or(Ok(()), Err)
        })
    }

    /// Tiles of columns of `rows`, filtered over time.
    fn write_columns(&self, rows: &Path, path: &Path) -> Result<()> {
        let source = ResponseFile::open(rows)?;
        let [n_trs, n_voxels] = source.shape()?;
        let drifts = self.filter.drifts(n_trs, self.tr_s)?;
        let n_tile = (TILE_VALUES / n_trs).max(1);
        write_boxes(path, [n_trs, n_voxels], &mut |boxes| {
            for start in (0..n_voxels).step_by(n_tile) {
                let voxels = start..(start + n_tile).min(n_voxels);
                let tile = source.read(0..n_trs, voxels.clone())?;
                let tile = self.filter.tile(drifts.as_ref(), tile)?;
                boxes
                    .write(0..n_trs, voxels, tile.as_slice().unwrap_or_default())
                    .map_err(|source| write_failure(path, source))?;
            }
            Ok(())
        })
    }
}

/// Writes `data`, `[n_trs, n_voxels]`, box by box.
fn write_boxes(
    path: &Path,
    shape: [usize; 2],
    fill: &mut dyn FnMut(&Boxes) -> Result<()>,
) -> Result<()> {
    let mut filled = Ok(());
    hdf5::write_boxes(path, DATA, shape, &mut |boxes| {
        filled = fill(boxes);
        Ok(())
    })
    .map_err(|source| write_failure(path, source))?;
    filled
}

fn write_failure(path: &Path, source: Box<dyn std::error::Error + Send + Sync>) -> FmriError {
    FmriError::Hdf5 {
        doing: "write",
        path: path.into(),
        source,
    }
}
