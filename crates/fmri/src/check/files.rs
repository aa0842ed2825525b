//! The check of single files.

use std::cmp::Reverse;
use std::error::Error;
use std::path::PathBuf;

use braintune_audio::{load_audio, probe_audio};

use super::fix::{Names, expected_audio};
use super::{CheckDetails, CheckEntry, CheckStatus, FileKind};
use crate::{BadValues, DatasetFiles, FmriError, Result, Story, read_textgrid};

/// How long after the end of the sound labels may end, in seconds.
const MAX_LABELS_AFTER_SOUND_S: f64 = 1.0;
/// Columns that a message names at most.
const MAX_NAMED_VOXELS: usize = 5;

/// Checks files of one dataset; each method gives the entry of one file.
pub(super) struct Checker<'a> {
    pub(super) dataset: &'a dyn DatasetFiles,
    pub(super) names: Names,
    pub(super) deep: bool,
}

/// What a check of one file collects: details, and what is wrong, the worst first.
#[derive(Default)]
struct Findings {
    details: CheckDetails,
    problems: Vec<(CheckStatus, String)>,
}

impl Findings {
    fn warn(&mut self, message: impl Into<String>) {
        self.problems.push((CheckStatus::Warning, message.into()));
    }

    fn fail(&mut self, message: impl Into<String>) {
        self.problems.push((CheckStatus::Error, message.into()));
    }

    fn entry(mut self, kind: FileKind, path: PathBuf, story: Option<&str>) -> CheckEntry {
        self.problems.sort_by_key(|problem| Reverse(problem.0));
        let status = self
            .problems
            .first()
            .map_or(CheckStatus::Ok, |problem| problem.0);
        let messages: Vec<_> = self.problems.into_iter().map(|problem| problem.1).collect();
        CheckEntry {
            story: story.map(Into::into),
            subject: None,
            path,
            kind,
            status,
            message: messages.join("; "),
            details: self.details,
        }
    }
}

