//! Pitch by YIN.
//!
//! `[n_samples]` → `[n_frames]` Hz: the shortest period between two bounds at which a frame differs
//! little from itself, refined by a parabola. De Cheveigné and Kawahara (2002), steps 2 to 5, as
//! `librosa.yin` (0.11, `trough_threshold=0.1`) has them. Two things there are not the paper's: the
//! sum over the last samples of the frame is not subtracted from the difference function, nor the
//! first sample's square at a lag of one sample. Computed in f64. Held by `tests/it/acoustic.rs`.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use ndarray::Array1;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::{AudioError, Frames, Result};

/// The normalised difference below which the first trough is the period.
const TROUGH: f64 = 0.1;

/// The fundamental frequency of each frame, by YIN.
///
/// Every frame gets a number within the range or about a sample beyond it, whether or not there is a
/// voice: where no period fits well (hiss, breath, noise between words) it is the least bad one, often
/// near an end of the range, and digital silence gives the top of it. Numbers of unvoiced frames
/// mean nothing; tell them by [`Rms`](crate::Rms) or by a transcript.
///
/// ```
/// use braintune_audio::{Frames, Framing, SampleRate, Yin};
///
/// let frames = Frames::new(1024, 160, SampleRate::SPEECH, Framing::Inside)?;
/// let yin = Yin::new(frames, 60.0..400.0)?;
/// let tone: Vec<f32> = (0..8_000).map(|i| (i as f32 * 0.05).sin()).collect();
/// let hz = 0.05 * 16_000.0 / std::f32::consts::TAU;
/// assert!(yin.compute(&tone)?.iter().all(|f0| (f0 - hz).abs() < 1.0));
/// # Ok::<(), braintune_audio::AudioError>(())
/// ```
#[derive(Clone)]
pub struct Yin {
    frames: Frames,
    range_hz: Range<f64>,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

impl fmt::Debug for Yin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Yin")
            .field("frames", &self.frames)
            .field("range_hz", &self.range_hz)
            .finish_non_exhaustive()
    }
}

impl Yin {
    /// Plans a search between two frequencies in Hz. Frames should hold two periods of the lower.
    ///
    /// # Errors
    /// [`AudioError::InvalidPitchRange`] for a range that is empty or reaches beyond 0 to half the
    /// sample rate, and where a frame does not hold one period of the lower frequency.
    pub fn new(frames: Frames, range_hz: Range<f64>) -> Result<Self> {
        let rate = f64::from(frames.sample_rate().as_hz());
        let (low, high) = (range_hz.start, range_hz.end);
        let lowest = rate / (frames.length() - 1) as f64;
        // Not by their negations, which NaN would pass.
        if !(low > lowest && low < high && high <= rate / 2.0) {
            return Err(AudioError::InvalidPitchRange {
                low_hz: low,
                high_hz: high,
                lowest_hz: lowest,
                highest_hz: rate / 2.0,
            });
        }
        // As long as needed for lags not to wrap round.
        let n_fft = (2 * frames.length()).next_power_of_two();
        let mut planner = RealFftPlanner::new();
        Ok(Self {
            frames,
            range_hz,
            forward: planner.plan_fft_forward(n_fft),
            inverse: planner.plan_fft_inverse(n_fft),
        })
    }

    /// The frames, which give [times](Frames::times).
    #[must_use]
    pub fn frames(&self) -> &Frames {
        &self.frames
    }

