//! Damaged files give errors that name them: no panic, no giant allocation.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use braintune_fmri::{FmriError, NiftiFile};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::full_message;
use super::tensors::Tensors;

const CASES: [&str; 8] = [
    "i2_le_v1_scaled",
    "f8_be_v2_plain",
    "f4_le_gz_scaled",
    "u8_be_gz_scaled",
    "affine_qform_v1",
    "extensions_v2",
    "gz_members",
    "labels_i4",
];

/// Reads all that can be read; an error must name the file.
fn read_all(path: &Path) -> Result<usize, FmriError> {
    let read = || {
        let file = NiftiFile::open(path)?;
        let mut n_values = 0;
        file.for_each_volume(&mut |_, volume| {
            n_values += volume.len();
            ControlFlow::Continue(())
        })?;
        if file.header().n_volumes() == 1 {
            file.read_labels().map(|labels| labels.len()).ok();
        }
        Ok(n_values)
    };
    let result: Result<_, FmriError> = read();
    if let Err(error) = &result {
        let message = full_message(error);
        assert!(message.contains("damaged.nii"), "{message}");
    }
    result
}

#[test]
fn a_file_cut_short_is_an_error() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.nii");
    for name in CASES {
        let good = tensors.bytes(&format!("file.{name}")).unwrap();
        for n in 0..good.len() {
            if name == "gz_members" && good.len() - n <= 20 {
                // What is cut is the empty last member; the values are all there.
                continue;
            }
            fs::write(&path, &good[..n]).unwrap();
            let error = read_all(&path).unwrap_err();
            if n > 600 {
                let is_kind = matches!(error, FmriError::TruncatedNifti { .. });
                assert!(is_kind, "{name} cut after {n}: {error:?}");
            }
        }
        fs::write(&path, &good).unwrap();
        read_all(&path).unwrap();
    }
}

#[test]
fn a_flipped_bit_of_a_compressed_file_is_an_error_or_changes_no_value() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.nii.gz");
    let good = tensors.bytes("file.i2_le_gz_scaled").unwrap();
    fs::write(&path, &good).unwrap();
    let values = NiftiFile::open(&path).unwrap().read_volume(1).unwrap();
    let mut n_harmless = 0;
    for at in 2..good.len() {
        for bit in 0..8 {
            let mut damaged = good.clone();
            damaged[at] ^= 1 << bit;
            fs::write(&path, &damaged).unwrap();
            if read_all(&path).is_ok() {
                let read = NiftiFile::open(&path).unwrap().read_volume(1).unwrap();
                assert_eq!(read, values, "bit {bit} of byte {at}");
                n_harmless += 1;
            }
        }
    }
    // A time, a system and flags in the gzip header, and codes that deflate does not use.
    assert!(n_harmless < 100, "{n_harmless}");
}

#[test]
fn zeros_behind_a_compressed_file_are_no_damage_and_anything_else_is() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.nii.gz");
    let good = tensors.bytes("file.i2_le_gz_scaled").unwrap();
    let read = |behind: &[u8], flipped: Option<usize>| {
        let mut bytes = [&good[..], behind].concat();
        if let Some(from_end) = flipped {
            bytes[good.len() - from_end] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
        read_all(&path)
    };
    let n_values = read(&[], None).unwrap();
    assert_eq!(
        read(&[0; 512], None).unwrap(),
        n_values,
        "as nibabel reads it"
    );
    assert!(read(b"something else that is no gzip member", None).is_err());
    assert!(
        read(&[0; 512], Some(8)).is_err(),
        "a wrong checksum stays one"
    );
}

#[test]
fn the_length_of_a_compressed_file_is_checked_when_it_is_opened() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.nii.gz");
    let image = tensors.bytes("file.f4_le_v1_plain").unwrap();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&image[..image.len() - 8]).unwrap();
    fs::write(&path, encoder.finish().unwrap()).unwrap();
    let error = NiftiFile::open(&path).unwrap_err();
    let expected = image.len() as u64;
    let is_kind = matches!(
        error,
        FmriError::TruncatedNifti { expected: e, got, .. } if e == expected && got == expected - 8
    );
    assert!(is_kind, "{error:?}");
}

#[test]
fn a_shape_that_the_file_cannot_hold_is_refused_at_once() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.nii");
    let mut image = tensors.bytes("file.f4_le_v1_plain").unwrap();
    for axis in 1..=4 {
        image[40 + 2 * axis..][..2].copy_from_slice(&i16::MAX.to_le_bytes());
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&image).unwrap();
    for bytes in [image, encoder.finish().unwrap()] {
        fs::write(&path, bytes).unwrap();
        let error = NiftiFile::open(&path).unwrap_err();
        assert!(
            matches!(error, FmriError::TruncatedNifti { .. }),
            "{error:?}"
        );
    }
    let mut image = tensors.bytes("file.f4_le_v2_plain").unwrap();
    for axis in 1..=4 {
        image[16 + 8 * axis..][..8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
    }
    fs::write(&path, image).unwrap();
    let error = NiftiFile::open(&path).unwrap_err();
    assert!(error.to_string().contains("impossible"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn damaged_bytes_never_panic(
        case in 0..CASES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_header: bool,
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let tensors = Tensors::open("nifti");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("damaged.nii");
        let mut bytes = tensors.bytes(&format!("file.{}", CASES[case])).unwrap();
        let end = if in_header { bytes.len().min(352) } else { bytes.len() };
        for (at, value) in damage {
            bytes[at.index(end)] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        fs::write(&path, bytes).unwrap();
        let _ = read_all(&path);
    }
}
