use std::fs;
use std::path::Path;

use braintune_fmri::{
    FmriError, FolderDataset, Lanczos, Modality, StoryDataset, Trim, check_story_dataset,
};
use ndarray::{Array2, s};
use tempfile::TempDir;

use super::{fixture, full_message};

const N_TIMES: usize = 23;
const N_CHANNELS: usize = 17;
pub(crate) const HEAD: &str = "name = 'alice'\ntr_s = 1.5\nfirst_time_s = 0.75\n";
pub(crate) const STORY: &str = "[[story]]\nname = 'tale'\n";

/// A folder with this `dataset.toml` and these fixtures as arrays.
pub(crate) fn folder(toml: &str, arrays: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("dataset.toml"), toml).unwrap();
    for (to, from) in arrays {
        let to = dir.path().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(fixture(&format!("numpy/{from}")), to).unwrap();
    }
    dir
}

pub(crate) fn open(dir: &TempDir) -> FolderDataset {
    FolderDataset::open(dir.path()).unwrap()
}

/// The message of what `dataset.toml` or the arrays make `open` say.
pub(crate) fn refused(toml: &str, arrays: &[(&str, &str)]) -> String {
    let dir = folder(toml, arrays);
    full_message(&FolderDataset::open(dir.path()).unwrap_err())
}

/// What `generate.py` writes.
fn ramp(offset: f32, scale: f32) -> Array2<f32> {
    Array2::from_shape_fn((N_TIMES, N_CHANNELS), |(t, c)| {
        ((((t * N_CHANNELS + c) % 120) as f32) - offset) / scale
    })
}

fn floats() -> Array2<f32> {
    ramp(60.0, 4.0)
}

#[test]
fn it_keeps_the_contract() {
    let toml = format!(
        "{HEAD}{STORY}n_times = 30\nstored = [4, 27]\n[[story]]\nname = 'other'\n[trim]\ntrain = [4, 3]\ntest = [6, 3]"
    );
    let arrays = [
        ("responses/S1/tale.npy", "dtype_le_f4.npy"),
        ("responses/S1/tale_repeats.npy", "repeats.npy"),
        ("responses/S2/tale.npz", "compressed.npz"),
        ("responses/S2/other.npz", "stored.npz"),
    ];
    // The story `other` has 23 rows, all stored, of which the trims keep rows that are.
    let dir = folder(&toml, &arrays);
    let dataset = open(&dir);
    check_story_dataset(&dataset);
    assert_eq!(dataset.subjects(), ["S1", "S2"]);
    assert_eq!(dataset.default_trims(), (Trim::new(4, 3), Trim::new(6, 3)));
    assert_eq!(dataset.modality(), Modality::Fmri);
    for (subject, story) in [("S1", "tale"), ("S2", "tale"), ("S2", "other")] {
        let repeats = dataset.repeats(subject, story).unwrap();
        assert_eq!(repeats.len(), 3);
        assert_eq!(repeats[2].bold(), floats() + 2.0);
    }
    let timing = dataset.timing("tale").unwrap();
    assert_eq!(timing.tr_times()[0], 0.75);
    assert_eq!(timing.stored(), 4..27);
    assert!(!dataset.has_responses("S1", "other"));
    let missing = dataset.responses("S1", "other").unwrap_err().to_string();
    assert!(
        missing.starts_with("responses of S1 to story other not found: expected ")
            && missing.ends_with("responses/S1/other.npy"),
        "{missing}"
    );
}

#[test]
fn every_number_type_of_numpy_is_read() {
    for (names, offset, scale) in [
        (&["f2", "f4", "f8"][..], 60.0, 4.0),
        (&["i1", "i2", "i4", "i8"], 60.0, 1.0),
        (&["u1", "u2", "u4", "u8"], 0.0, 1.0),
    ] {
        for name in names {
            let files = match *name {
                "i1" | "u1" => vec![format!("dtype_{name}.npy")],
                _ => vec![
                    format!("dtype_le_{name}.npy"),
                    format!("dtype_be_{name}.npy"),
                ],
            };
            for file in files {
                let dir = folder(
                    &format!("{HEAD}{STORY}"),
                    &[("responses/S1/tale.npy", &file)],
                );
                let responses = open(&dir).responses("S1", "tale").unwrap();
                assert_eq!(responses.bold(), ramp(offset, scale), "{file}");
            }
        }
    }
}

