//! HDF5 by `rust-hdf5`, which needs no C library.

use std::path::Path;

use rust_hdf5::{DatatypeMessage, Filter, H5Dataset, H5File, StorageLayout};

use super::{ArrayFile, ArrayInfo, Failure, Numbers, copy, filter_name};

/// A file, and what `rust-hdf5` knows of it.
pub(super) struct RustFile(H5File);

impl RustFile {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        // Shared folders of clusters often refuse locks; reading needs none.
        Ok(Self(H5File::options().best_effort_locking().open(path)?))
    }
}

impl ArrayFile for RustFile {
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

    fn read(&self, key: &str, starts: &[usize], counts: &[usize]) -> Result<Numbers, Failure> {
        let dataset = self.0.dataset(key)?;
        let datatype = dataset.datatype()?;
        Ok(match number(&datatype) {
            Some(Number::F32) => Numbers::F32(dataset.read_numeric_slice_as(starts, counts)?),
            Some(Number::F64) => Numbers::F64(dataset.read_numeric_slice_as(starts, counts)?),
            Some(Number::Signed) => Numbers::Signed(dataset.read_numeric_slice_as(starts, counts)?),
            Some(Number::Unsigned) => {
                Numbers::Unsigned(dataset.read_numeric_slice_as(starts, counts)?)
            }
            None => return Err(format!("{datatype} is not a number").into()),
        })
    }

    fn read_f32(
        &self,
        key: &str,
        starts: &[usize],
        counts: &[usize],
        out: &mut [f32],
    ) -> Result<(), Failure> {
        let dataset = self.0.dataset(key)?;
        if is_f32(&dataset.datatype()?) {
            return Ok(dataset.read_slice_into(out, starts, counts)?);
        }
        copy(&self.read(key, starts, counts)?.into_f32(), out)
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

fn is_f32(datatype: &DatatypeMessage) -> bool {
    let is_single = matches!(datatype, DatatypeMessage::FloatingPoint { size: 4, .. });
    is_single && datatype.ieee_format().is_some()
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
        name += filter_name(i32::from(id));
    }
    Ok(name)
}
