//! `.npy` responses by voxel range: every layout that holds floats, and files that are not what they say.

use std::path::{Path, PathBuf};

use braintune::NpyResponses;
use braintune::encoding::ResponseSource;
use ndarray::{Array2, s};

/// Header and values as `NumPy` writes them (version 1.0).
fn npy(descr: &str, fortran: bool, shape: &str, values: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}").into_bytes();
    header.resize(118 - 1, b' ');
    header.push(b'\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], &header, values].concat()
}

fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let path = folder.join("y.npy");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn matrix() -> Array2<f32> {
    Array2::from_shape_fn((11, 7), |(row, voxel)| {
        row as f32 * 1.5 - (voxel * voxel) as f32 * 0.1
    })
}

/// Values in the order of the file.
fn in_order(fortran: bool) -> Vec<f32> {
    if fortran {
        matrix().t().iter().copied().collect()
    } else {
        matrix().iter().copied().collect()
    }
}

#[test]
fn both_orders_widths_and_byte_orders_read_the_same() {
    type Encode = fn(f32) -> Vec<u8>;
    let kinds: [(&str, Encode); 4] = [
        ("'<f4'", |x| x.to_le_bytes().to_vec()),
        ("'>f4'", |x| x.to_be_bytes().to_vec()),
        ("'<f8'", |x| f64::from(x).to_le_bytes().to_vec()),
        ("'>f8'", |x| f64::from(x).to_be_bytes().to_vec()),
    ];
    let folder = tempfile::tempdir().unwrap();
    let expected = matrix();
    for (descr, encode) in kinds {
        for fortran in [false, true] {
            let values: Vec<u8> = in_order(fortran).into_iter().flat_map(encode).collect();
            let path = write(folder.path(), &npy(descr, fortran, "(11, 7)", &values));
            let source = NpyResponses::open(&path).unwrap();
            assert_eq!((source.n_samples(), source.n_voxels()), (11, 7));
            for voxels in [0..7, 2..5, 6..7, 3..3] {
                let got = source.read(voxels.clone()).unwrap();
                assert_eq!(
                    got,
                    expected.slice(s![.., voxels]),
                    "{descr} fortran {fortran}"
                );
            }
            assert!(source.read(5..8).is_err());
        }
    }
}

#[test]
fn a_vector_is_one_voxel_and_nothing_reads_as_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<u8> = (0..5).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let source =
        NpyResponses::open(&write(folder.path(), &npy("'<f4'", false, "(5,)", &values))).unwrap();
    let read = source.read(0..1).unwrap();
    assert_eq!(read.column(0).to_vec(), [0.0, 1.0, 2.0, 3.0, 4.0]);
    let none = NpyResponses::open(&write(folder.path(), &npy("'<f4'", false, "(5, 0)", &[])));
    assert_eq!(none.unwrap().n_voxels(), 0);
}

#[test]
fn integers_of_every_width_and_order_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let read = |descr: &str, bytes: &[u8]| {
        let path = write(folder.path(), &npy(descr, false, "(2, 1)", bytes));
        let values = NpyResponses::open(&path).unwrap().read(0..1).unwrap();
        values.column(0).to_vec()
    };
    assert_eq!(read("'|i1'", &[3, 0xfe]), [3.0, -2.0]);
    assert_eq!(read("'|u1'", &[3, 0xfe]), [3.0, 254.0]);
    assert_eq!(read("'<i2'", &[3, 0, 0xfe, 0xff]), [3.0, -2.0]);
    assert_eq!(read("'>u2'", &[0, 3, 1, 0]), [3.0, 256.0]);
    let both = |a: [u8; 4], b: [u8; 4]| [a, b].concat();
    assert_eq!(
        read("'>i4'", &both(3_i32.to_be_bytes(), (-2_i32).to_be_bytes())),
        [3.0, -2.0]
    );
    assert_eq!(
        read("'<u4'", &both(3_u32.to_le_bytes(), 7_u32.to_le_bytes())),
        [3.0, 7.0]
    );
    let both = |a: [u8; 8], b: [u8; 8]| [a, b].concat();
    assert_eq!(
        read("'<i8'", &both(3_i64.to_le_bytes(), (-2_i64).to_le_bytes())),
        [3.0, -2.0]
    );
    assert_eq!(
        read("'>u8'", &both(3_u64.to_be_bytes(), 7_u64.to_be_bytes())),
        [3.0, 7.0]
    );
}

