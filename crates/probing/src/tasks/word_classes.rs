//! Which class each word belongs to: of meaning, of parts of speech, or any other that a user has.
//!
//! A table `word,class` in CSV → classes by name, words in any case. Held by `tests/it/story.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use csv::StringRecord;

use super::{cut, data_problem, text_of};
use crate::error::Result;

/// Classes of words. A word belongs to one class or to none; upper and lower case are the same.
///
/// ```
/// use braintune_probing::WordClasses;
///
/// let classes = WordClasses::from_pairs([("DOG", "animal"), ("saw", "tool"), ("cat", "animal")]);
/// assert_eq!(classes.names(), ["animal", "tool"]);
/// assert_eq!(classes.of("Cat"), Some(0));
/// assert_eq!(classes.of("the"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WordClasses {
    names: Vec<String>,
    of_words: BTreeMap<String, usize>,
}

impl WordClasses {
    /// What the table of a dataset is called, in its folder.
    pub const FILE: &str = "word_classes.csv";

    /// A table with the columns `word` and `class`, words as the `TextGrid`s have them in upper or lower case.
    ///
    /// # Errors
    /// The file cannot be read; another header, a row that is not a word and its class, a word in two classes, fewer
    /// than two classes.
    pub fn read(path: &Path) -> Result<Self> {
        let text = text_of(path)?;
        let text = text.trim_start_matches('\u{feff}');
        let mut rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(text.as_bytes())
            .into_records();
        let broken = |error: csv::Error| data_problem(path, error.to_string());
        let header = rows.next().transpose().map_err(broken)?.unwrap_or_default();
        if header.iter().ne(["word", "class"]) {
            let found = cut(&header.iter().collect::<Vec<_>>().join(","));
            let problem = format!("begins with `{found}`, expected the header `word,class`");
            return Err(data_problem(path, problem));
        }
        let mut pairs: BTreeMap<String, String> = BTreeMap::new();
        for row in rows {
            let row = row.map_err(broken)?;
            let (word, class) = word_and_class(path, &row)?;
            let before = pairs.insert(word.to_lowercase(), class.to_owned());
            if let Some(before) = before.filter(|before| before != class) {
                let problem = format!(
                    "line {}: `{}` is {class} here and {before} before; a word has one class",
                    line_of(&row),
                    cut(word)
                );
                return Err(data_problem(path, problem));
            }
        }
        let classes = Self::from_pairs(pairs.iter().map(|(word, class)| (&**word, &**class)));
        if classes.names.len() < 2 {
            let problem = format!(
                "has {} class(es), at least two are needed to tell them apart",
                classes.names.len()
            );
            return Err(data_problem(path, problem));
        }
        Ok(classes)
    }

    /// From words and their classes; of a word that is there again the last class holds.
    #[must_use]
    pub fn from_pairs<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> Self {
        let pairs = pairs
            .into_iter()
            .map(|(word, class)| (word.trim().to_lowercase(), class));
        let pairs: BTreeMap<String, &str> = pairs.collect();
        let names: BTreeSet<&str> = pairs.values().copied().collect();
        let numbers: BTreeMap<&str, usize> = names.iter().copied().zip(0..).collect();
        Self {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            of_words: pairs
                .into_iter()
                .map(|(word, class)| (word, numbers[class]))
                .collect(),
        }
    }

    /// Names of the classes, in their order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of the class of a word; none if it has none.
    #[must_use]
    pub fn of(&self, word: &str) -> Option<usize> {
        self.of_words.get(&word.trim().to_lowercase()).copied()
    }

    /// How many words each class has, in words.
    pub(super) fn settings(&self) -> String {
        let n_words = |class: usize| self.of_words.values().filter(|of| **of == class).count();
        let names = self.names.iter().enumerate();
        let each: Vec<String> = names
            .map(|(class, name)| format!("{name} {}", n_words(class)))
            .collect();
        format!("words by class: {}", each.join(", "))
    }
}

fn line_of(row: &StringRecord) -> u64 {
    row.position().map_or(0, csv::Position::line)
}

fn word_and_class<'r>(path: &Path, row: &'r StringRecord) -> Result<(&'r str, &'r str)> {
    let cells: Vec<&str> = row.iter().collect();
    match cells[..] {
        [word, class] if !word.is_empty() && !class.is_empty() => Ok((word, class)),
        _ => {
            let (line, found) = (line_of(row), cut(&cells.join(",")));
            let problem = format!("line {line} is `{found}`, expected a word and its class");
            Err(data_problem(path, problem))
        }
    }
}
