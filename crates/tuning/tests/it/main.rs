//! Tuning, end to end, on backbones of a few thousand parameters.
#![allow(clippy::unwrap_used)]

mod controls;
mod resume;
mod shared;
mod stories;
mod training;
