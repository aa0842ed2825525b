//! The seam to the HDF5 library: what this crate needs of one open file.
//!
//! `rust-hdf5` stands behind it, or with feature `libhdf5` the C library. The first is pure Rust and
//! bounds-checks what a file claims, but it is large, and a damaged file that finds an overflow in it
//! must not end a run of hours: [`with_file`] therefore turns a panic inside it into an error. Nothing
//! survives such a panic: the file is opened for one call and dropped after it. Held by
//! `tests/it/hdf5_damage.rs`; that both read the same by `hdf5/both.rs`.

#[cfg(all(test, feature = "libhdf5"))]
mod both;
#[cfg(feature = "libhdf5")]
mod clib;
#[cfg_attr(
    feature = "libhdf5",
    allow(dead_code, reason = "tests compare the two")
)]
mod pure;

use std::error::Error;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ndarray::ArrayView2;
use rust_hdf5::{H5Dataset, H5File};

#[cfg(feature = "libhdf5")]
use clib::CFile as Opened;
#[cfg(not(feature = "libhdf5"))]
use pure::RustFile as Opened;

type Failure = Box<dyn Error + Send + Sync>;

/// An HDF5 file open for reading.
pub(crate) trait ArrayFile {
    /// Names of everything in the root group.
    fn keys(&self) -> Result<Vec<String>, Failure>;
    /// Shape, type and storage of one array, from headers only.
    fn describe(&self, key: &str) -> Result<ArrayInfo, Failure>;
    /// A box of an array in row-major order, in the type that holds every value of the stored one.
    fn read(&self, key: &str, starts: &[usize], counts: &[usize]) -> Result<Numbers, Failure>;

    /// Fills `out` with a box of an array in row-major order, as f32 whatever number type is stored.
    fn read_f32(
        &self,
        key: &str,
        starts: &[usize],
        counts: &[usize],
        out: &mut [f32],
    ) -> Result<(), Failure> {
        copy(&self.read(key, starts, counts)?.into_f32(), out)
    }
}

/// Values of any stored number type.
pub(crate) enum Numbers {
    F32(Vec<f32>),
    F64(Vec<f64>),
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
}

impl Numbers {
    /// Whole numbers from 0; none if a value is anything else.
    pub(crate) fn into_indices(self) -> Option<Vec<usize>> {
        match self {
            Self::Signed(values) => values
                .into_iter()
                .map(|value| usize::try_from(value).ok())
                .collect(),
            Self::Unsigned(values) => values
                .into_iter()
                .map(|value| usize::try_from(value).ok())
                .collect(),
            Self::F32(_) | Self::F64(_) => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "as numpy's astype rounds")]
    pub(crate) fn into_f64(self) -> Vec<f64> {
        match self {
            Self::F32(values) => values.into_iter().map(f64::from).collect(),
            Self::F64(values) => values,
            Self::Signed(values) => values.into_iter().map(|value| value as f64).collect(),
            Self::Unsigned(values) => values.into_iter().map(|value| value as f64).collect(),
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "responses are f32 here, wider types are rounded as numpy's astype does"
    )]
    fn into_f32(self) -> Vec<f32> {
        match self {
            Self::F32(values) => values,
            Self::F64(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Signed(values) => values.into_iter().map(|value| value as f32).collect(),
            Self::Unsigned(values) => values.into_iter().map(|value| value as f32).collect(),
        }
    }
}

fn copy(values: &[f32], out: &mut [f32]) -> Result<(), Failure> {
    if values.len() != out.len() {
        return Err(format!("{} values, expected {}", values.len(), out.len()).into());
    }
    out.copy_from_slice(values);
    Ok(())
}

/// What a filter is called in [`ArrayInfo::storage`], by its registered number.
fn filter_name(id: i32) -> &'static str {
    match id {
        1 => ", gzip",
        2 => ", shuffle",
        3 => ", fletcher32",
        4 => ", szip",
        32000 => ", lzf",
        _ => ", another filter",
    }
}

/// What the headers of a file say of one array.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArrayInfo {
    /// The shape.
    pub shape: Vec<usize>,
    /// Type of an element, such as `f32` or `i16`.
    pub dtype: String,
    /// Layout and filters, such as `chunked [10, 64], shuffle, gzip`.
    pub storage: String,
    /// Whether `dtype` is a float or an integer that can be read.
    pub is_numeric: bool,
    pub(crate) element_size: usize,
    pub(crate) is_contiguous: bool,
    /// Shape of a chunk; `None` where the array is not chunked.
    pub(crate) chunk: Option<Vec<usize>>,
}

/// Opens `path` for the length of one call of `read`.
pub(crate) fn with_file<T>(
    path: &Path,
    read: impl FnOnce(&dyn ArrayFile) -> Result<T, Failure>,
) -> Result<T, Failure> {
    guarded(|| read(&Opened::open(path)?))
}

/// Writes one contiguous array of f32.
pub(crate) fn write_array(
    path: &Path,
    key: &str,
    array: ArrayView2<'_, f32>,
) -> Result<(), Failure> {
    guarded(|| {
        let file = H5File::options().best_effort_locking().create(path)?;
        let dataset = file.new_dataset::<f32>().shape(array.shape()).create(key)?;
        match array.as_slice() {
            Some(values) => dataset.write_raw(values)?,
            None => dataset.write_raw(&array.iter().copied().collect::<Vec<_>>())?,
        }
        drop(dataset);
        Ok(file.close()?)
    })
}

/// Creates one contiguous array of f32, `[n_rows, n_columns]`, and lets `fill` write boxes of it.
pub(crate) fn write_boxes(
    path: &Path,
    key: &str,
    shape: [usize; 2],
    fill: &mut dyn FnMut(&Boxes) -> Result<(), Failure>,
) -> Result<(), Failure> {
    guarded(|| {
        let created = H5File::options().best_effort_locking().create(path)?;
        let boxes = Boxes(created.new_dataset::<f32>().shape(shape).create(key)?);
        fill(&boxes)?;
        drop(boxes);
        Ok(created.close()?)
    })
}

/// An array that is written box by box.
pub(crate) struct Boxes(H5Dataset);

impl Boxes {
    /// Writes `values`, row-major, to rows and columns of the array.
    pub(crate) fn write(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        values: &[f32],
    ) -> Result<(), Failure> {
        let counts = [rows.len(), columns.len()];
        Ok(self
            .0
            .write_slice(&[rows.start, columns.start], &counts, values)?)
    }
}

fn guarded<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(format!("the HDF5 decoder gave up: {message}").into())
    })
}
