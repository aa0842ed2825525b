//! One HDF5 file of responses: what it holds, and single columns of it.
//!
//! Arrays are `[n_trs, n_voxels]`, or `[n_repeats, n_trs, n_voxels]` for single repeats; any float
//! or integer type in either byte order becomes f32. Contiguous and compact arrays and chunked ones
//! with gzip, shuffle, LZF and fletcher32 are read. Memory is the columns asked for, and where values
//! are not stored as f32 one block of rows more (8 MB, or one row of chunks). A contiguous array is
//! read run by run; of a chunked one only the chunks that the columns touch are decoded, each once.
//! Not read: floats other than IEEE 16, 32 and 64 bit, and filters such as blosc. Held by
//! `tests/it/response_file.rs` against files written by h5py.

use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};
use rust_hdf5::format::superblock::{SuperblockV0V1, SuperblockV2V3, detect_superblock_version};

use crate::files::{MAX_COMPRESSION, read_error, refuse_pointer, write_atomically};
use crate::hdf5::{self, ArrayFile, Numbers};
use crate::selection::check_selection;
use crate::{ArrayInfo, FmriError, Result, large};

/// Key of the responses, `[n_trs, n_voxels]`.
pub(crate) const DATA: &str = "data";
/// Key of the single repeats, `[n_repeats, n_trs, n_voxels]`.
pub(crate) const REPEATS: &str = "individual_repeats";

/// Elements of a block that is read at once.
const BLOCK_ELEMENTS: usize = 1 << 20;
/// Bytes that hold a superblock of any version.
const SUPERBLOCK_BYTES: u64 = 128;
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

type Failure = Box<dyn std::error::Error + Send + Sync>;
/// Reads a block: the open file, its first indices, its counts, and how many values came before it.
type ReadBlock<'a> =
    dyn FnMut(&dyn ArrayFile, &[usize], &[usize], usize) -> Result<(), Failure> + 'a;

/// An HDF5 file of responses. Holds no handle: each read opens the file and closes it again.
///
/// ```
/// use braintune_fmri::{ResponseFile, write_responses};
/// use ndarray::Array2;
///
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("wheretheressmoke.hf5");
/// let bold = Array2::from_shape_fn((20, 3000), |(tr, voxel)| (tr * 3 + voxel) as f32);
/// write_responses(&path, bold.view())?;
///
/// let file = ResponseFile::open(&path)?;
/// let [n_trs, n_voxels] = file.shape()?;
/// assert_eq!([n_trs, n_voxels], [20, 3000]);
/// let first_voxels = file.read(0..n_trs, 0..1000)?;
/// assert_eq!(first_voxels[[2, 999]], 1005.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseFile {
    path: PathBuf,
}

impl ResponseFile {
    /// Checks that `path` is an HDF5 file of the length its header gives.
    ///
    /// # Errors
    ///
    /// [`FmriError::Missing`], [`FmriError::Pointer`], [`FmriError::NotHdf5`],
    /// [`FmriError::TruncatedHdf5`], or [`FmriError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        refuse_pointer(path)?;
        check_superblock(path)?;
        Ok(Self { path: path.into() })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Names of everything in the root group.
    ///
    /// # Errors
    ///
    /// [`FmriError::Hdf5`] if the file is damaged.
    pub fn keys(&self) -> Result<Vec<String>> {
        self.with_file(|file| file.keys())
    }

    /// Shape, type and storage of the array `key`, from headers only.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoKey`], [`FmriError::Hdf5`].
    pub fn info(&self, key: &str) -> Result<ArrayInfo> {
        let info = self.with_file(|file| {
            let keys = file.keys()?;
            if keys.iter().any(|other| other == key) {
                file.describe(key).map(Ok)
            } else {
                Ok(Err(keys))
            }
        })?;
        info.map_err(|keys| FmriError::NoKey {
            path: self.path.clone(),
            key: key.into(),
            keys,
        })
    }

    /// Shape of `data`, `[n_trs, n_voxels]`, from headers only.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoKey`], [`FmriError::Shape`], [`FmriError::DataType`],
    /// [`FmriError::TruncatedHdf5`], [`FmriError::Hdf5`].
    pub fn shape(&self) -> Result<[usize; 2]> {
        let (_, shape) =
            self.numeric::<2>(DATA, "two dimensions [n_trs, n_voxels], none of them 0")?;
        Ok(shape)
    }

    /// Shape of `individual_repeats`, `[n_repeats, n_trs, n_voxels]`, from headers only.
    ///
    /// # Errors
    ///
    /// As [`shape`](Self::shape).
    pub fn repeats_shape(&self) -> Result<[usize; 3]> {
        let expected = "three dimensions [n_repeats, n_trs, n_voxels], none of them 0";
        Ok(self.numeric::<3>(REPEATS, expected)?.1)
    }

