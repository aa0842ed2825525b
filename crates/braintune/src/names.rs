//! Lists of names in which each is to be there once.

use std::collections::HashSet;

/// The first name that is there a second time.
pub(crate) fn repeated<'n>(names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}
