//! Lanczos resampling of features from the backbone's frame grid to the TR grid.
//!
//! `[n_frames, n_features]` at `frame_times` → `[n_trs, n_features]` at `tr_times`, seconds from
//! stimulus onset. Linear in the features; [`Lanczos::matrix`] gives the operator for training.
//!
//! The weight of a frame at distance `d = cutoff · (tr_time − frame_time)` is
//! `a · sin(πd) · sin(πd/a) / (πd)²` with `a = 3` lobes, 1 at `d = 0` and 0 beyond `|d| = a`; rows
//! are not normalised, as in the encoding models of Huth et al. 2016 and `LeBel` et al. 2023, so
//! values scale with the frame rate until they are z-scored. Differs from the usual dense
//! implementation: weights outside the window are never computed. Held by `tests/it/lanczos.rs` and,
//! in f64 to 1e-10, `tests/it/huth.rs`.

use std::f64::consts::PI;
use std::ops::Range;

use ndarray::{Array2, ArrayView2};
use num_traits::Float;
use tracing::instrument;

use crate::{FmriError, Result};

const N_LOBES: f64 = 3.0;

/// A Lanczos low-pass filter with three lobes that resamples as it filters.
///
/// ```
/// use braintune_fmri::Lanczos;
/// use ndarray::Array2;
///
/// let frame_times: Vec<f64> = (1..=400).map(|k| f64::from(k) * 0.1).collect();
/// let tr_times: Vec<f64> = (0..10).map(|k| 11.0 + 2.0 * f64::from(k)).collect();
/// let lanczos = Lanczos::for_tr_times(&tr_times)?; // cutoff 0.5 Hz
/// let features = Array2::ones((400, 2));
/// let resampled = lanczos.resample(features.view(), &frame_times, &tr_times)?;
/// assert_eq!(resampled.dim(), (10, 2));
/// // 20 frames per TR, not normalised: a constant comes out about 20 times as large.
/// assert!((resampled[[3, 0]] - 20.0).abs() < 0.3);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanczos {
    cutoff_hz: f64,
}

impl Lanczos {
    /// The filter that passes what a grid of TRs can represent: cutoff `1 / mean(diff(tr_times))`.
    ///
    /// # Errors
    ///
    /// [`FmriError::Times`] if there are fewer than two times or they are not finite and rising.
    pub fn for_tr_times(tr_times: &[f64]) -> Result<Self> {
        Self::with_cutoff(mean_rate_hz("TR times", tr_times)?)
    }

    /// The filter that passes what both grids can represent: cutoff at the lower of their mean
    /// rates.
    ///
    /// Frames faster than samples (a backbone against TRs) are low-pass filtered, which is
    /// [`for_tr_times`](Self::for_tr_times) bit for bit. Frames slower than samples (10 Hz features
    /// against 100 Hz MEG) are interpolated: a sample at a frame's time has that frame's value, and
    /// one between frames draws on three to each side.
    ///
    /// # Errors
    ///
    /// [`FmriError::Times`] if there are fewer than two times of either kind, or they are not finite
    /// and rising.
    ///
    /// ```
    /// use braintune_fmri::Lanczos;
    ///
    /// let frame_times: Vec<f64> = (0..50).map(|k| f64::from(k) * 0.1).collect();
    /// let sample_times: Vec<f64> = (0..500).map(|k| f64::from(k) * 0.01).collect();
    /// let lanczos = Lanczos::between(&frame_times, &sample_times)?;
    /// assert!((lanczos.cutoff_hz() - 10.0).abs() < 1e-9);
    /// # Ok::<(), braintune_fmri::FmriError>(())
    /// ```
    pub fn between(frame_times: &[f64], sample_times: &[f64]) -> Result<Self> {
        let frame_rate_hz = mean_rate_hz("frame times", frame_times)?;
        Self::with_cutoff(mean_rate_hz("sample times", sample_times)?.min(frame_rate_hz))
    }

    /// The filter with its cutoff at `cutoff_hz`; it reaches `3 / cutoff_hz` seconds to both sides.
    ///
    /// # Errors
    ///
    /// [`FmriError::Cutoff`] if the cutoff is not a positive, finite number.
    pub fn with_cutoff(cutoff_hz: f64) -> Result<Self> {
        if cutoff_hz.is_finite() && cutoff_hz > 0.0 {
            Ok(Self { cutoff_hz })
        } else {
            Err(FmriError::Cutoff { cutoff_hz })
        }
    }

    /// The cutoff frequency in Hz.
    #[must_use]
    pub fn cutoff_hz(self) -> f64 {
        self.cutoff_hz
    }

    /// The operator that takes `[n_frames, n_features]` to `[n_trs, n_features]`.
    ///
    /// # Errors
    ///
    /// [`FmriError::Times`] if either list of times is empty, not finite or not rising.
    pub fn matrix(self, frame_times: &[f64], tr_times: &[f64]) -> Result<LanczosMatrix> {
        check_times("frame times", frame_times)?;
        check_times("TR times", tr_times)?;
        Ok(self.windows(frame_times, tr_times))
    }

    /// The operator for events, some of which may be at the same time; without events it is empty.
    pub(crate) fn event_matrix(self, events: &[f64], tr_times: &[f64]) -> Result<LanczosMatrix> {
        check_times("TR times", tr_times)?;
        let reason = match events.iter().position(|time| !time.is_finite()) {
            Some(k) => format!("{} at index {k} is not finite", events[k]),
            None if events.is_sorted() => return Ok(self.windows(events, tr_times)),
            None => "they are not in order".into(),
        };
        let what = "times of events";
        Err(FmriError::Times { what, reason })
    }

