//! `.npz` archives, written array by array under a temporary name and renamed at the end.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use ndarray::{Array2, ArrayBase, Data, Dimension};
use ndarray_npy::{WritableElement, WriteNpyExt};
use npyz::{NpyWriter, WriterBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::error::{Result, file_error, io_error};

/// Bytes handed on at once: value by value, checksums cost more than the values.
const BUFFER: usize = 1 << 18;

type Zip = ZipWriter<BufWriter<AtomicWriteFile>>;

/// An archive that is there in one piece, or not at all: without [`finish`](Self::finish) nothing
/// stays.
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
            zip: ZipWriter::new(BufWriter::new(file)),
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
        T: WritableElement,
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
        let buffer = self.zip.finish().map_err(|e| file_error(&self.path, e))?;
        let done = buffer
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
    pub fn push(&mut self, columns: &Array2<f32>) -> Result<()> {
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
