//! Ranges of rows and voxels, checked where they are asked for.

use std::ops::Range;
use std::path::Path;

use crate::{FmriError, Result};

/// An error unless `asked` is a range of `0..available`; `path`, `key` and `what` are it in messages.
pub(crate) fn check_selection(
    path: &Path,
    key: &str,
    what: &'static str,
    asked: &Range<usize>,
    available: usize,
) -> Result<()> {
    if asked.start <= asked.end && asked.end <= available {
        return Ok(());
    }
    Err(FmriError::Selection {
        path: path.into(),
        key: key.into(),
        what,
        asked: asked.clone(),
        available,
    })
}
