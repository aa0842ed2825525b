//! Public behaviour of the crate.
#![allow(clippy::unwrap_used, clippy::float_cmp, missing_docs)]

mod ceiling;
mod contract;
mod delays;
mod errors;
mod estimate;
mod fir;
mod fixture;
mod folds;
mod problem;
mod properties;
mod reference;
mod region;
mod ridge;
mod scores;
mod sharing;
mod solver;
mod stats;
