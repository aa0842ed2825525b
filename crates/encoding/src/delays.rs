//! Finite impulse response delays: each feature at several earlier samples.
//!
//! `[n_samples, n_features]` → `[n_samples, n_features * n_delays]`, blocks in order of delay.
//!
//! Follows `make_delayed` (`HuthLab/deep-fMRI-dataset:encoding/ridge_utils/util.py`, eaaa5cd).
//! Differs: the reference delays the concatenation of all stories, so the end of one story leaks
//! into the start of the next; [`Delays::apply_stories`] never crosses a border. Held by
//! `tests/it/delays.rs`.

use std::{fmt, str::FromStr};

use ndarray::{Array2, ArrayView2, s};
use num_traits::Zero;

use crate::{EncodingError, Result};

/// Delays in samples, at least one, each once, in the order given.
///
/// ```
/// use braintune_encoding::Delays;
/// use ndarray::array;
///
/// let delays: Delays = "1,2".parse()?;
/// let delayed = delays.apply(array![[1.0], [2.0], [3.0]].view());
/// assert_eq!(delayed, array![[0.0, 0.0], [1.0, 0.0], [2.0, 1.0]]);
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delays(Vec<usize>);

impl Delays {
    /// Checks `delays`, in samples; 0 is the sample itself.
    ///
    /// # Errors
    /// [`EncodingError::NoDelays`], [`EncodingError::DuplicateDelay`] and [`EncodingError::LongDelay`].
    pub fn from_samples(delays: Vec<usize>) -> Result<Self> {
        /// Longer than any story; sums of delays and rows stay far from overflow.
        const MOST: usize = 1 << 24;
        if delays.is_empty() {
            return Err(EncodingError::NoDelays);
        }
        if let Some(&delay) = delays.iter().find(|delay| **delay > MOST) {
            return Err(EncodingError::LongDelay { delay, most: MOST });
        }
        for (i, delay) in delays.iter().enumerate() {
            if delays[..i].contains(delay) {
                return Err(EncodingError::DuplicateDelay { delay: *delay });
            }
        }
        Ok(Self(delays))
    }

    /// The delays, in samples.
    #[must_use]
    pub fn as_slice(&self) -> &[usize] {
        &self.0
    }

    /// Delays one story, `[n_samples, n_features]`, by zero-padded shifts:
    /// `[n_samples, n_features * n_delays]`, blocks in order of delay.
    ///
    /// To reproduce the reference code with its leak over story borders, pass the concatenation of
    /// all stories as if it were one.
    #[must_use]
    pub fn apply<A: Clone + Zero>(&self, story: ArrayView2<'_, A>) -> Array2<A> {
        let mut delayed = Array2::zeros((story.nrows(), story.ncols() * self.0.len()));
        self.write(story, &mut delayed, 0);
        delayed
    }

    /// Delays each story by itself and stacks the results: `[sum of n_samples, n_features *
    /// n_delays]`. Nothing crosses a story border.
    ///
    /// # Errors
    /// [`EncodingError::Columns`] if the stories have different numbers of features,
    /// [`EncodingError::Empty`] if there is none.
    pub fn apply_stories<A: Clone + Zero>(
        &self,
        stories: &[ArrayView2<'_, A>],
    ) -> Result<Array2<A>> {
        let first = stories.first().ok_or(EncodingError::Empty {
            what: "stories",
            shape: [0, 0],
        })?;
        let n_features = first.ncols();
        if let Some(odd) = stories.iter().find(|story| story.ncols() != n_features) {
            return Err(EncodingError::Columns {
                what: "a story",
                shape: [odd.nrows(), odd.ncols()],
                expected: n_features,
            });
        }
        let n_samples = stories.iter().map(ArrayView2::nrows).sum();
        let mut delayed = Array2::zeros((n_samples, n_features * self.0.len()));
        let mut start = 0;
        for story in stories {
            self.write(story.view(), &mut delayed, start);
            start += story.nrows();
        }
        Ok(delayed)
    }

    pub(crate) fn write<A: Clone>(
        &self,
        story: ArrayView2<'_, A>,
        out: &mut Array2<A>,
        start: usize,
    ) {
        let (n_samples, n_features) = story.dim();
        for (block, &delay) in self.0.iter().enumerate() {
            if delay >= n_samples {
                continue;
            }
            let columns = block * n_features..(block + 1) * n_features;
            out.slice_mut(s![start + delay..start + n_samples, columns])
                .assign(&story.slice(s![..n_samples - delay, ..]));
        }
    }
}

impl FromStr for Delays {
    type Err = EncodingError;

    fn from_str(text: &str) -> Result<Self> {
        let delays: Option<Vec<usize>> = text
            .split(',')
            .map(|part| part.trim().parse().ok())
            .collect();
        Self::from_samples(delays.ok_or_else(|| EncodingError::DelaySyntax {
            text: text.to_owned(),
        })?)
    }
}

impl fmt::Display for Delays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&parts.join(","))
    }
}
