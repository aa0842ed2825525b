//! A study of inputs that cannot be, of steps that fail, of results that were changed or are not its own.

use std::path::Path;

use braintune::study::StepStatus;

use crate::study::{Place, STUDY, UNTUNED, assert_same, files, statuses};

#[test]
fn a_step_that_fails_is_recorded_and_the_rest_goes_on() {
    let place = Place::new();
    let failing = STUDY.replace("epochs = 1", "epochs = 1\nlr_backbone = 1e30");
    let outcome = place.run(&failing, "out").unwrap();
    let found = statuses(&outcome.results);
    assert_eq!(found["tune tiny brain-tuned SIM01"], StepStatus::Failed);
    assert_eq!(found["encode tiny brain-tuned SIM01"], StepStatus::Skipped);
    assert_eq!(found["encode tiny pretrained SIM01"], StepStatus::Done);
    assert_eq!(found["probe tiny random-weights"], StepStatus::Done);
    assert_eq!(outcome.n_failed, 8);
    let failed = outcome
        .results
        .steps
        .iter()
        .find(|step| step.status == StepStatus::Failed);
    let problem = failed.unwrap().problem.as_ref().unwrap();
    assert!(problem.contains("diverged"), "{problem}");
    assert!(
        outcome
            .results
            .curves
            .iter()
            .all(|curve| curve.condition != "brain-tuned")
    );
    let mended = place.run(STUDY, "out").unwrap();
    assert_eq!((mended.n_run, mended.n_failed), (8, 0));
}

#[test]
fn bad_studies_start_nothing() {
    let place = Place::with_two_participants();
    let story = "dataset/derivative/preprocessed_data/SIM02/thelasttrain.hf5";
    for (text, to, named) in [
        (
            "seed_typo = 1\ntitle",
            "title",
            vec!["study.toml", "line", "seed_typo"],
        ),
        (
            "stride_s = 2.0",
            "stride = 2.0",
            vec!["study.toml", "line 19", "stride"],
        ),
        ("epochs = 1", "epoch = 1", vec!["line 12", "epoch"]),
        ("epochs = 1", "epochs = 0", vec!["[tuning]", "epochs"]),
        (
            "controls = [\"block-permuted\"]",
            "controls = [\"stimulation\"]",
            vec!["line 10", "stimulation"],
        ),
        (
            "path = \"model\"",
            "path = \"nothere\"",
            vec!["model tiny", "nothere"],
        ),
        ("path = \"dataset\"", "path = \"nowhere\"", vec!["nowhere"]),
        ("name = \"tiny\"", "name = \"a/b\"", vec!["a/b", "folder"]),
        (
            "path = \"dataset\"",
            "path = \"dataset\"\ntest_stories = []",
            vec!["zero test stories"],
        ),
        (
            "path = \"dataset\"",
            "path = \"dataset\"\nparticipants = [\"SIM09\"]",
            vec!["SIM09"],
        ),
        (
            "path = \"dataset\"",
            "path = \"dataset\"\ntest_stories = [\"nostory\"]",
            vec!["nostory"],
        ),
        (
            "rois = \"dataset/rois.json\"",
            "rois = \"far.json\"",
            vec!["far", "99"],
        ),
        (
            "rois = \"dataset/rois.json\"",
            "rois = { SIM07 = \"far.json\" }",
            vec!["SIM07"],
        ),
        (
            "rois = \"dataset/rois.json\"",
            "noise_ceiling = { SIM01 = \"short.npy\" }",
            vec!["3", "12 voxels"],
        ),
        ("window_s = 2.0", "window_s = -1.0", vec!["[encoding]"]),
        (
            "window_s = 2.0",
            "window_s = 2.0\ndelays = [1, 500]",
            vec!["trim", "500", "SIM01"],
        ),
        (
            "epochs = 1",
            "epochs = 1\nlayer = 9",
            vec!["layer = 9", "0 to 2"],
        ),
        ("draws = 50", "draws = 1", vec!["[probes]", "draws"]),
        (
            "rois = \"dataset/rois.json\"",
            "rois = 5",
            vec!["line 5", "a table"],
        ),
        ("word-rate", "words-rate", vec!["words-rate", "word-rate"]),
        ("\"word-rate\"", "\"emotion\"", vec!["emotion", "data"]),
        (
            "[\"acoustic\"]",
            "[\"acoustics\"]",
            vec!["[baselines]", "acoustics"],
        ),
    ] {
        std::fs::write(place.path("far.json"), "{\"far\": [99]}").unwrap();
        let short = ndarray::Array1::from(vec![0.5_f32; 3]);
        ndarray_npy::write_npy(place.path("short.npy"), &short).unwrap();
        let broken = if text.starts_with("seed_typo") {
            STUDY.replace(to, text)
        } else {
            STUDY.replacen(text, to, 1)
        };
        assert_ne!(broken, STUDY);
        let error = place.refused(&broken);
        for name in named {
            assert!(error.contains(name), "{name:?} is not in {error:?}");
        }
    }
    std::fs::remove_file(place.path(story)).unwrap();
    let error = place.refused(STUDY);
    assert!(
        error.contains("SIM02") && error.contains("thelasttrain"),
        "{error}"
    );
}

