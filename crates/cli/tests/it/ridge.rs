//! `ridge`: arrays in, fit out, and arrays that do not fit.

use std::fs::File;
use std::path::Path;

use ndarray::{Array1, Array2, s};
use ndarray_npy::{NpzReader, write_npy};

use crate::workplace::{assert_refused, braintune, stderr};

/// x, y and groups: 60 rows in 3 groups, 5 features, 4 voxels that are the features' sums.
fn write_arrays(folder: &Path) {
    let x = Array2::from_shape_fn((60, 5), |(i, j)| ((i * (2 * j + 3)) as f64 * 0.7).sin());
    let weights = Array2::from_shape_fn((5, 4), |(i, j)| (i as f64 - j as f64) / 3.0);
    write_npy(folder.join("x.npy"), &x).unwrap();
    write_npy(folder.join("y.npy"), &x.dot(&weights).mapv(|v| v as f32)).unwrap();
    write_npy(
        folder.join("g.npy"),
        &Array1::from_iter((0..60).map(|i| i / 20)),
    )
    .unwrap();
}

fn ridge(folder: &Path, more: &[&str]) -> std::process::Output {
    let mut args = vec!["ridge", "--x", "x.npy", "--y", "y.npy", "--out", "fit.npz"];
    args.extend(more);
    braintune(folder, &args)
}

#[test]
fn fits_predicts_and_writes_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path());
    let test = [
        "--groups",
        "g.npy",
        "--alphas",
        "0.001,1,1000",
        "--coef",
        "--x-test",
        "x.npy",
        "--y-test",
        "y.npy",
    ];
    let output = ridge(folder.path(), &test);
    assert!(output.status.success(), "{}", stderr(&output));
    let mut npz = NpzReader::new(File::open(folder.path().join("fit.npz")).unwrap()).unwrap();
    let best: Array1<f64> = npz.by_name("best_alpha").unwrap();
    let coef: Array2<f32> = npz.by_name("coef").unwrap();
    let scores: Array2<f64> = npz.by_name("cv_scores").unwrap();
    let r2: Array1<f32> = npz.by_name("r2").unwrap();
    assert_eq!(best.to_vec(), [0.001; 4]); // values of the grid, not squared
    assert_eq!((coef.dim(), scores.dim()), ((5, 4), (3, 4)));
    assert!((coef[[4, 1]] - 1.0).abs() < 1e-3 && r2.iter().all(|r2| *r2 > 0.999));
}

#[test]
fn folds_scores_and_groups_of_voxels_can_be_passed_in() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path());
    let at = |name: &str| folder.path().join(name);
    let fit = |more: &[&str]| {
        let grid = ["--alphas", "0.001,1,1000"];
        let output = ridge(folder.path(), &[&grid, more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let mut npz = NpzReader::new(File::open(at("fit.npz")).unwrap()).unwrap();
        let best: Array1<f64> = npz.by_name("best_alpha").unwrap();
        let scores: Array2<f64> = npz.by_name("cv_scores").unwrap();
        (best, scores)
    };
    let rows = |range: std::ops::Range<u32>| range.collect::<Vec<u32>>();
    let folds = [rows(0..20), rows(20..40), rows(40..60)];
    std::fs::write(at("folds.json"), format!("{folds:?}")).unwrap();
    let by_group = fit(&["--groups", "g.npy"]);
    assert_eq!(fit(&["--folds", "folds.json"]), by_group);
    // With both, groups only stop delays.
    let half = [rows(0..30)];
    std::fs::write(at("half.json"), format!("{half:?}")).unwrap();
    let both = fit(&[
        "--folds",
        "half.json",
        "--groups",
        "g.npy",
        "--delays",
        "1,2",
    ]);
    assert_ne!(both.1, fit(&["--groups", "g.npy", "--delays", "1,2"]).1);
    let signed = fit(&["--groups", "g.npy", "--score", "signed-sqrt-r2"]);
    assert!(signed.1.iter().all(|score| (-1.0..=1.0).contains(score)));
    assert_ne!(signed.1, by_group.1);
    // Voxels 0 and 3, of one label, share an alpha.
    let labels = Array1::from_vec(vec![-7_i64, 4, 900, -7]);
    write_npy(at("per.npy"), &labels).unwrap();
    let (best, _) = fit(&["--groups", "g.npy", "--alpha-per", "per.npy"]);
    assert_eq!(best.slice(s![..1]), best.slice(s![3..]));
    let refused = |args: &[&str], parts: &[&str]| {
        let grid = ["--alphas", "1,10"];
        assert_refused(&ridge(folder.path(), &[args, &grid].concat()), parts);
    };
    std::fs::write(at("far.json"), "[[0, 60]]").unwrap();
    refused(&["--folds", "far.json"], &["60"]);
    std::fs::write(at("odd.json"), "[[0, -1]]").unwrap();
    refused(&["--folds", "odd.json"], &["odd.json", "[[row, …], …]"]);
    write_npy(at("few.npy"), &Array1::from_vec(vec![1_i64, 2])).unwrap();
    refused(
        &["--groups", "g.npy", "--alpha-per", "few.npy"],
        &["few.npy", "2 labels for 4 voxels"],
    );
    let usage = ridge(folder.path(), &["--alphas", "1,10", "--alpha-per", "fold"]);
    assert!(stderr(&usage).contains("voxel, all, or a .npy file"));
}

#[test]
fn says_how_exact_it_is_and_warns_of_the_ends_of_the_grid() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path());
    let output = ridge(
        folder.path(),
        &["--groups", "g.npy", "--alphas", "0.001,1,1000"],
    );
    let text = stderr(&output);
    assert!(text.contains("fitted 4 voxels in "), "{text}");
    assert!(
        text.contains("of the exact solution (3 voxels checked)"),
        "{text}"
    );
    assert!(
        text.contains("many targets (voxels) chose the smallest alpha"),
        "{text}"
    );
}

