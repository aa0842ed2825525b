use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_fmri::{FmriError, NiftiFile};
use proptest::prelude::*;

use super::full_message;
use super::tensors::Tensors;

/// Writes a case of the fixture; gives its path.
pub(crate) fn write_case(tensors: &Tensors, name: &str, dir: &Path) -> PathBuf {
    let content = tensors.bytes(&format!("file.{name}")).unwrap();
    let gz = if content.starts_with(&[0x1f, 0x8b]) {
        ".gz"
    } else {
        ""
    };
    let path = |extension| dir.join(format!("{name}.{extension}{gz}"));
    let Some(image) = tensors.bytes(&format!("image.{name}")) else {
        fs::write(path("nii"), content).unwrap();
        return path("nii");
    };
    fs::write(path("hdr"), content).unwrap();
    fs::write(path("img"), image).unwrap();
    path("hdr")
}

/// All values in the order of the file.
fn all_values(file: &NiftiFile) -> Vec<f32> {
    let mut values = Vec::new();
    let mut next = 0;
    file.for_each_volume(&mut |t, volume| {
        assert_eq!(t, next);
        next += 1;
        assert_eq!(volume.shape(), file.header().volume_shape());
        // The last axis is iterated fastest, so of the transpose the first.
        values.extend(volume.t().iter());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(next, file.header().n_volumes());
    values
}

/// Any NaN is as good as any other; of all else every bit counts.
fn bits(values: &[f32]) -> Vec<u32> {
    let bits = |value: &f32| {
        if value.is_nan() {
            f32::NAN.to_bits()
        } else {
            value.to_bits()
        }
    };
    values.iter().map(bits).collect()
}

#[test]
fn values_and_shapes_are_nibabels_bit_for_bit() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let names = tensors.names("file.");
    assert!(names.len() > 150);
    for name in names {
        let file = NiftiFile::open(&write_case(&tensors, &name, dir.path())).unwrap();
        let shape = tensors.counts(&format!("shape.{name}"));
        assert_eq!(file.header().shape(), shape, "{name}");
        let values = all_values(&file);
        let mut expected = tensors.f32s(&format!("values.{name}"));
        if ["ico7", "long_vector"].contains(&&name[..]) {
            expected = vec![expected[0]; values.len()];
        }
        assert_eq!(bits(&values), bits(&expected), "{name}");
    }
}

#[test]
fn the_names_of_types_are_numpys() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let types = [
        ("u1", "uint8"),
        ("i1", "int8"),
        ("u2", "uint16"),
        ("i2", "int16"),
        ("u4", "uint32"),
        ("i4", "int32"),
        ("u8", "uint64"),
        ("i8", "int64"),
        ("f4", "float32"),
        ("f8", "float64"),
    ];
    for (short, dtype) in types {
        let path = write_case(&tensors, &format!("{short}_be_v2_plain"), dir.path());
        assert_eq!(NiftiFile::open(&path).unwrap().header().dtype(), dtype);
    }
}

