//! Everything public of braintune-fmri.

#![allow(clippy::unwrap_used, missing_docs)]
// What is read must be what was written, bit for bit.
#![allow(clippy::float_cmp)]

mod autotraits;
mod check;
mod datasets;
mod hdf5_damage;
mod huth;
mod lanczos;
mod layout;
mod lebel;
mod lowlevel;
mod presets;
mod response_file;
mod responses;
mod textgrid;
mod time;
mod tr_report;

use std::path::PathBuf;

/// A file of `tests/fixtures`.
fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
}

/// A message with its sources, as a user sees it.
fn full_message(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", full_message(source)),
        None => error.to_string(),
    }
}
