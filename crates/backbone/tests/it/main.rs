//! Tests of the public API against values of `transformers` and against files as they go wrong.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod autotraits;
mod bad_models;
mod cache;
mod checkpoint;
mod errors;
mod families;
mod lora;
mod parts;
mod shared;
mod whisper;
mod windowed;
