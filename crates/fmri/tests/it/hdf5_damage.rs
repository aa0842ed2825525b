//! Damaged files give errors that name them: no panic, no endless loop, no giant allocation.

use std::fs;
use std::path::Path;

use braintune_fmri::ResponseFile;

use super::{fixture, full_message};

const FIXTURES: [&str; 7] = [
    "dtype_le_f4",
    "filter_shuffle_gzip",
    "filter_shuffle_lzf",
    "filter_fletcher32",
    "latest_chunked_gzip",
    "latest_resizable_both",
    "repeats",
];

/// Reads all that can be read; an error must name the file.
fn read_all(path: &Path) -> bool {
    let read = || {
        let file = ResponseFile::open(path)?;
        let [n_trs, n_voxels] = file.shape()?;
        file.read(0..n_trs, 0..n_voxels.min(1000))?;
        if let Ok([_, n_trs, n_voxels]) = file.repeats_shape() {
            file.read_repeat(0, 0..n_trs, 0..n_voxels.min(1000))?;
        }
        Ok(())
    };
    let result: Result<(), braintune_fmri::FmriError> = read();
    if let Err(error) = &result {
        let message = full_message(error);
        assert!(message.contains("damaged.hf5"), "{message}");
    }
    result.is_ok()
}

#[test]
fn a_file_cut_short_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.hf5");
    for name in FIXTURES {
        let good = fs::read(fixture(&format!("hdf5/{name}.hf5"))).unwrap();
        for n in (0..good.len()).step_by(97).chain([good.len() - 1]) {
            fs::write(&path, &good[..n]).unwrap();
            assert!(
                !read_all(&path),
                "{name} cut after {n} of {} bytes",
                good.len()
            );
        }
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.hf5");
    for name in FIXTURES {
        let good = fs::read(fixture(&format!("hdf5/{name}.hf5"))).unwrap();
        for k in (0..good.len()).step_by(17) {
            for value in [0xff, good[k] ^ 0x10] {
                let mut damaged = good.clone();
                damaged[k] = value;
                fs::write(&path, &damaged).unwrap();
                read_all(&path);
            }
        }
    }
}
