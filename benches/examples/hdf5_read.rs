//! CPU time and memory of reading responses, for `peers/hdf5_vs_h5py.py`.
//!
//! `hdf5_read FILE FIRST END N` reads the voxels FIRST to END (exclusive) of `data` N times and prints the CPU
//! seconds of one reading, the megabytes the process held at most before and after, and the sum of the values.
#![allow(clippy::print_stdout, missing_docs)]

use std::path::Path;

use anyhow::bail;
use benches::{cpu_s, peak_mb};
use braintune_fmri::ResponseFile;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [file, first, end, n] = &args[..] else {
        bail!("usage: hdf5_read FILE FIRST END N");
    };
    let (voxels, n) = (first.parse()?..end.parse()?, n.parse::<u32>()?);
    let (held, before) = (peak_mb()?, cpu_s()?);
    let mut bold = None;
    for _ in 0..n {
        // Before the next one is read, as a caller would.
        drop(bold.take());
        let file = ResponseFile::open(Path::new(file))?;
        let [n_trs, _] = file.shape()?;
        bold = Some(file.read(0..n_trs, voxels.clone())?);
    }
    let (taken, peak) = (cpu_s()? - before, peak_mb()?);
    let sum: f64 = bold.iter().flatten().map(|&value| f64::from(value)).sum();
    println!("{:.5} {held:.1} {peak:.1} {sum:.9e}", taken / f64::from(n));
    Ok(())
}
