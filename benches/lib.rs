//! Benchmarks: `cargo bench -p braintune-benches`. Comparisons with other packages are the scripts in
//! `peers/`.
