//! Datasets of every kind through `check`, atlases through `regions`, published lists of stories.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use braintune::fmri::{Ds003020, Responses, StoryDataset};

use super::workplace::{assert_refused, braintune, stderr, words, workplace};

fn fixture(path: &str) -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fmri/tests/fixtures");
    fixtures.join(path).display().to_string()
}

/// A folder dataset of one story, 20 samples of 3 channels.
fn folder_dataset(root: &Path) -> PathBuf {
    let responses = root.join("data/responses/S1");
    fs::create_dir_all(&responses).unwrap();
    let toml = "name = \"plain\"\ntr_s = 2\nfirst_time_s = 1\n[[story]]\nname = \"tale\"\n";
    fs::write(root.join("data/dataset.toml"), toml).unwrap();
    let values = ndarray::Array2::from_shape_fn((20, 3), |(row, column)| (row * 3 + column) as f32);
    ndarray_npy::write_npy(responses.join("tale.npy"), &values).unwrap();
    responses
}

#[test]
fn check_says_a_table_and_finds_what_is_wrong_in_a_plain_folder() {
    let folder = tempfile::tempdir().unwrap();
    let responses = folder_dataset(folder.path());
    let check = ["check", "--dataset", "data", "--deep"];
    let done = braintune(folder.path(), &check);
    // No sound: an analysis would stop.
    assert_eq!(done.status.code(), Some(2));
    let text = stderr(&done);
    let line = |start: &str| text.lines().find(|line| line.starts_with(start)).unwrap();
    assert!(line("story").contains("audio") && line("story").contains("S1"));
    assert!(line("tale").contains("WRONG") && line("tale").contains("20 x 3"));
    assert!(text.contains("tale.wav"), "{text}");
    let report = fs::read_to_string(folder.path().join("check.json")).unwrap();
    assert!(report.contains("\"dataset\": \"plain\""), "{report}");

    fs::rename(responses.join("tale.npy"), responses.join("Tale.NPY")).unwrap();
    fs::write(
        folder.path().join("data/dataset.toml"),
        "name = \"plain\"\ntr_s = 2\nfirst_time_s = 1\n[[story]]\nname = \"tale\"\nn_times = 20\n",
    )
    .unwrap();
    let text = stderr(&braintune(folder.path(), &check));
    assert!(text.contains("or let `check --fix` do so"), "{text}");
    let text = stderr(&braintune(
        folder.path(),
        &[&check[..], &["--fix"]].concat(),
    ));
    assert!(text.contains("renamed"), "{text}");
    assert!(responses.join("tale.npy").exists());
    let report = fs::read_to_string(folder.path().join("check.json")).unwrap();
    assert!(report.contains("\"renamed\""), "{report}");
}

#[test]
fn an_array_of_no_story_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let responses = folder_dataset(folder.path());
    fs::copy(responses.join("tale.npy"), responses.join("tael.npy")).unwrap();
    let text = stderr(&braintune(folder.path(), &["check", "--dataset", "data"]));
    let named = text
        .lines()
        .any(|line| line.starts_with("warning") && line.contains("tael.npy"));
    assert!(named, "{text}");
}

#[test]
fn an_unknown_folder_is_told_what_a_dataset_looks_like() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let done = braintune(folder.path(), &["check", "--dataset", "data"]);
    assert_refused(&done, &["dataset.toml", "respdict.json", "sub-*"]);
}

#[test]
fn regions_come_from_surface_labels_and_a_mapper() {
    let folder = tempfile::tempdir().unwrap();
    let mapper = fixture("mapper/whole.hdf");
    let missing = ["regions", "--labels", "a.annot", "--out", "rois.json"];
    assert_refused(
        &braintune(folder.path(), &missing),
        &["--mapper", "--names", "--mask"],
    );
    let wrong = [&missing[..], &["--mapper", &mapper]].concat();
    assert_refused(&braintune(folder.path(), &wrong), &["a.annot"]);
    let volume = [
        "regions",
        "--labels",
        "a.txt",
        "--mapper",
        &mapper,
        "--out",
        "rois.json",
    ];
    assert_refused(
        &braintune(folder.path(), &volume),
        &["a.txt", ".annot", ".gii"],
    );
    assert!(!folder.path().join("rois.json").exists());
}

