//! An array of responses in a `.npy` file or in a `.npz` archive: its shape, and columns of it.
//!
//! Arrays are `[n_times, n_channels]`, or `[n_repeats, n_times, n_channels]` for single repeats, with
//! times and channels swapped where the dataset says so; any float of 16, 32 or 64 bit or integer
//! becomes f32. A plain file and an archive that stores (`numpy.savez`) are read where the columns
//! lie; a compressed one (`numpy.savez_compressed`) is decoded from its start, once for each call,
//! and its checksum compared. Memory is the columns asked for and a block below 1 MB. Held by
//! `tests/it/folder.rs`.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::Array2;
use serde::Deserialize;
use zip::{CompressionMethod, ZipArchive};

use super::npy::{Element, Header, Layout, Source, Streamed};
use crate::files::{MAX_COMPRESSION, read_error, refuse_pointer};
use crate::selection::check_selection;
use crate::{FmriError, Result, StoredAs};

/// How messages name the one array of a `.npy` file.
const ONLY: &str = "array";

/// Which of the last two axes of an array is time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum AxisOrder {
    /// `[n_times, n_channels]`.
    #[default]
    TimeChannel,
    /// `[n_channels, n_times]`.
    ChannelTime,
}

/// The shape of the array in a `.npy` file, from its header: what a reader allocates by.
///
/// # Errors
/// A file that is not there, is no such array, or is too short for that many values: a header that claims more
/// than there is would have a reader take memory for it.
pub fn npy_shape(path: &Path) -> Result<Vec<usize>> {
    let array = StoredArray {
        path: path.to_path_buf(),
        key: None,
        axes: AxisOrder::TimeChannel,
    };
    array.with_source(1 << 12, &mut |source, n_bytes| {
        let header = Header::read(source).map_err(|reason| array.damaged(reason))?;
        // Values of other types have a byte at least.
        let width = Element::parse(&header.descr).map_or(1, |element| element.width);
        array.holds_all(&header, width, n_bytes)?;
        Ok(header.shape)
    })
}

/// An array in a file. Holds no handle: each read opens the file and closes it again.
#[derive(Clone, Debug)]
pub(super) struct StoredArray {
    path: PathBuf,
    /// Its name in an archive; `None` in a `.npy` file.
    key: Option<String>,
    axes: AxisOrder,
}

