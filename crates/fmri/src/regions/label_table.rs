//! What the numbers of a label volume are called.
//!
//! Three formats, told apart by the file's extension: `.json` with `{"1": "name", …}`; `.tsv` of
//! BIDS (`_dseg.tsv`), with the columns `index` and `name` among others; anything else is a
//! `FreeSurfer` table of lines `index name red green blue alpha`, `#` before comments. Held by
//! `tests/it/regions/label_table.rs`.

use std::collections::BTreeMap;
use std::path::Path;

use crate::files::read_bytes;
use crate::json::every_entry;
use crate::{FmriError, Result};

const FORMAT: &str = "table of labels";
/// `FreeSurfer`'s own table, one of the longest, takes 100 kB.
const MAX_BYTES: u64 = 16 << 20;

/// Names by label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelTable(BTreeMap<i64, String>);

impl LabelTable {
    /// A table of these labels.
    #[must_use]
    pub fn new(names: BTreeMap<i64, String>) -> Self {
        Self(names)
    }

    /// Reads `.json`, `.tsv` or `FreeSurfer`'s format.
    ///
    /// # Errors
    ///
    /// [`FmriError::RegionFile`] if it is no such file or has a label twice,
    /// [`FmriError::Missing`], [`FmriError::Pointer`], [`FmriError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_bytes(path, FORMAT, MAX_BYTES)?;
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        let entries = match std::str::from_utf8(&bytes) {
            Err(error) => Err(format!("it is not text in UTF-8: {error}")),
            Ok(text) if extension == "json" => of_json(text),
            Ok(text) if extension == "tsv" => of_tsv(text),
            Ok(text) => of_lines(text),
        };
        entries
            .and_then(checked)
            .map_err(|reason| FmriError::RegionFile {
                path: path.into(),
                format: FORMAT,
                reason,
            })
    }

    /// The name of a label.
    #[must_use]
    pub fn get(&self, label: i64) -> Option<&str> {
        self.0.get(&label).map(String::as_str)
    }

    /// Labels and names, by label.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &str)> {
        self.0.iter().map(|(&label, name)| (label, name.as_str()))
    }
}

fn checked(entries: Vec<(i64, String)>) -> Result<LabelTable, String> {
    if entries.is_empty() {
        return Err("it has no label".into());
    }
    let mut names = BTreeMap::new();
    for (label, name) in entries {
        if name.is_empty() {
            return Err(format!("label {label} has no name"));
        }
        if names.insert(label, name).is_some() {
            return Err(format!("label {label} is there twice"));
        }
    }
    Ok(LabelTable(names))
}

fn of_json(text: &str) -> Result<Vec<(i64, String)>, String> {
    let entries = every_entry::<String>(text.as_bytes())
        .map_err(|error| format!("expected {{\"label\": \"name\", …}}: {error}"))?;
    let entries = entries.into_iter();
    entries
        .map(|(label, name)| Ok((label_of(&label)?, name)))
        .collect()
}

fn of_tsv(text: &str) -> Result<Vec<(i64, String)>, String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let column = |name: &str| {
        let found = columns.iter().position(|column| column.trim() == name);
        found.ok_or_else(|| format!("its first line names no column `{name}`"))
    };
    let (index, name) = (column("index")?, column("name")?);
    let lines = lines.filter(|line| !line.trim().is_empty());
    lines
        .map(|line| {
            let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
            match (cells.get(index), cells.get(name)) {
                (Some(index), Some(name)) => Ok((label_of(index)?, (*name).to_owned())),
                _ => Err(format!("`{line}` has no index or no name")),
            }
        })
        .collect()
}

fn of_lines(text: &str) -> Result<Vec<(i64, String)>, String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            let (Some(label), Some(name)) = (words.next(), words.next()) else {
                return Err(format!(
                    "`{line}`: expected `index name red green blue alpha`"
                ));
            };
            let label = label_of(label)?;
            // A name in two words would push a word into the colours.
            match words.find(|colour| colour.parse::<f64>().is_err()) {
                None => Ok((label, name.to_owned())),
                Some(word) => Err(format!("`{word}` of `{line}` is not a colour")),
            }
        })
        .collect()
}

fn label_of(text: &str) -> Result<i64, String> {
    let label = text.trim().parse();
    label.map_err(|_| format!("`{text}` is not a whole number"))
}
