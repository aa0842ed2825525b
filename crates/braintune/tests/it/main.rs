//! The pipelines against an independent implementation.
#![allow(clippy::unwrap_used, missing_docs)]

mod encode;
