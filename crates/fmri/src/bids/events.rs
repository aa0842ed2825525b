//! `events.tsv` and JSON sidecars: when a run's sound began, and how long its TRs are.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::files::read_text;
use crate::{FmriError, Result};

/// Bytes of a million events.
const MAX_BYTES: u64 = 1 << 26;

/// The sound of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sound {
    /// When it began, in seconds from the start of the first volume.
    pub(super) onset_s: f64,
    /// Its file, as `stim_file` gives it.
    pub(super) file: Option<String>,
}

/// Reads the events of a run: the earliest row of its sound, of those with `trial_type` if given.
pub(super) fn read_sound(path: &Path, trial_type: Option<&str>) -> Result<Sound> {
    let text = read_text(path, "events", MAX_BYTES)?;
    find_sound(&text, trial_type).map_err(|reason| FmriError::Bids {
        path: path.into(),
        reason,
    })
}

/// One row of the events.
struct Event<'a> {
    onset: &'a str,
    trial_type: Option<&'a str>,
    stim_file: Option<&'a str>,
}

fn find_sound(text: &str, trial_type: Option<&str>) -> Result<Sound, String> {
    let all = parse(text)?;
    let types = names(&all, |event| event.trial_type);
    let mut events = all;
    if let Some(wanted) = trial_type {
        events.retain(|event| event.trial_type == Some(wanted));
        if events.is_empty() {
            return Err(format!(
                "no event of type {wanted}, it has {}",
                join(&types)
            ));
        }
    }
    let files = names(&events, |event| event.stim_file);
    if files.len() > 1 {
        return Err(format!(
            "it has events of several sounds, {}: choose a trial type, or leave the task out",
            join(&files)
        ));
    }
    if files.is_empty() && trial_type.is_none() && types.len() > 1 {
        return Err(format!(
            "it names no `stim_file` and has events of several types, {}: choose the one that \
             begins with the sound",
            join(&types)
        ));
    }
    let of_sound = events
        .iter()
        .filter(|event| files.is_empty() || event.stim_file.is_some());
    let mut first: Option<f64> = None;
    for event in of_sound {
        let onset = event.onset.parse::<f64>().ok().filter(|s| s.is_finite());
        let onset = onset.ok_or_else(|| {
            format!(
                "an onset of {:?}, expected a number of seconds",
                event.onset
            )
        })?;
        first = Some(first.map_or(onset, |first| first.min(onset)));
    }
    Ok(Sound {
        onset_s: first.ok_or("it has no event")?,
        file: files.first().map(|&file| file.to_owned()),
    })
}

fn parse(text: &str) -> Result<Vec<Event<'_>>, String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let header: Vec<&str> = lines
        .next()
        .unwrap_or_default()
        .split('\t')
        .map(str::trim)
        .collect();
    let column = |name| header.iter().position(|other| *other == name);
    let onset = column("onset")
        .ok_or_else(|| format!("no column `onset`, it has {}", header.join(", ")))?;
    let (trial_type, stim_file) = (column("trial_type"), column("stim_file"));
    let rows = lines.filter(|line| !line.trim().is_empty());
    rows.map(|line| {
        let values: Vec<&str> = line.split('\t').map(str::trim).collect();
        let value = |column: Option<usize>| -> Option<&str> {
            let value = *values.get(column?)?;
            (!matches!(value, "" | "n/a")).then_some(value)
        };
        Ok(Event {
            onset: values.get(onset).copied().unwrap_or_default(),
            trial_type: value(trial_type),
            stim_file: value(stim_file),
        })
    })
    .collect()
}

fn names<'a>(
    events: &[Event<'a>],
    name: impl Fn(&Event<'a>) -> Option<&'a str>,
) -> BTreeSet<&'a str> {
    events.iter().filter_map(name).collect()
}

fn join(names: &BTreeSet<&str>) -> String {
    match names.len() {
        0 => "none".into(),
        _ => names.iter().copied().collect::<Vec<_>>().join(", "),
    }
}

/// What is used of a JSON sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Sidecar {
    /// Seconds from one volume to the next.
    pub(super) repetition_time: Option<f64>,
    /// The moment of a TR that slices were brought to, in seconds from its start.
    start_time: Option<f64>,
    slice_timing_corrected: Option<bool>,
}

impl Sidecar {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = read_text(path, "sidecar", MAX_BYTES)?;
        serde_json::from_str(&text).map_err(|error| FmriError::Bids {
            path: path.into(),
            reason: format!("no JSON sidecar: {error}"),
        })
    }

    /// When in a TR the slices were, if they were brought to one moment.
    pub(super) fn slice_time_s(&self) -> Option<f64> {
        let time = self.start_time.filter(|time| time.is_finite());
        time.filter(|_| self.slice_timing_corrected == Some(true))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_sound_begins_at_its_earliest_event() {
        // As in ds002345: the file begins with music.
        let pieman = "onset\tduration\ttrial_type\tstim_file\n\
            0.0\t13.0\tmusic\tpieman_audio.wav\n15.0\t422.0\tstory\tpieman_audio.wav\n";
        let sound = |onset_s, file: Option<&str>| {
            Ok(Sound {
                onset_s,
                file: file.map(Into::into),
            })
        };
        assert_eq!(
            find_sound(pieman, None),
            sound(0.0, Some("pieman_audio.wav"))
        );
        assert_eq!(
            find_sound(pieman, Some("story")),
            sound(15.0, Some("pieman_audio.wav"))
        );
        let fixation = "onset\tduration\ttrial_type\tstim_file\r\n\
            0\t4\tfixation\tn/a\r\n\r\n4.5\t22\tstory\ta.wav\r\n-1\t3\tstory\ta.wav\r\n";
        assert_eq!(find_sound(fixation, None), sound(-1.0, Some("a.wav")));
        assert_eq!(find_sound("onset\n3\n2\n", None), sound(2.0, None));
        for (text, trial_type, expected) in [
            ("", None, "no column `onset`"),
            ("onset\tduration\n", None, "no event"),
            ("onset\nn/a\n", None, "an onset of \"n/a\""),
            (
                "onset\tstim_file\n0\ta.wav\n9\tb.wav\n",
                None,
                "several sounds, a.wav, b.wav",
            ),
            (
                "onset\ttrial_type\n0\trest\n9\tstory\n",
                None,
                "several types, rest, story",
            ),
            (
                "onset\ttrial_type\n0\trest\n",
                Some("story"),
                "no event of type story, it has rest",
            ),
        ] {
            let reason = find_sound(text, trial_type).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
