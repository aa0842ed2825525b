use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use braintune_fmri::{
    BidsDataset, BidsOptions, BidsRuns, DatasetFiles, FmriError, NiftiFile, Story, StoryDataset,
    VoxelMask, VoxelOrder, check_story_dataset,
};
use ndarray::{Array2, ArrayView2};
use tempfile::TempDir;

use super::full_message;
use super::tensors::Tensors;

const SPACE: &str = "MNI152NLin2009cAsym";
const FIRST: &str = "derivatives/fmriprep/sub-01/func/sub-01_task-pieman_run-1_space-MNI152NLin2009cAsym_res-native_desc-preproc_bold";

/// The tree that `generate.py` made.
fn tree() -> TempDir {
    let tensors = Tensors::open("bids");
    let dir = tempfile::tempdir().unwrap();
    for (prefix, is_empty) in [("files.", false), ("empty.", true)] {
        for path in tensors.names(prefix) {
            let to = dir.path().join(&path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            let bytes = tensors.bytes(&format!("{prefix}{path}")).unwrap();
            fs::write(to, if is_empty { &[] } else { &bytes[..] }).unwrap();
        }
    }
    dir
}

fn options() -> BidsOptions {
    BidsOptions::new().with_space(SPACE)
}

fn open(dir: &TempDir, options: BidsOptions) -> BidsDataset {
    BidsDataset::open(dir.path(), options).unwrap()
}

fn refused(dir: &TempDir, options: BidsOptions) -> String {
    full_message(&BidsDataset::open(dir.path(), options).unwrap_err())
}

fn expected(name: &str) -> Array2<f32> {
    let tensors = Tensors::open("bids");
    let shape = tensors.shape(name);
    Array2::from_shape_vec((shape[0], shape[1]), tensors.f32s(name)).unwrap()
}

/// Responses of the first hearing of pieman, which sub-01 heard twice.
fn first_hearing(dataset: &BidsDataset) -> Array2<f32> {
    let repeats = dataset.repeats("sub-01", "pieman").unwrap();
    repeats.into_iter().next().unwrap().into_bold()
}

#[track_caller]
fn assert_close(got: ArrayView2<'_, f32>, expected: ArrayView2<'_, f32>, tolerance: f32) {
    assert_eq!(got.dim(), expected.dim());
    assert!(
        expected.iter().any(|value| value.abs() > 1.0),
        "something is there to compare"
    );
    for (at, got) in got.indexed_iter() {
        let error = (got - expected[at]).abs();
        assert!(error <= tolerance, "{at:?}: {got} {}", expected[at]);
    }
}

fn kept_files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).map(|entries| entries.map(|entry| entry.unwrap().path()));
    let mut files: Vec<_> = files.into_iter().flatten().collect();
    files.sort();
    files
}

#[test]
fn it_keeps_the_contract() {
    let dir = tree();
    let dataset = open(&dir, options());
    check_story_dataset(&dataset);
    assert_eq!(dataset.name(), "Narratives in small");
    assert_eq!(dataset.subjects(), ["sub-01", "sub-02", "sub-03"]);
    let names: Vec<_> = dataset.stories().iter().map(Story::name).collect();
    assert_eq!(
        names,
        ["milkywayoriginal", "milkywayvodka", "pieman", "tunnel"]
    );
    let [(task, reason)] = dataset.left_out() else {
        panic!("{:?}", dataset.left_out());
    };
    assert_eq!(task, "schema");
    assert!(
        reason.contains("several sounds, shame_audio.wav, vinny_audio.wav"),
        "{reason}"
    );
    // Filtered in every way it is a dataset all the same.
    let filtered = options()
        .with_smoothing_mm(6.0)
        .with_detrend()
        .with_high_pass_s(30.0)
        .with_z_score();
    check_story_dataset(&open(&dir, filtered));
}

#[test]
fn responses_are_those_of_nilearn() {
    let dir = tree();
    let plain = open(&dir, options());
    assert_eq!(first_hearing(&plain), expected("plain"));
    let repeats = plain.repeats("sub-01", "pieman").unwrap();
    assert_eq!(repeats[1].bold(), expected("second"));
    let mean = (expected("plain") + expected("second")) / 2.0;
    assert_eq!(plain.responses("sub-01", "pieman").unwrap().bold(), mean);
    // nilearn smooths in f32: values near 1000 have steps of 6e-5, and three axes are three roundings.
    let smooth = open(&dir, options().with_smoothing_mm(5.0));
    assert_close(
        first_hearing(&smooth).view(),
        expected("smooth").view(),
        3e-4,
    );
    // Least squares runs in f64 in both; what is left is the rounding of results below 30 to f32.
    let detrended = open(&dir, options().with_detrend());
    assert_close(
        first_hearing(&detrended).view(),
        expected("detrended").view(),
        1e-5,
    );
    // The mean over time is taken twice, in f32 the second time.
    let scored = open(&dir, options().with_detrend().with_z_score());
    assert_close(
        first_hearing(&scored).view(),
        expected("scored").view(),
        1e-5,
    );
}

