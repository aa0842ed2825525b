//! Objects of JSON with every entry, in the order of the file.
//!
//! Held by `tests/it/datasets.rs` and `tests/it/regions.rs`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};

/// The entries of an object, those under the same name too, which a map would lose.
pub(crate) fn every_entry<'de, T: Deserialize<'de>>(
    text: &'de [u8],
) -> serde_json::Result<Vec<(String, T)>> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let entries = json.deserialize_map(EveryEntry(PhantomData))?;
    json.end()?;
    Ok(entries)
}

struct EveryEntry<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for EveryEntry<T> {
    type Value = Vec<(String, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(entries)
    }
}