#[test]
fn arrays_and_flags_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path());
    let at = |name: &str| folder.path().join(name);
    write_npy(at("short.npy"), &Array1::from_iter(0..7_i64)).unwrap();
    write_npy(at("floats.npy"), &Array1::from_elem(60, 0.5)).unwrap();
    write_npy(at("mixed.npy"), &Array1::from_iter((0..60).map(|i| i % 3))).unwrap();
    let mut nan = Array2::<f32>::zeros((60, 4));
    nan[[7, 2]] = f32::NAN;
    write_npy(at("nan.npy"), &nan).unwrap();
    std::fs::write(at("text.npy"), "no array").unwrap();
    let whole = std::fs::read(at("x.npy")).unwrap();
    std::fs::write(at("cut.npy"), &whole[..whole.len() - 9]).unwrap();
    let grid = ["--alphas", "1,10"];
    let refused = |args: &[&str], parts: &[&str]| {
        assert_refused(&ridge(folder.path(), &[args, &grid].concat()), parts);
    };
    refused(&[], &["folds"]);
    refused(&["--groups", "short.npy"], &["7", "60"]);
    refused(&["--groups", "floats.npy"], &["floats.npy", "integers"]);
    refused(&["--groups", "absent.npy"], &["absent.npy"]);
    refused(
        &["--groups", "mixed.npy", "--delays", "1,2"],
        &["contiguous"],
    );
    let swapped = |x: &str, y: &str, parts: &[&str]| {
        let args = [
            "ridge", "--x", x, "--y", y, "--groups", "g.npy", "--out", "fit.npz", "--alphas",
            "1,10",
        ];
        assert_refused(&braintune(folder.path(), &args), parts);
    };
    swapped("text.npy", "y.npy", &["text.npy"]);
    swapped("cut.npy", "y.npy", &["cut.npy", "truncated"]);
    swapped("x.npy", "nan.npy", &["nan.npy", "NaN", "row 7", "column 2"]);
    swapped(
        "x.npy",
        "short.npy",
        &["x.npy has 60 rows", "short.npy has 7"],
    );
    let mut absurd = whole[..128].to_vec();
    let shape = absurd.windows(5).position(|w| w == b"(60, ").unwrap();
    absurd[shape..shape + 20].copy_from_slice(b"(6000000000000, 99)}");
    std::fs::write(at("absurd.npy"), absurd).unwrap();
    swapped("absurd.npy", "y.npy", &["absurd.npy", "6000000000000"]);
    let tested = |x: &str, y: &str, parts: &[&str]| {
        refused(&["--groups", "g.npy", "--x-test", x, "--y-test", y], parts);
    };
    tested("y.npy", "y.npy", &["x.npy has 5 columns", "y.npy has 4"]);
    tested("x.npy", "x.npy", &["y.npy has 4 columns", "x.npy has 5"]);
    tested("x.npy", "nan.npy", &["nan.npy", "row 7"]);
    assert!(!at("fit.npz").exists());
}

#[test]
fn alphas_that_are_no_grid_are_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    write_arrays(folder.path());
    for (alphas, expected) in [
        ("0,1", "above zero"),
        ("-1,1", "above zero"),
        ("10,1", "strictly increasing"),
        ("1,1", "strictly increasing"),
        ("nan", "above zero"),
        ("logspace:1:4", "logspace:1:4:15"),
        ("", "logspace:1:4:15"),
    ] {
        let output = ridge(
            folder.path(),
            &["--groups", "g.npy", &format!("--alphas={alphas}")],
        );
        assert_eq!(output.status.code(), Some(2), "{alphas}");
        assert!(
            stderr(&output).contains(expected),
            "{alphas}: {}",
            stderr(&output)
        );
    }
}
