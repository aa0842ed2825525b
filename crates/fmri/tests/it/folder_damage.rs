//! Damaged arrays and descriptions give errors: no panic, no endless loop, no giant allocation.

use std::fs;
use std::path::Path;

use braintune_fmri::{FmriError, FolderDataset, StoryDataset};
use proptest::prelude::*;

use super::{fixture, full_message};

const TOML: &str = "name = 'alice'\nrate_hz = 2.5\nfirst_time_s = 0.2\naxes = 'time-channel'\n\
    subjects = ['S1']\nresponses = 'r/{subject}/{story}.npy'\n[trim]\ntrain = [2, 1]\ntest = [3, 1]\n\
    [[story]]\nname = 'tale'\nn_times = 23\nstored = [0, 23]\n";
const ARRAYS: [&str; 8] = [
    "dtype_le_f4.npy",
    "dtype_be_i2.npy",
    "fortran.npy",
    "version_3.npy",
    "stored.npz",
    "compressed.npz",
    "fortran.npz",
    "repeats.npy",
];

/// Opens the folder and reads all that can be read.
fn read_all(dir: &Path) -> Result<(), FmriError> {
    let dataset = FolderDataset::open(dir)?;
    for subject in dataset.subjects() {
        for story in dataset.stories() {
            let (_, n_voxels) = dataset.response_shape(subject, story.name())?;
            dataset.responses_columns(subject, story.name(), 0..n_voxels.min(1000))?;
            match dataset.repeats_columns(subject, story.name(), 0..n_voxels.min(1000)) {
                Ok(_) | Err(FmriError::NoRepeats { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn write(dir: &Path, toml: &[u8], name: &str, array: &[u8]) {
    let extension = name.rsplit('.').next().unwrap();
    let to = if name.starts_with("repeats") {
        let single = fixture("numpy/dtype_le_f4.npy");
        fs::create_dir_all(dir.join("r/S1")).unwrap();
        fs::copy(single, dir.join("r/S1/tale.npy")).unwrap();
        "r/S1/tale_repeats.npy".into()
    } else {
        format!("r/S1/tale.{extension}")
    };
    fs::create_dir_all(dir.join("r/S1")).unwrap();
    fs::write(dir.join("dataset.toml"), toml).unwrap();
    fs::write(dir.join(to), array).unwrap();
}

/// The description with the extension of the array.
fn toml_for(name: &str) -> String {
    let extension = name.rsplit('.').next().unwrap();
    TOML.replace(".npy", &format!(".{extension}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn damaged_arrays_are_values_or_errors_that_name_them(
        which in 0..ARRAYS.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let name = ARRAYS[which];
        let mut bytes = fs::read(fixture(&format!("numpy/{name}"))).unwrap();
        for (place, value, in_ends) in changes {
            // Headers and the directory of an archive lie at its ends.
            let n = bytes.len();
            let k = place.index(n);
            let k = if in_ends { if k % 2 == 0 { k % 128.min(n) } else { n - 1 - k % 256.min(n) } } else { k };
            bytes[k] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), toml_for(name).as_bytes(), name, &bytes);
        if let Err(error) = read_all(dir.path()) {
            let message = full_message(&error);
            prop_assert!(message.contains("tale"), "{message}");
        }
    }

    #[test]
    fn damaged_descriptions_are_datasets_or_errors_that_name_them(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        swap in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
    ) {
        let mut bytes = TOML.as_bytes().to_vec();
        for (place, value) in changes {
            let k = place.index(bytes.len());
            bytes[k] = value;
        }
        if let Some((a, b)) = swap {
            let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            bytes = lines.join(&b'\n');
        }
        let dir = tempfile::tempdir().unwrap();
        let array = fs::read(fixture("numpy/dtype_le_f4.npy")).unwrap();
        write(dir.path(), &bytes, "dtype_le_f4.npy", &array);
        if let Err(error) = read_all(dir.path()) {
            let message = full_message(&error);
            prop_assert!(message.contains(dir.path().to_str().unwrap()), "{message}");
        }
    }
}

/// Claims of a header that no file holds.
#[test]
fn giant_claims_are_refused_before_memory_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    for shape in [
        "(4294967296, 4294967296)",
        "(23, 18446744073709551615)",
        "(23, 100000000)",
        "(23, 99999999999999999999)",
    ] {
        let text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
        let size = u16::try_from(text.len()).unwrap().to_le_bytes();
        let bytes = [b"\x93NUMPY\x01\x00", &size[..], text.as_bytes()].concat();
        write(dir.path(), TOML.as_bytes(), "claim.npy", &bytes);
        let message = full_message(&read_all(dir.path()).unwrap_err());
        assert!(
            message.contains("truncated") || message.contains("header is damaged"),
            "{message}"
        );
    }
    let long = [&b"\x93NUMPY\x02\x00"[..], &u32::MAX.to_le_bytes(), b"{"].concat();
    write(dir.path(), TOML.as_bytes(), "claim.npy", &long);
    let message = full_message(&read_all(dir.path()).unwrap_err());
    assert!(message.contains("claims 4294967295 bytes"), "{message}");
}
