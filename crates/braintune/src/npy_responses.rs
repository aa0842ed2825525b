//! Responses in a `.npy` file, read voxel range by voxel range.
//!
//! `[n_samples, n_voxels]`, f32 or f64 in either order: a range of columns is read row by row (C
//! order) or in one piece (Fortran order), and memory holds nothing else. Held by
//! `tests/it/npy_responses.rs`.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};

use braintune_encoding::ResponseSource;
use ndarray::{Array2, ShapeBuilder};
use npyz::{Deserialize, NpyFile, NpyReader, Order};

use crate::error::{Result, file_error, io_error};

/// A `.npy` file of responses.
#[derive(Debug, Clone)]
pub struct NpyResponses {
    path: PathBuf,
    n_samples: usize,
    n_voxels: usize,
    is_double: bool,
}

impl NpyResponses {
    /// Reads the header. A vector is one voxel.
    ///
    /// # Errors
    /// The file cannot be read, is no `.npy` of floats, is neither a matrix nor a vector, or holds
    /// less than its header says.
    pub fn open(path: &Path) -> Result<Self> {
        let file = open(path)?;
        let size = |n: u64| {
            usize::try_from(n).map_err(|_| file_error(path, format!("has a side of {n} values")))
        };
        let (n_samples, n_voxels) = match file.shape() {
            [n] => (size(*n)?, 1),
            [n, m] => (size(*n)?, size(*m)?),
            shape => {
                return Err(file_error(
                    path,
                    format!("has shape {shape:?}, expected [n_samples, n_voxels]"),
                ));
            }
        };
        let width = file.dtype().num_bytes().unwrap_or(0) as u64;
        let expected = (n_samples as u64)
            .checked_mul(n_voxels as u64)
            .and_then(|n| n.checked_mul(width));
        let (is_double, mut inner) = match file.try_data::<f32>() {
            Ok(_) => (false, open(path)?.into_inner()),
            Err(file) => match file.try_data::<f64>() {
                Ok(_) => (true, open(path)?.into_inner()),
                Err(file) => {
                    let found = file.dtype().descr();
                    return Err(file_error(
                        path,
                        format!("holds {found}, expected floats (f32 or f64)"),
                    ));
                }
            },
        };
        let start = inner.stream_position().map_err(io_error("read", path))?;
        let length = inner.get_ref().metadata().map_err(io_error("read", path))?;
        match expected.and_then(|bytes| bytes.checked_add(start)) {
            Some(expected) if expected <= length.len() => Ok(Self {
                path: path.to_path_buf(),
                n_samples,
                n_voxels,
                is_double,
            }),
            _ => Err(file_error(
                path,
                format!(
                    "is truncated or damaged: {} bytes, its header says shape [{n_samples}, {n_voxels}]",
                    length.len()
                ),
            )),
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn columns<T: Deserialize>(
        &self,
        voxels: Range<usize>,
        narrow: impl Fn(T) -> f32,
    ) -> std::io::Result<Array2<f32>> {
        let file = NpyFile::new(BufReader::new(File::open(&self.path)?))?;
        let order = file.order();
        let mut data: NpyReader<T, _> = file.data().map_err(std::io::Error::other)?;
        let mut values = Vec::with_capacity(self.n_samples * voxels.len());
        let mut run = |start: usize, n: usize| -> std::io::Result<()> {
            data.seek_to(start as u64)?;
            for value in data.by_ref().take(n) {
                values.push(narrow(value?));
            }
            Ok(())
        };
        if order == Order::Fortran {
            run(voxels.start * self.n_samples, voxels.len() * self.n_samples)?;
        } else {
            for row in 0..self.n_samples {
                run(row * self.n_voxels + voxels.start, voxels.len())?;
            }
        }
        let shape = (self.n_samples, voxels.len()).set_f(order == Order::Fortran);
        Array2::from_shape_vec(shape, values).map_err(std::io::Error::other)
    }
}

fn open(path: &Path) -> Result<NpyFile<BufReader<File>>> {
    let file = File::open(path).map_err(io_error("read", path))?;
    NpyFile::new(BufReader::new(file))
        .map_err(|e| file_error(path, format!("is no readable .npy file: {e}")))
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
        let values = if self.is_double {
            #[expect(clippy::cast_possible_truncation, reason = "responses are f32")]
            self.columns(voxels, |value: f64| value as f32)
        } else {
            self.columns(voxels, |value: f32| value)
        };
        Ok(values.map_err(io_error("read", &self.path))?)
    }
}
