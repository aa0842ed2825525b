//! `encode` from files to files: outputs, repeats, and independence of threads.

use std::fs::File;
use std::path::Path;

use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;

use crate::workplace::{assert_refused, braintune, encode, stderr, stories, workplace};

fn npz(folder: &Path) -> NpzReader<File> {
    NpzReader::new(File::open(folder.join("out/voxels.npz")).unwrap()).unwrap()
}

fn voxels(folder: &Path) -> (Array2<f32>, Array2<f64>) {
    let mut npz = npz(folder);
    (
        npz.by_name("r").unwrap(),
        npz.by_name("best_alpha").unwrap(),
    )
}

#[test]
fn writes_every_layer_and_region_and_a_second_run_does_nothing() {
    let folder = workplace();
    let regions = [
        "--rois",
        "dataset/rois.json",
        "--noise-ceiling",
        "dataset/noise_ceiling-SIM01.npy",
    ];
    let first = encode(folder.path(), &regions);
    assert!(first.status.success(), "{}", stderr(&first));
    let (r, alphas) = voxels(folder.path());
    assert_eq!(r.nrows(), 3); // two layers and their input
    assert_eq!(r.dim(), alphas.dim());
    assert!(r.iter().all(|r| r.abs() <= 1.0));
    assert!(alphas.iter().all(|alpha| (10.0..=10_000.1).contains(alpha)));
    let table = std::fs::read_to_string(folder.path().join("out/alignment.csv")).unwrap();
    let header = "subject,model,layer,roi,n_voxels,mean_r,mean_r_normalized,ci_low,ci_high,q_value";
    assert_eq!(table.lines().next(), Some(header));
    assert!(table.contains("SIM01,whisper-micro,0,all,"), "{table}");
    assert!(table.contains(",2,noise,"), "{table}");
    let provenance = std::fs::read_to_string(folder.path().join("out/provenance.json")).unwrap();
    assert!(provenance.contains("responses_f32_sha256"));
    assert!(!folder.path().join("out/.encode-state").exists());
    let again = encode(folder.path(), &regions);
    assert!(
        again.status.success() && stderr(&again).contains("nothing to do"),
        "{}",
        stderr(&again)
    );
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let run = |threads| {
        let folder = workplace();
        let args = ["--rois", "dataset/rois.json", "--threads", threads];
        let output = encode(folder.path(), &args);
        assert!(output.status.success(), "{}", stderr(&output));
        ["out/alignment.csv", "out/voxels.npz"]
            .map(|name| std::fs::read(folder.path().join(name)).unwrap())
    };
    assert!(run("1") == run("2"));
}

#[test]
fn ceilings_come_from_the_repeats_and_the_table_is_full() {
    let folder = workplace();
    let output = encode(folder.path(), &["--rois", "dataset/rois.json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("95 % interval"),
        "{}",
        stderr(&output)
    );
    let ceiling: Array1<f32> = npz(folder.path()).by_name("noise_ceiling").unwrap();
    assert!(ceiling.iter().all(|c| (0.0..=1.0).contains(c)));
    let table = std::fs::read_to_string(folder.path().join("out/alignment.csv")).unwrap();
    for line in table.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<f64>().ok();
        // No voxel of the noise region need have a ceiling to divide by.
        assert!(number(6).is_some() || cells[3] == "noise", "{line}");
        let (mean, low, high) = (number(5).unwrap(), number(7).unwrap(), number(8).unwrap());
        assert!(low <= mean && mean <= high, "{line}");
        assert!((0.0..=1.0).contains(&number(9).unwrap()), "{line}");
    }
    // Fewer permutations, no intervals: another result, not the one that is there.
    let few = ["--permutations", "19", "--bootstraps", "0"];
    let output = encode(folder.path(), &few);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("under other settings: they are replaced"),
        "{}",
        stderr(&output)
    );
    let table = std::fs::read_to_string(folder.path().join("out/alignment.csv")).unwrap();
    assert!(table.lines().nth(1).unwrap().contains(",,,0."), "{table}");
}

