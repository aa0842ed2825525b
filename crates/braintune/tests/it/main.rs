//! The pipelines against an independent implementation.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::result_large_err,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::too_many_lines,
    missing_docs
)]

mod cache;
mod ceilings;
mod demo;
mod devices;
mod encode;
mod extract;
mod fetch_etag;
mod fetch_faults;
mod fetch_hub;
mod fetch_openneuro;
mod fetch_place;
mod fetch_runs;
mod fetch_server;
mod fetch_there;
mod lowlevel;
mod npy_responses;
mod ranks;
mod report;
mod report_study;
mod residual;
mod simulated;
mod study;
mod study_damage;
mod study_dry_run;
mod study_ranks;
mod study_surfaces;
mod surface;
mod targets;
mod tune;
mod tune_ranks;
