//! The grid of ridge alphas. The penalty is alpha **squared**.

use std::str::FromStr;

use crate::{EncodingError, Result};

const MAX_ALPHAS: usize = 1_000;

/// A grid of alphas: finite, above zero, strictly increasing, at least one.
///
/// The penalty on the weights is alpha², `w = (X'X + alpha² I)^-1 X'y`, as in the code of
/// `HuthLab/deep-fMRI-dataset` (`S / (S² + alpha²)`). himalaya and scikit-learn call the penalty itself alpha: their
/// `alpha = 100` is `10` here.
///
/// ```
/// use braintune_encoding::Alphas;
///
/// let alphas: Alphas = "logspace:1:3:3".parse()?;
/// assert_eq!(alphas.as_slice(), [10.0, 100.0, 1000.0]);
/// assert!("10,-1".parse::<Alphas>().is_err());
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Alphas(Vec<f64>);

impl Alphas {
    /// Checks a grid; the penalty of each is its square.
    ///
    /// # Errors
    /// [`EncodingError::AlphaCount`], [`EncodingError::Alpha`] and [`EncodingError::AlphaOrder`],
    /// each with the value at fault.
    pub fn from_values(alphas: Vec<f64>) -> Result<Self> {
        check_count(alphas.len())?;
        for (index, &value) in alphas.iter().enumerate() {
            if !value.is_finite() || value <= 0.0 {
                return Err(EncodingError::Alpha { index, value });
            }
            if index > 0 && value <= alphas[index - 1] {
                return Err(EncodingError::AlphaOrder {
                    index,
                    value,
                    previous: alphas[index - 1],
                });
            }
        }
        Ok(Self(alphas))
    }

    /// `n` alphas from `10^start` to `10^stop`, as `numpy.logspace(start, stop, n)`.
    ///
    /// # Errors
    /// As [`Alphas::from_values`].
    pub fn logspace(start: f64, stop: f64, n: usize) -> Result<Self> {
        check_count(n)?;
        let spacing = (stop - start) / (n.max(2) - 1) as f64;
        let exponent = |i| match i {
            0 => start,
            i if i == n - 1 => stop,
            i => start + i as f64 * spacing,
        };
        Self::from_values((0..n).map(|i| 10f64.powf(exponent(i))).collect())
    }

    /// The alphas, smallest first; their squares are the penalties.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.0
    }
}

impl FromStr for Alphas {
    type Err = EncodingError;

    /// `logspace:START:STOP:N` or values separated by commas.
    fn from_str(text: &str) -> Result<Self> {
        let syntax = || EncodingError::AlphaSyntax {
            text: text.to_owned(),
        };
        if let Some(rest) = text.trim().strip_prefix("logspace:") {
            let parts: Vec<&str> = rest.split(':').map(str::trim).collect();
            let [start, stop, n] = parts[..] else {
                return Err(syntax());
            };
            let number = |part: &str| part.parse::<f64>().map_err(|_| syntax());
            let n = n.parse().map_err(|_| syntax())?;
            return Self::logspace(number(start)?, number(stop)?, n);
        }
        let values: Option<Vec<f64>> = text
            .split(',')
            .map(|part| part.trim().parse().ok())
            .collect();
        Self::from_values(values.ok_or_else(syntax)?)
    }
}

fn check_count(got: usize) -> Result<()> {
    if (1..=MAX_ALPHAS).contains(&got) {
        return Ok(());
    }
    Err(EncodingError::AlphaCount {
        got,
        max: MAX_ALPHAS,
    })
}
