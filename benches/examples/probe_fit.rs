//! CPU time and memory of logistic regression, for `peers/probe_vs_sklearn.py`.
//!
//! `probe_fit FOLDER N_SAMPLES N_FEATURES N_CLASSES C TOLERANCE` fits `x.f32` and `y.u8` of the folder (raw,
//! rows one after another), writes `coef.f32` and `intercept.f64` there, and prints the CPU seconds of the
//! fit, its steps, and the megabytes that the process held at most before and after it.
#![allow(clippy::print_stdout, missing_docs)]

use std::{fs, path::Path};

use anyhow::{Context, bail};
use benches::cpu_s;
use braintune_probing::{Classes, Logistic};
use linfa::ParamGuard;
use ndarray::Array2;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, n, d, k, c, tolerance] = &args[..] else {
        bail!("usage: probe_fit FOLDER N_SAMPLES N_FEATURES N_CLASSES C TOLERANCE");
    };
    let folder = Path::new(folder);
    let x = features(&folder.join("x.f32"), n.parse()?, d.parse()?)?;
    let labels = fs::read(folder.join("y.u8"))?;
    let labels: Vec<usize> = labels.into_iter().map(usize::from).collect();
    let classes = Classes::new(&labels, k.parse()?)?;
    let params = Logistic::params(c.parse()?).tolerance(tolerance.parse()?);
    let (held, before) = (peak_mb()?, cpu_s()?);
    let probe = params.check()?.fit(x.view(), classes)?;
    let (taken, peak) = (cpu_s()? - before, peak_mb()?);
    let coef = probe
        .coef()
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect::<Vec<u8>>();
    fs::write(folder.join("coef.f32"), coef)?;
    let intercept = probe
        .intercept()
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .collect::<Vec<u8>>();
    fs::write(folder.join("intercept.f64"), intercept)?;
    println!("{taken:.2} {} {held:.0} {peak:.0}", probe.report().n_steps);
    Ok(())
}

/// Read without holding the bytes beside the numbers.
fn features(path: &Path, n: usize, d: usize) -> anyhow::Result<Array2<f32>> {
    use std::io::Read;
    let mut file = std::io::BufReader::new(fs::File::open(path)?);
    let mut values = Vec::with_capacity(n * d);
    let mut row = vec![0; 4 * d];
    for _ in 0..n {
        file.read_exact(&mut row)?;
        values.extend(
            row.as_chunks()
                .0
                .iter()
                .map(|&bytes| f32::from_le_bytes(bytes)),
        );
    }
    Ok(Array2::from_shape_vec((n, d), values)?)
}

/// The most memory this process has held, from /proc (Linux).
fn peak_mb() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kb.context("no VmHWM")?.parse::<f64>()? / 1024.0)
}