#[test]
fn every_order_and_container_gives_the_same() {
    for (file, axes) in [
        ("fortran.npy", "time-channel"),
        ("version_2.npy", "time-channel"),
        ("version_3.npy", "time-channel"),
        ("stored.npz", "time-channel"),
        ("compressed.npz", "time-channel"),
        ("fortran.npz", "time-channel"),
        ("channel_time.npy", "channel-time"),
        ("channel_time_fortran.npy", "channel-time"),
    ] {
        let extension = file.rsplit('.').next().unwrap();
        let dir = folder(
            &format!("{HEAD}axes = '{axes}'\n{STORY}"),
            &[(&format!("responses/S1/tale.{extension}"), file)],
        );
        let dataset = open(&dir);
        check_story_dataset(&dataset);
        assert_eq!(
            dataset.responses("S1", "tale").unwrap().bold(),
            floats(),
            "{file}"
        );
        let some = dataset.responses_columns("S1", "tale", 5..9).unwrap();
        assert_eq!(some.bold(), floats().slice(s![.., 5..9]), "{file}");
    }
}

#[test]
fn repeats_are_read_in_every_order() {
    for (file, axes, single) in [
        ("repeats.npy", "time-channel", "fortran.npy"),
        ("repeats_fortran.npy", "time-channel", "fortran.npy"),
        (
            "repeats_channel_time.npy",
            "channel-time",
            "channel_time.npy",
        ),
        (
            "repeats_channel_time_fortran.npy",
            "channel-time",
            "channel_time.npy",
        ),
    ] {
        let dir = folder(
            &format!("{HEAD}axes = '{axes}'\n{STORY}"),
            &[
                ("responses/S1/tale.npy", single),
                ("responses/S1/tale_repeats.npy", file),
            ],
        );
        let repeats = open(&dir).repeats_columns("S1", "tale", 3..10).unwrap();
        for (k, repeat) in repeats.iter().enumerate() {
            let expected = floats().slice(s![.., 3..10]).to_owned() + k as f32;
            assert_eq!(repeat.bold(), expected, "{file} {k}");
        }
    }
    let dir = folder(
        &format!("{HEAD}{STORY}"),
        &[("responses/S1/tale.npz", "other_keys.npz")],
    );
    fs::write(
        dir.path().join("dataset.toml"),
        format!("{HEAD}key = 'bold'\n{STORY}"),
    )
    .unwrap();
    let none = open(&dir).repeats("S1", "tale").unwrap_err();
    assert!(matches!(none, FmriError::NoRepeats { .. }), "{none}");
    assert!(none.to_string().contains("no `repeats` in "), "{none}");
}

#[test]
fn lines_longer_than_a_block_are_read() {
    let dir = folder(
        &format!(
            "name = 'meg'\nmodality = 'meg'\nrate_hz = 1000\nfirst_time_s = 0\naxes = 'channel-time'\n{STORY}"
        ),
        &[("responses/S1/tale.npz", "long_channel_time.npz")],
    );
    let dataset = open(&dir);
    assert_eq!(dataset.response_shape("S1", "tale").unwrap(), (70_000, 3));
    let last = dataset.responses_columns("S1", "tale", 2..3).unwrap();
    for t in [0, 65_535, 65_536, 69_999] {
        assert_eq!(last.bold()[[t, 0]], 100.0 + (t % 100) as f32);
    }
}

#[test]
fn eeg_at_100_hz_works_end_to_end() {
    const N_SAMPLES: usize = 3000;
    let toml = format!(
        "name = 'eeg'\nmodality = 'eeg'\nrate_hz = 100\nfirst_time_s = -0.2\naxes = 'channel-time'\n{STORY}"
    );
    let dir = folder(&toml, &[]);
    // [4 channels, 3000 samples]; channel c follows the feature 0.1 c seconds later.
    let feature = |time: f64| (2.0 * std::f64::consts::PI * 0.8 * time).sin();
    let mut bytes = npy_header("<f8", "(4, 3000)");
    for channel in 0..4 {
        for k in 0..N_SAMPLES {
            let time = k as f64 * 0.01 - 0.2;
            bytes.extend((feature(time - 0.1 * f64::from(channel)) * 1e-6).to_le_bytes());
        }
    }
    fs::create_dir_all(dir.path().join("responses/S1")).unwrap();
    fs::write(dir.path().join("responses/S1/tale.npy"), bytes).unwrap();

    let dataset = open(&dir);
    check_story_dataset(&dataset);
    assert_eq!(dataset.modality(), Modality::Eeg);
    let timing = dataset.timing("tale").unwrap();
    assert_eq!((timing.n_trs(), timing.tr_s()), (N_SAMPLES, 0.01));
    let delays = timing.delays_within(0.0, 0.6);
    assert_eq!((delays[0], delays[60], delays.len()), (0, 60, 61));
    let sample_times = timing.tr_times().to_vec();
    let frame_times: Vec<f64> = (0..320).map(|k| f64::from(k) * 0.1 - 1.0).collect();
    #[expect(clippy::cast_possible_truncation)]
    let frames = Array2::from_shape_fn((320, 1), |(k, _)| feature(frame_times[k]) as f32);
    let lanczos = Lanczos::between(&frame_times, &sample_times).unwrap();
    assert!((lanczos.cutoff_hz() - 10.0).abs() < 1e-9);
    let x = lanczos
        .resample(frames.view(), &frame_times, &sample_times)
        .unwrap();
    // The delayed feature is the channel's response, up to the ripple of three lobes (1.5 %).
    let eeg = dataset.responses_columns("S1", "tale", 2..3).unwrap();
    for k in 500..2500 {
        let error = (eeg.bold()[[k, 0]] * 1e6 - x[[k - delays[20], 0]]).abs();
        assert!(error < 0.015, "sample {k}: off by {error}");
    }
}

