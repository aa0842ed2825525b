//! Figures and tables as files of their own, and names that every file system takes.

use std::path::Path;

use super::table::Table;
use crate::chart::Figure;
use crate::error::{Result, file_error, io_error};
use crate::files::write_atomically;

/// A name as a part of a file name: letters, digits, `-`, `_` and `.` stay.
pub(super) fn slug(name: &str) -> String {
    let letters = name.chars().take(80).map(|letter| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
        _ => '_',
    });
    letters.collect()
}

/// Gives every name that came up before a number behind it, upper and lower case being one.
pub(super) fn told_apart<'a>(names: impl Iterator<Item = &'a mut String>) {
    let mut taken = std::collections::BTreeSet::new();
    for name in names {
        let first = name.clone();
        let mut next = 2;
        while !taken.insert(name.to_lowercase()) {
            *name = format!("{first}-{next}");
            next += 1;
        }
    }
}

/// `figures/NAME.svg` and `.png`, `tables/NAME.csv`.
pub(super) fn write(figures: &[&Figure], tables: &[Table], dir: &Path) -> Result<()> {
    let folder = |name: &str, needed: bool| {
        let folder = dir.join(name);
        if needed {
            std::fs::create_dir_all(&folder).map_err(io_error("create", &folder))?;
        }
        Ok::<_, crate::BraintuneError>(folder)
    };
    let drawn = folder("figures", !figures.is_empty())?;
    for figure in figures {
        figure.write(&drawn)?;
    }
    let written = folder("tables", !tables.is_empty())?;
    for table in tables {
        let path = written.join(format!("{}.csv", table.name));
        write_atomically(&path, &table.csv().map_err(|e| file_error(&path, e))?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models_become_names_of_files() {
        assert_eq!(slug("openai/whisper-tiny.en"), "openai_whisper-tiny.en");
        assert_eq!(slug("../<b>"), "..__b_");
        let mut names = ["a-b", "a-B", "c", "a-b"].map(String::from);
        told_apart(names.iter_mut());
        assert_eq!(names, ["a-b", "a-B-2", "c", "a-b-3"]);
    }
}
