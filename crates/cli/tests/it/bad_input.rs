//! Everything that can be wrong with a dataset or a model, through `encode` and `check`.

use std::path::{Path, PathBuf};

use crate::workplace::{assert_refused, braintune, encode, model_copy, stderr, stories, workplace};

/// Audio and responses of the first training story.
fn files(folder: &Path) -> (String, PathBuf, PathBuf) {
    let story = stories(folder).0.remove(0);
    let audio = folder.join(format!("dataset/stimuli/{story}.wav"));
    let responses = folder.join(format!(
        "dataset/derivative/preprocessed_data/SIM01/{story}.hf5"
    ));
    (story, audio, responses)
}

/// `encode` is refused with `parts` and leaves no result; `check` finds it too.
fn refused(damage: impl FnOnce(&Path), parts: &[&str], deep: bool) {
    let folder = workplace();
    damage(folder.path());
    assert_refused(&encode(folder.path(), &[]), parts);
    for name in ["alignment.csv", "voxels.npz", "provenance.json"] {
        assert!(
            !folder.path().join("out").join(name).exists(),
            "{name} was written"
        );
    }
    let mut args = vec!["check", "--dataset", "dataset", "--subject", "SIM01"];
    args.extend(deep.then_some("--deep"));
    let output = braintune(folder.path(), &args);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(folder.path().join("check.json").exists());
}

#[test]
fn audio_that_is_truncated_empty_silent_or_no_audio() {
    let cut = |n: usize| {
        move |folder: &Path| {
            let (_, audio, _) = files(folder);
            let bytes = std::fs::read(&audio).unwrap();
            std::fs::write(&audio, &bytes[..n]).unwrap();
        }
    };
    refused(cut(400_000), &[".wav", "s"], false);
    refused(cut(0), &[".wav", "empty"], false);
    refused(cut(44), &[".wav"], false);
    refused(
        |folder| std::fs::write(files(folder).1, "once upon a time ".repeat(9)).unwrap(),
        &[".wav", "not an audio file"],
        false,
    );
    refused(
        |folder| std::fs::remove_file(files(folder).1).unwrap(),
        &["has no audio"],
        false,
    );
}

#[test]
fn responses_that_are_not_what_they_should_be() {
    use braintune::fmri::write_responses;
    let rewrite = |change: fn(&mut ndarray::Array2<f32>)| {
        move |folder: &Path| {
            let (_, _, path) = files(folder);
            let file = braintune::fmri::ResponseFile::open(&path).unwrap();
            let [n_trs, n_voxels] = file.shape().unwrap();
            let mut data = file.read(0..n_trs, 0..n_voxels).unwrap();
            change(&mut data);
            write_responses(&path, data.view()).unwrap();
        }
    };
    refused(
        rewrite(|data| data[[3, 5]] = f32::NAN),
        &["1 voxels hold NaN", "row 3, voxel 5", "--bad-voxels zero"],
        true,
    );
    refused(
        rewrite(|data| data.column_mut(2).fill(1.5)),
        &["1 are constant"],
        true,
    );
    refused(
        rewrite(|data| *data = data.slice(ndarray::s![1.., ..]).to_owned()),
        &["respdict.json", "rows"],
        false,
    );
    refused(
        rewrite(|data| *data = data.slice(ndarray::s![.., 1..]).to_owned()),
        &["voxels"],
        false,
    );
    refused(
        |folder| std::fs::write(files(folder).2, "/annex/objects/SHA256E-s1--0.hf5\n").unwrap(),
        &["git-annex pointer"],
        false,
    );
    refused(
        |folder| std::fs::write(files(folder).2, "no HDF5").unwrap(),
        &["not an HDF5 file"],
        false,
    );
    refused(
        |folder| {
            let fixture =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/no-data/no-data.hf5");
            std::fs::copy(fixture, files(folder).2).map(drop).unwrap();
        },
        &["no `data`", "other"],
        false,
    );
}