    /// Both lists in order.
    fn windows(self, frame_times: &[f64], tr_times: &[f64]) -> LanczosMatrix {
        let reach_s = N_LOBES / self.cutoff_hz;
        let mut starts = Vec::with_capacity(tr_times.len());
        let mut offsets = vec![0];
        let mut weights = Vec::new();
        for &tr_time in tr_times {
            let start = frame_times.partition_point(|&time| time < tr_time - reach_s);
            let in_window = frame_times[start..]
                .iter()
                .take_while(|&&time| time <= tr_time + reach_s);
            weights.extend(in_window.map(|time| weight(self.cutoff_hz * (tr_time - time))));
            starts.push(start);
            offsets.push(weights.len());
        }
        LanczosMatrix {
            n_frames: frame_times.len(),
            starts,
            offsets,
            weights,
        }
    }

    /// Resamples `features`, `[n_frames, n_features]` at `frame_times`, to `[n_trs, n_features]` at
    /// `tr_times`; times in seconds on the same clock. Sums run in f64.
    ///
    /// # Errors
    ///
    /// [`FmriError::Times`] as [`matrix`](Self::matrix), and [`FmriError::FrameCount`] if there are
    /// not as many rows as frame times.
    #[instrument(skip_all, fields(n_frames = features.nrows(), n_features = features.ncols()))]
    pub fn resample(
        self,
        features: ArrayView2<'_, f32>,
        frame_times: &[f64],
        tr_times: &[f64],
    ) -> Result<Array2<f32>> {
        self.matrix(frame_times, tr_times)?.apply(features)
    }
}

/// A resampling operator `[n_trs, n_frames]` of which only the window around each TR is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct LanczosMatrix {
    n_frames: usize,
    starts: Vec<usize>,
    offsets: Vec<usize>,
    weights: Vec<f64>,
}

impl LanczosMatrix {
    /// Number of rows.
    #[must_use]
    pub fn n_trs(&self) -> usize {
        self.starts.len()
    }

    /// Number of columns.
    #[must_use]
    pub fn n_frames(&self) -> usize {
        self.n_frames
    }

    /// The frames that the TR at row `k` draws on, and their weights; `None` past the last row.
    #[must_use]
    pub fn row(&self, k: usize) -> Option<(Range<usize>, &[f64])> {
        let start = *self.starts.get(k)?;
        let weights = &self.weights[self.offsets[k]..self.offsets[k + 1]];
        Some((start..start + weights.len(), weights))
    }

    /// Applies the operator to `features`, `[n_frames, n_features]`; gives `[n_trs, n_features]`. Sums
    /// run in f64.
    ///
    /// # Errors
    ///
    /// [`FmriError::FrameCount`] if `features` has another number of rows than
    /// [`n_frames`](Self::n_frames).
    pub fn apply(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.apply_to(features)
    }

    /// [`apply`](Self::apply) on f64, of which nothing is rounded.
    ///
    /// # Errors
    ///
    /// As [`apply`](Self::apply).
    pub fn apply_f64(&self, features: ArrayView2<'_, f64>) -> Result<Array2<f64>> {
        self.apply_to(features)
    }

    fn apply_to<F: Float + Into<f64>>(&self, features: ArrayView2<'_, F>) -> Result<Array2<F>> {
        if features.nrows() != self.n_frames {
            return Err(FmriError::FrameCount {
                expected: self.n_frames,
                got: features.nrows(),
            });
        }
        let mut resampled = Array2::zeros((self.n_trs(), features.ncols()));
        let mut sums = vec![0.0_f64; features.ncols()];
        for (k, mut out) in resampled.rows_mut().into_iter().enumerate() {
            let Some((frames, weights)) = self.row(k) else {
                continue;
            };
            sums.fill(0.0);
            for (frame, weight) in frames.zip(weights) {
                for (sum, &value) in sums.iter_mut().zip(features.row(frame)) {
                    *sum += weight * value.into();
                }
            }
            for (out, &sum) in out.iter_mut().zip(&sums) {
                // Rounds to f32; every f64 has a nearest one.
                *out = F::from(sum).unwrap_or_else(F::nan);
            }
        }
        Ok(resampled)
    }
}

/// The Lanczos window at `d` periods of the cutoff; the caller keeps `|d| <= N_LOBES`.
fn weight(d: f64) -> f64 {
    if d == 0.0 {
        return 1.0;
    }
    let x = PI * d;
    N_LOBES * x.sin() * (x / N_LOBES).sin() / (x * x)
}

/// `1 / mean(diff(times))`.
fn mean_rate_hz(what: &'static str, times: &[f64]) -> Result<f64> {
    check_times(what, times)?;
    let [first, .., last] = times else {
        return Err(FmriError::Times {
            what,
            reason: format!("{} of them, at least two are needed", times.len()),
        });
    };
    Ok((times.len() - 1) as f64 / (last - first))
}

fn check_times(what: &'static str, times: &[f64]) -> Result<()> {
    let reason = if times.is_empty() {
        "none given".into()
    } else if let Some(k) = times.iter().position(|time| !time.is_finite()) {
        format!("{} at index {k} is not finite", times[k])
    } else if let Some(k) = times.windows(2).position(|pair| pair[0] >= pair[1]) {
        format!(
            "{} s at index {k} is followed by {} s, expected rising times",
            times[k],
            times[k + 1]
        )
    } else {
        return Ok(());
    };
    Err(FmriError::Times { what, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_is_one_at_zero_and_vanishes_at_whole_periods() {
        assert!((weight(0.0) - 1.0).abs() == 0.0);
        for d in [1.0, 2.0, 3.0] {
            assert!(weight(d).abs() < 1e-16);
            assert!(weight(-d).abs() < 1e-16);
        }
        assert!((weight(1e-9) - 1.0).abs() < 1e-12);
    }
}
