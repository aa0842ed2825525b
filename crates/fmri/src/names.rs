//! Choices by the names that users write.

use crate::{FmriError, Result};

/// The one of `all` whose `name` is `text`; `what` is it in messages.
pub(crate) fn by_name<T: Copy>(
    what: &'static str,
    all: &[T],
    name: fn(T) -> &'static str,
    text: &str,
) -> Result<T> {
    let mut choices = all.iter().copied();
    let found = choices.find(|&choice| name(choice) == text);
    found.ok_or_else(|| FmriError::UnknownName {
        what,
        text: text.into(),
        known: all.iter().map(|&choice| name(choice).to_owned()).collect(),
    })
}