    /// Rows and columns of `data`, `[rows.len(), voxels.len()]`.
    ///
    /// # Errors
    ///
    /// As [`shape`](Self::shape), and [`FmriError::Selection`] if the array is smaller.
    pub fn read(&self, rows: Range<usize>, voxels: Range<usize>) -> Result<Array2<f32>> {
        self.shape()?;
        self.read_box(DATA, &[], rows, voxels)
    }

    /// Rows and columns of one of the `individual_repeats`, `[rows.len(), voxels.len()]`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_repeat(
        &self,
        repeat: usize,
        rows: Range<usize>,
        voxels: Range<usize>,
    ) -> Result<Array2<f32>> {
        let [n_repeats, ..] = self.repeats_shape()?;
        let asked = repeat..repeat.saturating_add(1);
        check_selection(&self.path, REPEATS, "repeat", &asked, n_repeats)?;
        self.read_box(REPEATS, &[repeat], rows, voxels)
    }

    /// All of an array with one axis.
    pub(crate) fn read_list(&self, key: &str) -> Result<Numbers> {
        let (_, [n_values]) = self.numeric::<1>(key, "one dimension, not 0")?;
        self.with_file(|file| file.read(key, &[0], &[n_values]))
    }

    fn read_box(
        &self,
        key: &str,
        lead: &[usize],
        rows: Range<usize>,
        voxels: Range<usize>,
    ) -> Result<Array2<f32>> {
        let shape = (rows.len(), voxels.len());
        let info = self.check_box(key, lead, &rows, &voxels)?;
        let mut values = large::zeros(shape.0 * shape.1);
        self.read_blocks(
            &info,
            lead,
            rows,
            voxels,
            &mut |file, starts, counts, done| {
                let n_values: usize = counts.iter().product();
                file.read_f32(key, starts, counts, &mut values[done..done + n_values])
            },
        )?;
        Array2::from_shape_vec(shape, values).map_err(|source| self.damaged(Box::new(source)))
    }

    /// The array of which some rows and columns are asked, if it has them.
    fn check_box(
        &self,
        key: &str,
        lead: &[usize],
        rows: &Range<usize>,
        voxels: &Range<usize>,
    ) -> Result<ArrayInfo> {
        let info = self.info(key)?;
        if let [n_rows, n_voxels] = info.shape[lead.len()..] {
            check_selection(&self.path, key, "rows", rows, n_rows)?;
            check_selection(&self.path, key, "voxels", voxels, n_voxels)?;
        }
        Ok(info)
    }

    /// Calls `on_block` with consecutive blocks of rows of an array, `[n_rows, voxels.len()]`.
    pub(crate) fn for_each_block(
        &self,
        key: &str,
        lead: &[usize],
        rows: Range<usize>,
        voxels: Range<usize>,
        on_block: &mut dyn FnMut(ArrayView2<'_, f32>),
    ) -> Result<()> {
        let info = self.check_box(key, lead, &rows, &voxels)?;
        let n_voxels = voxels.len();
        let mut values = Vec::new();
        self.read_blocks(&info, lead, rows, voxels, &mut |file, starts, counts, _| {
            values.resize(counts.iter().product(), 0.0);
            file.read_f32(key, starts, counts, &mut values)?;
            on_block(ArrayView2::from_shape(
                (values.len() / n_voxels, n_voxels),
                &values,
            )?);
            Ok(())
        })
    }

    /// Calls `read` with where consecutive blocks of rows lie in an array, and how many values there
    /// were before.
    fn read_blocks(
        &self,
        info: &ArrayInfo,
        lead: &[usize],
        rows: Range<usize>,
        voxels: Range<usize>,
        read: &mut ReadBlock<'_>,
    ) -> Result<()> {
        if rows.is_empty() || voxels.is_empty() {
            return Ok(());
        }
        let n_block = block_rows(info, lead.len(), voxels.len()).min(rows.len());
        if info.chunk.is_some() {
            large::keep_small_blocks();
        }
        self.with_file(|file| {
            let mut start = rows.start;
            while start < rows.end {
                // Blocks end where rows of chunks end, so that no chunk is decoded twice.
                let end = ((start / n_block + 1) * n_block).min(rows.end);
                let starts = [lead, &[start, voxels.start]].concat();
                let mut counts = vec![1; lead.len()];
                counts.extend([end - start, voxels.len()]);
                read(file, &starts, &counts, (start - rows.start) * voxels.len())?;
                start = end;
            }
            Ok(())
        })
    }

    /// An array of numbers with `N` dimensions, none of them 0, that the file is long enough for.
    fn numeric<const N: usize>(
        &self,
        key: &str,
        expected: &'static str,
    ) -> Result<(ArrayInfo, [usize; N])> {
        let info = self.info(key)?;
        let shape = <[usize; N]>::try_from(&info.shape[..]).ok();
        let Some(shape) = shape.filter(|shape| !shape.contains(&0)) else {
            return Err(FmriError::Shape {
                path: self.path.clone(),
                key: key.into(),
                expected,
                got: info.shape,
            });
        };
        if !info.is_numeric {
            return Err(FmriError::DataType {
                path: self.path.clone(),
                key: key.into(),
                got: info.dtype,
            });
        }
        self.check_plausible(key, &info)?;
        Ok((info, shape))
    }

    /// Refuses arrays and chunks that the file is too short for, before memory is taken for them.
    fn check_plausible(&self, key: &str, info: &ArrayInfo) -> Result<()> {
        let metadata = fs::metadata(&self.path);
        let metadata = metadata.map_err(|error| read_error(&self.path, "response file", error))?;
        let factor = if info.is_contiguous {
            1
        } else {
            MAX_COMPRESSION
        };
        let most = metadata.len().saturating_mul(factor);
        let chunk = info.chunk.as_deref().unwrap_or_default();
        let claims = [&info.shape[..], chunk].map(|shape| {
            let sizes = shape.iter().map(|&size| size as u64);
            sizes.fold(info.element_size as u64, u64::saturating_mul)
        });
        if claims.iter().all(|&claim| claim <= most) {
            return Ok(());
        }
        let reason = format!(
            "`{key}` is {:?} {}, {}, which cannot be stored in {} bytes",
            info.shape,
            info.dtype,
            info.storage,
            metadata.len()
        );
        Err(self.damaged(reason.into()))
    }

    fn with_file<T>(
        &self,
        read: impl FnOnce(&dyn ArrayFile) -> Result<T, Box<dyn std::error::Error + Send + Sync>>,
    ) -> Result<T> {
        hdf5::with_file(&self.path, read).map_err(|source| self.damaged(source))
    }

    fn damaged(&self, source: Box<dyn std::error::Error + Send + Sync>) -> FmriError {
        FmriError::Hdf5 {
            doing: "read",
            path: self.path.clone(),
            source,
        }
    }
}

