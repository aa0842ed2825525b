//! `tune` as people call it.

use std::path::Path;
use std::process::Output;

use braintune::fmri::{Ds003020, StoryDataset};
use ndarray::{Array1, Array2};

use crate::workplace::{assert_refused, braintune, stderr, stories, workplace};

/// The committed small wav2vec 2.0.
pub(crate) fn model() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tuning/tests/fixtures/wav2vec2");
    path.to_str().unwrap().to_owned()
}

fn tune(folder: &Path, more: &[&str]) -> Output {
    let model = model();
    let mut args = vec![
        "tune",
        "--dataset",
        "dataset",
        "--model",
        &model,
        "--out",
        "out",
    ];
    args.extend(more);
    braintune(folder, &args)
}

#[test]
fn targets_take_the_place_of_a_participant() {
    let folder = workplace();
    let (names, _) = stories(folder.path());
    let targets = folder.path().join("targets");
    std::fs::create_dir(&targets).unwrap();
    let write = |story: &str, n_trs: usize| {
        let path = targets.join(format!("{story}.npy"));
        ndarray_npy::write_npy(path, &Array2::<f32>::ones((n_trs, 2))).unwrap();
    };
    for more in [
        ["--subjects", "SIM01"],
        ["--noise-ceiling", "c.npy"],
        ["--ceiling-threshold", "0.1"],
    ] {
        let output = tune(
            folder.path(),
            &[&["--targets", "targets"], &more[..]].concat(),
        );
        assert_refused(&output, &["--targets <DIR>", more[0]]);
    }
    write(&names[0], 7);
    let output = tune(folder.path(), &["--targets", "targets"]);
    assert_refused(&output, &["targets", &names[0], "(7, 2)"]);
    let output = tune(folder.path(), &[]);
    assert!(
        stderr(&output).contains("--subjects"),
        "{}",
        stderr(&output)
    );

    let dataset = Ds003020::open(&folder.path().join("dataset")).unwrap();
    for story in &names {
        write(story, dataset.timing(story).unwrap().stored().len());
    }
    let output = tune(folder.path(), &["--targets", "targets", "--epochs", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(folder.path().join("out/model.safetensors").exists());
}

#[test]
fn results_take_the_place_of_nothing_else() {
    let folder = workplace();
    let subject = ["--subjects", "SIM01"];
    let output = tune(folder.path(), &[&subject[..], &["--epochs", "1"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    std::fs::remove_dir_all(folder.path().join("out/state")).unwrap();
    let before = std::fs::read(folder.path().join("out/model.safetensors")).unwrap();
    for more in [&subject[..], &[&subject[..], &["--resume"]].concat()] {
        assert_refused(&tune(folder.path(), more), &["--out out", "replaced"]);
    }
    assert!(std::fs::read(folder.path().join("out/model.safetensors")).unwrap() == before);
    let model = model();
    let args = [
        "tune",
        "--dataset",
        "dataset",
        "--model",
        &model,
        "--subjects",
        "SIM01",
    ];
    let output = braintune(folder.path(), &[&args[..], &["--out", "dataset"]].concat());
    assert_refused(&output, &["--out dataset", "inputs"]);
}

#[test]
fn voxel_weights_need_a_ceiling_that_fits() {
    let folder = workplace();
    let write = |name: &str, n: usize| {
        ndarray_npy::write_npy(folder.path().join(name), &Array1::<f32>::ones(n)).unwrap();
    };
    write("mask.npy", 80);
    write("ceiling.npy", 79);
    let tune = |more: &[&str]| {
        let args = [
            "--subjects",
            "SIM01",
            "--mask",
            "mask.npy",
            "--noise-ceiling",
            "ceiling.npy",
        ];
        tune(folder.path(), &[&args[..], more].concat())
    };
    assert_refused(&tune(&[]), &["--voxel-weights ceiling"]);
    assert_refused(
        &tune(&["--voxel-weights", "ceiling"]),
        &["SIM01", "80", "79"],
    );
    std::fs::write(folder.path().join("c.toml"), "voxel_weights = \"ceiling\"").unwrap();
    assert_refused(&tune(&["--config", "c.toml"]), &["SIM01", "80", "79"]);
}

#[test]
fn the_model_learns_its_own_objective_and_hubert_needs_units() {
    let folder = workplace();
    std::fs::write(
        folder.path().join("mask.toml"),
        "[stimulus]\nmask_time_prob = 0.5\nmask_time_length = 2\nn_negatives = 4",
    )
    .unwrap();
    let args = ["--subjects", "SIM01", "--control", "stimulus"];
    let one = ["--epochs", "1", "--config", "mask.toml"];
    let output = tune(
        folder.path(),
        &[&args[..], &["--units", "nowhere"], &one].concat(),
    );
    assert_refused(&output, &["nowhere"]);
    let output = tune(
        folder.path(),
        &[&args[..], &["--cache", "kept"], &one].concat(),
    );
    assert_refused(&output, &["cache", "stimulus"]);
    let output = tune(folder.path(), &[&args[..], &one].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let log = std::fs::read_to_string(folder.path().join("out/training.csv")).unwrap();
    assert!(log.lines().count() > 2, "{log}");
    let provenance = std::fs::read_to_string(folder.path().join("out/provenance.json")).unwrap();
    assert!(provenance.contains("Stimulus"), "{provenance}");
}

#[test]
fn kept_outputs_of_frozen_parts_change_no_weight() {
    let folder = workplace();
    let run = |more: &[&str]| {
        let args = ["--subjects", "SIM01", "--epochs", "2"];
        let output = tune(folder.path(), &[&args[..], more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let out = folder.path().join("out");
        let weights = std::fs::read(out.join("model.safetensors")).unwrap();
        std::fs::remove_dir_all(out).unwrap();
        weights
    };
    let plain = run(&[]);
    assert!(run(&["--cache", "kept"]) == plain);
    let n_kept = || {
        std::fs::read_dir(folder.path().join("kept"))
            .unwrap()
            .count()
    };
    let kept = n_kept();
    assert!(kept > 0);
    assert!(run(&["--cache", "kept", "--control", "block-permuted"]) != plain);
    assert_eq!(n_kept(), kept, "a control hears the same");
}