impl StoredArray {
    /// The array of a `.npy` file, or the one called `key` of a `.npz` archive.
    pub(super) fn new(path: PathBuf, key: &str, axes: AxisOrder) -> Self {
        let is_archive = path.extension().is_some_and(|extension| extension == "npz");
        Self {
            path,
            key: is_archive.then(|| key.into()),
            axes,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(ONLY)
    }

    /// `(n_times, n_channels)`, from the header.
    pub(super) fn shape(&self) -> Result<(usize, usize)> {
        let Layout {
            shape: [_, n_times, n_channels],
            ..
        } = self.layout(2)?;
        Ok((n_times, n_channels))
    }

    /// Shape in the order of the file, type and storage, from the header.
    pub(super) fn stored_as(&self) -> Result<StoredAs> {
        let header = self.with_source(1 << 12, &mut |source, _| {
            Header::read(source).map_err(|reason| self.damaged(reason))
        })?;
        let order = if header.is_fortran { "Fortran" } else { "C" };
        let storage = match &self.key {
            Some(key) => format!("`{key}` of an archive, {order} order"),
            None => format!("contiguous, {order} order"),
        };
        Ok(StoredAs::new(header.shape, header.descr, storage))
    }

    /// `[n_repeats, n_times, n_channels]`, from the header.
    pub(super) fn repeats_shape(&self) -> Result<[usize; 3]> {
        Ok(self.layout(3)?.shape)
    }

    /// All times of some channels, `[n_times, channels.len()]`.
    pub(super) fn read(&self, channels: Range<usize>) -> Result<Array2<f32>> {
        let layout = self.layout(2)?;
        let values = self.read_values(&layout, &channels)?;
        self.array(&layout, &channels, values)
    }

    /// All times of some channels in each repeat, each `[n_times, channels.len()]`.
    pub(super) fn read_repeats(&self, channels: Range<usize>) -> Result<Vec<Array2<f32>>> {
        let layout = self.layout(3)?;
        let mut values = self.read_values(&layout, &channels)?;
        let n_each = layout.shape[1] * channels.len();
        let mut repeats = Vec::with_capacity(layout.shape[0]);
        for repeat in (0..layout.shape[0]).rev() {
            let last = values.split_off(repeat * n_each);
            values.shrink_to_fit();
            repeats.push(self.array(&layout, &channels, last)?);
        }
        repeats.reverse();
        Ok(repeats)
    }

    fn array(
        &self,
        layout: &Layout,
        channels: &Range<usize>,
        values: Vec<f32>,
    ) -> Result<Array2<f32>> {
        Array2::from_shape_vec((layout.shape[1], channels.len()), values)
            .map_err(|error| self.damaged(error.to_string()))
    }

    fn read_values(&self, layout: &Layout, channels: &Range<usize>) -> Result<Vec<f32>> {
        let [n_repeats, n_times, n_channels] = layout.shape;
        check_selection(&self.path, self.key(), "channels", channels, n_channels)?;
        let selected = [0..n_repeats, 0..n_times, channels.clone()];
        self.with_source(layout.buffer_bytes(&selected), &mut |source, _| {
            Header::read(source).map_err(|reason| self.damaged(reason))?;
            let values = layout.read_box(source, &selected);
            let finished = values.and_then(|values| source.finish().map(|()| values));
            finished.map_err(|error| self.failed(error))
        })
    }

    /// Reads the header and checks that the file holds what it says, none of the axes empty.
    fn layout(&self, n_axes: usize) -> Result<Layout> {
        self.with_source(1 << 12, &mut |source, n_bytes| {
            let header = Header::read(source).map_err(|reason| self.damaged(reason))?;
            let layout = self.arrange(&header, n_axes)?;
            self.holds_all(&header, layout.element.width, n_bytes)?;
            Ok(layout)
        })
    }

    /// An error if a file of `n_bytes` is shorter than its header says, with values of `width` bytes.
    fn holds_all(&self, header: &Header, width: usize, n_bytes: u64) -> Result<()> {
        let n_values = header.shape.iter().map(|&size| size as u64);
        let n_claimed = n_values.fold(width as u64, u64::saturating_mul);
        let n_claimed = n_claimed.saturating_add(header.n_bytes);
        if n_claimed <= n_bytes {
            return Ok(());
        }
        Err(self.damaged(format!(
            "truncated, {n_bytes} bytes where its header, {:?} of {}, needs {n_claimed}: \
             copy it again",
            header.shape, header.descr
        )))
    }

    fn arrange(&self, header: &Header, n_axes: usize) -> Result<Layout> {
        let element = Element::parse(&header.descr).ok_or_else(|| FmriError::DataType {
            path: self.path.clone(),
            key: self.key().into(),
            got: type_name(&header.descr),
        })?;
        let is_swapped = self.axes == AxisOrder::ChannelTime;
        if header.shape.len() != n_axes || header.shape.contains(&0) {
            return Err(FmriError::Shape {
                path: self.path.clone(),
                key: self.key().into(),
                expected: match (n_axes, is_swapped) {
                    (2, false) => "[n_times, n_channels], none of them 0",
                    (2, true) => "[n_channels, n_times], none of them 0",
                    (_, false) => "[n_repeats, n_times, n_channels], none of them 0",
                    (_, true) => "[n_repeats, n_channels, n_times], none of them 0",
                },
                got: header.shape.clone(),
            });
        }
        // Axes by name: 0 repeats, 1 times, 2 channels.
        let mut names = if is_swapped { [0, 2, 1] } else { [0, 1, 2] };
        let mut shape = [1; 3];
        for (&size, &axis) in header.shape.iter().rev().zip(names.iter().rev()) {
            shape[axis] = size;
        }
        if header.is_fortran {
            names.reverse();
        }
        Ok(Layout {
            shape,
            on_disk: names,
            element,
        })
    }

    /// Opens the file for one call of `read`, at the first byte of the array's header, and says how
    /// many bytes header and values have.
    fn with_source<T>(
        &self,
        buffer_bytes: usize,
        read: &mut dyn FnMut(&mut dyn Source, u64) -> Result<T>,
    ) -> Result<T> {
        refuse_pointer(&self.path)?;
        let io_error = |error| read_error(&self.path, "responses", error);
        let mut file = File::open(&self.path).map_err(io_error)?;
        let mut n_bytes = file.metadata().map_err(io_error)?.len();
        if let Some(key) = &self.key {
            let mut archive = ZipArchive::new(BufReader::new(&file))
                .map_err(|error| self.damaged(format!("no .npz archive: {error}")))?;
            let name = format!("{key}.npy");
            if archive.index_for_name(&name).is_none() {
                return Err(self.no_key(key, &archive));
            }
            let entry = archive.by_name(&name);
            let entry = entry.map_err(|error| self.damaged(format!("`{key}`: {error}")))?;
            if entry.size() / MAX_COMPRESSION > entry.compressed_size()
                || entry.compressed_size() > n_bytes
            {
                return Err(self.damaged(format!(
                    "`{key}` claims {} bytes in an archive of {n_bytes}",
                    entry.size()
                )));
            }
            if entry.compression() != CompressionMethod::Stored {
                let size = entry.size();
                let mut stream = Streamed(BufReader::with_capacity(buffer_bytes, entry));
                return read(&mut stream, size);
            }
            let start = entry.data_start();
            n_bytes = n_bytes.saturating_sub(start).min(entry.size());
            drop(entry);
            drop(archive);
            file.seek(SeekFrom::Start(start)).map_err(io_error)?;
        }
        read(&mut BufReader::with_capacity(buffer_bytes, file), n_bytes)
    }

    fn no_key<R: io::Read + Seek>(&self, key: &str, archive: &ZipArchive<R>) -> FmriError {
        let names = archive.file_names();
        let mut keys: Vec<String> = names
            .map(|name| name.strip_suffix(".npy").unwrap_or(name).into())
            .collect();
        keys.sort();
        FmriError::NoKey {
            path: self.path.clone(),
            key: key.into(),
            keys,
        }
    }

    fn failed(&self, error: io::Error) -> FmriError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                self.damaged("truncated, it ends before its last value: copy it again".into())
            }
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                self.damaged(format!("damaged: {error}"))
            }
            _ => read_error(&self.path, "responses", error),
        }
    }

    fn damaged(&self, reason: String) -> FmriError {
        FmriError::Numpy {
            path: self.path.clone(),
            reason,
        }
    }
}

/// What messages say of a type that is not read.
fn type_name(descr: &str) -> String {
    match descr.trim_start_matches(['<', '>', '|', '=']) {
        "O" => "Python objects (an object array, saved with pickle)".into(),
        other if other.starts_with(['[', '(']) => format!("a structured type {descr}"),
        other if other.starts_with('c') => format!("complex numbers ({descr})"),
        other if other.starts_with(['U', 'S']) => format!("text ({descr})"),
        "b1" => "truth values (|b1)".into(),
        _ => descr.into(),
    }
}
