//! The time base of a story: its grid of TRs, their midpoints, and which of them a file holds.
//!
//! Times are seconds from the onset of the sound. A grid has `n_trs` rows, trimmed ends included;
//! a response file holds the rows [`StoryTiming::stored`] of it, and analyses keep the rows a
//! [`Trim`] leaves. Held by `tests/it/time.rs`.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use crate::{FmriError, Result};

/// How long before the end of the grid of TRs a story's sound may end, in seconds.
const MAX_SOUND_BEFORE_GRID_END_S: f64 = 30.0;
/// How long after it.
const MAX_SOUND_AFTER_GRID_S: f64 = 10.0;
/// How far a lag may miss an end of a window and still lie in it, in samples: 0.3 s is not a
/// multiple of 0.1 s in binary.
const SLACK_SAMPLES: f64 = 1e-6;

/// Index of a TR on its story's grid, counted from the first row of the untrimmed grid.
///
/// Not the row of a response file: those begin at [`Responses::first_tr`](crate::Responses::first_tr).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tr(usize);

impl Tr {
    /// The TR at row `index` of the grid.
    #[must_use]
    pub const fn from_index(index: usize) -> Self {
        Self(index)
    }

    /// The row of the grid.
    #[must_use]
    pub const fn as_index(self) -> usize {
        self.0
    }
}

impl fmt::Display for Tr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TR {}", self.0)
    }
}

/// When the TRs of a story happened, relative to the onset of its sound.
///
/// ```
/// use braintune_fmri::StoryTiming;
///
/// // 30 TRs of 2 s, the first centred 9 s before the sound; a file holds rows 10 to 24.
/// let timing = StoryTiming::new(30, 2.0, -9.0, 10..25)?;
/// assert_eq!(timing.tr_times()[10], 11.0);
/// assert_eq!(timing.stored().len(), 15);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StoryTiming {
    n_trs: usize,
    tr_s: f64,
    first_tr_s: f64,
    stored: Range<usize>,
}

impl StoryTiming {
    /// A grid of `n_trs` TRs of `tr_s` seconds, the first one's midpoint at `first_tr_s` seconds
    /// from sound onset, of which response files hold the rows `stored`.
    ///
    /// # Errors
    ///
    /// [`FmriError::Timing`] if `tr_s` is not positive, a time is not finite, or `stored` is empty
    /// or reaches past the grid.
    pub fn new(n_trs: usize, tr_s: f64, first_tr_s: f64, stored: Range<usize>) -> Result<Self> {
        let reason = if !(tr_s.is_finite() && tr_s > 0.0) {
            format!("a TR of {tr_s} s: expected a positive number of seconds")
        } else if !first_tr_s.is_finite() {
            format!("the first TR at {first_tr_s} s: expected a finite number of seconds")
        } else if stored.is_empty() || stored.end > n_trs {
            format!("stored rows {stored:?} on a grid of {n_trs} TRs: expected rows of the grid")
        } else {
            return Ok(Self {
                n_trs,
                tr_s,
                first_tr_s,
                stored,
            });
        };
        Err(FmriError::Timing { reason })
    }

    /// Number of TRs on the grid, trimmed ends included.
    #[must_use]
    pub fn n_trs(&self) -> usize {
        self.n_trs
    }

    /// Duration of a TR in seconds.
    #[must_use]
    pub fn tr_s(&self) -> f64 {
        self.tr_s
    }

    /// Midpoint of the first TR of the grid, in seconds from sound onset.
    #[must_use]
    pub fn first_tr_s(&self) -> f64 {
        self.first_tr_s
    }

    /// Midpoints of all TRs of the grid, `[n_trs]`, in seconds from sound onset.
    #[must_use]
    pub fn tr_times(&self) -> Array1<f64> {
        Array1::from_shape_fn(self.n_trs, |k| self.first_tr_s + k as f64 * self.tr_s)
    }

    /// The rows of the grid that response files hold.
    #[must_use]
    pub fn stored(&self) -> Range<usize> {
        self.stored.clone()
    }

    /// End of the last TR of the grid, in seconds from sound onset.
    #[must_use]
    pub fn end_s(&self) -> f64 {
        self.first_tr_s + (self.n_trs as f64 - 0.5) * self.tr_s
    }

