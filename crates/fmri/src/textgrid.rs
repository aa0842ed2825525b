//! Praat `TextGrid` files: what was said when.
//!
//! Intervals in seconds from sound onset. Reads the long and the short text format, UTF-8, UTF-16
//! and Latin-1, any line ending; not Praat's binary format. Points of a point tier become intervals
//! of no length. An alignment of gentle (`align.json`) is read as well. Held by `tests/it/textgrid.rs`.

mod canonical;
mod gentle;

use std::fs;
use std::path::Path;

use textgrid_rs as format;

use crate::files::{read_bytes, write_atomically};
use crate::{FmriError, Result};

/// Labels that are nothing said: silence, breath, lip smacks, laughter, noise.
const NO_SPEECH: [&str; 7] = [
    "sentence_start",
    "sentence_end",
    "br",
    "lg",
    "ls",
    "ns",
    "sp",
];

/// Silence of phone tiers, as other aligners call it.
const NO_PHONE: [&str; 3] = ["sil", "spn", "cg"];
/// Eleven days. What goes through a story by the second must come to an end.
const MAX_TIME_S: f64 = 1e6;
/// Stories have about 1 MB.
const MAX_BYTES: u64 = 64 << 20;

/// The tiers of a `TextGrid`.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct TextGrid {
    /// The tiers in the order of the file.
    pub tiers: Vec<Tier>,
}

/// One tier, such as the words or the phonemes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Tier {
    /// Its name.
    pub name: String,
    /// Its intervals in the order of the file, silent ones included.
    pub intervals: Vec<Interval>,
}

/// One label and when it was said.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Interval {
    /// Start in seconds.
    pub start_s: f64,
    /// End in seconds.
    pub end_s: f64,
    /// The label; empty for silence.
    pub text: String,
}

impl Interval {
    /// A label said from `start_s` to `end_s`, in seconds.
    #[must_use]
    pub fn new(start_s: f64, end_s: f64, text: impl Into<String>) -> Self {
        Self {
            start_s,
            end_s,
            text: text.into(),
        }
    }

    /// The phone that it is in a tier of phones: in capitals and without the digits of stress, such as
    /// `OW` for `ow1`.
    ///
    /// None for silence, breath and noise: the labels that [`words`](TextGrid::words) leaves out, `sil`,
    /// `spn` and `cg`.
    #[must_use]
    pub fn phone(&self) -> Option<String> {
        let label = bare(&self.text);
        let stem = label.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_phone = is_said(&label) && !NO_PHONE.contains(&label.as_str()) && !stem.is_empty();
        is_phone.then(|| stem.to_uppercase())
    }
}

impl Tier {
    /// A tier of these intervals, in the order of time.
    #[must_use]
    pub fn new(name: impl Into<String>, intervals: Vec<Interval>) -> Self {
        Self {
            name: name.into(),
            intervals,
        }
    }
}

impl TextGrid {
    /// These tiers.
    #[must_use]
    pub fn new(tiers: Vec<Tier>) -> Self {
        Self { tiers }
    }

