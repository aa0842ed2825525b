//! `.npz` archives, written array by array under a temporary name and renamed at the end.

use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use ndarray::{ArrayBase, ArrayView2, Data, Dimension};
use ndarray_npy::WriteNpyExt;
use npyz::{NpyWriter, WriterBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::{Result, file_error, io_error};

/// Bytes handed on at once: value by value, checksums cost more than the values.
const BUFFER: usize = 1 << 18;

type Zip = ZipWriter<Fused<BufWriter<AtomicWriteFile>>>;

/// A writer that takes everything after its first failure. An archive that is dropped writes its end, and would say on
/// stderr that it could not, beside the error that was returned.
struct Fused<W> {
    inner: W,
    failed: bool,
    position: u64,
}

impl<W> Fused<W> {
    fn done<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        let is_failure = |e: &io::Error| e.kind() != ErrorKind::Interrupted;
        self.failed |= result.as_ref().is_err_and(is_failure);
        result
    }
}

impl<W: Write> Write for Fused<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = if self.failed {
            bytes.len()
        } else {
            let written = self.inner.write(bytes);
            self.done(written)?
        };
        self.position += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.failed {
            return Ok(());
        }
        let flushed = self.inner.flush();
        self.done(flushed)
    }
}

impl<W: Seek> Seek for Fused<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            _ if !self.failed => {
                let found = self.inner.seek(to);
                self.done(found)?
            }
            SeekFrom::Start(position) => position,
            SeekFrom::Current(by) => self.position.saturating_add_signed(by),
            SeekFrom::End(_) => self.position,
        };
        Ok(self.position)
    }
}

/// What arrays of an archive can hold: `f32`, `f64`, `i64` and `bool`.
pub trait NpzValue: sealed::Value {}

impl NpzValue for f32 {}
impl NpzValue for f64 {}
impl NpzValue for i64 {}
impl NpzValue for bool {}

mod sealed {
    pub trait Value: ndarray_npy::WritableElement {}

    impl Value for f32 {}
    impl Value for f64 {}
    impl Value for i64 {}
    impl Value for bool {}
}

/// An archive that is there in one piece, or not at all: without [`finish`](Self::finish) nothing
/// stays.
///
/// ```
/// use braintune::Npz;
/// use ndarray::array;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("x.npz");
/// let mut npz = Npz::create(&path)?;
/// npz.add("alphas", &array![0.1, 1.0, 10.0])?;
/// let mut coef = npz.columns("coef", 2, 3)?;
/// coef.push(array![[1.0], [2.0]].view())?;
/// coef.push(array![[3.0, 5.0], [4.0, 6.0]].view())?;
/// coef.finish()?;
/// assert!(!path.exists()); // nothing is there before the end
/// npz.finish()?;
/// assert!(path.exists());
/// # Ok(())
/// # }
/// ```
pub struct Npz {
    zip: Zip,
    path: PathBuf,
}

impl std::fmt::Debug for Npz {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Npz")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Npz {
    /// Begins the archive that will be at `path`.
    ///
    /// # Errors
    /// What the file system says, naming the file.
    pub fn create(path: &Path) -> Result<Self> {
        let file = AtomicWriteFile::open(path).map_err(io_error("write", path))?;
        Ok(Self {
            zip: ZipWriter::new(Fused {
                inner: BufWriter::new(file),
                failed: false,
                position: 0,
            }),
            path: path.to_path_buf(),
        })
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        self.zip
            .start_file(format!("{name}.npy"), options)
            .map_err(|e| file_error(&self.path, e))
    }

    /// Adds an array.
    ///
    /// # Errors
    /// A name given twice, or what the file system says.
    pub fn add<T, S, D>(&mut self, name: &str, array: &ArrayBase<S, D>) -> Result<()>
    where
        T: NpzValue,
        S: Data<Elem = T>,
        D: Dimension,
    {
        self.begin(name)?;
        array
            .write_npy(&mut self.zip)
            .map_err(|e| file_error(&self.path, e))
    }

    /// Begins an array `[n_rows, n_columns]` whose columns come later, a few at a time.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn columns(&mut self, name: &str, n_rows: usize, n_columns: usize) -> Result<Columns<'_>> {
        self.begin(name)?;
        let writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&[n_rows as u64, n_columns as u64])
            .order(npyz::Order::Fortran)
            .writer(BufWriter::with_capacity(BUFFER, &mut self.zip))
            .begin_nd();
        Ok(Columns {
            writer: writer.map_err(io_error("write", &self.path))?,
            path: &self.path,
        })
    }

    /// Puts the archive in its place.
    ///
    /// # Errors
    /// What the file system says, naming the file.
    pub fn finish(self) -> Result<()> {
        let write = io_error("write", &self.path);
        let fused = self.zip.finish().map_err(|e| file_error(&self.path, e))?;
        if fused.failed {
            return Err(file_error(&self.path, "an earlier write to it failed"));
        }
        let done = fused
            .inner
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        done.and_then(|mut file| {
            file.flush()?;
            file.commit()
        })
        .map_err(write)
    }
}

/// An array in an archive that grows by columns.
pub struct Columns<'a> {
    writer: NpyWriter<f32, BufWriter<&'a mut Zip>>,
    path: &'a Path,
}

impl std::fmt::Debug for Columns<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Columns")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Columns<'_> {
    /// Adds columns, `[n_rows, n]`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn push(&mut self, columns: ArrayView2<'_, f32>) -> Result<()> {
        self.writer
            .extend(columns.t().iter().copied())
            .map_err(io_error("write", self.path))
    }

    /// Ends the array.
    ///
    /// # Errors
    /// Columns that are missing, or what the file system says.
    pub fn finish(self) -> Result<()> {
        self.writer.finish().map_err(io_error("write", self.path))
    }
}
