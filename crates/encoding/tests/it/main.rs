//! Public behaviour of the crate.
#![allow(clippy::unwrap_used, clippy::float_cmp, missing_docs)]
#![allow(clippy::cast_possible_truncation)] // f32 is what the crate takes

mod accuracy;
mod autotraits;
mod bad_input;
mod banded;
mod ceiling;
mod contract;
mod degenerate;
mod delays;
mod dense;
mod errors;
mod estimate;
mod fir;
mod fixture;
mod folds;
mod huth;
mod linfa_traits;
mod problem;
mod properties;
mod reference;
mod region;
mod ridge;
mod scores;
mod selection;
mod sharing;
mod solver;
mod stats;