/// Writes responses, `[n_trs, n_voxels]`, as key `data` of an HDF5 file, contiguous f32, under a
/// temporary name first.
///
/// # Errors
///
/// [`FmriError::Hdf5`] or [`FmriError::Io`] if the file cannot be written; nothing is left behind
/// then.
pub fn write_responses(path: &Path, bold: ArrayView2<'_, f32>) -> Result<()> {
    write_atomically(path, |partial| {
        hdf5::write_array(partial, DATA, bold).map_err(|source| FmriError::Hdf5 {
            doing: "write",
            path: path.into(),
            source,
        })
    })
}

/// Rows to read at once: about [`BLOCK_ELEMENTS`], in whole rows of chunks.
fn block_rows(info: &ArrayInfo, n_lead: usize, n_voxels: usize) -> usize {
    let chunk_rows = info.chunk.as_ref().and_then(|chunk| chunk.get(n_lead));
    let chunk_rows = chunk_rows.copied().unwrap_or(1).max(1);
    let n_rows = BLOCK_ELEMENTS / n_voxels.max(1);
    (n_rows / chunk_rows).max(1).saturating_mul(chunk_rows)
}

/// Finds the HDF5 signature, at the start or after a user block, and compares the length the
/// superblock gives with the file's.
fn check_superblock(path: &Path) -> Result<()> {
    let io_error = |source| read_error(path, "response file", source);
    let mut file = File::open(path).map_err(io_error)?;
    let got = file.metadata().map_err(io_error)?.len();
    let mut head = Vec::new();
    // A user block is rare and at most a few kB.
    file.by_ref()
        .take(8192 + SUPERBLOCK_BYTES)
        .read_to_end(&mut head)
        .map_err(io_error)?;
    let offsets = std::iter::once(0).chain((9..=13).map(|power| 1_usize << power));
    let superblock = offsets
        .filter_map(|offset| head.get(offset..))
        .find(|bytes| bytes.starts_with(&SIGNATURE));
    let Some(superblock) = superblock else {
        let found = match &head[..] {
            [] => "it is empty".into(),
            head => format!(
                "it begins with {:?}",
                String::from_utf8_lossy(&head[..head.len().min(16)])
            ),
        };
        return Err(FmriError::NotHdf5 {
            path: path.into(),
            found,
        });
    };
    let expected = match detect_superblock_version(superblock) {
        Ok(0 | 1) => SuperblockV0V1::decode(superblock).map(|block| block.end_of_file_address),
        _ => SuperblockV2V3::decode(superblock).map(|block| block.end_of_file_address),
    };
    match expected {
        Ok(expected) if expected > got => Err(FmriError::TruncatedHdf5 {
            path: path.into(),
            expected,
            got,
        }),
        Ok(_) => Ok(()),
        Err(source) => Err(FmriError::Hdf5 {
            doing: "read",
            path: path.into(),
            source: Box::new(source),
        }),
    }
}
