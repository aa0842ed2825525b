//! Reports of the stimulus computer: when the scanner's triggers came, and when the sound began.
//!
//! Lines of a time in seconds and the name of an event, apart by blanks or tabs, as `TRFile` of
//! `HuthLab/deep-fMRI-dataset:encoding/ridge_utils/stimulus_utils.py` (1ab53af) reads them:
//! `init-trigger` (the first TR) and `trigger` are beginnings of TRs, `sound-start` and `sound-stop`
//! those of the sound, other events are only counted. The TR at trigger `t` has its midpoint at
//! `t - sound_start + TR / 2` seconds from sound onset.
//!
//! A distance above 1.5 TR is a hole, triggers that were not recorded. Differs in holes: the
//! reference adds one trigger per hole, and into the wrong place from the second hole on; here a hole
//! is filled evenly with as many as are missing, or is an error. A report without the sound's onset is
//! an error where the reference takes -1 s. Held by `tests/it/tr_report.rs`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::files::read_text;
use crate::{FmriError, Result, StoryTiming};

/// A story's report has about 20 kB.
const MAX_BYTES: u64 = 16 << 20;
/// More than any story has; a damaged file must not ask for memory.
const MAX_TRIGGERS: usize = 100_000;
/// Clocks count from the start of a session or of a day; NaN and infinity are no times.
const LATEST_S: f64 = 1e7;
/// A distance of triggers above this many TRs is a hole.
const HOLE_TRS: f64 = 1.5;
/// How far a trigger may lie from the even grid, in TRs: 0.1 s at a TR of 2 s, one step of the
/// windows that features are computed on.
const MAX_JITTER_TRS: f64 = 0.05;

/// What to do about triggers that a report does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissingTriggers {
    /// A report with a hole is an error.
    Refuse,
    /// Holes are filled with evenly spaced triggers.
    Fill,
}

/// The triggers and the sound of one run.
///
/// ```
/// use braintune_fmri::{MissingTriggers, TrReport};
///
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("tale.report");
/// std::fs::write(&path, "0.5 init-trigger\n2.5 trigger\n6.5 trigger\n10.5 sound-start\n")?;
/// let report = TrReport::read(&path, MissingTriggers::Fill)?;
/// assert_eq!(report.trigger_times(), [0.5, 2.5, 4.5, 6.5]);
/// assert_eq!(report.n_filled(), 1);
/// assert_eq!(report.mean_tr_s(), 2.0);
/// assert_eq!(report.timing(0..4)?.tr_times()[0], -9.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TrReport {
    path: PathBuf,
    trigger_times: Vec<f64>,
    n_filled: usize,
    sound_start_s: f64,
    sound_stop_s: Option<f64>,
    n_other_events: usize,
}

/// The events of a report as they stand in the file.
#[derive(Default)]
struct Events {
    triggers: Vec<f64>,
    sound_start_s: Option<f64>,
    sound_stop_s: Option<f64>,
    n_other: usize,
}

impl TrReport {
    /// Reads the report `path`.
    ///
    /// # Errors
    ///
    /// [`FmriError::Missing`], [`FmriError::Io`], [`FmriError::Pointer`] and [`FmriError::TooLarge`]
    /// if the file cannot be read. [`FmriError::TrReport`] for a line that does not begin with a
    /// time, fewer than two triggers, triggers that do not rise, a report without `sound-start` or
    /// with two, and for a hole unless `missing` says to fill it.
    pub fn read(path: &Path, missing: MissingTriggers) -> Result<Self> {
        let text = read_text(path, "TR report", MAX_BYTES)?;
        Self::parse(path, &text, missing).map_err(|reason| FmriError::TrReport {
            path: path.into(),
            reason,
        })
    }

    fn parse(path: &Path, text: &str, missing: MissingTriggers) -> Result<Self, String> {
        let events = Events::parse(text)?;
        let sound_start_s = events.sound_start_s.ok_or("it has no sound-start")?;
        let trigger_times = without_holes(&events.triggers, missing)?;
        let n_filled = trigger_times.len() - events.triggers.len();
        if n_filled > 0 {
            warn!(path = %path.display(), n_filled, "missing triggers were filled in");
        }
        Ok(Self {
            path: path.into(),
            trigger_times,
            n_filled,
            sound_start_s,
            sound_stop_s: events.sound_stop_s,
            n_other_events: events.n_other,
        })
    }

    /// Beginnings of the TRs in seconds on the report's clock, rising, at least two.
    #[must_use]
    pub fn trigger_times(&self) -> &[f64] {
        &self.trigger_times
    }

    /// How many of them the report does not have.
    #[must_use]
    pub fn n_filled(&self) -> usize {
        self.n_filled
    }

    /// Onset of the sound in seconds on the report's clock.
    #[must_use]
    pub fn sound_start_s(&self) -> f64 {
        self.sound_start_s
    }

    /// End of the sound in seconds on the report's clock, if it is reported.
    #[must_use]
    pub fn sound_stop_s(&self) -> Option<f64> {
        self.sound_stop_s
    }

    /// How many events are neither triggers nor the sound's.
    #[must_use]
    pub fn n_other_events(&self) -> usize {
        self.n_other_events
    }