impl Checker<'_> {
    /// A story's sound; without it only those analyses stop that have responses.
    pub(super) fn audio(&self, story: &Story, is_heard: bool) -> CheckEntry {
        let mut found = Findings::default();
        match story.require_audio() {
            Err(error) => {
                let expected = expected_audio(self.dataset, story.name());
                let message = full_message(&error) + &self.misnamed_hint(&expected);
                if is_heard {
                    found.fail(message);
                } else {
                    found.warn(message);
                }
            }
            Ok(path) => match self.read_audio(path, &mut found.details) {
                Err(error) => found.fail(full_message(&*error)),
                Ok(is_silent) => {
                    if is_silent {
                        found.warn("it is silent from its beginning to its end");
                    }
                    self.compare_with_grid(story.name(), &mut found);
                }
            },
        }
        let path = story
            .audio()
            .map_or_else(|| self.dataset.audio_dir(), Into::into);
        found.entry(FileKind::Audio, path, Some(story.name()))
    }

    /// Whether all samples are 0, as far as a deep check reads them.
    fn read_audio(
        &self,
        path: &std::path::Path,
        details: &mut CheckDetails,
    ) -> Result<bool, Box<dyn Error>> {
        let info = probe_audio(path)?;
        details.sample_rate_hz = Some(info.sample_rate.as_hz());
        details.n_channels = Some(info.n_channels);
        details.duration_s = info.duration_s();
        if !self.deep {
            return Ok(false);
        }
        let sound = load_audio(path)?;
        details.duration_s = Some(sound.duration_s());
        Ok(sound.samples().iter().all(|sample| *sample == 0.0))
    }

    fn compare_with_grid(&self, story: &str, found: &mut Findings) {
        let Some(sound_s) = found.details.duration_s else {
            found.warn("the header gives no length; a deep check decodes the file");
            return;
        };
        let of_story = self.dataset.sound_lengths_s(story);
        let of_story = of_story.and_then(|lengths| Ok((lengths, self.dataset.timing(story)?)));
        let (expected, timing) = match of_story {
            Ok(of_story) => of_story,
            Err(error) => {
                found.fail(full_message(&error));
                return;
            }
        };
        if !expected.contains(&sound_s) {
            let most = match *expected.end() {
                most if most.is_finite() => format!("{:.1} to {most:.1} s", expected.start()),
                _ => format!("at least {:.1} s", expected.start()),
            };
            found.fail(format!(
                "the sound of {story} lasts {sound_s:.1} s, its TRs ({}) last until {:.1} s: \
                 expected a sound of {most}",
                self.dataset.timing_source(),
                timing.end_s(),
            ));
        }
    }

    /// A story's `TextGrid`, whose labels must end with the sound.
    pub(super) fn textgrid(&self, story: &Story, sound_s: Option<f64>) -> CheckEntry {
        let mut found = Findings::default();
        let expected = || self.dataset.textgrid_path(story.name());
        let path = story.textgrid().map_or_else(expected, Into::into);
        if story.textgrid().is_none() {
            found.warn(format!(
                "story {} has no TextGrid; features of words need it{}",
                story.name(),
                self.misnamed_hint(std::slice::from_ref(&path))
            ));
            return found.entry(FileKind::TextGrid, path, Some(story.name()));
        }
        match read_textgrid(&path).and_then(|grid| Ok((grid.words()?.len(), grid.duration_s()))) {
            Err(error) => found.fail(full_message(&error)),
            Ok((n_words, labels_s)) => {
                found.details.n_words = Some(n_words);
                found.details.duration_s = Some(labels_s);
                if n_words == 0 {
                    found.warn("it holds no word");
                }
                let too_long = |sound_s: &f64| labels_s > sound_s + MAX_LABELS_AFTER_SOUND_S;
                if let Some(sound_s) = sound_s.filter(too_long) {
                    found.fail(format!(
                        "its labels last until {labels_s:.1} s, the sound of {} {sound_s:.1} s",
                        story.name()
                    ));
                }
            }
        }
        found.entry(FileKind::TextGrid, path, Some(story.name()))
    }

    /// Responses of `subject` to `story`; the first one fixes `n_voxels` for the others.
    pub(super) fn responses(
        &self,
        subject: &str,
        story: &Story,
        n_voxels: &mut Option<usize>,
    ) -> CheckEntry {
        let story = story.name();
        let mut found = Findings::default();
        let path = self.dataset.response_path(subject, story);
        if !self.dataset.has_responses(subject, story) {
            found.warn(format!(
                "no responses of {subject} to story {story}{}",
                self.misnamed_hint(std::slice::from_ref(&path))
            ));
        } else if let Err(error) = self.read_responses(subject, story, n_voxels, &mut found) {
            found.fail(full_message(&error));
        }
        if let Some(defect) = self.dataset.known_defect(subject, story)
            && !found.problems.is_empty()
        {
            found.warn(defect);
        }
        let entry = found.entry(FileKind::Responses, path, Some(story));
        CheckEntry {
            subject: Some(subject.into()),
            ..entry
        }
    }

    fn read_responses(
        &self,
        subject: &str,
        story: &str,
        n_voxels_before: &mut Option<usize>,
        found: &mut Findings,
    ) -> Result<()> {
        let stored = self.dataset.stored_as(subject, story)?;
        found.details.shape = Some(stored.shape);
        found.details.dtype = Some(stored.dtype);
        found.details.storage = Some(stored.storage);
        let (_, n_voxels) = self.dataset.response_shape(subject, story)?;
        let before = *n_voxels_before.get_or_insert(n_voxels);
        if before != n_voxels {
            found.fail(format!(
                "{n_voxels} {}s, earlier stories of {subject} have {before}",
                self.dataset.modality().column_name()
            ));
        }
        match self.dataset.repeats_columns(subject, story, 0..0) {
            Err(FmriError::NoRepeats { .. }) => {}
            repeats => found.details.n_repeats = Some(repeats?.len()),
        }
        if self.deep {
            let scanned = self.dataset.scan(subject, story)?;
            if let Some((_, data)) = scanned.first() {
                found.details.n_nonfinite_voxels = Some(n_nonfinite_voxels(data));
                found.details.n_constant_voxels = Some(data.constant_voxels.len());
            }
            for (what, bad) in &scanned {
                report_bad_values(found, what, bad, self.dataset.modality().column_name());
            }
        }
        Ok(())
    }

    /// Files of a subject that belong to no story.
    pub(super) fn strays(&self, subject: &str) -> Vec<CheckEntry> {
        let entry = |path| {
            let mut found = Findings::default();
            found.warn(format!(
                "{} has no such story, so the file is not used",
                self.dataset.timing_source()
            ));
            CheckEntry {
                subject: Some(subject.into()),
                ..found.entry(FileKind::Responses, path, None)
            }
        };
        self.dataset
            .strays(subject)
            .into_iter()
            .map(entry)
            .collect()
    }

    /// What to do about a file that is there under another name; empty if none is.
    fn misnamed_hint(&self, expected: &[PathBuf]) -> String {
        let found = expected
            .iter()
            .find_map(|path| Some((self.names.misnamed(path)?, path)));
        found.map_or_else(String::new, |(from, path)| {
            let name = path.file_name().unwrap_or_default().display();
            format!(
                "; there is {}: call it {name}, or let `check --fix` do so",
                from.display()
            )
        })
    }

    /// What the folder seems to have and the dataset does not.
    pub(super) fn left_out(&self) -> Vec<CheckEntry> {
        let entry = |(story, reason): &(String, String)| {
            let mut found = Findings::default();
            // Rest is such a task too; what an analysis names and lacks it says itself.
            found.warn(format!("no story can be made of {story}: {reason}"));
            found.entry(FileKind::Responses, self.dataset.dir().into(), None)
        };
        self.dataset.left_out().iter().map(entry).collect()
    }

    /// A subject that was asked for and is not there.
    pub(super) fn unknown_subject(&self, subject: &str, error: &FmriError) -> CheckEntry {
        let mut found = Findings::default();
        found.fail(full_message(error));
        let path = self.dataset.dir().into();
        CheckEntry {
            subject: Some(subject.into()),
            ..found.entry(FileKind::Responses, path, None)
        }
    }
}

