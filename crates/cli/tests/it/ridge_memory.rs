//! `ridge` on responses far larger than the memory it may take.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ndarray::Array2;
use ndarray_npy::write_npy;

const ROWS: usize = 128;
/// 200 MB in single precision, of which the file system stores next to nothing.
const VOXELS: usize = 400_000;

/// A `.npy` of zeros but for what is in a few places; holes read as 0.
fn sparse(path: &Path, descr: &str, fortran: bool, width: u64) {
    let order = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({ROWS}, {VOXELS}), }}");
    header.extend(std::iter::repeat_n(' ', 117 - header.len()));
    header.push('\n');
    let mut file = File::create(path).unwrap();
    file.write_all(b"\x93NUMPY\x01\x00\x76\x00").unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len(128 + (ROWS * VOXELS) as u64 * width).unwrap();
}

/// The largest memory that a command took, bytes, watched while it runs.
fn peak_memory(folder: &Path, args: &[&str]) -> u64 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_braintune"))
        .args(args)
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kb = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        peak = peak.max(kb.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("fitted 400000 voxels"), "{text}");
    peak
}

#[test]
#[cfg(target_os = "linux")]
fn responses_and_coefficients_stream_whatever_their_layout() {
    let folder = tempfile::tempdir().unwrap();
    let x = Array2::from_shape_fn((ROWS, 64), |(i, j)| ((i * (2 * j + 3)) as f32 * 0.7).sin());
    write_npy(folder.path().join("x.npy"), &x).unwrap();
    let y = folder.path().join("y.npy");
    for (descr, fortran, width) in [
        ("<f4", false, 4),
        ("<f4", true, 4),
        ("<f8", false, 8),
        ("<f8", true, 8),
    ] {
        sparse(&y, descr, fortran, width);
        let args = [
            "ridge",
            "--x",
            "x.npy",
            "--y",
            "y.npy",
            "--alphas",
            "10",
            "--coef",
            "--out",
            "fit.npz",
            "--memory-gb",
            "0.02",
        ];
        let peak = peak_memory(folder.path(), &args);
        // Responses are 205 or 410 MB, coefficients 102 MB; the command itself and the scores take some.
        assert!(
            peak < 140_000_000,
            "{descr} fortran {fortran}: {peak} bytes"
        );
        let coef = std::fs::metadata(folder.path().join("fit.npz")).unwrap();
        assert!(coef.len() > (64 * VOXELS * 4) as u64);
    }
}
