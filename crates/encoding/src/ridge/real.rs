//! The two precisions the solver's kernels run in.

use faer::traits::RealField;
use ndarray::{Array1, ArrayView2};

/// Precision the solver works in, chosen from the data: see
/// [`RidgeSolver::precision`](crate::RidgeSolver::precision).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    Single,
    /// f64.
    Double,
}

/// f32 and f64.
pub(crate) trait Real: linfa::Float + RealField + Into<f64> {
    const PRECISION: Precision;
    /// Largest relative error of a filter `1 / (λ + alpha²)` that a bank may make; none where each
    /// filter is applied as it is. It is of either sign along the eigenvalues, so that scores err by
    /// far less (`tests/it/selection.rs`); fits themselves use no bank.
    const FILTER_TOLERANCE: Option<f64>;

    fn widened(value: f32) -> Self;
    fn rounded(value: f64) -> Self;
    fn narrow(self) -> f32;
}

impl Real for f32 {
    const PRECISION: Precision = Precision::Single;
    const FILTER_TOLERANCE: Option<f64> = Some(1e-4);

    fn widened(value: f32) -> Self {
        value
    }

    #[allow(clippy::cast_possible_truncation)] // rounding is what is asked for
    fn rounded(value: f64) -> Self {
        value as f32
    }

    fn narrow(self) -> f32 {
        self
    }
}

impl Real for f64 {
    const PRECISION: Precision = Precision::Double;
    const FILTER_TOLERANCE: Option<f64> = None;

    fn widened(value: f32) -> Self {
        value.into()
    }

    fn rounded(value: f64) -> Self {
        value
    }

    #[allow(clippy::cast_possible_truncation)] // rounding is what is asked for
    fn narrow(self) -> f32 {
        self as f32
    }
}

/// Means of the columns, summed in f64.
pub(crate) fn column_means(x: ArrayView2<'_, f32>) -> Array1<f64> {
    let mut sums = Array1::<f64>::zeros(x.ncols());
    for row in x.rows() {
        sums.zip_mut_with(&row, |sum, &value| *sum += f64::from(value));
    }
    sums / x.nrows() as f64
}
