//! Features of one recording: every layer on the same frames.
//!
//! `[n_frames, d_model]` for each layer, `[n_frames]` frame centres in seconds. Held by `tests/it/probe.rs`.

use std::path::Path;

use ndarray::Array2;

use crate::check;
use crate::error::{ProbingError, Result};

/// Features of a recording: every layer `[n_frames, d_model]` at frame centres, seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameFeatures {
    layers: Vec<Array2<f32>>,
    times: Vec<f64>,
}

impl FrameFeatures {
    /// The layers, state 0 first, each `[n_frames, d_model]`, and the centres of their frames, `[n_frames]`, rising,
    /// seconds from the start of the recording.
    ///
    /// # Errors
    /// No layers; layers of different shapes; another number of times than frames; times that do not rise.
    pub fn new(layers: Vec<Array2<f32>>, times: Vec<f64>) -> Result<Self> {
        let d_model = layers.first().map_or(0, Array2::ncols);
        if d_model == 0 {
            return Err(ProbingError::Empty {
                what: "[n_layers, d_model] of the features",
                shape: [layers.len(), d_model],
            });
        }
        for layer in &layers {
            const WHAT: &str = "a layer of the features";
            check::columns(WHAT, layer.ncols(), d_model)?;
            check::same_rows(WHAT, layer.nrows(), "the frame times", times.len())?;
        }
        let falls = |&(frame, time): &(usize, &f64)| {
            !time.is_finite() || (frame > 0 && *time <= times[frame - 1])
        };
        if let Some((_, &value)) = times.iter().enumerate().find(falls) {
            return Err(ProbingError::Setting {
                name: "the time of a frame",
                value,
                expected: "seconds, more than that of the frame before",
            });
        }
        Ok(Self { layers, times })
    }

    /// The layers, state 0 first, each `[n_frames, d_model]`.
    #[must_use]
    pub fn layers(&self) -> &[Array2<f32>] {
        &self.layers
    }

    /// Centres of the frames, `[n_frames]`, seconds.
    #[must_use]
    pub fn times(&self) -> &[f64] {
        &self.times
    }

    /// Number of layers and width of each.
    pub(crate) fn widths(&self) -> [usize; 2] {
        [self.layers.len(), self.layers[0].ncols()]
    }

    /// Says so if recordings before this one, at `path`, had other `[n_layers, d_model]`.
    pub(crate) fn check_widths(&self, expected: [usize; 2], path: &Path) -> Result<()> {
        let got = self.widths();
        if got == expected {
            return Ok(());
        }
        Err(ProbingError::OtherFeatures {
            path: path.to_path_buf(),
            expected,
            got,
        })
    }
}