#[test]
fn files_that_are_not_what_they_say_are_named_with_what_was_found() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = vec![0; 11 * 7 * 4];
    let refused = |bytes: &[u8], parts: &[&str]| {
        let path = write(folder.path(), bytes);
        let message = NpyResponses::open(&path).unwrap_err().to_string();
        for part in ["y.npy"].iter().chain(parts) {
            assert!(message.contains(part), "expected `{part}` in: {message}");
        }
    };
    let float = |shape: &str, bytes: &[u8]| npy("'<f4'", false, shape, bytes);
    // Truncated: by a byte, to the header alone, inside the header.
    refused(
        &float("(11, 7)", &bytes[1..]),
        &["truncated", "[11, 7]", "435 bytes"],
    );
    refused(&float("(11, 7)", &[]), &["truncated"]);
    refused(&float("(11, 7)", &bytes)[..60], &["no readable .npy"]);
    refused(b"", &["is empty"]);
    refused(b"once upon a time", &["no readable .npy"]);
    // Other types.
    for descr in ["'<c8'", "'|b1'", "'<U1'", "'<f2'"] {
        let found = format!("holds {descr}");
        refused(
            &npy(descr, false, "(11, 7)", &bytes),
            &[&found, "expected floats"],
        );
    }
    refused(
        &npy("[('a', '<f4')]", false, "(11, 7)", &bytes),
        &["expected floats"],
    );
    // Headers that lie: sizes past the file, past 64 bits, of products past 64 bits, below nothing.
    refused(&float("(11, 8)", &bytes), &["truncated", "[11, 8]"]);
    for shape in [
        "(4294967296, 4294967296)",
        "(18446744073709551615, 18446744073709551615, 0)",
        "(99999999999999999999999, 1)",
    ] {
        refused(&float(shape, &bytes), &["truncated or damaged"]);
    }
    refused(&float("(-1, 7)", &bytes), &["negative"]);
    refused(
        &float("(11, 7, 1)", &bytes),
        &["[11, 7, 1]", "[n_samples, n_voxels]"],
    );
    refused(&float("()", &bytes), &["[n_samples, n_voxels]"]);
    let absent = NpyResponses::open(Path::new("absent.npy")).unwrap_err();
    assert!(absent.to_string().contains("cannot read absent.npy"));
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<u8> = in_order(false)
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let path = write(folder.path(), &npy("'<f4'", false, "(11, 7)", &values));
    let source = NpyResponses::open(&path).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(200).unwrap();
    assert!(
        source
            .read(0..7)
            .unwrap_err()
            .to_string()
            .contains("cannot read")
    );
}

#[test]
fn f64_values_that_f32_rounds_away_are_refused_with_their_column() {
    let folder = tempfile::tempdir().unwrap();
    let mut wide = matrix().mapv(f64::from);
    wide.column_mut(4).mapv_inplace(|x| x + 1e12);
    let values: Vec<u8> = wide.iter().flat_map(|x| x.to_le_bytes()).collect();
    let path = write(folder.path(), &npy("'<f8'", false, "(11, 7)", &values));
    let source = NpyResponses::open(&path).unwrap();
    assert!(source.read(0..4).is_ok());
    let error = source.read(3..6).unwrap_err().to_string();
    assert!(
        error.contains("column 4") && error.contains("y.npy"),
        "{error}"
    );
}