fn n_nonfinite_voxels(bad: &BadValues) -> usize {
    let both: std::collections::BTreeSet<_> =
        bad.nan_voxels.iter().chain(&bad.infinite_voxels).collect();
    both.len()
}

fn report_bad_values(found: &mut Findings, what: &str, bad: &BadValues, column: &str) {
    if let Some((row, voxel)) = bad.first {
        found.fail(format!(
            "{what} has {} NaN and {} infinite values in {} {column}s, the first in row {row} of \
             {column} {voxel}",
            bad.n_nan,
            bad.n_infinite,
            n_nonfinite_voxels(bad),
        ));
    }
    if !bad.constant_voxels.is_empty() {
        let named = named(&bad.constant_voxels);
        found.fail(format!("{what} never changes in {column}s {named}"));
    }
    if !bad.implausible_voxels.is_empty() {
        found.warn(format!(
            "{what} has values beyond {:e} in {column}s {}: no recording has them, were they damaged?",
            BadValues::PLAUSIBLE,
            named(&bad.implausible_voxels)
        ));
    }
}

/// The first few of some voxels.
fn named(voxels: &[usize]) -> String {
    let named = voxels.iter().take(MAX_NAMED_VOXELS);
    let named: Vec<_> = named.map(ToString::to_string).collect();
    let more = match voxels.len().saturating_sub(MAX_NAMED_VOXELS) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    named.join(", ") + &more
}

/// An error and its sources on one line.
fn full_message(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", full_message(source)),
        None => error.to_string(),
    }
}