#[test]
fn voxels_are_those_inside_all_masks_of_a_subject() {
    let dir = tree();
    let dataset = open(&dir, options());
    // 4 * 3 * 3, without one voxel of each of two runs.
    assert_eq!(dataset.mask("sub-01").unwrap().n_voxels(), 34);
    assert_eq!(
        dataset.response_shape("sub-01", "tunnel").unwrap(),
        (24, 34)
    );
    assert_eq!(dataset.mask("sub-02").unwrap().n_voxels(), 36);
    let given = dir
        .path()
        .join(FIRST.replace("preproc_bold", "brain_mask.nii.gz"));
    let order = VoxelOrder::FirstAxisFastest;
    let one = open(&dir, options().with_mask(&given).with_order(order));
    check_story_dataset(&one);
    let mask = VoxelMask::read(&given, order).unwrap();
    assert_eq!(one.mask("sub-02").unwrap(), mask);
    let image = NiftiFile::open(&dir.path().join(format!("{FIRST}.nii.gz"))).unwrap();
    let series = mask.read_series(&image, 0..35).unwrap();
    assert_eq!(first_hearing(&one), series);
    let unknown = dataset.mask("sub-09").unwrap_err();
    assert!(
        matches!(unknown, FmriError::UnknownSubject { .. }),
        "{unknown}"
    );
    fs::remove_file(&given).unwrap();
    let message = full_message(&open(&dir, options()).mask("sub-01").unwrap_err());
    assert!(
        message.contains("no brain mask (desc-brain_mask) beside it"),
        "{message}"
    );
}

#[test]
fn times_come_from_events_and_sidecars() {
    let dir = tree();
    let dataset = open(&dir, options());
    let first = |dataset: &BidsDataset, story: &str| dataset.timing(story).unwrap().tr_times()[0];
    // The sound of pieman begins with music at 0 s, that of tunnel 3 s after the first volume.
    assert_eq!(first(&dataset, "pieman"), 0.75);
    assert_eq!(first(&dataset, "tunnel"), -2.25);
    let told = open(
        &dir,
        options().with_tasks(&["pieman"]).with_trial_type("story"),
    );
    assert_eq!(first(&told, "pieman"), -14.25);
    assert_eq!(told.stories().len(), 1);
    let onset = open(&dir, options().with_onset_s(-1.0));
    assert_eq!(first(&onset, "tunnel"), 1.75);
    // Two of three runs have 24 TRs; the third loses its last one.
    let timing = dataset.timing("pieman").unwrap();
    assert_eq!(
        (timing.n_trs(), timing.tr_s(), timing.stored()),
        (24, 1.5, 0..24)
    );
    assert_eq!(
        dataset.response_shape("sub-02", "pieman").unwrap(),
        (24, 36)
    );
    let longer = open(&dir, options().with_n_trs("pieman", 25));
    let message = longer
        .responses("sub-01", "pieman")
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("says 25 rows, ") && message.ends_with(" has 24"),
        "{message}"
    );

    // Slices that were brought to a moment of the TR.
    let sidecar = dir.path().join(format!("{FIRST}.json"));
    fs::write(
        &sidecar,
        r#"{"RepetitionTime": 1.5, "SliceTimingCorrected": true, "StartTime": 0.7}"#,
    )
    .unwrap();
    assert_eq!(first(&open(&dir, options()), "pieman"), 0.7);
    fs::write(&sidecar, r#"{"RepetitionTime": 2.0}"#).unwrap();
    let message = full_message(
        &open(&dir, options())
            .responses("sub-01", "pieman")
            .unwrap_err(),
    );
    assert!(
        message.contains("its header has a TR of 1.5 s, its sidecar a RepetitionTime of 2 s"),
        "{message}"
    );
}

