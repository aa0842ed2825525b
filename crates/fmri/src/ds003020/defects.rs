//! What is known to be missing or damaged in ds003020 as published.
//!
//! A check of a folder names these where it finds something wrong, so that nobody fetches a file
//! again that does not exist. UTS04 has no run of `life` among the files of the dataset (snapshot
//! 2fca3fe); that the image of `treasureisland` is damaged is what others who read it report. Held
//! by `tests/it/presets.rs` and `tests/it/check.rs`.

use std::fmt;

/// A story of a subject that cannot be used, or not in every form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownDefect {
    /// The subject.
    pub subject: &'static str,
    /// The story.
    pub story: &'static str,
    /// What is wrong.
    pub what: &'static str,
    /// What it means for an analysis.
    pub consequence: &'static str,
}

impl fmt::Display for KnownDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "known defect: {}; {}", self.what, self.consequence)
    }
}

/// The defects of ds003020 that are known.
pub static KNOWN_DEFECTS: &[KnownDefect] = &[
    KnownDefect {
        subject: "UTS04",
        story: "life",
        what: "ds003020 has no run of UTS04 to life",
        consequence: "UTS04 has 26 of the first 27 stories, and of the validation stories only \
                      stagefright; nothing is to be fetched",
    },
    KnownDefect {
        subject: "UTS01",
        story: "treasureisland",
        what: "the image of UTS01, session 7, treasureisland is damaged (NIfTI)",
        consequence: "only the preprocessed responses (hf5) can be used; leave the story out where \
                      images are read",
    },
];

/// What is known to be wrong with a subject's responses to a story, if anything.
///
/// ```
/// use braintune_fmri::known_defect;
///
/// assert!(known_defect("UTS04", "life").is_some());
/// assert!(known_defect("UTS03", "life").is_none());
/// ```
#[must_use]
pub fn known_defect(subject: &str, story: &str) -> Option<&'static KnownDefect> {
    let is_it = |defect: &&KnownDefect| defect.subject == subject && defect.story == story;
    KNOWN_DEFECTS.iter().find(is_it)
}
