//! The table of `check`: a line per story, a column per kind of file and subject.

use std::collections::BTreeMap;

use braintune::fmri::{CheckEntry, CheckReport, CheckStatus, FileKind};

/// Says the table: what each file holds, or that it is missing or wrong.
pub(super) fn say(report: &CheckReport) {
    let mut columns = vec!["audio".to_owned(), "TextGrid".to_owned()];
    columns.extend(report.subjects.iter().cloned());
    let mut stories: Vec<&str> = Vec::new();
    let mut cells: BTreeMap<(&str, String), String> = BTreeMap::new();
    for entry in &report.entries {
        let Some(story) = entry.story.as_deref() else {
            continue;
        };
        if !stories.contains(&story) {
            stories.push(story);
        }
        cells.insert((story, column(entry)), cell(entry));
    }
    let lines = stories.into_iter().map(|story| {
        let of = |column: &String| cells.remove(&(story, column.clone())).unwrap_or_default();
        let cells: Vec<_> = columns.iter().map(of).collect();
        (story.to_owned(), cells)
    });
    let lines: Vec<_> = lines.collect();
    for line in aligned(("story".to_owned(), columns.clone()), lines) {
        say!("{line}");
    }
}

fn column(entry: &CheckEntry) -> String {
    match entry.kind {
        FileKind::Audio => "audio".to_owned(),
        FileKind::TextGrid => "TextGrid".to_owned(),
        _ => entry.subject.clone().unwrap_or_default(),
    }
}

fn cell(entry: &CheckEntry) -> String {
    let details = &entry.details;
    let mut text = match (entry.kind, &details.shape) {
        (FileKind::Audio, _) => details.duration_s.map(|s| format!("{s:.1} s")),
        (FileKind::TextGrid, _) => details.n_words.map(|n| format!("{n} words")),
        (_, Some(shape)) => {
            let sizes: Vec<_> = shape.iter().map(ToString::to_string).collect();
            Some(sizes.join(" x "))
        }
        _ => None,
    };
    if let Some(n_repeats) = details.n_repeats {
        text = text.map(|text| format!("{text}, {n_repeats} repeats"));
    }
    match (entry.status, text) {
        (CheckStatus::Ok, text) => text.unwrap_or_default(),
        (CheckStatus::Warning, None) if entry.path.is_file() => "?".to_owned(),
        (CheckStatus::Warning, None) => "missing".to_owned(),
        (CheckStatus::Warning, Some(text)) => text + " ?",
        (CheckStatus::Error, None) => "WRONG".to_owned(),
        (CheckStatus::Error, Some(text)) => text + " WRONG",
    }
}

/// The first column to the left, the others to the right, two blanks between.
fn aligned(head: (String, Vec<String>), lines: Vec<(String, Vec<String>)>) -> Vec<String> {
    let all: Vec<_> = std::iter::once(head).chain(lines).collect();
    let width = |text: &String| text.chars().count();
    let first = all.iter().map(|line| width(&line.0)).max().unwrap_or(0);
    let n_columns = all[0].1.len();
    let widths = (0..n_columns).map(|k| all.iter().map(|line| width(&line.1[k])).max());
    let widths: Vec<_> = widths.map(Option::unwrap_or_default).collect();
    let line = |(story, cells): (String, Vec<String>)| {
        let cells = cells.iter().zip(&widths);
        let cells: Vec<_> = cells.map(|(cell, &n)| format!("  {cell:>n$}")).collect();
        format!("{story:<first$}{}", cells.concat())
    };
    all.into_iter().map(line).collect()
}