#[test]
fn a_story_has_one_grid() {
    let dir = tree();
    let events = |path: &str, onset: &str| {
        let text = format!("onset\tduration\tstim_file\n{onset}\t9\tpieman_audio.wav\n");
        fs::write(dir.path().join(path), text).unwrap();
    };
    let second = "sub-01/func/sub-01_task-pieman_run-2_events.tsv";
    events(second, "0.1");
    check_story_dataset(&open(&dir, options()));
    events(second, "0.4");
    let dataset = open(&dir, options());
    let message = full_message(&dataset.responses("sub-01", "pieman").unwrap_err());
    assert!(
        message.contains("run-2") && message.contains("a story has one grid"),
        "{message}"
    );
    // Other subjects' are still there, and each run is a story if it is asked for.
    assert!(dataset.responses("sub-02", "pieman").is_ok());
    let parts = open(&dir, options().with_runs(BidsRuns::Parts));
    let names: Vec<_> = parts.stories().iter().map(Story::name).collect();
    assert_eq!(names[2..5], ["pieman", "pieman_run-1", "pieman_run-2"]);
    check_story_dataset(&parts);
    let none = parts.repeats("sub-01", "pieman_run-1").unwrap_err();
    assert!(matches!(none, FmriError::NoRepeats { .. }), "{none}");
}

#[test]
fn files_of_stories_are_found() {
    let dir = tree();
    let textgrid = dir.path().join("stimuli/textgrids/tunnel.TextGrid");
    fs::create_dir_all(textgrid.parent().unwrap()).unwrap();
    fs::write(&textgrid, "").unwrap();
    let dataset = open(&dir, options());
    let audio = |story: &str| {
        let path = dataset.story(story).unwrap().audio().map(Path::to_owned);
        path.map(|path| path.strip_prefix(dir.path()).unwrap().to_owned())
    };
    assert_eq!(audio("pieman"), Some("stimuli/pieman_audio.wav".into()));
    assert_eq!(
        audio("milkywayoriginal"),
        Some("stimuli/milkywayoriginal_audio.wav".into())
    );
    assert_eq!(audio("milkywayvodka"), None);
    assert_eq!(dataset.textgrid_path("tunnel"), textgrid);
    assert_eq!(
        dataset.story("tunnel").unwrap().textgrid(),
        Some(&*textgrid)
    );
    let other = dir.path().join("stimuli/pieman.TextGrid");
    assert_eq!(dataset.textgrid_path("pieman"), other);
    let image = dataset.response_path("sub-01", "pieman");
    assert_eq!(image, dir.path().join(format!("{FIRST}.nii.gz")));
    assert!(!dataset.has_responses("sub-02", "tunnel"));
    let none = dataset.responses("sub-02", "tunnel").unwrap_err();
    assert!(matches!(none, FmriError::NoResponses { .. }), "{none}");
}

#[test]
fn a_run_is_prepared_once_until_something_changes() {
    let dir = tree();
    let cache = dir.path().join("kept");
    let with = |options: BidsOptions| open(&dir, options.with_cache(&cache));
    let dataset = with(options());
    assert!(
        kept_files(&cache).is_empty(),
        "nothing is made before it is asked for"
    );
    let n_voxels = dataset.response_shape("sub-01", "tunnel").unwrap().1;
    for voxels in [Range { start: 5, end: 3 }, 0..n_voxels + 1] {
        let columns = dataset.responses_columns("sub-01", "tunnel", voxels.clone());
        assert!(matches!(columns, Err(FmriError::Selection { .. })));
        let repeats = dataset.repeats_columns("sub-01", "pieman", voxels);
        assert!(matches!(repeats, Err(FmriError::Selection { .. })));
    }
    assert!(kept_files(&cache).is_empty(), "refused before any work");
    let responses = dataset.responses_columns("sub-01", "tunnel", 3..5).unwrap();
    let kept = kept_files(&cache);
    assert_eq!(kept.len(), 1);
    let time = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let made = time(&kept[0]);
    let again = with(options())
        .responses_columns("sub-01", "tunnel", 3..5)
        .unwrap();
    assert_eq!(again, responses);
    assert_eq!((kept_files(&cache).len(), time(&kept[0])), (1, made));
    // Other options, another image.
    with(options().with_z_score())
        .responses("sub-01", "tunnel")
        .unwrap();
    assert_eq!(kept_files(&cache).len(), 2);
    let image = dataset.response_path("sub-01", "tunnel");
    let file = fs::File::options().append(true).open(&image).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    dataset.responses("sub-01", "tunnel").unwrap();
    assert_eq!(kept_files(&cache).len(), 3);
    // One that was cut short is made anew, and nothing partial stays.
    for path in kept_files(&cache) {
        fs::write(&path, &fs::read(&path).unwrap()[..2000]).unwrap();
    }
    assert_eq!(
        dataset.responses_columns("sub-01", "tunnel", 3..5).unwrap(),
        responses
    );
    assert_eq!(kept_files(&cache).len(), 3);
}

