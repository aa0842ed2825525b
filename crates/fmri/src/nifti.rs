//! NIfTI-1 and NIfTI-2 images: what the header says, and the values one volume at a time.
//!
//! `.nii`, `.nii.gz` and pairs of `.hdr` and `.img`, either byte order, integers of 8 to 64 bits and
//! floats of 32 and 64. A value is `stored * slope + intercept` in f64, rounded to f32: what
//! `get_fdata().astype("f4")` gives in nibabel, bit for bit. Arrays are indexed `[x, y, z]` and lie in
//! memory as in the file, x fastest. Memory is that of one volume, however long the run; a compressed
//! file is decoded once from start to end. Not read: complex numbers, colours, float128, Analyze.
//!
//! Written from `nifti1.h` and `nifti2.h`. Held by `tests/it/nifti.rs` against nibabel, and by
//! `tests/it/nifti_damage.rs`.

mod affine;
mod dtype;
mod header;
mod stream;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayView3, ShapeBuilder};

pub use self::header::NiftiHeader;
use self::header::{HEADER_BYTES, HeaderError};
use self::stream::{Bytes, Values};
use crate::files::{MAX_COMPRESSION, read_error, refuse_pointer};
use crate::selection::check_selection;
use crate::{FmriError, Result};

/// Integers below this are exact in f64.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// A NIfTI file. Holds its header and no handle: each read opens the file and closes it again.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use std::path::Path;
/// use braintune_fmri::NiftiFile;
///
/// let file = NiftiFile::open(Path::new("sub-01_task-story_bold.nii.gz"))?;
/// println!("{:?}, a TR of {:?} s", file.header().shape(), file.header().tr_s());
/// let mut means = Vec::new();
/// file.for_each_volume(&mut |_t, volume| {
///     means.push(volume.mean());
///     ControlFlow::Continue(())
/// })?;
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NiftiFile {
    path: PathBuf,
    data_path: PathBuf,
    header: NiftiHeader,
}

