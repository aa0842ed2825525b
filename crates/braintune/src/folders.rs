//! Where a pipeline keeps features and where its results go.

use std::path::Path;

/// Two folders that must not be mistaken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folders<'a> {
    /// Features of models, shared by all runs.
    pub cache: &'a Path,
    /// The results of this run.
    pub out: &'a Path,
}