#[test]
fn events_that_cannot_be_read_cost_their_run_alone() {
    let dir = tree();
    let second = dir
        .path()
        .join("sub-01/func/sub-01_task-pieman_run-2_events.tsv");
    fs::write(second, "nothing of an event\n").unwrap();
    // The run of 24 TRs is read first.
    let dataset = open(&dir, options().with_n_trs("pieman", 24));
    let message = full_message(&dataset.responses("sub-01", "pieman").unwrap_err());
    assert!(message.contains("run-2_events.tsv"), "{message}");
    assert!(dataset.responses("sub-02", "pieman").is_ok());
}

#[test]
fn images_that_were_not_fetched_are_left_out_or_named() {
    let dir = tree();
    let pointer = "/annex/objects/MD5E-s4096--0cc175b9c0f1b6a831c399e269772661.nii.gz\n";
    let run = |subject: &str, task: &str| {
        dir.path().join(format!(
            "derivatives/fmriprep/{subject}/func/{subject}_task-{task}_space-{SPACE}_res-native_desc-preproc_bold.nii.gz"
        ))
    };
    fs::write(run("sub-01", "tunnel"), pointer).unwrap();
    fs::write(run("sub-01", "pieman_run-2"), pointer).unwrap();
    let dataset = open(&dir, options());
    assert!(dataset.story("tunnel").is_err());
    let left_out = dataset.left_out();
    assert!(
        left_out
            .iter()
            .any(|(task, reason)| task == "tunnel" && reason.contains("git-annex pointer")),
        "{left_out:?}"
    );
    let named = refused(&dir, options().with_tasks(&["tunnel"]));
    assert!(named.contains("git-annex pointer"), "{named}");
    assert!(dataset.has_responses("sub-01", "pieman"));
    // Of the runs that are left one has 24 TRs and one 25, and the longer would decide.
    let dataset = open(&dir, options().with_n_trs("pieman", 24));
    let message = full_message(&dataset.responses("sub-01", "pieman").unwrap_err());
    assert!(
        message.contains("run-2") && message.contains("git-annex pointer"),
        "{message}"
    );
    // Masks of runs that are not there do not count.
    assert_eq!(dataset.mask("sub-01").unwrap().n_voxels(), 35);
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let dir = tree();
    let nowhere = BidsDataset::open(&dir.path().join("nowhere"), options()).unwrap_err();
    assert!(
        nowhere.to_string().starts_with("dataset folder not found"),
        "{nowhere}"
    );
    let derivatives = options().with_derivatives(&dir.path().join("fmriprep"));
    let message = refused(&dir, derivatives);
    assert!(
        message.starts_with("folder of derivatives not found: "),
        "{message}"
    );
    let message = refused(&dir, BidsOptions::new());
    assert!(
        message.contains("is of the same run: choose a space, or move"),
        "{message}"
    );
    for options in [
        options().with_desc("clean"),
        options().with_tasks(&["pieman", "black"]),
    ] {
        let message = refused(&dir, options);
        assert!(
            message.starts_with("image of a task not found: expected "),
            "{message}"
        );
    }
    let events = dir.path().join("sub-01/func/sub-01_task-tunnel_events.tsv");
    fs::remove_file(&events).unwrap();
    let message = refused(&dir, options().with_tasks(&["tunnel"]));
    assert!(
        message.starts_with("events of tunnel, which say when the sound began, not found")
            && message.ends_with("sub-01_task-tunnel_events.tsv"),
        "{message}"
    );
    // Events of all runs may stand above them.
    fs::write(
        dir.path().join("task-tunnel_events.tsv"),
        "onset\tduration\n4.5\t9\n",
    )
    .unwrap();
    let timing = open(&dir, options()).timing("tunnel").unwrap();
    assert_eq!(timing.tr_times()[0], -3.75);
}

#[test]
fn damaged_images_and_sidecars_are_errors_that_name_them() {
    let dir = tree();
    let image = dir.path().join(format!("{FIRST}.nii.gz"));
    let good = fs::read(&image).unwrap();
    for n in (0..good.len()).step_by(997) {
        fs::write(&image, &good[..n]).unwrap();
        let dataset = open(&dir, options());
        let message = full_message(&dataset.responses("sub-01", "pieman").unwrap_err());
        assert!(message.contains("run-1"), "{message}");
    }
    fs::write(&image, &good).unwrap();
    let sidecar = dir.path().join(format!("{FIRST}.json"));
    for (json, expected) in [
        ("{\"RepetitionTime\": ", "no JSON sidecar"),
        ("{\"RepetitionTime\": \"2\"}", "no JSON sidecar"),
        ("{\"RepetitionTime\": -1.5}", "a RepetitionTime of -1.5 s"),
    ] {
        fs::write(&sidecar, json).unwrap();
        let dataset = open(&dir, options());
        let message = full_message(&dataset.responses("sub-01", "pieman").unwrap_err());
        assert!(
            message.contains(expected) && message.contains("run-1"),
            "{message}"
        );
    }
}