    /// The fundamental frequency of each frame `[n_frames]` in Hz.
    ///
    /// # Errors
    /// [`AudioError::TooShortForFrame`] for less than a frame [inside](crate::Framing::Inside) the
    /// recording, [`AudioError::EmptyWaveform`] and [`AudioError::NonFiniteSample`].
    pub fn compute(&self, samples: &[f32]) -> Result<Array1<f32>> {
        let rate = f64::from(self.frames.sample_rate().as_hz());
        let periods = self.periods();
        let mut scratch = Scratch {
            lags: self.forward.make_input_vec(),
            spectrum: self.forward.make_output_vec(),
            difference: Vec::new(),
        };
        let mut f0 = Vec::with_capacity(self.frames.n_frames(samples.len()));
        self.frames.for_each(samples, |_, frame| {
            self.difference(frame, &periods, &mut scratch);
            let period = *periods.start() as f64 + best_period(&scratch.difference);
            #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
            f0.push((rate / period) as f32);
        })?;
        Ok(f0.into())
    }

    /// The periods looked at, in samples: at least two of them.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both lie between 2 and the length of a frame, of which `new` makes sure"
    )]
    fn periods(&self) -> RangeInclusive<usize> {
        let rate = f64::from(self.frames.sample_rate().as_hz());
        let (shortest, longest) = (rate / self.range_hz.end, rate / self.range_hz.start);
        shortest.floor() as usize..=(longest.ceil() as usize).min(self.frames.length() - 1)
    }

    /// The cumulative mean normalised difference (equation 8) of a frame with itself moved by each
    /// of `periods`, into `scratch`.
    fn difference(&self, frame: &[f32], periods: &RangeInclusive<usize>, scratch: &mut Scratch) {
        let lags = &mut scratch.lags;
        for (lag, &x) in lags.iter_mut().zip(frame) {
            *lag = f64::from(x);
        }
        lags[frame.len()..].fill(0.0);
        self.forward
            .process(lags, &mut scratch.spectrum)
            .expect("the buffers come from the plan");
        for c in &mut scratch.spectrum {
            *c = Complex::new(c.norm_sqr(), 0.0);
        }
        self.inverse
            .process(&mut scratch.spectrum, lags)
            .expect("the buffers come from the plan");
        let scale = 1.0 / lags.len() as f64;

        scratch.difference.clear();
        let (mut head, mut sum) = (0.0, 0.0);
        for (lag, &x) in (1..=*periods.end()).zip(frame) {
            head += f64::from(x).powi(2);
            // librosa has overwritten the first sum by then.
            let head_here = if lag == 1 { 0.0 } else { head };
            let d = 2.0 * scale * (lags[0] - lags[lag]) - head_here;
            sum += d;
            if lag >= *periods.start() {
                let mean = sum / lag as f64;
                scratch.difference.push(d / (mean + f64::MIN_POSITIVE));
            }
        }
    }
}

impl fmt::Display for Yin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.range_hz.start, self.range_hz.end);
        write!(
            f,
            "YIN: {low} to {high} Hz, trough below {TROUGH}; {}",
            self.frames
        )
    }
}

/// Buffers that frames share.
struct Scratch {
    /// The frame, zeros behind it; then its correlation with itself by lag.
    lags: Vec<f64>,
    spectrum: Vec<Complex<f64>>,
    difference: Vec<f64>,
}

/// The place of the first trough that is deep enough, or of the minimum, refined by the parabola
/// through it and its neighbours. `d` has two values or more.
fn best_period(d: &[f64]) -> f64 {
    let last = d.len() - 1;
    let is_trough = |i: usize| match i {
        0 => d[0] < d[1],
        _ if i == last => d[i] < d[i - 1],
        _ => d[i] < d[i - 1] && d[i] <= d[i + 1],
    };
    let trough = (0..d.len()).find(|&i| d[i] < TROUGH && is_trough(i));
    let best = trough.unwrap_or_else(|| {
        let lower = |best, i| if d[i] < d[best] { i } else { best };
        (1..d.len()).fold(0, lower)
    });
    if best == 0 || best == last {
        return best as f64;
    }
    let curve = d[best + 1] + d[best - 1] - 2.0 * d[best];
    let slope = (d[best + 1] - d[best - 1]) / 2.0;
    let shift = if slope.abs() < curve.abs() {
        -slope / curve
    } else {
        0.0
    };
    best as f64 + shift
}
