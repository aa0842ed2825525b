//! What once was taken without a word, or took what was there with it: refused, or said.

use std::path::Path;
use std::process::Output;

use braintune::audio::{SampleRate, Waveform, write_wav};
use ndarray::{Array1, Array2};
use ndarray_npy::write_npy;

use crate::workplace::{assert_refused, braintune, encode, model_copy, stderr, stories, workplace};

#[track_caller]
fn assert_said(output: &Output, parts: &[&str]) {
    let text = stderr(output);
    assert!(output.status.success(), "{text}");
    for part in parts {
        assert!(text.contains(part), "expected `{part}` in: {text}");
    }
}

fn read(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

/// `encode` of low-level features of the simulated participant.
fn features(folder: &Path, out: &str, more: &[&str]) -> Output {
    let (_, test) = stories(folder);
    let mut args = vec!["encode", "--dataset", "dataset", "--subject", "SIM01"];
    args.extend(["--test-stories", &test, "--test-trim", "10,5", "--out", out]);
    args.extend(["--permutations", "20", "--bootstraps", "20"]);
    args.extend(more);
    braintune(folder, &args)
}

fn silence(path: &Path, seconds: usize) {
    let samples = vec![0.0; 16_000 * seconds];
    write_wav(
        path,
        &Waveform::from_samples(samples, SampleRate::SPEECH).unwrap(),
    )
    .unwrap();
}

#[test]
fn more_draws_than_there_is_memory_for() {
    let folder = workplace();
    for flag in ["--permutations", "--bootstraps"] {
        assert_refused(
            &encode(folder.path(), &[flag, "1000000000000"]),
            &["1000000000000", &flag[2..], "at most 1000000"],
        );
    }
    let probe = [
        "probe", "--task", "energy", "--data", "dataset", "--model", "m", "--out", "out",
    ];
    for n in ["4000000000", "1"] {
        let output = braintune(folder.path(), &[&probe, &["--bootstraps", n][..]].concat());
        assert_refused(&output, &["--bootstraps", "2..=1000000"]);
    }
}

#[test]
fn results_do_not_lie_among_the_files_of_an_input() {
    let folder = workplace();
    let model = model_copy(folder.path());
    let record = "{\"inputs\": {\"train_stories\": [\"a\"], \"validation_stories\": []}}";
    std::fs::write(model.join("provenance.json"), record).unwrap();
    let (_, test) = stories(folder.path());
    let run = |out: &str| {
        let mut args = vec!["encode", "--dataset", "dataset", "--subject", "SIM01"];
        args.extend(["--model", "model", "--test-stories", &test, "--out", out]);
        braintune(folder.path(), &args)
    };
    assert_refused(&run("model"), &["--out model", "folder of the model"]);
    assert_refused(&run("dataset"), &["--out dataset", "folder of the dataset"]);
    assert_refused(&run("model/"), &["folder of the model"]);
    let probe = |out: &str| {
        let mut args = vec!["probe", "--task", "energy", "--data", "dataset/stimuli"];
        args.extend(["--model", "model", "--out", out]);
        braintune(folder.path(), &args)
    };
    assert_refused(&probe("model"), &["folder of a model"]);
    assert_refused(&probe("dataset/stimuli"), &["folder of the data"]);
    assert_eq!(read(&model, "provenance.json"), record.as_bytes());
    // A tuned folder that is no input keeps its record too.
    std::fs::create_dir(folder.path().join("other")).unwrap();
    std::fs::write(folder.path().join("other/provenance.json"), record).unwrap();
    assert_refused(
        &features(folder.path(), "other", &["--features", "energy"]),
        &["other/provenance.json", "--out"],
    );
    assert_refused(&probe("other"), &["other/provenance.json", "--out"]);
    assert_eq!(
        read(folder.path(), "other/provenance.json"),
        record.as_bytes()
    );
}

#[test]
fn results_of_something_else_stay() {
    let folder = workplace();
    let run = |more: &[&str]| features(folder.path(), "out", more);
    assert_said(&run(&["--features", "energy"]), &["wrote out"]);
    let before = read(folder.path(), "out/voxels.npz");
    let (train, _) = stories(folder.path());
    let fewer = train[..2].join(", "); // with a blank, which is taken away
    assert_refused(
        &run(&["--features", "energy", "--train-stories", &fewer]),
        &["out: holds results of SIM01 by energy", &train[2], "--out"],
    );
    assert_refused(
        &run(&["--features", "mfcc"]),
        &["the model mfcc where they have energy"],
    );
    assert_eq!(read(folder.path(), "out/voxels.npz"), before);
    assert_said(
        &run(&["--features", "energy", "--seed", "3"]),
        &["under other settings: they are replaced"],
    );
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    std::fs::write(folder.path().join("mine/alignment.csv"), "by hand").unwrap();
    assert_refused(
        &features(folder.path(), "mine", &["--features", "energy"]),
        &["mine/alignment.csv", "without a provenance.json"],
    );
    assert_eq!(read(folder.path(), "mine/alignment.csv"), b"by hand");
}

#[test]
fn a_result_that_was_cut_is_made_again() {
    let folder = workplace();
    let run = || features(folder.path(), "out", &["--features", "energy"]);
    assert_said(&run(), &["wrote out"]);
    let whole = read(folder.path(), "out/voxels.npz");
    std::fs::write(folder.path().join("out/voxels.npz"), &whole[..10]).unwrap();
    assert_said(&run(), &["missing or were changed", "wrote out"]);
    assert!(read(folder.path(), "out/voxels.npz") == whole);
    assert_said(&run(), &["nothing to do"]);
}

#[test]
fn files_of_others_are_not_replaced() {
    let folder = workplace();
    let check = |out: &str| {
        let args = ["check", "--dataset", "dataset", "--out", out];
        braintune(folder.path(), &args)
    };
    let list = "dataset/derivative/respdict.json";
    let before = read(folder.path(), list);
    assert_refused(&check(list), &[list, "no report of check"]);
    assert_eq!(read(folder.path(), list), before);
    for _ in 0..2 {
        assert_said(&check("check.json"), &["wrote check.json"]);
    }
    let model = crate::workplace::model();
    let audio = format!("dataset/stimuli/{}.wav", stories(folder.path()).0[0]);
    let extract = |out: &str| {
        let mut args = vec!["extract", "--model", model.to_str().unwrap()];
        args.extend(["--audio", &audio, "--window-s", "4", "--stride-s", "4"]);
        args.extend(["--out", out]);
        braintune(folder.path(), &args)
    };
    assert_refused(&extract("check.json"), &["check.json", "no features"]);
    for _ in 0..2 {
        assert_said(&extract("f.safetensors"), &["wrote 3 hidden states"]);
    }
}

#[test]
fn sounds_and_labels_of_another_story() {
    let folder = workplace();
    let story = stories(folder.path()).0.remove(0);
    let audio = format!("dataset/stimuli/{story}.wav");
    let sound = read(folder.path(), &audio);
    silence(&folder.path().join(&audio), 400);
    assert_refused(
        &encode(folder.path(), &[]),
        &[&audio, "400.0 s", "expected a sound of"],
    );
    std::fs::write(folder.path().join(&audio), sound).unwrap();
    let labels = format!("dataset/derivative/TextGrids/{story}.TextGrid");
    let text = String::from_utf8(read(folder.path(), &labels)).unwrap();
    let end = text.split("xmax = ").nth(1).unwrap();
    let end = end.split_whitespace().next().unwrap();
    std::fs::write(
        folder.path().join(&labels),
        text.replace(&format!("xmax = {end}"), "xmax = 400"),
    )
    .unwrap();
    assert_refused(
        &features(folder.path(), "out", &["--features", "word-rate"]),
        &[&labels, "400.0 s", "is it the right file?"],
    );
}

#[test]
fn a_story_without_responses_is_said_to_be_left_out() {
    let folder = workplace();
    let story = stories(folder.path()).0.remove(0);
    let path = format!("dataset/derivative/preprocessed_data/SIM01/{story}.hf5");
    std::fs::remove_file(folder.path().join(path)).unwrap();
    let said = format!("left out, no responses of SIM01: {story}");
    assert_said(
        &features(folder.path(), "out", &["--features", "energy"]),
        &[&said],
    );
    let record = String::from_utf8(read(folder.path(), "out/provenance.json")).unwrap();
    assert!(record.contains("\"left_out\""), "{record}");
}

#[test]
fn settings_that_leave_nothing() {
    let folder = workplace();
    let run = |more: &[&str]| features(folder.path(), "out", more);
    assert_refused(
        &run(&["--features", "energy", "--remove", "acoustic"]),
        &["--remove acoustic", "nothing would be left of energy"],
    );
    let one_left = ["--features", "energy", "--trim", "10,49"];
    assert_refused(&run(&one_left), &["10,49 leaves one TR of 60"]);
    let (train, _) = stories(folder.path());
    let one = ["--features", "energy", "--train-stories", &train[0]];
    assert_refused(&run(&one), &["--train-stories", "--folds"]);
    let mut args = vec!["encode", "--dataset", "dataset", "--subject", "SIM01"];
    args.extend(["--features", "energy", "--out", "out"]);
    assert_refused(
        &braintune(folder.path(), &args),
        &["dataset has no story wheretheressmoke", "--test-stories"],
    );
}

#[test]
fn what_a_deep_check_says_of_silence_and_of_absurd_values() {
    use braintune::fmri::{ResponseFile, write_responses};
    let folder = workplace();
    let story = stories(folder.path()).0.remove(0);
    let audio = folder.path().join(format!("dataset/stimuli/{story}.wav"));
    let seconds = braintune::audio::load_audio(&audio).unwrap().duration_s();
    silence(&audio, seconds as usize);
    let path = format!("dataset/derivative/preprocessed_data/SIM01/{story}.hf5");
    let path = folder.path().join(path);
    let file = ResponseFile::open(&path).unwrap();
    let [n_trs, n_voxels] = file.shape().unwrap();
    let mut data = file.read(0..n_trs, 0..n_voxels).unwrap();
    data[[3, 5]] = 1e26;
    write_responses(&path, data.view()).unwrap();
    let deep = ["check", "--dataset", "dataset", "--deep"];
    assert_said(
        &braintune(folder.path(), &deep),
        &["it is silent", "values beyond 1e8 in voxels 5"],
    );
    assert_said(
        &features(folder.path(), "out", &["--features", "energy"]),
        &["1 voxels have values beyond 1e8"],
    );
    std::fs::remove_dir_all(
        folder
            .path()
            .join("dataset/derivative/preprocessed_data/SIM01"),
    )
    .unwrap();
    let output = braintune(folder.path(), &["check", "--dataset", "dataset"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("has no participant"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn arrays_that_tell_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let values = |n| Array2::from_shape_fn((n, 3), |(i, j)| ((i * (j + 2)) as f32 * 0.7).sin());
    write_npy(at("x.npy"), &values(40)).unwrap();
    write_npy(at("one.npy"), &values(1)).unwrap();
    let mut constant = values(40);
    constant.column_mut(2).fill(1.0);
    write_npy(at("constant.npy"), &constant).unwrap();
    let groups = Array1::from_iter((0..40).map(|i| i / 10));
    write_npy(at("g.npy"), &groups).unwrap();
    std::fs::write(at("empty.npy"), "").unwrap();
    std::fs::write(at("annex.npy"), "/annex/objects/MD5E-s4096--0cc1.npy\n").unwrap();
    let run = |x: &str, more: &[&str]| {
        let mut args = vec!["ridge", "--x", x, "--y", "x.npy", "--out", "fit.npz"];
        args.extend(more);
        braintune(folder.path(), &args)
    };
    let grouped = ["--groups", "g.npy", "--alphas", "1,10"];
    let with = |more: &[&'static str]| [&grouped, more].concat();
    assert_refused(
        &run("x.npy", &with(&["--delays", "1,50"])),
        &["longest group has 10 rows", "delay of 50"],
    );
    assert_refused(
        &run("x.npy", &["--alphas", "1,10"]),
        &["2 alphas", "--groups", "--folds"],
    );
    assert_refused(&run("empty.npy", &grouped), &["empty.npy", "is empty"]);
    assert_refused(&run("annex.npy", &grouped), &["git-annex pointer"]);
    let test = |x, y| with(&["--x-test", x, "--y-test", y]);
    assert_said(
        &run("x.npy", &test("one.npy", "one.npy")),
        &["one.npy has one row"],
    );
    assert_said(
        &run("x.npy", &test("x.npy", "constant.npy")),
        &["constant.npy never changes in 1 of 3 voxels", "voxel 2"],
    );
}

#[test]
fn tables_that_no_run_has_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out/alignment.csv");
    std::fs::create_dir(folder.path().join("out")).unwrap();
    let header = "subject,model,layer,roi,n_voxels,mean_r,ci_low,ci_high\n";
    let row = "S,m,0,all,5,0.1,0.0,0.2\n";
    for (rows, part) in [
        (String::new(), "no rows"),
        (row.replace("0.1", "NaN"), "line 2: mean_r is \"NaN\""),
        (row.replace("0.2", "inf"), "line 2: ci_high is \"inf\""),
        (row.replace("0.1", "5.5"), "line 2: mean_r is \"5.5\""),
        (row.replace("0.1", "-inf"), "line 2: mean_r"),
        (format!("{row}{row}"), "line 3: S, m, 0, all is there twice"),
    ] {
        std::fs::write(&path, format!("{header}{rows}")).unwrap();
        assert_refused(
            &braintune(folder.path(), &["report", "out"]),
            &["alignment.csv", part],
        );
    }
    std::fs::write(&path, format!("{header}{row}")).unwrap();
    assert_said(&braintune(folder.path(), &["report", "out"]), &["wrote"]);
}

#[test]
fn tuning_that_could_not_end_does_not_begin() {
    use braintune::fmri::{ResponseFile, write_responses};
    let folder = workplace();
    let (train, test) = stories(folder.path());
    let model = crate::tune::model();
    let tune = |more: &[&str]| {
        let mut args = vec!["tune", "--dataset", "dataset", "--subjects", "SIM01"];
        args.extend(["--model", &model, "--test-stories", &test, "--out", "out"]);
        args.extend(more);
        braintune(folder.path(), &args)
    };
    std::fs::write(folder.path().join("t.toml"), "batch_size = 0").unwrap();
    assert_refused(&tune(&["--config", "t.toml"]), &["t.toml: batch_size = 0"]);
    assert_refused(&tune(&["--ceiling-threshold", "NaN"]), &["below 1"]);
    let one = ["--train-stories", &train[0], "--val-stories", &train[1]];
    assert_refused(
        &tune(&[&one[..], &["--control", "other-story"]].concat()),
        &[
            "other-story",
            "SIM01",
            "1 of the training stories",
            "at least two",
        ],
    );
    let few = Array1::from(vec![0.5_f32; 3]);
    write_npy(folder.path().join("few.npy"), &few).unwrap();
    assert_refused(
        &tune(&[&one[..], &["--noise-ceiling", "few.npy"]].concat()),
        &["SIM01", "3 values"],
    );
    let path = format!(
        "dataset/derivative/preprocessed_data/SIM01/{}.hf5",
        train[0]
    );
    let path = folder.path().join(path);
    let file = ResponseFile::open(&path).unwrap();
    let [n_trs, n_voxels] = file.shape().unwrap();
    let mut data = file.read(0..n_trs, 0..n_voxels).unwrap();
    data.row_mut(20).fill(f32::NAN);
    write_responses(&path, data.view()).unwrap();
    assert_refused(&tune(&one), &["SIM01", &train[0], "NaN", "nan_to_zero"]);
    assert!(!folder.path().join("out").exists());
}