fn npy_header(descr: &str, shape: &str) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let size = u16::try_from(text.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &size[..], text.as_bytes()].concat()
}

#[test]
fn nan_stays() {
    let dir = folder(&format!("{HEAD}{STORY}"), &[]);
    let mut bytes = npy_header("<f4", "(3, 1)");
    for value in [1.0, f32::NAN, f32::INFINITY] {
        bytes.extend(value.to_le_bytes());
    }
    fs::create_dir_all(dir.path().join("responses/S1")).unwrap();
    fs::write(dir.path().join("responses/S1/tale.npy"), bytes).unwrap();
    let bad = open(&dir).responses("S1", "tale").unwrap().bad_values();
    assert_eq!((bad.n_nan, bad.n_infinite), (1, 1));
}

#[test]
fn arrays_that_do_not_fit_are_refused() {
    let toml = format!("{HEAD}{STORY}n_times = 23");
    let message = |file: &str, toml: &str| {
        let dir = folder(toml, &[("responses/S1/tale.npy", file)]);
        let message = full_message(&open(&dir).responses("S1", "tale").unwrap_err());
        assert!(message.contains("tale.npy"), "{message}");
        message
    };
    for (file, expected) in [
        ("bad_objects.npy", "holds Python objects"),
        (
            "bad_structured.npy",
            "holds a structured type [('a', '<f4')",
        ),
        ("bad_complex.npy", "holds complex numbers (<c8)"),
        ("bad_text.npy", "holds text (<U3)"),
        ("bad_booleans.npy", "holds truth values"),
        (
            "bad_one_dimension.npy",
            "has shape [23], expected [n_times, n_channels]",
        ),
        ("bad_no_channels.npy", "has shape [23, 0], expected"),
        (
            "repeats.npy",
            "has shape [3, 23, 17], expected [n_times, n_channels]",
        ),
        ("stored.npz", "it does not begin as a .npy array does"),
        (
            "channel_time.npy",
            "timing (dataset.toml: n_times 23) says 23 rows, ",
        ),
        ("channel_time.npy", "so it may be transposed"),
    ] {
        let message = message(file, &toml);
        assert!(message.contains(expected), "{file}: {message}");
    }
    let swapped = refused(
        &format!("name = 'a'\nmodality = 'eeg'\nrate_hz = 1\nfirst_time_s = 0\n{STORY}"),
        &[("responses/S1/tale.npy", "channel_time.npy")],
    );
    assert!(
        swapped.contains("has 17 samples of 23 channels, is it transposed? Set `axes`"),
        "{swapped}"
    );
    let keys = refused(
        &format!("{HEAD}{STORY}"),
        &[("responses/S1/tale.npz", "other_keys.npz")],
    );
    assert!(keys.contains("has no `data`, it has bold, mask"), "{keys}");
}

#[test]
fn truncated_files_and_pointers_are_named() {
    let arrays = [
        ("responses/S1/tale.npy", "dtype_le_f4.npy"),
        ("responses/S2/tale.npz", "compressed.npz"),
        ("responses/S3/tale.npz", "stored.npz"),
    ];
    let dir = folder(&format!("{HEAD}{STORY}n_times = 23"), &arrays);
    let message = |path: &Path, subject: &str| {
        let message = full_message(&open(&dir).responses(subject, "tale").unwrap_err());
        assert!(message.contains(path.file_name().unwrap().to_str().unwrap()));
        message
    };
    for ((to, from), subject) in arrays.iter().zip(["S1", "S2", "S3"]) {
        let path = dir.path().join(to);
        let good = fs::read(fixture(&format!("numpy/{from}"))).unwrap();
        for n in (0..good.len()).step_by(41).chain([good.len() - 1]) {
            fs::write(&path, &good[..n]).unwrap();
            message(&path, subject);
        }
    }
    let path = dir.path().join(arrays[0].0);
    let good = fs::read(fixture("numpy/dtype_le_f4.npy")).unwrap();
    fs::write(&path, &good[..1000]).unwrap();
    let cut = message(&path, "S1");
    assert!(
        cut.contains("truncated, 1000 bytes where its header, [23, 17] of <f4, needs 1692"),
        "{cut}"
    );
    fs::write(&path, "/annex/objects/MD5E-s5--12.npy\n").unwrap();
    assert!(open(&dir).has_responses("S1", "tale"));
    let pointer = message(&path, "S1");
    assert!(pointer.contains("git-annex pointer"), "{pointer}");
}