#[test]
fn nan_can_be_taken_as_zero_and_is_said() {
    let folder = workplace();
    let (_, _, path) = files(folder.path());
    let file = braintune::fmri::ResponseFile::open(&path).unwrap();
    let [n_trs, n_voxels] = file.shape().unwrap();
    let mut data = file.read(0..n_trs, 0..n_voxels).unwrap();
    data.column_mut(0).fill(f32::NAN);
    braintune::fmri::write_responses(&path, data.view()).unwrap();
    let output = encode(folder.path(), &["--bad-voxels", "zero"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("1 voxels hold NaN"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn stories_subjects_and_settings_that_are_not_there() {
    let folder = workplace();
    let (train, test) = stories(folder.path());
    assert_refused(
        &encode(folder.path(), &["--train-stories", "absent"]),
        &["absent", &train[0]],
    );
    assert_refused(
        &encode(folder.path(), &["--train-stories", &test]),
        &["named twice"],
    );
    assert_refused(
        &encode(folder.path(), &["--train-stories", &train[0]]),
        &["two"],
    );
    assert_refused(&encode(folder.path(), &["--trim", "0,5"]), &["rows"]);
    assert_refused(
        &encode(folder.path(), &["--trim", "400,5"]),
        &["story", &train[0], "400"],
    );
    let rois = folder.path().join("rois.json");
    for (text, part) in [
        ("{\"a\": [0], \"a\": [1]}", "there twice"),
        ("{\"\": [0]}", "no name"),
        ("{\"a\": [0, 0]}", "names a voxel twice"),
        ("{\"a\": [99999]}", "99999"),
        ("[0]", "rois.json"),
    ] {
        std::fs::write(&rois, text).unwrap();
        assert_refused(&encode(folder.path(), &["--rois", "rois.json"]), &[part]);
    }
    for (subject, parts) in [("S9", ["S9", "SIM01"]), ("SIM01", ["no model m", "fetch"])] {
        let mut args = vec!["encode", "--dataset", "dataset", "--subject", subject];
        args.extend(["--model", "m", "--test-stories", &test, "--out", "out"]);
        assert_refused(&braintune(folder.path(), &args), &parts);
    }
    let none = ["check", "--dataset", "nowhere"];
    assert_refused(&braintune(folder.path(), &none), &["nowhere"]);
    assert_refused(
        &braintune(
            folder.path(),
            &["check", "--dataset", "dataset", "--subject", "S9"],
        ),
        &["S9", "SIM01"],
    );
    let respdict = folder.path().join("dataset/derivative/respdict.json");
    for (text, part) in [("{}", "no story"), ("{\"a\": 900000000000000}", "100000")] {
        std::fs::write(&respdict, text).unwrap();
        let check = ["check", "--dataset", "dataset"];
        assert_refused(&braintune(folder.path(), &check), &["respdict.json", part]);
    }
}

#[test]
fn models_that_cannot_be_used() {
    let folder = workplace();
    let model = model_copy(folder.path());
    let (_, test) = stories(folder.path());
    let run = || {
        let args = [
            "encode",
            "--dataset",
            "dataset",
            "--subject",
            "SIM01",
            "--model",
            "model",
            "--test-stories",
            &test,
            "--test-trim",
            "10,5",
            "--out",
            "out",
        ];
        braintune(folder.path(), &args)
    };
    let config = std::fs::read_to_string(model.join("config.json")).unwrap();
    std::fs::write(
        model.join("config.json"),
        config.replace("\"whisper\"", "\"parrot\""),
    )
    .unwrap();
    assert_refused(&run(), &["model_type \"parrot\"", "whisper"]);
    std::fs::write(
        model.join("config.json"),
        config.replace("\"d_model\": 16", "\"d_model\": 18"),
    )
    .unwrap();
    assert_refused(&run(), &["conv1.weight", "[18, 80, 3]", "[16, 80, 3]"]);
    std::fs::write(model.join("config.json"), config).unwrap();
    let weights = std::fs::read(model.join("model.safetensors")).unwrap();
    std::fs::write(
        model.join("model.safetensors"),
        &weights[..weights.len() / 2],
    )
    .unwrap();
    assert_refused(&run(), &["model.safetensors", "truncated"]);
    assert!(!folder.path().join("out").exists());
}

#[test]
fn an_output_folder_that_cannot_be_made_is_said() {
    let folder = workplace();
    std::fs::write(folder.path().join("out"), "a file where a folder should be").unwrap();
    assert_refused(&encode(folder.path(), &[]), &["out"]);
}
