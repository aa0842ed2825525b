//! The command as people use it: what it writes, and one clear message for everything that is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::result_large_err,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs
)]

mod bad_input;
mod book;
mod cache;
mod data;
mod encode;
mod extract;
mod fetch;
// The server of the facade's tests; not all of it is needed here.
#[allow(dead_code)]
#[path = "../../../braintune/tests/it/fetch_server.rs"]
mod fetch_server;
#[cfg(all(feature = "mpi", unix))]
mod mpi;
mod probe;
mod refused;
mod report;
// Studies of the facade's tests; not all of it is needed here.
#[allow(dead_code, clippy::cast_sign_loss)]
#[path = "../../../braintune/tests/it/report_study.rs"]
mod report_study;
mod ridge;
mod ridge_memory;
#[cfg(unix)]
mod shards;
mod study;
mod tune;
#[cfg(unix)]
mod tune_killed;
mod workplace;
