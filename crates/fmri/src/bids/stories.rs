//! From runs to stories: which runs heard the same sound, and the grid of TRs they share.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::options::BidsOptions;
use super::run::{Run, RunTiming, TR_SLACK_S};
use crate::dataset::AUDIO_EXTENSIONS;
use crate::files::{files_by_stem, is_plain_name};
use crate::{FmriError, Result, Story, StoryTiming};

/// How far the sound of a run may begin from that of the story's first, in TRs.
const ONSET_SLACK_TRS: f64 = 0.1;

/// A story, its grid and its runs.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) story: Story,
    pub(super) timing: StoryTiming,
    /// Where the timing comes from, as messages say it.
    pub(super) source: String,
    pub(super) textgrid: PathBuf,
    pub(super) runs: Vec<Run>,
}

impl Heard {
    /// Checks that a run fits the grid; its own number of TRs is left to the caller.
    pub(super) fn check(&self, run: &Run, timing: &RunTiming) -> Result<()> {
        let tr_s = self.timing.tr_s();
        let first_tr_s = self.timing.first_tr_s();
        let reason = if (timing.tr_s - tr_s).abs() > TR_SLACK_S {
            format!("a TR of {} s, {} has {tr_s} s", timing.tr_s, self.source)
        } else if (timing.first_tr_s - first_tr_s).abs() > ONSET_SLACK_TRS * tr_s {
            format!(
                "its first TR is {} s from the onset of the sound, that of {} {first_tr_s} s: a \
                 story has one grid, leave out one of them",
                timing.first_tr_s, self.source
            )
        } else {
            return Ok(());
        };
        Err(FmriError::Bids {
            path: run.bold.clone(),
            reason,
        })
    }
}

/// Runs and why each is of no story.
pub(super) type LeftOut = Vec<(Run, FmriError)>;

/// The stories of one task: one if all runs heard the same sound, else one for each sound.
///
/// A run whose events cannot be read belongs to the only story there is, where it is an error when it
/// is read; if there are several, it is left out.
pub(super) fn stories_of_task(
    root: &Path,
    task: &str,
    runs: Vec<Run>,
    options: &BidsOptions,
) -> Result<(Vec<Heard>, LeftOut)> {
    let sounds = runs.into_iter().map(|run| (run.sound(root, options), run));
    let (known, unknown): (Vec<_>, Vec<_>) = sounds.partition(|(sound, _)| sound.is_ok());
    let mut by_sound: BTreeMap<Option<String>, Vec<Run>> = BTreeMap::new();
    for (sound, run) in known {
        by_sound.entry(sound?.file).or_default().push(run);
    }
    let mut left_out = Vec::new();
    for (sound, run) in unknown {
        let Err(error) = sound else { continue };
        let is_single = by_sound.len() == 1;
        match by_sound.first_entry() {
            None => return Err(error),
            Some(mut only) if is_single => only.get_mut().push(run),
            Some(_) => left_out.push((run, error)),
        }
    }
    let is_single = by_sound.len() == 1;
    let stories = by_sound.into_iter().map(|(sound, runs)| {
        let stem = sound.as_deref().and_then(sound_stem);
        let name = match &stem {
            Some(stem) if !is_single => stem.strip_suffix("_audio").unwrap_or(stem),
            _ => task,
        };
        let files = find_files(root, name, sound.as_deref(), stem.as_deref())?;
        heard(root, files, runs, options)
    });
    Ok((stories.collect::<Result<_>>()?, left_out))
}