    /// The shortest sound in seconds under which the stored rows still are responses to it: it ends
    /// 30 s before the last of them.
    #[must_use]
    pub fn shortest_sound_s(&self) -> f64 {
        let end = self.first_tr_s + (self.stored.end as f64 - 0.5) * self.tr_s;
        end - MAX_SOUND_BEFORE_GRID_END_S
    }

    /// Lengths in seconds that the story's sound can have: it ends at most 30 s before the grid
    /// and at most 10 s after it (in 26 stories of ds003020, 16 s before to 3 s after).
    #[must_use]
    pub fn sound_lengths_s(&self) -> RangeInclusive<f64> {
        self.end_s() - MAX_SOUND_BEFORE_GRID_END_S..=self.end_s() + MAX_SOUND_AFTER_GRID_S
    }

    /// Delays in samples whose lag lies from `from_s` to `to_s` seconds, both included, rising.
    ///
    /// A response lags the sound, so negative lags give none, nor do lags of the whole grid or more.
    ///
    /// ```
    /// use braintune_fmri::StoryTiming;
    ///
    /// let eeg = StoryTiming::new(12_000, 0.01, 0.0, 0..12_000)?;
    /// assert_eq!(eeg.delays_within(0.0, 0.6), (0..=60).collect::<Vec<_>>());
    /// let fmri = StoryTiming::new(300, 2.0, -9.0, 10..295)?;
    /// assert_eq!(fmri.delays_within(2.0, 8.0), [1, 2, 3, 4]);
    /// # Ok::<(), braintune_fmri::FmriError>(())
    /// ```
    #[must_use]
    pub fn delays_within(&self, from_s: f64, to_s: f64) -> Vec<usize> {
        let slack_s = self.tr_s * SLACK_SAMPLES;
        let lag_s = |delay: usize| delay as f64 * self.tr_s;
        let delays = (0..self.n_trs).skip_while(|&delay| lag_s(delay) < from_s - slack_s);
        delays
            .take_while(|&delay| lag_s(delay) <= to_s + slack_s)
            .collect()
    }
}

/// How many rows to drop at the start and at the end of a story's grid.
///
/// ```
/// use braintune_fmri::Trim;
///
/// let trim: Trim = "10,5".parse()?;
/// assert_eq!(trim.rows(306)?, 10..301);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trim {
    start: usize,
    end: usize,
}

impl Trim {
    /// Drops `start` rows at the start of the grid and `end` at its end.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// Rows dropped at the start.
    #[must_use]
    pub const fn start(self) -> usize {
        self.start
    }

    /// Rows dropped at the end.
    #[must_use]
    pub const fn end(self) -> usize {
        self.end
    }

    /// The rows that remain of a grid of `n_trs`.
    ///
    /// # Errors
    ///
    /// [`FmriError::TrimTooLong`] if none remains.
    pub fn rows(self, n_trs: usize) -> Result<Range<usize>> {
        match n_trs.checked_sub(self.end) {
            Some(end) if end > self.start => Ok(self.start..end),
            _ => Err(FmriError::TrimTooLong { trim: self, n_trs }),
        }
    }
}

impl StoryTiming {
    /// The rows of the grid that remain under `trim` and are stored.
    ///
    /// # Errors
    ///
    /// [`FmriError::TrimTooLong`] if none remains.
    pub fn kept(&self, trim: Trim) -> Result<Range<usize>> {
        let n_trs = self.n_trs;
        let rows = trim.rows(n_trs)?;
        let kept = rows.start.max(self.stored.start)..rows.end.min(self.stored.end);
        if kept.is_empty() {
            return Err(FmriError::TrimTooLong { trim, n_trs });
        }
        Ok(kept)
    }
}

impl fmt::Display for Trim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.start, self.end)
    }
}

impl FromStr for Trim {
    type Err = FmriError;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (start, end) = text.split_once(',')?;
            Some(Self::new(
                start.trim().parse().ok()?,
                end.trim().parse().ok()?,
            ))
        };
        parse().ok_or_else(|| FmriError::TrimText { text: text.into() })
    }
}
