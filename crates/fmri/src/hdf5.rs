//! The seam to the HDF5 library: what this crate needs of one open file.
//!
//! `rust-hdf5` stands behind it. The library is pure Rust and bounds-checks what a file claims, but
//! it is large, and a damaged file that finds an overflow in it must not end a run of hours:
//! [`with_file`] therefore turns a panic inside it into an error. Nothing survives such a panic: the
//! file is opened for one call and dropped after it. Held by `tests/it/hdf5_damage.rs`.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ndarray::ArrayView2;
use rust_hdf5::{DatatypeMessage, Filter, H5Dataset, H5File, StorageLayout};

type Failure = Box<dyn Error + Send + Sync>;

/// An HDF5 file open for reading.
pub(crate) trait ArrayFile {
    /// Names of everything in the root group.
    fn keys(&self) -> Result<Vec<String>, Failure>;
    /// Shape, type and storage of one array, from headers only.
    fn describe(&self, key: &str) -> Result<ArrayInfo, Failure>;
    /// A box of an array in row-major order, as f32 whatever number type is stored.
    fn read_f32(&self, key: &str, starts: &[usize], counts: &[usize]) -> Result<Vec<f32>, Failure>;
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
    /// Shape of a chunk; the array's row shape where there are none.
    pub(crate) chunk: Option<Vec<usize>>,
}

/// Opens `path` for the length of one call of `read`.
pub(crate) fn with_file<T>(
    path: &Path,
    read: impl FnOnce(&dyn ArrayFile) -> Result<T, Failure>,
) -> Result<T, Failure> {
    guarded(|| {
        // Shared folders of clusters often refuse locks; reading needs none.
        let file = H5File::options().best_effort_locking().open(path)?;
        read(&RustHdf5(file))
    })
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

struct RustHdf5(H5File);

impl ArrayFile for RustHdf5 {
    fn keys(&self) -> Result<Vec<String>, Failure> {
        Ok(self.0.root_group().link_names()?)
    }

    fn describe(&self, key: &str) -> Result<ArrayInfo, Failure> {
        let dataset = self.0.dataset(key)?;
        let datatype = dataset.datatype()?;
        let layout = dataset.storage_layout()?;
        Ok(ArrayInfo {
            shape: if dataset.is_null() {
                vec![0]
            } else {
                dataset.shape()
            },
            dtype: dtype_name(&datatype),
            storage: storage_name(&dataset, layout)?,
            is_numeric: number(&datatype).is_some(),
            element_size: dataset.element_size(),
            is_contiguous: layout == StorageLayout::Contiguous
                && dataset.external_files()?.is_empty(),
            chunk: dataset.chunk_dims(),
        })
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "responses are f32 here, wider types are rounded as numpy's astype does"
    )]
    fn read_f32(&self, key: &str, starts: &[usize], counts: &[usize]) -> Result<Vec<f32>, Failure> {
        let dataset = self.0.dataset(key)?;
        let datatype = dataset.datatype()?;
        Ok(match number(&datatype) {
            Some(Number::F32) => dataset.read_numeric_slice_as::<f32>(starts, counts)?,
            Some(Number::F64) => {
                let values = dataset.read_numeric_slice_as::<f64>(starts, counts)?;
                values.into_iter().map(|value| value as f32).collect()
            }
            Some(Number::Signed) => {
                let values = dataset.read_numeric_slice_as::<i64>(starts, counts)?;
                values.into_iter().map(|value| value as f32).collect()
            }
            Some(Number::Unsigned) => {
                let values = dataset.read_numeric_slice_as::<u64>(starts, counts)?;
                values.into_iter().map(|value| value as f32).collect()
            }
            None => return Err(format!("{datatype} is not a number").into()),
        })
    }
}

/// The type that holds every value of a stored number type.
enum Number {
    F32,
    F64,
    Signed,
    Unsigned,
}

fn number(datatype: &DatatypeMessage) -> Option<Number> {
    match *datatype {
        DatatypeMessage::FloatingPoint { size, .. } => {
            datatype.ieee_format()?;
            Some(if size == 8 { Number::F64 } else { Number::F32 })
        }
        DatatypeMessage::FixedPoint {
            size,
            signed,
            bit_offset,
            bit_precision,
            ..
        } => {
            let is_whole = bit_offset == 0 && u32::from(bit_precision) == size.checked_mul(8)?;
            (is_whole && matches!(size, 1 | 2 | 4 | 8)).then_some(if signed {
                Number::Signed
            } else {
                Number::Unsigned
            })
        }
        _ => None,
    }
}

fn dtype_name(datatype: &DatatypeMessage) -> String {
    match datatype {
        DatatypeMessage::FixedPoint {
            byte_order, size, ..
        }
        | DatatypeMessage::FloatingPoint {
            byte_order, size, ..
        } if *byte_order == rust_hdf5::ByteOrder::BigEndian && *size > 1 => {
            format!("{datatype} big-endian")
        }
        other => other.to_string(),
    }
}

fn storage_name(dataset: &H5Dataset, layout: StorageLayout) -> Result<String, Failure> {
    let mut name = match layout {
        StorageLayout::Compact => "compact".to_owned(),
        StorageLayout::Contiguous => "contiguous".to_owned(),
        StorageLayout::Chunked => format!("chunked {:?}", dataset.chunk_dims().unwrap_or_default()),
        StorageLayout::Virtual => "virtual".to_owned(),
    };
    for Filter { id, .. } in dataset.filters()? {
        name += match id {
            1 => ", gzip",
            2 => ", shuffle",
            3 => ", fletcher32",
            4 => ", szip",
            32000 => ", lzf",
            _ => ", another filter",
        };
    }
    Ok(name)
}
