//! TOML files that people write, and messages that name the line at fault.
//!
//! Held by `tests/it/folder_toml.rs` and `tests/it/open.rs`.

use serde::de::DeserializeOwned;

/// What `text` says. An error is one line, with the number of the line at fault where it has one.
pub(crate) fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let place = error.span().and_then(|span| {
            let before = text.get(..span.start)?;
            let line = text[before.rfind('\n').map_or(0, |k| k + 1)..]
                .lines()
                .next()?;
            let number = before.matches('\n').count() + 1;
            Some(format!("line {number} ({}): ", line.trim()))
        });
        // Messages of the parser may have several lines.
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        format!("{}{message}", place.unwrap_or_default())
    })
}