#[test]
fn a_single_volume_is_the_one_of_the_pass() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    for name in [
        "f8_be_gz_scaled",
        "i2_le_v1_plain",
        "five_axes",
        "one_axis",
        "gz_members",
        "pair_gz",
    ] {
        let file = NiftiFile::open(&write_case(&tensors, name, dir.path())).unwrap();
        let mut volumes = Vec::new();
        file.for_each_volume(&mut |_, volume| {
            volumes.push(volume.to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
        for (t, expected) in volumes.iter().enumerate() {
            let volume = file.read_volume(t).unwrap();
            assert_eq!(volume.dim(), expected.dim());
            let flat =
                |array: &ndarray::Array3<f32>| bits(&array.iter().copied().collect::<Vec<_>>());
            assert_eq!(flat(&volume), flat(expected), "{name} {t}");
        }
        let past = file.read_volume(volumes.len());
        assert!(matches!(past, Err(FmriError::Selection { .. })));
    }
}

#[test]
fn a_pass_stops_where_it_is_told() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let file = NiftiFile::open(&write_case(&tensors, "five_axes", dir.path())).unwrap();
    assert_eq!(file.header().n_volumes(), 3);
    let mut seen = Vec::new();
    file.for_each_volume(&mut |t, _| {
        seen.push(t);
        if t == 1 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })
    .unwrap();
    assert_eq!(seen, [0, 1]);
}

#[test]
fn the_affine_is_the_one_nibabel_chooses() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    for name in tensors.names("affine.") {
        let file = NiftiFile::open(&write_case(&tensors, &name, dir.path())).unwrap();
        let expected = tensors.f64s(&format!("affine.{name}"));
        let affine = file.header().affine();
        let stored = name.contains("affine_sform_v") || name.contains("both");
        for (&got, &expected) in affine.as_flattened().iter().zip(&expected) {
            // An sform is copied. Else nibabel multiplies in f32 (NIfTI-1) or beyond f64 (rotations),
            // and this crate in f64; offsets here are up to a few thousand voxels.
            let tolerance = if stored {
                0.0
            } else {
                2e-7 * expected.abs().max(1.0)
            };
            assert!(
                (got - expected).abs() <= tolerance,
                "{name}: {affine:?} {expected}"
            );
        }
    }
}

#[test]
fn the_tr_is_in_seconds_whatever_the_unit() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let known = tensors.names("tr.");
    assert!(known.len() >= 6);
    for name in tensors.names("file.") {
        let file = NiftiFile::open(&write_case(&tensors, &name, dir.path())).unwrap();
        let expected = known
            .contains(&name)
            .then(|| tensors.f64s(&format!("tr.{name}"))[0]);
        assert_eq!(file.header().tr_s(), expected, "{name}");
    }
}

#[test]
fn the_intent_is_read() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    for name in ["intent_v1", "intent_v2"] {
        let file = NiftiFile::open(&write_case(&tensors, name, dir.path())).unwrap();
        assert_eq!(file.header().intent_code(), 1002);
        assert_eq!(file.header().intent_name(), "labels");
    }
}

#[test]
fn either_file_of_a_pair_may_be_named() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    for (name, image) in [("pair", "pair.img"), ("pair_gz", "pair_gz.img.gz")] {
        let header = write_case(&tensors, name, dir.path());
        let by_image = NiftiFile::open(&dir.path().join(image)).unwrap();
        assert_eq!(by_image, NiftiFile::open(&header).unwrap());
        fs::remove_file(dir.path().join(image)).unwrap();
        let error = NiftiFile::open(&header).unwrap_err();
        assert!(matches!(error, FmriError::Missing { .. }), "{error}");
        assert!(error.to_string().contains(image), "{error}");
    }
}

