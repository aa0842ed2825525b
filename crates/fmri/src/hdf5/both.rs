//! Every fixture that h5py wrote, by the pure-Rust decoder and by the C library.

use std::path::{Path, PathBuf};

use super::clib::CFile;
use super::pure::RustFile;
use super::{ArrayFile, Failure, guarded};

fn fixtures() -> Result<Vec<PathBuf>, Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hdf5");
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|end| end == "hf5"));
    Ok(paths)
}

/// All values, and a box of them that begins at 1 where an axis has two or more.
fn boxes(shape: &[usize]) -> [(Vec<usize>, Vec<usize>); 2] {
    let starts: Vec<usize> = shape.iter().map(|&n| usize::from(n > 1)).collect();
    let counts = shape
        .iter()
        .zip(&starts)
        .map(|(n, start)| n - start)
        .collect();
    [(vec![0; shape.len()], shape.to_vec()), (starts, counts)]
}

#[test]
fn both_say_and_read_the_same() -> Result<(), Failure> {
    let mut n_arrays = 0;
    for path in fixtures()? {
        let (pure, c) = (RustFile::open(&path)?, CFile::open(&path)?);
        let (mut names, mut of_c) = (pure.keys()?, c.keys()?);
        names.sort();
        of_c.sort();
        assert_eq!(names, of_c, "{}", path.display());
        for key in names {
            let place = format!("{} {key}", path.display());
            let (told, of_c) = match (guarded(|| pure.describe(&key)), c.describe(&key)) {
                (Ok(told), Ok(of_c)) => (told, of_c),
                (Err(_), Err(_)) => continue,
                // Files of HDF5 2 are beyond older C libraries.
                (Ok(_), Err(error)) if error.to_string().contains("bad version") => continue,
                (told, of_c) => panic!("{place}: {told:?}, {of_c:?}"),
            };
            assert_eq!(told.is_numeric, of_c.is_numeric, "{place}");
            assert_eq!(
                (&told.shape, &told.chunk),
                (&of_c.shape, &of_c.chunk),
                "{place}"
            );
            if !told.is_numeric {
                continue;
            }
            assert_eq!(told, of_c, "{place}");
            if told.shape.contains(&0) {
                continue;
            }
            for (starts, counts) in boxes(&told.shape) {
                let n_values = counts.iter().product();
                let mut values = vec![0.0; n_values];
                let mut of_c = vec![0.0; n_values];
                pure.read_f32(&key, &starts, &counts, &mut values)?;
                c.read_f32(&key, &starts, &counts, &mut of_c)?;
                let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&values), bits(&of_c), "{place}");
            }
            n_arrays += 1;
        }
    }
    assert!(n_arrays > 30, "{n_arrays}");
    Ok(())
}
