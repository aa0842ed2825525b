use std::fs;

use braintune_fmri::{FmriError, ResponseFile, write_responses};
use ndarray::{Array2, Axis, Slice, array};

use super::{fixture, full_message};

const N_TRS: usize = 23;
const N_VOXELS: usize = 17;

/// The values `generate.py` writes, before their offset and scale.
fn ramp(row: usize, voxel: usize) -> f32 {
    ((row * N_VOXELS + voxel) % 120) as f32
}

fn expected(name: &str) -> Array2<f32> {
    Array2::from_shape_fn((N_TRS, N_VOXELS), |(row, voxel)| {
        let value = ramp(row, voxel);
        match name.strip_prefix("dtype_") {
            Some(dtype) if dtype.contains('u') => value,
            Some(dtype) if dtype.contains('i') => value - 60.0,
            _ => (value - 60.0) / 4.0,
        }
    })
}

fn good_fixtures() -> Vec<String> {
    let names = fs::read_dir(fixture("hdf5")).unwrap().map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.strip_suffix(".hf5").map(ToOwned::to_owned)
    });
    // Files of HDF5 2 are beyond the C libraries of today's systems.
    let is_read = |name: &String| !(cfg!(feature = "libhdf5") && name.starts_with("latest_"));
    let names: Vec<_> = names
        .flatten()
        .filter(|name| !name.starts_with("bad_") && is_read(name))
        .collect();
    assert!(names.len() > 30, "{names:?}");
    names
}

fn open(name: &str) -> ResponseFile {
    ResponseFile::open(&fixture(&format!("hdf5/{name}.hf5"))).unwrap()
}

#[test]
fn every_type_layout_and_filter_reads_exactly() {
    for name in good_fixtures() {
        let file = open(&name);
        assert_eq!(file.shape().unwrap(), [N_TRS, N_VOXELS], "{name}");
        let values = file.read(0..N_TRS, 0..N_VOXELS).unwrap();
        let expected = expected(&name.replace("le_", "").replace("be_", ""));
        assert_eq!(values, expected, "{name}");
    }
}

#[test]
fn every_subset_of_columns_and_rows_reads_exactly() {
    for name in good_fixtures() {
        let file = open(&name);
        let expected = expected(&name.replace("le_", "").replace("be_", ""));
        for voxels in [0..1, 3..5, 4..8, 16..17, 2..17, 7..7] {
            for rows in [0..N_TRS, 4..6, 22..23, 5..5] {
                let values = file.read(rows.clone(), voxels.clone()).unwrap();
                let expected = expected.slice_axis(Axis(1), Slice::from(voxels.clone()));
                let expected = expected.slice_axis(Axis(0), Slice::from(rows.clone()));
                assert_eq!(values, expected, "{name} {rows:?} {voxels:?}");
            }
        }
    }
}

#[test]
fn headers_say_what_is_stored() {
    let described = |name: &str| {
        let info = open(name).info("data").unwrap();
        assert_eq!(info.shape, [N_TRS, N_VOXELS]);
        assert!(info.is_numeric);
        format!("{} {}", info.dtype, info.storage)
    };
    assert_eq!(described("dtype_le_f4"), "f32 contiguous");
    assert_eq!(described("dtype_be_i2"), "i16 big-endian contiguous");
    assert_eq!(described("dtype_u1"), "u8 contiguous");
    assert_eq!(described("layout_compact"), "f32 compact");
    assert_eq!(described("layout_chunked"), "f32 chunked [5, 4]");
    assert_eq!(
        described("filter_all_big_endian"),
        "f64 big-endian chunked [5, 4], shuffle, gzip, fletcher32"
    );
    assert_eq!(
        described("filter_shuffle_lzf"),
        "f32 chunked [5, 4], shuffle, lzf"
    );
}

#[test]
fn repeats_are_read_one_by_one() {
    let file = open("repeats");
    assert_eq!(file.repeats_shape().unwrap(), [3, N_TRS, N_VOXELS]);
    for repeat in 0..3 {
        let values = file.read_repeat(repeat, 2..9, 3..8).unwrap();
        let expected = Array2::from_shape_fn((7, 5), |(row, voxel)| {
            (ramp(row + 2, voxel + 3) - 60.0) / 4.0 + repeat as f32
        });
        assert_eq!(values, expected);
    }
    let message = file.read_repeat(3, 0..1, 0..1).unwrap_err().to_string();
    assert!(
        message.starts_with("repeat 3..4 of `individual_repeats`"),
        "{message}"
    );
}