#[test]
fn the_reference_codes_conventions_are_one_flag() {
    let folder = workplace();
    let output = encode(folder.path(), &["--compat", "huth"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let provenance = std::fs::read_to_string(folder.path().join("out/provenance.json")).unwrap();
    for part in [
        "SignedSqrtR2",
        "\"delays_cross_stories\": true",
        "\"total_power\": \"Unit\"",
        "\"low_ceiling\": \"Zero\"",
        "\"bad_voxels\": \"Zero\"",
        "\"cv\": \"Bootstrap\"",
    ] {
        assert!(provenance.contains(part), "expected `{part}`");
    }
    let (r, _) = voxels(folder.path());
    let plain = workplace();
    assert!(encode(plain.path(), &[]).status.success());
    assert_ne!(r, voxels(plain.path()).0);
}

#[test]
fn folds_can_be_passed_in() {
    let folder = workplace();
    // The kept TRs of the three simulated training stories: 45 each.
    let stories = [(0..45), (45..90), (90..135)].map(Iterator::collect::<Vec<u32>>);
    let write = |folds: &[Vec<u32>]| {
        let text = format!("{folds:?}");
        std::fs::write(folder.path().join("folds.json"), text).unwrap();
    };
    let run = |more: &[&str]| {
        let output = encode(folder.path(), more);
        assert!(output.status.success(), "{}", stderr(&output));
        voxels(folder.path())
    };
    write(&stories);
    let by_story = run(&[]);
    assert_eq!(run(&["--folds", "folds.json"]), by_story);
    // Chunks of 20 rows as the reference code draws them.
    let chunk = |k: u32| (20 * k..20 * (k + 1)).collect::<Vec<u32>>();
    write(&[chunk(0), chunk(3), chunk(5)]);
    let chunks = run(&["--folds", "folds.json", "--compat", "huth"]);
    assert_ne!(chunks.1, run(&["--compat", "huth"]).1);
    let refused = |text: &str, parts: &[&str]| {
        std::fs::write(folder.path().join("folds.json"), text).unwrap();
        assert_refused(&encode(folder.path(), &["--folds", "folds.json"]), parts);
    };
    refused("[[0, 135]]", &["135"]);
    refused("[[0, 0]]", &["0"]);
    refused("[]", &["folds"]);
    refused("{\"a\": [1]}", &["folds.json", "[[row, …], …]"]);
    let both = ["--folds", "folds.json", "--cv", "story"];
    assert_eq!(encode(folder.path(), &both).status.code(), Some(2));
}

#[test]
fn low_level_features_stand_in_for_a_model_and_can_be_taken_out_of_one() {
    let folder = workplace();
    let (_, test) = stories(folder.path());
    let features = |more: &[&str]| {
        let mut args = vec![
            "encode",
            "--dataset",
            "dataset",
            "--subject",
            "SIM01",
            "--out",
            "out",
        ];
        args.extend(["--test-stories", &test, "--test-trim", "10,5"]);
        args.extend(more);
        braintune(folder.path(), &args)
    };
    let output = features(&["--features", "word-rate,mfcc+energy"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let table = std::fs::read_to_string(folder.path().join("out/alignment.csv")).unwrap();
    let starts = |start: &str| table.lines().any(|line| line.starts_with(start));
    assert!(
        starts("SIM01,word-rate,0,all,") && starts("SIM01,mfcc+energy,1,all,"),
        "{table}"
    );
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    assert_refused(
        &features(&["--features", "loudness"]),
        &["loudness", "acoustic"],
    );
    for wrong in [
        &[][..],
        &["--features", "mfcc", "--model", "m"],
        &["--features", "mfcc", "--adapter", "a"],
    ] {
        let output = features(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(stderr(&output).contains("--model"), "{}", stderr(&output));
    }

    let full = encode(folder.path(), &[]);
    assert!(full.status.success(), "{}", stderr(&full));
    let r = voxels(folder.path()).0;
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    let rest = encode(folder.path(), &["--remove", "acoustic"]);
    assert!(rest.status.success(), "{}", stderr(&rest));
    let left = voxels(folder.path()).0;
    assert!(left.sum() < 0.9 * r.sum(), "{} of {}", left.sum(), r.sum());
}
