//! Responses in a `.npy` file, read voxel range by voxel range.
//!
//! `[n_samples, n_voxels]`, f32, f64 or integers, little or big endian, in either order: a range of columns
//! is read row by row (C order) or in one piece (Fortran order), and memory holds the range and at
//! most 1 MB of bytes beside it. Held by `tests/it/npy_responses.rs`.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use braintune_encoding::ResponseSource;
use ndarray::{Array2, ShapeBuilder};
use npyz::{DType, Endianness, NpyFile, Order, TypeChar};

use crate::arrays::{check_rounding, check_size};
use crate::error::{Result, file_error, io_error};

/// Bytes that are decoded at once; a multiple of every width.
const BLOCK_BYTES: usize = 1 << 20;

/// A `.npy` file of responses. Holds no handle: each read opens the file and closes it again.
#[derive(Debug, Clone)]
pub struct NpyResponses {
    path: PathBuf,
    n_samples: usize,
    n_voxels: usize,
    is_fortran: bool,
    decode: Decode,
    /// Where the values begin, bytes.
    start: u64,
}

/// How bytes become values.
#[derive(Debug, Clone, Copy)]
struct Decode {
    kind: TypeChar,
    width: usize,
    is_big: bool,
}

impl Decode {
    fn of(dtype: &DType) -> Option<Self> {
        let DType::Plain(kind) = dtype else {
            return None;
        };
        let width = usize::try_from(kind.size_field()).ok()?;
        let fits = match kind.type_char() {
            TypeChar::Float => matches!(width, 4 | 8),
            TypeChar::Int | TypeChar::Uint => matches!(width, 1 | 2 | 4 | 8),
            _ => false,
        };
        fits.then(|| Self {
            kind: kind.type_char(),
            width,
            is_big: kind.endianness() == Endianness::Big,
        })
    }
}

impl NpyResponses {
    /// Reads the header. A vector is one voxel.
    ///
    /// # Errors
    /// The file cannot be read, is no `.npy` of floats, is neither a matrix nor a vector, or holds
    /// less than its header says.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(io_error("read", path))?;
        check_size(path, &mut file)?; // first: the reader multiplies sizes without looking
        let header = NpyFile::new(BufReader::new(file))
            .map_err(|e| file_error(path, format!("is no readable .npy file: {e}")))?;
        let (n_samples, n_voxels) = sides(path, header.shape())?;
        let dtype = header.dtype();
        let decode = Decode::of(&dtype).ok_or_else(|| {
            let found = dtype.descr();
            file_error(
                path,
                format!(
                    "holds {found}, expected floats of 4 or 8 bytes or integers ('<f4', '<i2', …)"
                ),
            )
        })?;
        let is_fortran = header.order() == Order::Fortran;
        let mut inner = header.into_inner();
        let start = inner.stream_position().map_err(io_error("read", path))?;
        let metadata = inner.get_ref().metadata().map_err(io_error("read", path))?;
        let n_bytes = (n_samples as u64)
            .checked_mul(n_voxels as u64)
            .and_then(|n| n.checked_mul(decode.width as u64)?.checked_add(start));
        if n_bytes.is_none_or(|n_bytes| n_bytes > metadata.len()) {
            let got = metadata.len();
            return Err(file_error(
                path,
                format!(
                    "is truncated or damaged: {got} bytes, its header says shape [{n_samples}, {n_voxels}]"
                ),
            ));
        }
        Ok(Self {
            path: path.to_path_buf(),
            n_samples,
            n_voxels,
            is_fortran,
            decode,
            start,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Values of `N` bytes each.
    fn columns<T, const N: usize>(
        &self,
        voxels: &Range<usize>,
        value: fn([u8; N]) -> T,
    ) -> std::io::Result<Array2<T>> {
        let mut file = File::open(&self.path)?;
        let mut values = Vec::with_capacity(self.n_samples * voxels.len());
        let mut block = vec![0; BLOCK_BYTES];
        let mut run = |first: usize, n: usize| -> std::io::Result<()> {
            file.seek(SeekFrom::Start(self.start + (first * N) as u64))?;
            let mut left = n * N;
            while left > 0 {
                let part = &mut block[..left.min(BLOCK_BYTES)];
                file.read_exact(part)?;
                values.extend(part.as_chunks().0.iter().map(|bytes| value(*bytes)));
                left -= part.len();
            }
            Ok(())
        };
        if self.is_fortran {
            run(voxels.start * self.n_samples, voxels.len() * self.n_samples)?;
        } else {
            for row in 0..self.n_samples {
                run(row * self.n_voxels + voxels.start, voxels.len())?;
            }
        }
        let shape = (self.n_samples, voxels.len()).set_f(self.is_fortran);
        Array2::from_shape_vec(shape, values).map_err(std::io::Error::other)
    }
}

fn sides(path: &Path, shape: &[u64]) -> Result<(usize, usize)> {
    let size = |n: u64| {
        usize::try_from(n).map_err(|_| file_error(path, format!("has a side of {n} values")))
    };
    match *shape {
        [n] => Ok((size(n)?, 1)),
        [n, m] => Ok((size(n)?, size(m)?)),
        _ => Err(file_error(
            path,
            format!("has shape {shape:?}, expected [n_samples, n_voxels]"),
        )),
    }
}

impl ResponseSource for NpyResponses {
    fn n_samples(&self) -> usize {
        self.n_samples
    }

    fn n_voxels(&self) -> usize {
        self.n_voxels
    }

    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        if voxels.start > voxels.end || voxels.end > self.n_voxels {
            return Err(format!("voxels {voxels:?} of {}", self.n_voxels).into());
        }
        let failed = io_error("read", &self.path);
        macro_rules! columns {
            ($t:ty) => {
                if self.decode.is_big {
                    self.columns(&voxels, <$t>::from_be_bytes)
                } else {
                    self.columns(&voxels, <$t>::from_le_bytes)
                }
            };
            ($t:ty as f64) => {
                columns!($t).map(|values| values.mapv(|x| x as f64))
            };
        }
        #[expect(clippy::cast_lossless, reason = "one rule for all types")]
        #[expect(
            clippy::cast_precision_loss,
            reason = "far below what f32 keeps, which is checked"
        )]
        let wide = match (self.decode.kind, self.decode.width) {
            (TypeChar::Float, 4) => return Ok(columns!(f32).map_err(failed)?),
            (TypeChar::Float, _) => columns!(f64),
            (TypeChar::Int, 1) => columns!(i8 as f64),
            (TypeChar::Int, 2) => columns!(i16 as f64),
            (TypeChar::Int, 4) => columns!(i32 as f64),
            (TypeChar::Int, _) => columns!(i64 as f64),
            (_, 1) => columns!(u8 as f64),
            (_, 2) => columns!(u16 as f64),
            (_, 4) => columns!(u32 as f64),
            (_, _) => columns!(u64 as f64),
        };
        let wide = wide.map_err(failed)?;
        check_rounding(&self.path, &wide.view(), voxels.start)?;
        #[expect(clippy::cast_possible_truncation, reason = "checked just before")]
        Ok(wide.mapv(|x| x as f32))
    }
}
