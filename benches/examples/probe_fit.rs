//! CPU time and memory of logistic regression, for `peers/probe_vs_sklearn.py`.
//!
//! `probe_fit FOLDER N_SAMPLES N_FEATURES N_CLASSES C TOLERANCE [linfa]` fits `x.f32` and `y.u8` of the folder (raw,
//! rows one after another), writes `coef.f32` and `intercept.f64` there, and prints the CPU seconds of the
//! fit, its steps, and the megabytes that the process held at most before and after it. With `linfa` it is
//! linfa-logistic that fits, in f32 and to TOLERANCE as it takes it.
#![allow(clippy::print_stdout, missing_docs)]

use std::{fs, path::Path};

use anyhow::bail;
use benches::{cpu_s, peak_mb};
use braintune_probing::{Classes, Logistic};
use linfa::{Dataset, ParamGuard, traits::Fit};
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

fn main() -> anyhow::Result<()> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let is_linfa = args.pop_if(|last| last == "linfa").is_some();
    let [folder, n, d, k, c, tolerance] = &args[..] else {
        bail!("usage: probe_fit FOLDER N_SAMPLES N_FEATURES N_CLASSES C TOLERANCE");
    };
    let folder = Path::new(folder);
    let x = features(&folder.join("x.f32"), n.parse()?, d.parse()?)?;
    let labels = fs::read(folder.join("y.u8"))?;
    let labels: Vec<usize> = labels.into_iter().map(usize::from).collect();
    let classes = Classes::new(&labels, k.parse()?)?;
    let params = Logistic::params(c.parse()?).tolerance(tolerance.parse()?);
    if is_linfa {
        return linfa(folder, x, &labels, c.parse()?, tolerance.parse()?);
    }
    let (held, before) = (peak_mb()?, cpu_s()?);
    let probe = params.check()?.fit(x.view(), classes)?;
    let (taken, peak) = (cpu_s()? - before, peak_mb()?);
    write(folder, probe.coef(), probe.intercept().view())?;
    println!("{taken:.2} {} {held:.0} {peak:.0}", probe.report().n_steps);
    Ok(())
}

fn linfa(
    folder: &Path,
    x: Array2<f32>,
    labels: &[usize],
    c: f32,
    tolerance: f32,
) -> anyhow::Result<()> {
    let data = Dataset::new(x, Array1::from(labels.to_vec()));
    let (held, before) = (peak_mb()?, cpu_s()?);
    let params = MultiLogisticRegression::default()
        .alpha(1.0 / c)
        .gradient_tolerance(tolerance)
        .max_iterations(10_000);
    let fitted = params.fit(&data)?;
    let (taken, peak) = (cpu_s()? - before, peak_mb()?);
    let intercept = fitted.intercept().mapv(f64::from);
    write(folder, fitted.params().view(), intercept.view())?;
    // It does not say how many steps it made.
    println!("{taken:.2} 0 {held:.0} {peak:.0}");
    Ok(())
}

fn write(
    folder: &Path,
    coef: ArrayView2<'_, f32>,
    intercept: ArrayView1<'_, f64>,
) -> anyhow::Result<()> {
    let coef: Vec<u8> = coef.iter().flat_map(|w| w.to_le_bytes()).collect();
    let intercept: Vec<u8> = intercept.iter().flat_map(|w| w.to_le_bytes()).collect();
    fs::write(folder.join("coef.f32"), coef)?;
    fs::write(folder.join("intercept.f64"), intercept)?;
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