    /// End of the last interval in seconds; 0 without intervals.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        let intervals = self.tiers.iter().flat_map(|tier| &tier.intervals);
        intervals.fold(0.0, |end, interval| interval.end_s.max(end))
    }

    /// The words: the word tier without silence, breath and noise labels.
    ///
    /// The word tier is the one named `word` or `words`, else the second tier, else the only one.
    /// Left out are empty labels and `sentence_start`, `sentence_end`, `br`, `lg`, `ls`, `ns`,
    /// `sp`, in any case and with or without braces.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoWordTier`] if there is no tier at all.
    ///
    /// ```
    /// use braintune_fmri::{Interval, TextGrid, Tier};
    ///
    /// let interval = |start_s, text: &str| Interval::new(start_s, start_s + 1.0, text);
    /// let intervals = vec![interval(0.0, "sp"), interval(1.0, "SO"), interval(2.0, "{BR}")];
    /// let grid = TextGrid::new(vec![Tier::new("word", intervals)]);
    /// assert_eq!(grid.words()?[0].text, "SO");
    /// assert_eq!(grid.words()?.len(), 1);
    /// # Ok::<(), braintune_fmri::FmriError>(())
    /// ```
    pub fn words(&self) -> Result<Vec<&Interval>> {
        let tier = self.named(&["word", "words"]);
        let tier = tier.or(self.tiers.get(1)).or(self.tiers.first());
        let tier = tier.ok_or_else(|| FmriError::NoWordTier {
            tiers: self.tier_names(),
        })?;
        let is_word = |interval: &&Interval| is_said(&bare(&interval.text));
        Ok(tier.intervals.iter().filter(is_word).collect())
    }

    /// The phones: the intervals of [`phone_tier`](Self::phone_tier) that are one
    /// ([`phone`](Interval::phone)), labelled so.
    ///
    /// # Errors
    ///
    /// As [`phone_tier`](Self::phone_tier).
    ///
    /// ```
    /// use braintune_fmri::{Interval, TextGrid, Tier};
    ///
    /// let interval = |start_s, text: &str| Interval::new(start_s, start_s + 0.1, text);
    /// let intervals = vec![interval(0.0, "sil"), interval(0.1, "S"), interval(0.2, "ow1")];
    /// let grid = TextGrid::new(vec![Tier::new("phone", intervals)]);
    /// let phones = grid.phones()?;
    /// assert_eq!((phones.len(), phones[1].text.as_str()), (2, "OW"));
    /// # Ok::<(), braintune_fmri::FmriError>(())
    /// ```
    pub fn phones(&self) -> Result<Vec<Interval>> {
        let phone = |interval: &Interval| {
            let phone = interval.phone()?;
            Some(Interval::new(interval.start_s, interval.end_s, phone))
        };
        let intervals = self.phone_tier()?.intervals.iter();
        Ok(intervals.filter_map(phone).collect())
    }

    /// The tier of phones, silence included: the one named `phone`, `phones`, `phoneme` or `phonemes`,
    /// else the first of at least two, as in the files of ds003020.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoPhoneTier`] if there is none: the only tier, or one named `word`, is not taken
    /// for it.
    pub fn phone_tier(&self) -> Result<&Tier> {
        let first_of_two = || match &*self.tiers {
            [first, _, ..] if !matches!(&*first.name.to_lowercase(), "word" | "words") => {
                Some(first)
            }
            _ => None,
        };
        let tier = self.named(&["phone", "phones", "phoneme", "phonemes"]);
        tier.or_else(first_of_two)
            .ok_or_else(|| FmriError::NoPhoneTier {
                tiers: self.tier_names(),
            })
    }

    /// The first tier with one of these names, in any case.
    fn named(&self, names: &[&str]) -> Option<&Tier> {
        let is_it = |tier: &&Tier| names.contains(&&*tier.name.to_lowercase());
        self.tiers.iter().find(is_it)
    }

    fn tier_names(&self) -> Vec<String> {
        self.tiers.iter().map(|tier| tier.name.clone()).collect()
    }
}

/// A label in small letters without blanks and braces around it.
fn bare(label: &str) -> String {
    let label = label.to_lowercase();
    label.trim().trim_matches(['{', '}']).trim().to_owned()
}

/// Whether a [`bare`] label is something said.
fn is_said(label: &str) -> bool {
    !label.is_empty() && !NO_SPEECH.contains(&label)
}

/// Reads a `TextGrid` file, or a gentle alignment (`align.json`) as one with tiers `phone` and `word`.
///
/// # Errors
///
/// [`FmriError::Missing`], [`FmriError::Io`] or [`FmriError::TooLarge`] if the file cannot be read,
/// [`FmriError::Pointer`] if it stands in for data that was not fetched, [`FmriError::TextGrid`] if it
/// is no `TextGrid`, has no tier, an interval ends before it begins, or one is a million seconds or more
/// from the onset.
///
/// ```
/// use braintune_fmri::{Interval, TextGrid, Tier, read_textgrid, write_textgrid};
///
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("tale.TextGrid");
/// let words = vec![Interval::new(0.0, 0.4, "once"), Interval::new(0.4, 0.7, "upon")];
/// let grid = TextGrid::new(vec![Tier::new("word", words)]);
/// write_textgrid(&path, &grid)?;
/// assert_eq!(read_textgrid(&path)?, grid);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_textgrid(path: &Path) -> Result<TextGrid> {
    let bytes = read_bytes(path, "TextGrid", MAX_BYTES)?;
    parse(&bytes).map_err(|reason| FmriError::TextGrid {
        path: path.into(),
        reason,
    })
}

