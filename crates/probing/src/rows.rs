//! Frames of a recording to rows of features and labels.
//!
//! Per layer `[n_frames, d_model]` at frame centres `times`, seconds → `[n_rows, d_model]`. Held by `tests/it/probe.rs`.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::{ProbingError, Result};
use crate::task::{Recording, Rows};

/// Which frames each row of a recording comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPlan {
    /// Frames of each row; their mean is its features.
    frames: Vec<Range<usize>>,
    /// Part of the recording that each row belongs to.
    parts: Vec<usize>,
}

impl RowPlan {
    /// Rows of a recording whose frames are centred on `times`, rising, seconds from its start.
    ///
    /// A frame belongs to a part if its centre lies in the part's span. A part between two centres has the frame
    /// nearest to its middle under [`Rows::Mean`] and no row under [`Rows::Frames`].
    ///
    /// # Errors
    /// No frames at all; a part that begins behind the last frame by more than a frame.
    pub fn new(recording: &Recording, rows: Rows, times: &[f64]) -> Result<Self> {
        let Some(&last) = times.last() else {
            return Err(problem(recording, "has no frames"));
        };
        let step = times.get(1).map_or(0.1, |second| second - times[0]);
        let mut plan = Self {
            frames: Vec::new(),
            parts: Vec::new(),
        };
        for (part, of) in recording.parts.iter().enumerate() {
            let Some(span) = &of.span_s else {
                plan.add(part, rows, 0..times.len());
                continue;
            };
            if span.start > last + step {
                let reason = format!(
                    "a part begins at {:.3} s, behind the last frame at {last:.3} s: the labels do not belong to this audio",
                    span.start
                );
                return Err(problem(recording, &reason));
            }
            let first = times.partition_point(|time| *time < span.start);
            let end = times.partition_point(|time| *time < span.end).max(first);
            if first == end && rows == Rows::Mean {
                let nearest = nearest(times, f64::midpoint(span.start, span.end));
                plan.add(part, rows, nearest..nearest + 1);
            } else {
                plan.add(part, rows, first..end);
            }
        }
        Ok(plan)
    }

    fn add(&mut self, part: usize, rows: Rows, frames: Range<usize>) {
        match rows {
            Rows::Mean => {
                self.frames.push(frames);
                self.parts.push(part);
            }
            Rows::Frames => {
                for frame in frames {
                    self.frames.push(frame..frame + 1);
                    self.parts.push(part);
                }
            }
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn n_rows(&self) -> usize {
        self.parts.len()
    }

    /// The part that each row belongs to.
    #[must_use]
    pub fn parts(&self) -> &[usize] {
        &self.parts
    }

    /// Centres of the frames of rows that are one frame each, seconds; of the middle frame of others.
    #[must_use]
    pub fn times(&self, times: &[f64]) -> Vec<f64> {
        let middle = |frames: &Range<usize>| times[usize::midpoint(frames.start, frames.end - 1)];
        self.frames.iter().map(middle).collect()
    }

    /// Features of the rows of one layer, `[n_frames, d_model]` → `[n_rows, d_model]`.
    ///
    /// # Panics
    /// If there are fewer frames than the plan was made for.
    #[must_use]
    pub fn features(&self, layer: ArrayView2<'_, f32>) -> Array2<f32> {
        let mut rows = Array2::zeros((self.n_rows(), layer.ncols()));
        let mut sums = vec![0.0_f64; layer.ncols()];
        for (mut row, frames) in rows.outer_iter_mut().zip(&self.frames) {
            if frames.len() == 1 {
                row.assign(&layer.row(frames.start));
                continue;
            }
            sums.fill(0.0);
            for frame in layer
                .slice_axis(Axis(0), frames.clone().into())
                .outer_iter()
            {
                for (sum, value) in sums.iter_mut().zip(frame) {
                    *sum += f64::from(*value);
                }
            }
            for (value, sum) in row.iter_mut().zip(&sums) {
                #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
                let mean = (sum / frames.len() as f64) as f32;
                *value = mean;
            }
        }
        rows
    }
}

/// The one of `times`, rising, that is nearest to `time`.
pub(crate) fn nearest(times: &[f64], time: f64) -> usize {
    let after = times
        .partition_point(|centre| *centre < time)
        .min(times.len() - 1);
    match after.checked_sub(1) {
        Some(before) if time - times[before] <= times[after] - time => before,
        _ => after,
    }
}

fn problem(recording: &Recording, reason: &str) -> ProbingError {
    ProbingError::Data {
        path: recording.audio.clone(),
        problem: reason.to_owned(),
    }
}