    /// Mean distance of the triggers in seconds.
    #[must_use]
    pub fn mean_tr_s(&self) -> f64 {
        let [first, .., last] = *self.trigger_times else {
            return f64::NAN;
        };
        (last - first) / (self.trigger_times.len() - 1) as f64
    }

    /// Midpoints of the TRs in seconds from sound onset, `[n_trs]`, wherever the triggers lie.
    #[must_use]
    pub fn tr_times(&self) -> Vec<f64> {
        let shift = self.mean_tr_s() / 2.0 - self.sound_start_s;
        self.trigger_times.iter().map(|time| time + shift).collect()
    }

    /// The even grid of TRs that the report has, of which response files hold the rows `stored`.
    ///
    /// # Errors
    ///
    /// [`FmriError::TrReport`] if a trigger lies more than 0.05 TR from the grid that begins at the
    /// first trigger with the mean distance, and [`FmriError::Timing`] if `stored` is empty or
    /// reaches past the grid.
    pub fn timing(&self, stored: Range<usize>) -> Result<StoryTiming> {
        let tr_s = self.mean_tr_s();
        let tr_times = self.tr_times();
        let [first, ..] = *tr_times else {
            return Err(self.error("it has no trigger".into()));
        };
        let off_grid = |(k, time): (usize, &f64)| (time - first - k as f64 * tr_s).abs();
        let worst = tr_times.iter().enumerate().map(off_grid);
        let worst = worst.fold(0.0, f64::max);
        if worst > MAX_JITTER_TRS * tr_s {
            return Err(self.error(format!(
                "a trigger lies {worst:.3} s from the even grid of {tr_s:.4} s, at most {:.3} s \
                 can be left out of account",
                MAX_JITTER_TRS * tr_s
            )));
        }
        StoryTiming::new(tr_times.len(), tr_s, first, stored)
    }

    pub(crate) fn error(&self, reason: String) -> FmriError {
        FmriError::TrReport {
            path: self.path.clone(),
            reason,
        }
    }
}

impl Events {
    fn parse(text: &str) -> Result<Self, String> {
        let mut events = Self::default();
        for (k, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let Some(time) = words.next() else {
                continue;
            };
            let seconds: Option<f64> = time.parse().ok();
            let seconds = seconds.filter(|seconds| seconds.abs() <= LATEST_S);
            let seconds = seconds.ok_or_else(|| {
                let shown: String = time.chars().take(40).collect();
                format!(
                    "line {} begins with `{shown}`, expected a time in seconds",
                    k + 1
                )
            })?;
            let event = words.collect::<Vec<_>>().join(" ");
            events
                .add(seconds, &event)
                .map_err(|reason| format!("line {}: {reason}", k + 1))?;
        }
        Ok(events)
    }

    fn add(&mut self, seconds: f64, event: &str) -> Result<(), String> {
        match event {
            "init-trigger" | "trigger" => {
                if self.triggers.last().is_some_and(|&last| last >= seconds) {
                    return Err(format!(
                        "the trigger at {seconds} s does not follow the last one"
                    ));
                }
                if self.triggers.len() == MAX_TRIGGERS {
                    return Err(format!("more than {MAX_TRIGGERS} triggers"));
                }
                self.triggers.push(seconds);
            }
            "sound-start" => {
                if let Some(first) = self.sound_start_s.replace(seconds) {
                    return Err(format!("a second sound-start, the first is at {first} s"));
                }
            }
            "sound-stop" => self.sound_stop_s = Some(seconds),
            _ => self.n_other += 1,
        }
        Ok(())
    }
}

/// The triggers with evenly spaced ones in holes; rising, at least two.
fn without_holes(triggers: &[f64], missing: MissingTriggers) -> Result<Vec<f64>, String> {
    let mut distances: Vec<_> = triggers.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_by(f64::total_cmp);
    // The lower median: a mean grows with the holes it should find.
    let middle = distances.len().saturating_sub(1) / 2;
    let Some(&tr_s) = distances.get(middle) else {
        return Err(format!(
            "it has {} triggers, expected at least two",
            triggers.len()
        ));
    };
    let mut times = Vec::with_capacity(triggers.len());
    for pair in triggers.windows(2) {
        times.push(pair[0]);
        let n_trs = (pair[1] - pair[0]) / tr_s;
        if n_trs <= HOLE_TRS {
            continue;
        }
        if missing == MissingTriggers::Refuse {
            return Err(format!(
                "no trigger from {} s to {} s, {n_trs:.1} TRs of {tr_s:.4} s",
                pair[0], pair[1]
            ));
        }
        let n_trs = n_trs.round();
        if times.len() as f64 + n_trs > MAX_TRIGGERS as f64 {
            return Err(format!(
                "{n_trs} TRs from {} s to {} s: expected at most {MAX_TRIGGERS} in all",
                pair[0], pair[1]
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked"
        )]
        let n_missing = n_trs as usize - 1;
        let step = (pair[1] - pair[0]) / n_trs;
        times.extend((1..=n_missing).map(|k| pair[0] + k as f64 * step));
    }
    times.extend(triggers.last());
    Ok(times)
}