#[test]
fn what_is_not_responses_is_named() {
    let message = |name: &str| full_message(&open(name).shape().unwrap_err());
    let one = message("bad_one_dimension");
    assert!(
        one.contains("[391]") && one.contains("[n_trs, n_voxels]"),
        "{one}"
    );
    assert!(message("bad_three_dimensions").contains("[1, 23, 17]"));
    assert!(message("bad_no_rows").contains("[0, 17]"));
    assert!(message("bad_strings").contains("expected floats or integers"));
    assert!(message("bad_complex").contains("expected floats or integers"));
    let key = message("bad_key");
    assert!(
        key.contains("has no `data`, it has mask, responses"),
        "{key}"
    );
    assert!(message("bad_group").contains("bad_group.hf5"));
    let repeats = open("dtype_le_f4").repeats_shape().unwrap_err().to_string();
    assert!(
        repeats.contains("has no `individual_repeats`, it has data"),
        "{repeats}"
    );
}

#[test]
fn selections_past_the_array_are_refused() {
    let file = open("layout_chunked");
    let columns = file.read(0..N_TRS, 10..18).unwrap_err().to_string();
    assert!(
        columns.contains("voxels 10..18") && columns.contains("has 17"),
        "{columns}"
    );
    let rows = file.read(0..24, 0..1).unwrap_err().to_string();
    assert!(
        rows.contains("rows 0..24") && rows.contains("has 23"),
        "{rows}"
    );
    assert!(file.read(0..1, usize::MAX - 1..usize::MAX).is_err());
}

#[test]
fn files_that_are_no_hdf5_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.hf5");
    let open = || ResponseFile::open(&path).unwrap_err();
    assert!(matches!(open(), FmriError::Missing { .. }));
    fs::write(&path, "").unwrap();
    assert!(
        open()
            .to_string()
            .ends_with("story.hf5 is not an HDF5 file: it is empty")
    );
    fs::write(&path, "col_a,col_b\n1,2\n").unwrap();
    assert!(open().to_string().contains("it begins with \"col_a,col_b"));
    fs::write(&path, "/annex/objects/MD5E-s5--12.hf5\n").unwrap();
    assert!(
        open()
            .to_string()
            .contains("git-annex pointer, not the data"),
        "{}",
        open()
    );
    fs::write(&path, "version https://git-lfs.github.com/spec/v1\n").unwrap();
    assert!(open().to_string().contains("Git LFS pointer"));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let folder = full_message(&open());
    assert!(folder.contains("story.hf5"), "{folder}");
}

#[cfg(unix)]
#[test]
fn a_broken_annex_link_is_a_pointer_and_another_broken_link_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.hf5");
    std::os::unix::fs::symlink("../.git/annex/objects/aa/bb/MD5E-s5--12.hf5", &path).unwrap();
    let error = ResponseFile::open(&path).unwrap_err();
    assert!(matches!(error, FmriError::Pointer { .. }), "{error}");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere.hf5", &path).unwrap();
    let error = ResponseFile::open(&path).unwrap_err();
    assert!(matches!(error, FmriError::Missing { .. }), "{error}");
}

#[test]
fn what_is_written_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.hf5");
    let bold = array![[1.0, f32::NAN, -3.5], [f32::MIN_POSITIVE, f32::MAX, -0.0]];
    write_responses(&path, bold.view()).unwrap();
    let file = ResponseFile::open(&path).unwrap();
    assert_eq!(file.keys().unwrap(), ["data"]);
    let bits = |array: &Array2<f32>| array.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&file.read(0..2, 0..3).unwrap()), bits(&bold));
    // Written over, from columns that are not contiguous.
    write_responses(&path, bold.t()).unwrap();
    assert_eq!(file.shape().unwrap(), [3, 2]);
    let transposed = file.read(0..3, 0..2).unwrap();
    assert_eq!(
        bits(&transposed),
        bits(&bold.t().as_standard_layout().into_owned())
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    let nowhere = dir.path().join("no/folder/story.hf5");
    let message = full_message(&write_responses(&nowhere, bold.view()).unwrap_err());
    assert!(message.starts_with("cannot write"), "{message}");
}
