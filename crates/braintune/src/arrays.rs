//! NumPy files at the borders of the pipelines: any float or integer dtype in, f32 out.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use braintune_audio::pointer_kind;
use ndarray::{Array, Array1, Array2, ArrayView, Ix1, Ix2, IxDyn};
use ndarray_npy::{ReadNpyExt, ReadableElement};

use crate::error::{Result, file_error, io_error};

/// A matrix `[n_rows, n_columns]` of any float or integer type, as f32 (f64 is rounded). A vector
/// is one column.
///
/// # Errors
/// The file cannot be read, is no `.npy`, or is neither a matrix nor a vector.
pub fn read_matrix(path: &Path) -> Result<Array2<f32>> {
    let array = read_f32(path)?;
    let shape = array.shape().to_vec();
    match shape.len() {
        1 => array
            .into_shape_with_order((shape[0], 1))
            .map_err(|e| file_error(path, e)),
        2 => array
            .into_dimensionality::<Ix2>()
            .map_err(|e| file_error(path, e)),
        _ => Err(file_error(
            path,
            format!("has shape {shape:?}, expected [n_rows, n_columns]"),
        )),
    }
}

/// A vector of any float or integer type, as f32.
///
/// # Errors
/// As [`read_matrix`], for a vector.
pub fn read_vector(path: &Path) -> Result<Array1<f32>> {
    one_axis(path, read_f32(path)?, "a vector")
}

fn one_axis<T>(path: &Path, array: Array<T, IxDyn>, expected: &str) -> Result<Array1<T>> {
    let shape = array.shape().to_vec();
    array
        .into_dimensionality::<Ix1>()
        .map_err(|_| file_error(path, format!("has shape {shape:?}, expected {expected}")))
}

/// A vector of integers of any type: one label per row.
///
/// # Errors
/// As [`read_matrix`], or values that are not whole numbers.
pub fn read_labels(path: &Path) -> Result<Vec<i64>> {
    let labels_of = |labels| Ok(one_axis(path, labels, "one label per row")?.to_vec());
    macro_rules! first_that_reads {
        ($($t:ty),+) => {
            $(if let Some(labels) = try_read::<$t>(path)? {
                return labels_of(labels.mapv(i64::from));
            })+
        };
    }
    first_that_reads!(i64, i32, i16, i8, u32, u16, u8);
    if let Some(labels) = try_read::<u64>(path)? {
        return labels_of(labels.mapv(u64::cast_signed));
    }
    Err(file_error(
        path,
        "holds no integers; labels are integers, one for each row or voxel",
    ))
}

/// Which voxels are kept, `[n_voxels]`: booleans, or numbers, of which 0 leaves a voxel out.
///
/// # Errors
/// The file cannot be read, is no such array, or has a NaN.
pub fn read_mask(path: &Path) -> Result<Vec<bool>> {
    if let Some(mask) = try_read::<bool>(path)? {
        return Ok(one_axis(path, mask, "[n_voxels]")?.to_vec());
    }
    let values = read_vector(path)?;
    if let Some(voxel) = values.iter().position(|value| value.is_nan()) {
        let problem = format!(
            "is NaN at voxel {voxel}: expected booleans, or 0 for voxels that are left out"
        );
        return Err(file_error(path, problem));
    }
    Ok(values.iter().map(|value| *value != 0.0).collect())
}

/// Validation rows of folds, from JSON `[[row, …], …]`, rows counted from 0.
///
/// # Errors
/// The file cannot be read or is no such list.
pub fn read_folds(path: &Path) -> Result<Vec<Vec<usize>>> {
    let text = std::fs::read(path).map_err(io_error("read", path))?;
    let expected = "expected the validation rows of each fold, [[row, …], …], counted from 0";
    serde_json::from_slice(&text).map_err(|e| file_error(path, format!("{expected}: {e}")))
}

