//! Tuning, end to end, on backbones of a few thousand parameters.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]

mod autotraits;
mod changed;
mod controls;
mod frozen;
mod ranks;
mod ranks_apart;
mod resume;
mod shared;
mod stimulus;
mod stories;
mod training;
