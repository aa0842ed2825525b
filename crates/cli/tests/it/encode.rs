//! `encode` from files to files: outputs, repeats, and independence of threads.

use std::fs::File;
use std::path::Path;

use ndarray::Array2;
use ndarray_npy::NpzReader;

use crate::workplace::{encode, stderr, workplace};

fn voxels(folder: &Path) -> (Array2<f32>, Array2<f64>) {
    let mut npz = NpzReader::new(File::open(folder.join("out/voxels.npz")).unwrap()).unwrap();
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
        "dataset/noise_ceiling.npy",
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
fn the_number_of_threads_changes_no_bit() {
    let run = |threads| {
        let folder = workplace();
        let output = encode(folder.path(), &["--threads", threads]);
        assert!(output.status.success(), "{}", stderr(&output));
        voxels(folder.path())
    };
    assert_eq!(run("1"), run("2"));
}

#[test]
fn the_reference_codes_conventions_are_one_flag() {
    let folder = workplace();
    let output = encode(folder.path(), &["--compat", "huth"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let provenance = std::fs::read_to_string(folder.path().join("out/provenance.json")).unwrap();
    assert!(
        provenance.contains("SignedSqrtR2")
            && provenance.contains("\"delays_cross_stories\": true")
    );
    let (r, _) = voxels(folder.path());
    let plain = workplace();
    assert!(encode(plain.path(), &[]).status.success());
    assert_ne!(r, voxels(plain.path()).0);
}
