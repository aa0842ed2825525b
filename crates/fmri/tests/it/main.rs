//! Everything public of braintune-fmri.

#![allow(clippy::unwrap_used, missing_docs)]
// What is read must be what was written, bit for bit.
#![allow(clippy::float_cmp)]

mod autotraits;
mod bids;
mod check;
mod datasets;
mod drift;
mod fix;
mod folder;
mod folder_damage;
mod folder_toml;
mod hdf5_damage;
mod huth;
mod lanczos;
mod layout;
mod lebel;
mod lowlevel;
mod nifti;
mod nifti_damage;
mod open;
mod presets;
mod regions;
mod response_file;
mod responses;
mod smoothing;
mod tensors;
mod textgrid;
mod time;
mod tr_report;
mod voxel_mask;

use std::path::PathBuf;

/// A file of `tests/fixtures`.
fn fixture(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(path)
}

/// The JSON file of `tests/fixtures` that a peer wrote.
fn expected(path: &str) -> serde_json::Value {
    let bytes = std::fs::read(fixture(path)).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// A message with its sources, as a user sees it.
fn full_message(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", full_message(source)),
        None => error.to_string(),
    }
}