#[test]
fn labels_are_exact_integers() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let read = |name| {
        let file = NiftiFile::open(&write_case(&tensors, name, dir.path())).unwrap();
        file.read_labels()
    };
    for name in [
        "labels_i4",
        "labels_f4",
        "labels_scaled",
        "labels_one_volume",
    ] {
        // As f32 these are exact where they are small; `labels_i4` is not.
        let expected = tensors.f32s(&format!("values.{name}"));
        let labels = read(name).unwrap();
        for (&label, &expected) in labels.t().iter().zip(&expected) {
            assert_eq!(label as f32, expected, "{name}");
        }
    }
    let bytes = tensors.bytes("file.labels_i4").unwrap();
    let (stored, _) = bytes[352..].as_chunks::<4>();
    let stored = stored
        .iter()
        .map(|&bytes| i64::from(i32::from_le_bytes(bytes)));
    assert!(read("labels_i4").unwrap().t().iter().copied().eq(stored));
    let exact = read("labels_i8").unwrap();
    assert!(exact.iter().all(|&label| label == (1 << 53) - 1));

    for (name, at) in [
        ("not_labels_half", "0.5 at voxel [1, 0, 1]"),
        ("not_labels_nan", "NaN at voxel [1, 0, 1]"),
        ("not_labels_i8", "at voxel [2, 1, 0]"),
        ("five_axes", "its shape is [2, 3, 2, 1, 3]"),
    ] {
        let error = read(name).unwrap_err().to_string();
        assert!(error.contains(at) && error.contains(name), "{error}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let tensors = Tensors::open("nifti");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("refused.nii");
    let names = tensors.names("bad.");
    assert!(names.len() >= 10);
    for name in names {
        fs::write(&path, tensors.bytes(&format!("bad.{name}")).unwrap()).unwrap();
        let error = NiftiFile::open(&path).unwrap_err();
        let message = error.to_string();
        let is_kind = match &name[..] {
            "magic" => matches!(error, FmriError::NotNifti { .. }),
            _ => matches!(error, FmriError::Nifti { .. }),
        };
        assert!(is_kind, "{name}: {error:?}");
        assert!(message.contains("refused.nii"), "{message}");
        assert!(message.contains(&name), "{name}: {message}");
    }
}

#[test]
fn files_that_are_something_else_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.nii.gz");
    let missing = NiftiFile::open(&path).unwrap_err();
    assert!(matches!(missing, FmriError::Missing { .. }), "{missing}");
    for content in [&b""[..], b"hello", &[7; 1000], b"\x5c\x01\0\0"] {
        fs::write(&path, content).unwrap();
        let error = NiftiFile::open(&path).unwrap_err();
        assert!(matches!(error, FmriError::NotNifti { .. }), "{error}");
    }
    fs::write(
        &path,
        "/annex/objects/MD5E-s4096--0cc175b9c0f1b6a831c399e269772661.nii.gz\n",
    )
    .unwrap();
    let error = NiftiFile::open(&path).unwrap_err();
    assert!(matches!(error, FmriError::Pointer { .. }), "{error}");
    assert!(full_message(&error).contains("other.nii.gz"));
}

/// A NIfTI-1 file of f32 with these fields, written by the offsets of `nifti1.h`.
fn made_up(shape: &[i16], big_endian: bool, slope: f32, inter: f32, values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; 352];
    let mut put = |at: usize, field: &[u8]| {
        let mut field = field.to_vec();
        if big_endian {
            field.reverse();
        }
        bytes[at..at + field.len()].copy_from_slice(&field);
    };
    put(0, &348_i32.to_le_bytes());
    put(40, &i16::try_from(shape.len()).unwrap().to_le_bytes());
    for (k, size) in shape.iter().enumerate() {
        put(42 + 2 * k, &size.to_le_bytes());
    }
    put(70, &16_i16.to_le_bytes());
    put(108, &352_f32.to_le_bytes());
    put(112, &slope.to_le_bytes());
    put(116, &inter.to_le_bytes());
    bytes[344..348].copy_from_slice(b"n+1\0");
    for value in values {
        let value = if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        };
        bytes.extend(value);
    }
    bytes
}

proptest! {
    #[test]
    fn made_up_files_give_back_their_values(
        shape in prop::collection::vec(1_i16..6, 1..=6),
        big_endian: bool,
        slope in prop_oneof![Just(0.0_f32), Just(1.0), Just(f32::NAN), -1e3_f32..1e3],
        inter in -1e3_f32..1e3,
        seed: u32,
    ) {
        let n: usize = shape.iter().map(|&size| usize::try_from(size).unwrap()).product();
        let value = |k: usize| (seed.wrapping_mul(2_654_435_761).wrapping_add(k as u32) >> 7) as f32 - 9e5;
        let values: Vec<f32> = (0..n).map(value).collect();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("made_up.nii");
        fs::write(&path, made_up(&shape, big_endian, slope, inter, &values)).unwrap();
        let file = NiftiFile::open(&path).unwrap();
        let expected: Vec<f32> = values
            .iter()
            .map(|&value| {
                if slope == 0.0 || slope.is_nan() {
                    value
                } else {
                    (f64::from(value) * f64::from(slope) + f64::from(inter)) as f32
                }
            })
            .collect();
        prop_assert_eq!(bits(&all_values(&file)), bits(&expected));
        prop_assert_eq!(
            file.header().n_volumes() * file.header().volume_shape().iter().product::<usize>(),
            n
        );
    }
}
