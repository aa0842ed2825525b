//! `tune` as people call it.

use std::path::Path;
use std::process::Output;

use ndarray::Array2;

use crate::workplace::{assert_refused, braintune, stderr, stories, workplace};

/// The committed small wav2vec 2.0.
fn model() -> String {
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
    assert_refused(&output, &["targets", &names[0], "[7, 2]"]);
    let output = tune(folder.path(), &[]);
    assert!(
        stderr(&output).contains("--subjects"),
        "{}",
        stderr(&output)
    );

    let file = folder.path().join("dataset/derivative/respdict.json");
    let text = std::fs::read_to_string(file).unwrap();
    let n_trs = |story: &str| -> usize {
        let rest = text.split(&format!("\"{story}\"")).nth(1).unwrap();
        let digits = rest.chars().skip_while(|c| !c.is_ascii_digit());
        digits
            .take_while(char::is_ascii_digit)
            .collect::<String>()
            .parse()
            .unwrap()
    };
    // Five TRs before and ten behind the story's grid were cut off what is stored.
    for story in &names {
        write(story, n_trs(story));
    }
    let output = tune(folder.path(), &["--targets", "targets", "--epochs", "1"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(folder.path().join("out/model.safetensors").exists());
}
