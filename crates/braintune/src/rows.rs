//! Tables of pipelines: written whole, and read back, columns by name and what is wrong by file and line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{BraintuneError, Result, file_error};
use crate::files::write_streamed;

/// A layer beyond this is damage: no model has as many.
const MOST_LAYERS: usize = 10_000;

/// Writes a table under a temporary name and renames it.
pub(crate) fn write_csv<R>(
    path: &Path,
    header: &[&str],
    rows: impl IntoIterator<Item = R>,
) -> Result<()>
where
    R: IntoIterator<Item: AsRef<[u8]>>,
{
    write_streamed(path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(header)?;
        for row in rows {
            table.write_record(row)?;
        }
        table.flush()
    })
}

/// A cell of six digits; empty where there is no value.
pub(crate) fn cell(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:.6}"))
}

/// The rows of a CSV.
pub(crate) struct Rows {
    path: PathBuf,
    columns: BTreeMap<String, usize>,
    records: Vec<csv::StringRecord>,
}

/// One of them.
pub(crate) struct Row<'a> {
    rows: &'a Rows,
    /// In the file, from 1.
    line: usize,
    record: &'a csv::StringRecord,
}

impl Rows {
    /// Reads a table that has the columns `needed`.
    pub(crate) fn read(path: &Path, needed: &[&str]) -> Result<Self> {
        let damaged = |e: csv::Error| file_error(path, format!("is damaged: {e}"));
        let mut reader = csv::Reader::from_path(path).map_err(damaged)?;
        let header = reader.headers().map_err(damaged)?.clone();
        let numbered = header.iter().enumerate();
        let columns: BTreeMap<_, _> = numbered.map(|(i, name)| (name.to_owned(), i)).collect();
        if let Some(name) = needed.iter().find(|name| !columns.contains_key(**name)) {
            let found: Vec<_> = header.iter().collect();
            return Err(file_error(
                path,
                format!("has no column {name}, only {}", found.join(", ")),
            ));
        }
        let records = reader.records().collect::<Result<Vec<_>, _>>();
        let records = records.map_err(damaged)?;
        if records.is_empty() {
            return Err(file_error(path, "has a header and no rows: was it cut?"));
        }
        Ok(Self {
            path: path.to_path_buf(),
            columns,
            records,
        })
    }

    /// Refuses two rows that are of the same, as the cells of `key` say.
    pub(crate) fn check_unique(&self, key: &[&str]) -> Result<()> {
        let mut seen = BTreeMap::new();
        for row in self.iter() {
            let cells: Vec<_> = key.iter().map(|name| row.text(name)).collect();
            if let Some(first) = seen.insert(cells.clone(), row.line) {
                return Err(file_error(
                    &self.path,
                    format!(
                        "line {}: {} is there twice, first in line {first}",
                        row.line,
                        cells.join(", ")
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (2..).zip(&self.records).map(|(line, record)| Row {
            rows: self,
            line,
            record,
        })
    }
}

impl<'a> Row<'a> {
    /// A cell, empty where there is no such column.
    pub(crate) fn text(&self, name: &str) -> &'a str {
        let at = self.rows.columns.get(name);
        at.and_then(|at| self.record.get(*at)).unwrap_or_default()
    }

    /// None where the cell is empty or there is no such column.
    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        match self.text(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| self.wrong(name, "a number")),
        }
    }

    /// As [`number`](Self::number), of what lies between -1 and 1.
    pub(crate) fn correlation(&self, name: &str) -> Result<Option<f64>> {
        // What encode writes is rounded.
        let is_one = |r: &f64| r.abs() < 1.001;
        match self.number(name)? {
            Some(r) if !is_one(&r) => Err(self.wrong(name, "a correlation, -1 to 1")),
            found => Ok(found),
        }
    }

    /// As [`number`](Self::number), without NaN and infinity.
    pub(crate) fn finite(&self, name: &str) -> Result<Option<f64>> {
        match self.number::<f64>(name)? {
            Some(value) if !value.is_finite() => Err(self.wrong(name, "a finite number")),
            found => Ok(found),
        }
    }

    /// The column `layer`.
    pub(crate) fn layer(&self) -> Result<usize> {
        let layer = self.text("layer").parse().ok();
        let layer = layer.filter(|layer| *layer < MOST_LAYERS);
        layer.ok_or_else(|| self.wrong("layer", "a number of a layer"))
    }

    fn wrong(&self, name: &str, expected: &str) -> BraintuneError {
        let (line, found) = (self.line, self.text(name));
        file_error(
            &self.rows.path,
            format!("line {line}: {name} is {found:?}, expected {expected}"),
        )
    }
}
