//! Causal windows over a recording: where each starts and ends, and which of its frames stand for it.
//!
//! A window ends every `stride_s`; it holds the `length_s` before its end, or what there is of
//! them near the start (ramp-up windows). The last, partial stride is discarded, windows under
//! 400 samples are dropped. As Moussa & Toneva 2025 and `HuthLab` extract features with context
//! 16 s and stride 0.1 s, that is `length_s` 16.1: the newest stride is part of the window.

use std::ops::Range;

use crate::error::{BackboneError, Result};

/// Shorter windows are dropped: one frame of a wav2vec-style backbone.
const MIN_SAMPLES: usize = 400;
/// What [`MIN_SAMPLES`] last at 16 kHz.
const MIN_LENGTH_S: f64 = 0.025;

/// Shorter strides than this are a mistake, and would be more windows than memory holds.
const MIN_STRIDE_S: f64 = 0.001;

/// What stands for a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WindowFeature {
    /// Its last frame that saw audio, at the window's end (Moussa & Toneva 2025).
    #[default]
    LastFrame,
    /// The mean of the frames of its newest stride, at the middle of that stride. At a stride of one TR this takes in
    /// all of the TR's audio for a twentieth of the passes that the last frame needs at 0.1 s.
    StrideMean,
}

/// Length and stride of the windows, seconds, and what stands for each.
///
/// ```
/// use braintune_backbone::{WindowFeature, Windows};
///
/// let windows = Windows::new(16.0, 0.1)?.with_feature(WindowFeature::StrideMean);
/// assert_eq!((windows.length_s(), windows.stride_s()), (16.0, 0.1));
/// assert!(Windows::new(1.0, 2.0).is_err()); // audio between two windows would be skipped
/// # Ok::<(), braintune_backbone::BackboneError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Windows {
    length_s: f64,
    stride_s: f64,
    feature: WindowFeature,
}

impl Windows {
    /// Windows of `length_s` seconds (the newest stride included) that end every `stride_s`.
    ///
    /// # Errors
    /// Not positive and finite, a window under 25 ms, a stride under 1 ms or longer than the window
    /// (audio would be skipped).
    pub fn new(length_s: f64, stride_s: f64) -> Result<Self> {
        let usable = |x: f64| x.is_finite() && x > 0.0;
        if !usable(length_s) || !usable(stride_s) || stride_s > length_s || stride_s < MIN_STRIDE_S
        {
            return Err(BackboneError::Windows(format!(
                "window {length_s} s and stride {stride_s} s: both must be positive, the stride at least 1 ms and no longer than the window"
            )));
        }
        if length_s < MIN_LENGTH_S {
            return Err(BackboneError::Windows(format!(
                "window {length_s} s: at least {MIN_LENGTH_S} s ({MIN_SAMPLES} samples at 16 kHz) are needed for one frame"
            )));
        }
        Ok(Self {
            length_s,
            stride_s,
            feature: WindowFeature::default(),
        })
    }

    /// The same windows with something else standing for them.
    #[must_use]
    pub fn with_feature(mut self, feature: WindowFeature) -> Self {
        self.feature = feature;
        self
    }

    /// What stands for a window.
    #[must_use]
    pub fn feature(&self) -> WindowFeature {
        self.feature
    }

    /// Window length, seconds.
    #[must_use]
    pub fn length_s(&self) -> f64 {
        self.length_s
    }

    /// Time from one window end to the next, seconds.
    #[must_use]
    pub fn stride_s(&self) -> f64 {
        self.stride_s
    }

    /// The windows over `n_samples` samples at `rate_hz`: end in seconds, and the samples held.
    #[must_use]
    pub fn over(&self, n_samples: usize, rate_hz: u32) -> Vec<(f64, Range<usize>)> {
        let rate = f64::from(rate_hz);
        let length = to_samples(self.length_s * rate);
        (1..=u32::MAX)
            .map(|k| f64::from(k) * self.stride_s)
            .map(|end_s| (end_s, to_samples(end_s * rate)))
            .take_while(|&(_, end)| end <= n_samples)
            .map(|(end_s, end)| (end_s, end.saturating_sub(length)..end))
            .filter(|(_, samples)| samples.len() >= MIN_SAMPLES)
            .collect()
    }
}

impl Default for Windows {
    /// 16.1 s every 0.1 s.
    fn default() -> Self {
        Self {
            length_s: 16.1,
            stride_s: 0.1,
            feature: WindowFeature::default(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive by construction; saturates for absurd lengths"
)]
pub(crate) fn to_samples(samples: f64) -> usize {
    samples.round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ramps_up_and_discards_the_last_partial_stride() -> Result<()> {
        let windows = Windows::default().over(16_000 * 17 + 799, 16_000);
        assert_eq!(windows.len(), 170);
        assert_eq!(windows[0], (0.1, 0..1600));
        assert_eq!(windows[159].1, 0..256_000);
        assert_eq!(windows[160].1, 0..257_600); // the first full window, ending at 16.1 s
        assert_eq!(windows[169].1, 14_400..272_000);
        assert!(
            Windows::new(0.04, 0.02)?
                .over(640, 16_000)
                .iter()
                .all(|w| w.1.len() >= 400)
        );
        Ok(())
    }

    #[test]
    fn unusable_settings_are_refused() {
        for (length, stride) in [
            (0.0, 0.1),
            (16.0, 0.0),
            (16.0, f64::NAN),
            (16.0, 1e-9),
            (1.0, 2.0),
            (0.02, 0.01),
            (-1.0, -2.0),
        ] {
            assert!(Windows::new(length, stride).is_err(), "{length} {stride}");
        }
    }
}