fn read_f32(path: &Path) -> Result<Array<f32, IxDyn>> {
    if let Some(array) = try_read::<f32>(path)? {
        return Ok(array);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "f32 is what the solver works in"
    )]
    if let Some(array) = try_read::<f64>(path)? {
        check_rounding(path, &array.view(), 0)?;
        return Ok(array.mapv(|x| x as f32));
    }
    macro_rules! integers {
        ($($t:ty),+) => {
            $(if let Some(array) = try_read::<$t>(path)? {
                check_rounding(path, &array.mapv(|x| x as f64).view(), 0)?;
                return Ok(array.mapv(|x| x as f32));
            })+
        };
    }
    #[expect(clippy::cast_lossless, reason = "one rule for all integer types")]
    {
        integers!(i64, i32, i16, i8, u64, u32, u16, u8);
    }
    let found = stored_type(path);
    Err(file_error(
        path,
        format!("holds {found}, expected floats of 4 or 8 bytes or integers ('<f4', '<i2', …)"),
    ))
}

/// The solver works on f32 values: columns that would lose what they vary by are refused, not fitted.
/// `first` is the number of the first column.
pub(crate) fn check_rounding<D>(
    path: &Path,
    array: &ArrayView<'_, f64, D>,
    first: usize,
) -> Result<()>
where
    D: ndarray::RemoveAxis,
{
    /// Rounding of the largest value that a column's standard deviation bears.
    const MOST: f64 = 1e-3;
    if array.ndim() == 0 || array.is_empty() {
        return Ok(());
    }
    for (number, column) in array.lanes(ndarray::Axis(0)).into_iter().enumerate() {
        let number = first + number;
        let largest = column.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        if largest > f64::from(f32::MAX) && largest.is_finite() {
            let problem =
                format!("column {number} holds {largest:e}, more than f32 can hold: scale it");
            return Err(file_error(path, problem));
        }
        let sd = column.std(0.0);
        if sd > 0.0 && largest * f64::from(f32::EPSILON) > MOST * sd {
            let problem = format!(
                "column {number} varies by {sd:e} about values up to {largest:e}, which f32 rounds away: subtract its mean first"
            );
            return Err(file_error(path, problem));
        }
    }
    Ok(())
}

/// What a header says that the values are, `'<f2'` for example.
fn stored_type(path: &Path) -> String {
    let file = File::open(path).map(std::io::BufReader::new);
    match file.map(Array::<f32, IxDyn>::read_npy) {
        Ok(Err(ndarray_npy::ReadNpyError::WrongDescriptor(found))) => found.to_string(),
        _ => "something else".to_owned(),
    }
}

/// The array if its elements are `T`, `None` if they are something else.
fn try_read<T: ReadableElement>(path: &Path) -> Result<Option<Array<T, IxDyn>>> {
    use ndarray_npy::ReadNpyError;
    let mut file = File::open(path).map_err(io_error("read", path))?;
    check_size(path, &mut file)?;
    match Array::<T, IxDyn>::read_npy(std::io::BufReader::new(file)) {
        Ok(array) => Ok(Some(array)),
        Err(ReadNpyError::WrongDescriptor(_)) => Ok(None),
        Err(ReadNpyError::ParseHeader(e)) => Err(file_error(path, format!("is no .npy file: {e}"))),
        Err(ReadNpyError::MissingData) => Err(file_error(
            path,
            "is truncated: less data than its header says",
        )),
        Err(e) => Err(file_error(path, format!("is no readable .npy file: {e}"))),
    }
}

/// Longest header that is read, bytes: `NumPy` refuses longer ones unless told otherwise.
const MAX_HEADER: u64 = 10_000;

/// Brackets within brackets of a header: those of arrays of numbers have two, and each takes the reader's parser twice as
/// long as the one before.
const MAX_DEPTH: usize = 8;