fn heard(
    root: &Path,
    (story, textgrid): (Story, PathBuf),
    runs: Vec<Run>,
    options: &BidsOptions,
) -> Result<Heard> {
    let (mut timings, mut failure) = (Vec::new(), None);
    for run in &runs {
        match run.timing(root, options) {
            Ok(timing) => timings.push((run, timing)),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let Some((first, reference)) = timings.first() else {
        return Err(failure.unwrap_or_else(|| FmriError::Bids {
            path: root.into(),
            reason: format!("no run of {}", story.name()),
        }));
    };
    let n_trs = match options.n_trs.get(story.name()) {
        Some(&n_trs) => n_trs,
        None => most_common(timings.iter().map(|(_, timing)| timing.n_trs)),
    };
    Ok(Heard {
        timing: StoryTiming::new(n_trs, reference.tr_s, reference.first_tr_s, 0..n_trs)?,
        source: first.bold.display().to_string(),
        story,
        textgrid,
        runs,
    })
}

/// The number that most have, of several the largest.
fn most_common(numbers: impl Iterator<Item = usize>) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for number in numbers {
        *counts.entry(number).or_default() += 1;
    }
    let best = counts
        .into_iter()
        .max_by_key(|&(number, count)| (count, number));
    best.map_or(0, |(number, _)| number)
}

/// Name of a sound's file without folders and extension.
fn sound_stem(file: &str) -> Option<String> {
    let stem = Path::new(file).file_stem()?.to_str()?;
    is_plain_name(stem).then(|| stem.to_owned())
}

/// The story with its audio and its `TextGrid` or gentle alignment, and where the latter is or would be.
fn find_files(
    root: &Path,
    name: &str,
    sound: Option<&str>,
    stem: Option<&str>,
) -> Result<(Story, PathBuf)> {
    let stimuli = root.join("stimuli");
    let mut story = Story::new(name).looked_for_in(&stimuli);
    let stems: Vec<String> = stem
        .map(ToOwned::to_owned)
        .into_iter()
        .chain([name.to_owned(), format!("{name}_audio")])
        .collect();
    let told = sound.and_then(|file| inside(&stimuli, file));
    let found = files_by_stem(&stimuli, &AUDIO_EXTENSIONS)?;
    let audio = match told {
        Some(path) if path.symlink_metadata().is_ok() => Some(path),
        _ => stems.iter().find_map(|stem| found.get(stem).cloned()),
    };
    if let Some(path) = audio {
        story = story.with_audio(path);
    }
    let dirs = ["stimuli", "stimuli/textgrids", "derivatives/textgrids"];
    let textgrids = dirs.iter().flat_map(|dir| {
        let files = stems.iter().map(|stem| format!("{stem}.TextGrid"));
        files.map(move |file| root.join(dir).join(file))
    });
    let gentle = stems
        .iter()
        .map(|stem| stimuli.join("gentle").join(stem).join("align.json"));
    let mut textgrids = textgrids
        .chain(gentle)
        .filter(|path| path.symlink_metadata().is_ok());
    match textgrids.next() {
        Some(path) => Ok((story.with_textgrid(&path), path)),
        None => Ok((story, stimuli.join(format!("{name}.TextGrid")))),
    }
}

/// The file of a `stim_file` in the folder of stimuli, if it does not leave it.
fn inside(stimuli: &Path, file: &str) -> Option<PathBuf> {
    let file = file.strip_prefix("bids::").unwrap_or(file);
    let file = Path::new(file.strip_prefix("stimuli/").unwrap_or(file));
    let mut parts = file.components();
    parts
        .all(|part| matches!(part, Component::Normal(_)))
        .then(|| stimuli.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_runs_decide_and_then_the_longest() {
        assert_eq!(most_common([300, 5, 300, 302].into_iter()), 300);
        assert_eq!(most_common([300, 302].into_iter()), 302);
    }

    #[test]
    fn sounds_stay_inside_the_folder() {
        let stimuli = Path::new("d/stimuli");
        assert_eq!(inside(stimuli, "a.wav"), Some(stimuli.join("a.wav")));
        assert_eq!(
            inside(stimuli, "bids::stimuli/b/a.wav"),
            Some(stimuli.join("b/a.wav"))
        );
        for outside in ["../a.wav", "/a.wav", "b/../../a.wav"] {
            assert_eq!(inside(stimuli, outside), None);
        }
    }
}
