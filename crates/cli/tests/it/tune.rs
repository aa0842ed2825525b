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

#[test]
fn each_participant_has_a_model_of_its_own_and_shares_are_of_participants() {
    let folder = tempfile::tempdir().unwrap();
    let sizes = [
        "--participants",
        "3",
        "--train-stories",
        "3",
        "--voxels",
        "8",
    ];
    let seconds = ["--story-s", "40", "--test-story-s", "120"];
    let simulate = ["simulate", "--out", "dataset"];
    let output = braintune(folder.path(), &[&simulate[..], &sizes, &seconds].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let subjects = ["--subjects", "SIM01,SIM02,SIM03", "--epochs", "1"];
    let ceiling = ["--ceiling-threshold=-1"];
    let tune = |more: &[&str]| tune(folder.path(), &[&subjects[..], &ceiling, more].concat());
    let refused = tune(&["--shard", "1/2"]);
    assert_refused(&refused, &["--each-subject", "mpirun"]);
    assert_refused(
        &tune(&["--each-subject", "--shard", "3/2"]),
        &["i/n", "3/2"],
    );
    let each = |more: &[&str]| tune(&[&["--each-subject"], more].concat());
    let model = |subject: &str| {
        folder
            .path()
            .join("out")
            .join(subject)
            .join("model.safetensors")
    };
    let output = each(&["--shard", "2/2"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("SIM02"), "{}", stderr(&output));
    assert!(model("SIM02").exists() && !model("SIM01").exists() && !model("SIM03").exists());
    let before = std::fs::read(model("SIM02")).unwrap();
    let output = each(&["--shard", "4/4"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("nothing to do"),
        "{}",
        stderr(&output)
    );
    // Without --resume what is there is not replaced; with it, a participant who is done takes no step.
    assert_refused(&each(&[]), &["SIM02", "--resume"]);
    assert!(
        !model("SIM01").exists(),
        "all folders are looked at before any run"
    );
    let output = each(&["--resume", "--device", "flex,flex"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(model("SIM01").exists() && model("SIM03").exists());
    assert!(std::fs::read(model("SIM02")).unwrap() == before);
    assert_refused(&each(&["--resume", "--device", "flex:0"]), &["flex:0"]);
    assert_refused(&each(&["--device", "abacus"]), &["abacus", "flex"]);
}