impl NiftiFile {
    /// Reads the header of `path` and checks that the file is long enough for what it says. Of a
    /// pair, either file may be named.
    ///
    /// The length of a compressed file is taken from its last bytes; only where those disagree with
    /// the header is it decoded to find out.
    ///
    /// # Errors
    ///
    /// [`FmriError::Missing`], [`FmriError::Pointer`], [`FmriError::NotNifti`],
    /// [`FmriError::Nifti`], [`FmriError::TruncatedNifti`], or [`FmriError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        let path = sibling(path, "img", "hdr").unwrap_or_else(|| path.into());
        refuse_pointer(&path)?;
        let header = read_header(&path)?;
        let data_path = if header.single_file {
            path.clone()
        } else {
            sibling(&path, "hdr", "img").ok_or_else(|| FmriError::Nifti {
                path: path.clone(),
                reason: "it is the header of a pair, expected its name to end in .hdr".into(),
            })?
        };
        refuse_pointer(&data_path)?;
        let file = Self {
            path,
            data_path,
            header,
        };
        file.check_length()?;
        Ok(file)
    }

    /// The file, of a pair the header.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the header says.
    #[must_use]
    pub fn header(&self) -> &NiftiHeader {
        &self.header
    }

    /// The volume at `t`, `[x, y, z]`. Decodes all volumes before it if the file is compressed: use
    /// [`for_each_volume`](Self::for_each_volume) for more than one.
    ///
    /// # Errors
    ///
    /// [`FmriError::Selection`] if there is no such volume, [`FmriError::TruncatedNifti`],
    /// [`FmriError::Io`].
    pub fn read_volume(&self, t: usize) -> Result<Array3<f32>> {
        let n_volumes = self.header.n_volumes();
        let asked = t..t.saturating_add(1);
        check_selection(&self.path, "volumes", "volumes", &asked, n_volumes)?;
        let mut values = Values::open(&self.data_path, &self.header)?;
        values.skip(self.n_values() as u64 * t as u64)?;
        let mut volume = Vec::new();
        self.read_next(&mut values, &mut volume)?;
        self.shaped(volume)
    }

    /// Calls `on_volume` with each volume and its number, `[x, y, z]`, in one pass over the file; stops
    /// early where `on_volume` breaks. A pass to the end also verifies the checksum of a compressed
    /// file.
    ///
    /// # Errors
    ///
    /// [`FmriError::TruncatedNifti`], [`FmriError::Io`]; volumes before the damage were seen by then.
    pub fn for_each_volume(
        &self,
        on_volume: &mut dyn FnMut(usize, ArrayView3<'_, f32>) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut values = Values::open(&self.data_path, &self.header)?;
        let [x, y, z] = self.header.volume_shape();
        let mut volume = Vec::new();
        for t in 0..self.header.n_volumes() {
            self.read_next(&mut values, &mut volume)?;
            let view = ArrayView3::from_shape((x, y, z).f(), &volume);
            if on_volume(t, view.map_err(|source| self.misshapen(&source))?).is_break() {
                return Ok(());
            }
        }
        values.verify_rest()
    }

    /// The labels of an atlas of one volume, `[x, y, z]`, exactly as the file means them.
    ///
    /// # Errors
    ///
    /// [`FmriError::Nifti`] if there are several volumes or a value is no integer below 2^53,
    /// [`FmriError::TruncatedNifti`], [`FmriError::Io`].
    pub fn read_labels(&self) -> Result<Array3<i64>> {
        self.expect_one_volume("a volume of labels")?;
        let mut values = Values::open(&self.data_path, &self.header)?;
        let mut labels = Vec::new();
        let mut first_bad = None;
        values.read(self.n_values(), |value| {
            if !(value.abs() < EXACT_BELOW && value.fract() == 0.0) {
                first_bad.get_or_insert((labels.len(), value));
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "an integer this small is exact, and others end in an error"
            )]
            labels.push(value as i64);
        })?;
        values.verify_rest()?;
        if let Some((at, value)) = first_bad {
            let [x, y, _] = self.header.volume_shape();
            let at = [at % x, at / x % y, at / x / y];
            let reason = format!("{value} at voxel {at:?} is no label, expected whole numbers");
            return Err(self.unusable(reason));
        }
        self.shaped(labels)
    }

    /// An error unless there is one volume; `wanted` says what it would be.
    pub(crate) fn expect_one_volume(&self, wanted: &str) -> Result<()> {
        if self.header.n_volumes() == 1 {
            return Ok(());
        }
        let reason = format!(
            "its shape is {:?}, expected {wanted} with three axes",
            self.header.shape()
        );
        Err(self.unusable(reason))
    }

    /// An error that says what is wrong with this file.
    pub(crate) fn unusable(&self, reason: String) -> FmriError {
        FmriError::Nifti {
            path: self.path.clone(),
            reason,
        }
    }

    fn read_next(&self, values: &mut Values<'_>, volume: &mut Vec<f32>) -> Result<()> {
        volume.clear();
        values.read(self.n_values(), |value| {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "responses are f32 here, wider types are rounded as numpy's astype does"
            )]
            volume.push(value as f32);
        })
    }

    /// Values of a volume.
    fn n_values(&self) -> usize {
        self.header.volume_shape().iter().product()
    }

    fn shaped<T>(&self, values: Vec<T>) -> Result<Array3<T>> {
        let [x, y, z] = self.header.volume_shape();
        Array3::from_shape_vec((x, y, z).f(), values).map_err(|source| self.misshapen(&source))
    }

    fn misshapen(&self, source: &ndarray::ShapeError) -> FmriError {
        self.unusable(format!("its volume has an impossible shape: {source}"))
    }

    /// Compares the bytes that the header promises with those there are.
    fn check_length(&self) -> Result<()> {
        let path = &self.data_path;
        let expected = self
            .header
            .data_offset
            .saturating_add(self.header.data_bytes());
        let io_error = |source| read_error(path, "NIfTI file", source);
        let stored = fs::metadata(path).map_err(io_error)?.len();
        let is_gzip = Bytes::open(path)?.is_gzip();
        let most = if is_gzip {
            stored.saturating_mul(MAX_COMPRESSION)
        } else {
            stored
        };
        if expected > most {
            return Err(FmriError::TruncatedNifti {
                path: path.clone(),
                expected,
                got: most,
            });
        }
        // The trailer tells the length of the last member only, modulo 2^32: a file that was put
        // together of several must be decoded to know.
        if is_gzip && gzip_trailer(path).map_err(io_error)? != expected & u64::from(u32::MAX) {
            let n_values = self
                .header
                .shape()
                .iter()
                .map(|&size| size as u64)
                .product();
            Values::open(path, &self.header)?.skip(n_values)?;
        }
        Ok(())
    }
}

fn read_header(path: &Path) -> Result<NiftiHeader> {
    let mut bytes = Vec::new();
    let read = Bytes::open(path)?
        .take(HEADER_BYTES)
        .read_to_end(&mut bytes);
    match read {
        Ok(_) => (),
        // Cut within the header: what is missing is said below.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => (),
        Err(source) => return Err(read_error(path, "NIfTI file", source)),
    }
    NiftiHeader::parse(&bytes).map_err(|error| match error {
        HeaderError::NotNifti(found) => FmriError::NotNifti {
            path: path.into(),
            found,
        },
        HeaderError::Unusable(reason) => FmriError::Nifti {
            path: path.into(),
            reason,
        },
    })
}

/// The length of the data modulo 2^32, as the last bytes of a gzip file give it.
fn gzip_trailer(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut trailer = [0; 4];
    // Shorter files are no gzip either; zero then sends the caller to decode.
    if file.metadata()?.len() >= 18 {
        file.seek(SeekFrom::End(-4))?;
        file.read_exact(&mut trailer)?;
    }
    Ok(u64::from(u32::from_le_bytes(trailer)))
}

/// `path` with extension `to` where it has `from`, before `.gz` too.
fn sibling(path: &Path, from: &str, to: &str) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let (stem, gz) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, ".gz"),
        None => (name, ""),
    };
    let stem = stem.strip_suffix(from)?.strip_suffix('.')?;
    Some(path.with_file_name(format!("{stem}.{to}{gz}")))
}
