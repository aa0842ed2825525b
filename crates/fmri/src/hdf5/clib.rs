//! HDF5 by the C library, feature `libhdf5`: what it reads more than `rust-hdf5` are filters that it has as plugins.

use std::path::Path;

use hdf5_metno::dataset::Layout;
use hdf5_metno::types::{FloatSize, TypeDescriptor};
use hdf5_metno::{Dataset, Datatype, File, H5Type, Hyperslab, SliceOrIndex};

use super::{ArrayFile, ArrayInfo, Failure, Numbers, filter_name};

/// A file, open for reading.
pub(super) struct CFile(File);

impl CFile {
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        Ok(Self(File::open(path)?))
    }

    fn dataset(&self, key: &str) -> Result<Dataset, Failure> {
        Ok(self.0.dataset(key)?)
    }
}

impl ArrayFile for CFile {
    fn keys(&self) -> Result<Vec<String>, Failure> {
        Ok(self.0.member_names()?)
    }

    fn describe(&self, key: &str) -> Result<ArrayInfo, Failure> {
        let dataset = self.dataset(key)?;
        let datatype = dataset.dtype()?;
        let layout = dataset.layout();
        Ok(ArrayInfo {
            shape: if dataset.space()?.is_null() {
                vec![0]
            } else {
                dataset.get_shape()?
            },
            dtype: dtype_name(&datatype),
            storage: storage_name(&dataset, layout),
            is_numeric: number(&datatype).is_some(),
            element_size: datatype.size(),
            is_contiguous: layout == Layout::Contiguous && dataset.dcpl()?.external().is_empty(),
            chunk: dataset.chunk(),
        })
    }

    fn read(&self, key: &str, starts: &[usize], counts: &[usize]) -> Result<Numbers, Failure> {
        let dataset = self.dataset(key)?;
        let datatype = dataset.dtype()?;
        Ok(match number(&datatype) {
            Some(TypeDescriptor::Float(FloatSize::U8)) => {
                Numbers::F64(read(&dataset, starts, counts)?)
            }
            Some(TypeDescriptor::Float(_)) => Numbers::F32(read(&dataset, starts, counts)?),
            Some(TypeDescriptor::Integer(_)) => Numbers::Signed(read(&dataset, starts, counts)?),
            Some(TypeDescriptor::Unsigned(_)) => Numbers::Unsigned(read(&dataset, starts, counts)?),
            _ => return Err(format!("{} is not a number", dtype_name(&datatype)).into()),
        })
    }
}

fn read<T: H5Type>(
    dataset: &Dataset,
    starts: &[usize],
    counts: &[usize],
) -> Result<Vec<T>, Failure> {
    let mut values = Vec::with_capacity(counts.iter().product());
    read_from::<T>(dataset, &mut Vec::new(), starts, counts, &mut values)?;
    Ok(values)
}

/// Appends the box, its first axes fixed at `place`. Two axes are read at a time: for more, the binding asks for an array
/// of its own version of ndarray.
fn read_from<T: H5Type>(
    dataset: &Dataset,
    place: &mut Vec<usize>,
    starts: &[usize],
    counts: &[usize],
    values: &mut Vec<T>,
) -> Result<(), Failure> {
    let depth = place.len();
    if starts.len() > depth + 2 {
        for index in starts[depth]..starts[depth] + counts[depth] {
            place.push(index);
            read_from(dataset, place, starts, counts, values)?;
            place.pop();
        }
        return Ok(());
    }
    let fixed = place.iter().map(|&index| SliceOrIndex::Index(index));
    let ranges = starts.iter().zip(counts).skip(depth);
    let ranges = ranges.map(|(&start, &count)| SliceOrIndex::SliceCount {
        start,
        step: 1,
        count,
        block: 1,
    });
    let selection = Hyperslab::from(fixed.chain(ranges).collect::<Vec<_>>());
    if starts.len() == depth + 2 {
        values.extend(dataset.read_slice_2d::<T, _>(selection)?);
    } else {
        values.extend(dataset.read_slice_1d::<T, _>(selection)?);
    }
    Ok(())
}

/// Whole numbers and floats of 16, 32 and 64 bits.
fn number(datatype: &Datatype) -> Option<TypeDescriptor> {
    let descriptor = datatype.to_descriptor().ok()?;
    let is_number = matches!(
        descriptor,
        TypeDescriptor::Float(_) | TypeDescriptor::Integer(_) | TypeDescriptor::Unsigned(_)
    );
    is_number.then_some(descriptor)
}

fn dtype_name(datatype: &Datatype) -> String {
    let bits = 8 * datatype.size();
    let name = match number(datatype) {
        Some(TypeDescriptor::Float(_)) => format!("f{bits}"),
        Some(TypeDescriptor::Integer(_)) => format!("i{bits}"),
        Some(_) => format!("u{bits}"),
        None => {
            return datatype
                .to_descriptor()
                .map_or_else(|_| "unknown".to_owned(), |d| d.to_string());
        }
    };
    match datatype.byte_order() {
        hdf5_metno::datatype::ByteOrder::BigEndian if bits > 8 => name + " big-endian",
        _ => name,
    }
}

#[allow(
    clippy::match_wildcard_for_single_variants,
    reason = "older libraries have no virtual layout"
)]
fn storage_name(dataset: &Dataset, layout: Layout) -> String {
    let mut name = match layout {
        Layout::Compact => "compact".to_owned(),
        Layout::Contiguous => "contiguous".to_owned(),
        Layout::Chunked => format!("chunked {:?}", dataset.chunk().unwrap_or_default()),
        _ => "virtual".to_owned(),
    };
    for filter in dataset.filters() {
        name += filter_name(filter.id());
    }
    name
}