/// How deep brackets are nested.
fn depth(header: &[u8]) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in header {
        match byte {
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

/// Bytes of the header of a `.npy` file, as its start says; none of another file.
fn header_bytes(start: &[u8]) -> Option<u64> {
    let rest = start.strip_prefix(b"\x93NUMPY")?;
    let (&[version, _], length) = rest.split_first_chunk()?;
    match version {
        1 => Some(u16::from_le_bytes(*length.first_chunk()?).into()),
        _ => Some(u32::from_le_bytes(*length.first_chunk()?).into()),
    }
}

/// The header of a `.npy` file can be parsed in a moment.
fn check_header(path: &Path, start: &[u8]) -> Result<()> {
    let Some(length) = header_bytes(start) else {
        return Ok(());
    };
    if length > MAX_HEADER {
        let problem = format!(
            "is damaged: its header says that it is {length} bytes long, of arrays of numbers it is at most {MAX_HEADER}"
        );
        return Err(file_error(path, problem));
    }
    let end = usize::try_from(length).map_or(start.len(), |n| start.len().min(n + 10));
    if depth(&start[..end]) > MAX_DEPTH {
        let problem = "is damaged: its header has more brackets within brackets than that of any array of numbers";
        return Err(file_error(path, problem));
    }
    Ok(())
}

/// A header must not be longer than any is, nor ask for more values than the file has bytes: readers make room first,
/// and some multiply the sizes without looking.
pub(crate) fn check_size(path: &Path, file: &mut File) -> Result<()> {
    let mut start = Vec::new();
    Read::by_ref(file)
        .take(MAX_HEADER + 12)
        .read_to_end(&mut start)
        .and_then(|_| file.rewind())
        .map_err(io_error("read", path))?;
    let n_bytes = file.metadata().map_err(io_error("read", path))?.len();
    if n_bytes == 0 {
        return Err(file_error(path, "is empty (0 bytes): copy it again"));
    }
    if let Some(kind) = pointer_kind(path) {
        let hint = kind.fetch_hint();
        return Err(file_error(
            path,
            format!("is a {kind} pointer, not the data: run {hint}"),
        ));
    }
    check_header(path, &start)?;
    let header = String::from_utf8_lossy(&start).replace('"', "'");
    let shapes = header.split("'shape'").skip(1);
    let mut shapes =
        shapes.filter_map(|rest| rest.split_once(['(', '['])?.1.split_once([')', ']']));
    // An empty side makes an array of nothing, but the other sides are multiplied all the same.
    let n_values = |shape: &str| {
        let sizes = shape.split(',').map(str::trim).filter(|n| !n.is_empty());
        sizes.fold(1.0_f64, |n, size| {
            n * size.parse().unwrap_or(1.0_f64).max(1.0)
        })
    };
    match shapes.find(|(shape, _)| n_values(shape) > n_bytes as f64) {
        None => Ok(()),
        Some((shape, _)) => Err(file_error(
            path,
            format!("is truncated or damaged: {n_bytes} bytes, its header says shape ({shape})"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn a_header_longer_than_any_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.npy");
        for start in [
            &b"\x93NUMPY\x03\0v!\0{'shape': (4,), }\n"[..],
            b"\x93NUMPY\x01\0\x11\x27{",
        ] {
            std::fs::write(&path, start).expect("it is written");
            let error = read_matrix(&path).expect_err("too long").to_string();
            assert!(
                error.contains("x.npy") && error.contains("bytes long"),
                "{error}"
            );
        }
        let at_most = [b"\x93NUMPY\x01\0\x10\x27", [b' '; 20].as_slice()].concat();
        std::fs::write(&path, at_most).expect("it is written");
        let error = read_matrix(&path).expect_err("no header").to_string();
        assert!(!error.contains("bytes long"), "{error}");
    }

    #[test]
    fn a_header_of_brackets_is_refused_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.npy");
        let header = format!("{{'descr': 's',{}{}", "[".repeat(26), " ".repeat(79));
        let bytes = [b"\x93NUMPY\x01\0v\0", header.as_bytes()].concat();
        std::fs::write(&path, bytes).expect("it is written");
        let error = read_matrix(&path).expect_err("no header").to_string();
        assert!(
            error.contains("x.npy") && error.contains("brackets"),
            "{error}"
        );
    }

    #[test]
    fn values_that_f32_would_round_away_are_refused_and_offsets_it_bears_are_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x.npy");
        let read = |values: Array2<f64>| {
            ndarray_npy::write_npy(&path, &values).expect("it is written");
            read_matrix(&path)
        };
        let small = array![[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]];
        assert!(read(small.clone()).is_ok());
        assert!(read(&small + 1e3).is_ok());
        let error = read(&small + 1e9).expect_err("a large mean").to_string();
        assert!(
            error.contains("column 0") && error.contains("subtract"),
            "{error}"
        );
        let error = read(&small * 1e300).expect_err("too large").to_string();
        assert!(error.contains("more than f32"), "{error}");
        let whole = array![[1_i64 << 40, 1], [(1 << 40) + 3, 2]];
        ndarray_npy::write_npy(&path, &whole).expect("it is written");
        assert!(read_matrix(&path).is_err());
    }
}