#[test]
fn tuning_and_tests_that_cannot_be_are_refused_before_anything_starts() {
    let place = Place::new();
    for (text, to, named) in [
        (
            "epochs = 1",
            "epochs = 1\nfreeze = [\"layers:0-9\"]",
            vec!["study.toml", "[tuning]", "layers:0-9", "layers 0 to 1"],
        ),
        (
            "ceiling_threshold = 0.1",
            "ceiling_threshold = 0.999",
            vec!["study.toml", "[tuning]", "above 0.999", "SIM01"],
        ),
        (
            "permutations = 20",
            "permutations = 1000000000000",
            vec!["study.toml", "[encoding]", "at most 1000000"],
        ),
        (
            "draws = 50",
            "draws = 4000000000",
            vec!["study.toml", "[probes]", "at most 1000000"],
        ),
        (
            "[dataset]",
            "[encode]\nstride_s = 2.0\n[dataset]",
            vec!["study.toml", "`encode`", "`tuning`"],
        ),
    ] {
        let error = place.refused(&STUDY.replacen(text, to, 1));
        for name in named {
            assert!(error.contains(name), "{name:?} is not in {error:?}");
        }
    }
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let place = Place::new();
    let write = |name: &str, text: &str| {
        let path = place.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("a/notes.txt", "mine");
    write("b/study.json", "{\"schema_version\": 99}");
    write(
        "c/.study/owner.json",
        "{\"braintune\": \"0.0.1\", \"title\": \"study\"}",
    );
    let ours = format!(
        "{{\"braintune\": \"{}\", \"title\": \"other\"}}",
        env!("CARGO_PKG_VERSION")
    );
    write("d/.study/owner.json", &ours);
    write("e/.study/owner.json", &ours.replace("other", "study"));
    write("e/encode/tiny/pretrained/SIM01/alignment.csv", "by hand");
    write("f/.study/owner.json", &ours.replace("other", "study"));
    let lock = std::fs::File::create(place.path("f/.study/lock")).unwrap();
    lock.lock().unwrap();
    for (out, named) in [
        ("a", vec!["no study left there"]),
        ("b", vec!["schema_version 99", "--out"]),
        ("c", vec!["0.0.1", "--out"]),
        ("d", vec!["other", "--out"]),
        ("e", vec!["encode tiny pretrained SIM01", "remove"]),
        ("f", vec!["another run", "--out"]),
    ] {
        let before = files(&place.path(out));
        let error = place.run(UNTUNED, out).unwrap_err().to_string();
        for name in named {
            assert!(error.contains(name), "{name:?} is not in {error:?}");
        }
        assert_same(&before, &files(&place.path(out)));
    }
}

#[test]
fn a_result_that_was_changed_is_made_again_and_one_that_is_replaced_is_kept_until_then() {
    let place = Place::new();
    let n_steps = place.run(STUDY, "out").unwrap().n_run;
    let before = files(&place.path("out"));
    let encoded = place.path("out/encode/tiny/pretrained/SIM01");
    let tuned = place.path("out/tune/tiny/brain-tuned/SIM01");
    // Each of these once gave a study of fewer numbers, or one that could not be gone on with.
    let cut = |path: &Path, n: usize| {
        let bytes = std::fs::read(path).unwrap();
        std::fs::write(path, &bytes[..n.min(bytes.len())]).unwrap();
    };
    cut(&encoded.join("alignment.csv"), 300);
    let again = place.run(STUDY, "out").unwrap();
    assert_eq!((again.n_run, again.n_failed), (1, 0));
    assert_same(&before, &files(&place.path("out")));
    cut(&encoded.join("voxels.npz"), 100);
    cut(&tuned.join("training.csv"), 60);
    cut(&tuned.join("provenance.json"), 10);
    let again = place.run(STUDY, "out").unwrap();
    assert_eq!((again.n_run, again.n_failed), (2, 0));
    assert_same(&before, &files(&place.path("out")));

    // A setting that cannot be does not cost the tuned model.
    let wrong = STUDY.replace("epochs = 1", "epochs = 1\nlr_backbone = 1e30");
    let failed = place.run(&wrong, "out").unwrap();
    assert!(failed.n_failed > 0);
    let back = place.run(STUDY, "out").unwrap();
    assert_eq!((back.n_already, back.n_failed), (n_steps, 0));
    assert_same(&before, &files(&place.path("out")));
    std::fs::write(place.path("out/study.json"), "{").unwrap();
    place.run(STUDY, "out").unwrap();
    assert_same(&before, &files(&place.path("out")));
}
