//! The pipelines against an independent implementation.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::result_large_err,
    clippy::cast_possible_truncation,
    missing_docs
)]

mod ceilings;
mod devices;
mod encode;
mod npy_responses;
mod simulated;
mod targets;
mod tune;
