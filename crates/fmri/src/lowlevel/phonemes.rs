//! The 39 phonemes, their articulation, and runs of them inside words.
//!
//! Phonemes are those of the CMU pronouncing dictionary without stress, in alphabetical order. The
//! 22 articulatory features and which phoneme has them are those of de Heer et al. 2017 and Deniz et
//! al. 2019 as in `HuthLab/deep-fMRI-dataset:articulationdict.json` (5232517), columns in the order
//! of its `feature_spaces.py` (1ab53af). Differs: that file's column is called `affricative`, the
//! dictionary says `affricate`, so that the reference's column is always zero; here it is not. Held by
//! `tests/it/lowlevel.rs`.

use crate::{Result, TextGrid};

/// The phonemes that one-hot features know, in the order of their columns.
pub const PHONEMES: [&str; 39] = [
    "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH",
    "IH", "IY", "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH",
    "UW", "V", "W", "Y", "Z", "ZH",
];

/// The articulatory features: place, manner and voicing of consonants, height and place of vowels.
pub const ARTICULATION: [&str; 22] = [
    "bilabial",
    "postalveolar",
    "alveolar",
    "dental",
    "labiodental",
    "velar",
    "glottal",
    "palatal",
    "plosive",
    "affricate",
    "fricative",
    "nasal",
    "lateral",
    "approximant",
    "voiced",
    "unvoiced",
    "low",
    "mid",
    "high",
    "front",
    "central",
    "back",
];

/// The [`ARTICULATION`] of a phoneme of [`PHONEMES`]; `None` for other labels.
///
/// ```
/// use braintune_fmri::articulation;
///
/// assert_eq!(articulation("CH"), Some(&["postalveolar", "affricate", "unvoiced"][..]));
/// assert_eq!(articulation("AW1"), None); // labels come without stress
/// ```
#[must_use]
pub fn articulation(phoneme: &str) -> Option<&'static [&'static str]> {
    Some(match phoneme {
        "B" => &["bilabial", "plosive", "voiced"],
        "CH" => &["postalveolar", "affricate", "unvoiced"],
        "D" => &["alveolar", "plosive", "voiced"],
        "DH" => &["dental", "fricative", "voiced"],
        "F" => &["labiodental", "fricative", "unvoiced"],
        "G" => &["velar", "plosive", "voiced"],
        "HH" => &["glottal", "fricative", "unvoiced"],
        "JH" => &["postalveolar", "affricate", "voiced"],
        "K" => &["velar", "plosive", "unvoiced"],
        "L" => &["alveolar", "lateral", "voiced"],
        "M" => &["bilabial", "nasal", "voiced"],
        "N" => &["alveolar", "nasal", "voiced"],
        "NG" => &["velar", "nasal", "voiced"],
        "P" => &["bilabial", "plosive", "unvoiced"],
        "R" => &["alveolar", "approximant", "voiced"],
        "S" => &["alveolar", "fricative", "unvoiced"],
        "SH" => &["postalveolar", "fricative", "unvoiced"],
        "T" => &["alveolar", "plosive", "unvoiced"],
        "TH" => &["dental", "fricative", "unvoiced"],
        "V" => &["labiodental", "fricative", "voiced"],
        "W" => &["velar", "approximant", "voiced"],
        "Y" => &["palatal", "approximant", "voiced"],
        "Z" => &["alveolar", "fricative", "voiced"],
        "ZH" => &["postalveolar", "fricative", "voiced"],
        "AA" => &["low", "back"],
        "AE" => &["low", "front"],
        "AH" | "ER" => &["mid", "central"],
        "AO" | "OW" => &["mid", "back"],
        "AW" => &["low", "central", "mid", "back"],
        "AY" => &["low", "central", "mid", "front"],
        "EH" | "EY" | "IH" => &["mid", "front"],
        "IY" => &["high", "front"],
        "OY" => &["mid", "back", "high", "front"],
        "UH" | "UW" => &["high", "back"],
        _ => return None,
    })
}

/// The column of a phoneme.
pub(super) fn phoneme_index(label: &str) -> Option<usize> {
    PHONEMES.binary_search(&label).ok()
}

/// Runs of phonemes that occur in training stories, in alphabetical order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Vocabulary {
    n: usize,
    runs: Vec<Run>,
}

/// Up to three phonemes as one number whose order is alphabetical.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run(usize);

impl Vocabulary {
    /// The runs of `n` phonemes in `textgrids`.
    pub(super) fn fit(n: usize, textgrids: &[&TextGrid]) -> Result<Self> {
        let mut runs = Vec::new();
        for textgrid in textgrids {
            runs.extend(runs_in_words(n, textgrid)?.into_iter().map(|(run, _)| run));
            runs.sort_unstable();
            runs.dedup();
        }
        Ok(Self { n, runs })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The runs of a story with the seconds of their middles; those the vocabulary lacks are left out.
    pub(super) fn find(&self, textgrid: &TextGrid) -> Result<Vec<(usize, f64)>> {
        let runs = runs_in_words(self.n, textgrid)?.into_iter();
        let known =
            runs.filter_map(|(run, time_s)| Some((self.runs.binary_search(&run).ok()?, time_s)));
        Ok(known.collect())
    }

    /// Names of the runs, such as `S-OW`.
    pub(super) fn names(&self) -> Vec<String> {
        let name = |&Run(code): &Run| {
            let mut rest = code;
            let mut phonemes = Vec::with_capacity(self.n);
            for _ in 0..self.n {
                phonemes.push(PHONEMES[rest % PHONEMES.len()]);
                rest /= PHONEMES.len();
            }
            phonemes.reverse();
            phonemes.join("-")
        };
        self.runs.iter().map(name).collect()
    }
}

/// Runs of `n` phones in a row of one word, each with the middle of its time in seconds. A phone is of
/// the word that its own middle lies in; labels that are no phoneme end a run.
fn runs_in_words(n: usize, textgrid: &TextGrid) -> Result<Vec<(Run, f64)>> {
    let mut words: Vec<_> = textgrid
        .words()?
        .iter()
        .map(|word| (word.start_s, word.end_s))
        .collect();
    words.sort_by(|a, b| a.0.total_cmp(&b.0));
    let word_at = |time_s: f64| {
        let word = words
            .partition_point(|&(start_s, _)| start_s <= time_s)
            .checked_sub(1)?;
        (time_s < words[word].1).then_some(word)
    };
    let phones = textgrid.phones()?;
    let placed: Vec<_> = phones
        .iter()
        .map(|phone| {
            let word = word_at(f64::midpoint(phone.start_s, phone.end_s))?;
            Some((word, phoneme_index(&phone.text)?))
        })
        .collect();
    let mut runs = Vec::new();
    for (phones, placed) in phones.windows(n).zip(placed.windows(n)) {
        let (Some(first), Some(last), Some(Some((word, _)))) =
            (phones.first(), phones.last(), placed.first())
        else {
            continue;
        };
        let code = placed.iter().try_fold(0, |code, phone| {
            let (of_word, index) = (*phone)?;
            (of_word == *word).then_some(code * PHONEMES.len() + index)
        });
        runs.extend(code.map(|code| (Run(code), f64::midpoint(first.start_s, last.end_s))));
    }
    Ok(runs)
}
