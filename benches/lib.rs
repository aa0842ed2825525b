//! Benchmarks: `cargo bench -p benches`. Comparisons with other packages are the scripts in
//! `peers/`.
