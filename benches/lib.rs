//! Benchmarks: `cargo bench -p benches`. Comparisons with other packages are the scripts in
//! `peers/`.

use std::io::{Error, ErrorKind, Result};

/// User and system time of this process, all threads, from /proc (Linux).
///
/// # Errors
/// There is no such file, or it is not what Linux writes.
pub fn cpu_s() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let ticks = |stat: &str| {
        let after_name = stat.rsplit(')').next()?;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let of = |field: usize| fields.get(field)?.parse::<f64>().ok();
        Some(of(11)? + of(12)?)
    };
    let ticks = ticks(&stat).ok_or_else(|| Error::from(ErrorKind::InvalidData))?;
    Ok(ticks / 100.0) // clock ticks per second of every Linux
}

/// The most memory this process held so far, in megabytes, from /proc (Linux).
///
/// # Errors
/// There is no such file, or it is not what Linux writes.
pub fn peak_mb() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kb.ok_or_else(|| Error::from(ErrorKind::InvalidData))? / 1024.0)
}