/// Writes a `TextGrid` file in Praat's long text format, under a temporary name first.
///
/// # Errors
///
/// [`FmriError::Io`] if the file cannot be written; nothing is left behind then.
pub fn write_textgrid(path: &Path, textgrid: &TextGrid) -> Result<()> {
    let io_error = |source| FmriError::Io {
        doing: "write",
        path: path.into(),
        source,
    };
    let xmax = textgrid.duration_s();
    let tier = |tier: &Tier| {
        format::TextGridTier::IntervalTier(format::TextGridIntervalTier {
            name: tier.name.clone(),
            xmin: 0.0,
            xmax,
            intervals: tier.intervals.iter().map(to_format).collect(),
        })
    };
    let file = format::TextGrid {
        xmin: 0.0,
        xmax,
        tiers: textgrid.tiers.iter().map(tier).collect(),
    };
    let text = file.stringify_long().map_err(io_error)?;
    write_atomically(path, |partial| fs::write(partial, text).map_err(io_error))
}

fn to_format(interval: &Interval) -> format::TextGridInterval {
    format::TextGridInterval {
        xmin: interval.start_s,
        xmax: interval.end_s,
        text: interval.text.clone(),
    }
}

fn parse(bytes: &[u8]) -> Result<TextGrid, String> {
    let text = decode(bytes);
    if gentle::is_alignment(&text) {
        return gentle::parse(&text);
    }
    let text = canonical::tokens(&text)?;
    let file = format::TextGrid::parse_text_format_utf8(&text).map_err(|e| e.to_string())?;
    let tiers = file.tiers.into_iter().map(|tier| match tier {
        format::TextGridTier::IntervalTier(tier) => {
            let intervals = tier.intervals.into_iter();
            let intervals = intervals.map(|said| Interval::new(said.xmin, said.xmax, said.text));
            checked_tier(tier.name, intervals.collect())
        }
        format::TextGridTier::TextTier(tier) => {
            let points = tier.points.into_iter();
            let points = points.map(|said| Interval::new(said.number, said.number, said.mark));
            checked_tier(tier.name, points.collect())
        }
    });
    let tiers = tiers.collect::<Result<Vec<_>, _>>()?;
    if tiers.is_empty() {
        return Err("it has no tier".into());
    }
    Ok(TextGrid::new(tiers))
}

fn checked_tier(name: String, intervals: Vec<Interval>) -> Result<Tier, String> {
    // Not a number is neither below nor above.
    let plausible = |time_s: f64| time_s.abs() < MAX_TIME_S;
    let implausible = |said: &Interval| !(plausible(said.start_s) && plausible(said.end_s));
    if let Some(k) = intervals.iter().position(implausible) {
        let Interval { start_s, end_s, .. } = intervals[k];
        return Err(format!(
            "interval {} of tier {name} runs from {start_s:?} s to {end_s:?} s, \
             expected times below {MAX_TIME_S} s",
            k + 1
        ));
    }
    let backwards = |interval: &Interval| interval.start_s > interval.end_s;
    if let Some(k) = intervals.iter().position(backwards) {
        let Interval { start_s, end_s, .. } = intervals[k];
        return Err(format!(
            "interval {} of tier {name} runs from {start_s} s to {end_s} s",
            k + 1
        ));
    }
    Ok(Tier::new(name, intervals))
}

/// UTF-16 by its byte order mark, else UTF-8, else Latin-1.
fn decode(bytes: &[u8]) -> String {
    let utf16 = |from: fn([u8; 2]) -> u16, bytes: &[u8]| {
        let (pairs, _) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|&pair| from(pair)).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(u16::from_le_bytes, rest),
        [0xfe, 0xff, rest @ ..] => utf16(u16::from_be_bytes, rest),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect(),
        },
    }
}