#[test]
fn regions_of_a_volume_are_numbered_as_the_responses() {
    let folder = tempfile::tempdir().unwrap();
    let labels = fixture("label_volume/whole_dseg.nii.gz");
    let names = fixture("label_volume/dseg.tsv");
    let mask = fixture("voxel_mask/mask.nii.gz");
    // Of numpy: label 3 is A1, 1001 is V1.
    let expected = fs::read_to_string(fixture("label_volume/expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap();
    for (order, key) in [
        ("nilearn", "last_axis_fastest"),
        ("pycortex", "first_axis_fastest"),
    ] {
        let args = [
            "regions",
            "--labels",
            &labels,
            "--names",
            &names,
            "--mask",
            &mask,
            "--order",
            order,
            "--out",
            "rois.json",
        ];
        let done = braintune(folder.path(), &args);
        assert!(done.status.success(), "{}", stderr(&done));
        let rois = fs::read_to_string(folder.path().join("rois.json")).unwrap();
        let rois: serde_json::Value = serde_json::from_str(&rois).unwrap();
        let of = |label: i64| {
            let labels = expected[key].as_array().unwrap().iter().enumerate();
            let voxels = labels.filter(move |(_, value)| value.as_i64() == Some(label));
            voxels.map(|(voxel, _)| voxel).collect::<Vec<_>>()
        };
        assert_eq!(rois["A1"], serde_json::json!(of(3)));
        assert_eq!(rois["V1"], serde_json::json!(of(1001)));
    }
    let preset = [
        "regions",
        "--labels",
        &labels,
        "--names",
        &names,
        "--mask",
        &mask,
        "--presets",
        "paper",
        "--out",
        "preset.json",
    ];
    assert_refused(&braintune(folder.path(), &preset), &["PBelt", "55b"]);
    assert!(!folder.path().join("preset.json").exists());
}

/// Writes the simulated participant of `dataset/` as a plain folder, `plain/`.
fn as_plain_folder(root: &Path) {
    let dataset = Ds003020::open(&root.join("dataset")).unwrap();
    let subject = &dataset.subjects()[0];
    let responses = root.join("plain/responses").join(subject);
    fs::create_dir_all(&responses).unwrap();
    let mut toml =
        String::from("name = \"plain\"\ntr_s = 2\n[trim]\ntrain = [10, 5]\ntest = [10, 5]\n");
    for story in dataset.stories() {
        let (name, timing) = (story.name(), dataset.timing(story.name()).unwrap());
        let Range { start, end } = timing.stored();
        let table = format!(
            "[[story]]\nname = \"{name}\"\nfirst_time_s = {}\nn_times = {}\nstored = [{start}, {end}]\n",
            timing.tr_times()[0],
            timing.n_trs()
        );
        toml.push_str(&table);
        let bold = dataset.responses(subject, name).unwrap().into_bold();
        ndarray_npy::write_npy(responses.join(format!("{name}.npy")), &bold).unwrap();
        if let Ok(repeats) = dataset.repeats(subject, name) {
            let repeats: Vec<_> = repeats.iter().map(Responses::bold).collect();
            let repeats = ndarray::stack(ndarray::Axis(0), &repeats).unwrap();
            ndarray_npy::write_npy(responses.join(format!("{name}_repeats.npy")), &repeats)
                .unwrap();
        }
    }
    // Keys of the whole come before the stories' tables.
    fs::write(root.join("plain/dataset.toml"), toml).unwrap();
    fs::rename(root.join("dataset/stimuli"), root.join("plain/stimuli")).unwrap();
    fs::rename(
        root.join("dataset/derivative/TextGrids"),
        root.join("plain/textgrids"),
    )
    .unwrap();
}

#[test]
fn the_layout_of_a_dataset_changes_no_result() {
    let folder = workplace();
    let encode = |dataset: &str, out: &str| {
        let words = words(folder.path(), (dataset, out), "2");
        let mut args: Vec<&str> = words.iter().map(String::as_str).collect();
        args.extend(["--permutations", "20", "--bootstraps", "20"]);
        args.extend(["--test-trim", "10,5"]);
        let done = braintune(folder.path(), &args);
        assert!(done.status.success(), "{}", stderr(&done));
    };
    encode("dataset", "first");
    as_plain_folder(folder.path());
    let check = braintune(folder.path(), &["check", "--dataset", "plain", "--deep"]);
    assert!(check.status.success(), "{}", stderr(&check));
    encode("plain", "second");
    for file in ["alignment.csv", "voxels.npz"] {
        let read = |out: &str| fs::read(folder.path().join(out).join(file)).unwrap();
        assert!(read("first") == read("second"), "{file} differs");
    }
}
