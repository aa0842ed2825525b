//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use atomic_write_file::AtomicWriteFile;
use ndarray::{Array2, Array3, ArrayView1};
use ndarray_npy::WriteNpyExt;
use rust_hdf5::H5File;
use tempfile::TempPath;

use crate::{Result, SimulationError};

/// Creates a folder and those above it.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|source| SimulationError::Io {
        doing: "create",
        path: path.into(),
        source,
    })
}

pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = AtomicWriteFile::open(path)?;
        file.write_all(bytes)?;
        file.commit()
    };
    write().map_err(|source| write_error(path, source))
}

/// Writes `[n]` values as a `NumPy` file.
pub(crate) fn write_npy(path: &Path, values: ArrayView1<'_, f32>) -> Result<()> {
    let write = || {
        let mut file = BufWriter::new(AtomicWriteFile::open(path)?);
        values.write_npy(&mut file).map_err(io::Error::other)?;
        file.into_inner()?.commit()
    };
    write().map_err(|source| write_error(path, source))
}

/// Writes the responses to a story that was heard several times: `data`, `[n_trs, n_voxels]`, and
/// `individual_repeats`, `[n_repeats, n_trs, n_voxels]`.
pub(crate) fn write_repeated_responses(
    path: &Path,
    data: &Array2<f32>,
    repeats: &Array3<f32>,
) -> Result<()> {
    let partial = temporary_beside(path).map_err(|source| write_error(path, source))?;
    let write = || {
        let file = H5File::options().best_effort_locking().create(&partial)?;
        write_array(&file, "data", data.shape(), data.as_slice())?;
        write_array(
            &file,
            "individual_repeats",
            repeats.shape(),
            repeats.as_slice(),
        )?;
        file.close()
    };
    write().map_err(|source| SimulationError::Hdf5 {
        path: path.into(),
        source: Box::new(source),
    })?;
    partial
        .persist(path)
        .map_err(|error| write_error(path, error.error))
}

fn write_array(
    file: &H5File,
    key: &str,
    shape: &[usize],
    values: Option<&[f32]>,
) -> rust_hdf5::Result<()> {
    let dataset = file.new_dataset::<f32>().shape(shape).create(key)?;
    dataset.write_raw(values.unwrap_or_default())
}

fn temporary_beside(path: &Path) -> io::Result<TempPath> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hf5-");
    // Readable by others, within the umask, as any file one writes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let folder = path.parent().unwrap_or(Path::new("."));
    Ok(builder.tempfile_in(folder)?.into_temp_path())
}

fn write_error(path: &Path, source: io::Error) -> SimulationError {
    SimulationError::Io {
        doing: "write",
        path: path.into(),
        source,
    }
}
