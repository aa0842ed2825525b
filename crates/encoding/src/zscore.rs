//! Standardisation of feature columns.

use ndarray::{Array2, ArrayView2, Axis, Zip};

/// Standardises each column of `x`, `[n_samples, n_features]`: zero mean, unit population standard
/// deviation, sums in f64 whether values are f32 or f64. A constant column becomes 0.
///
/// Call it once per story, on the rows that are kept: that is what the encoding models of
/// Huth et al. and `HuthLab/deep-fMRI-dataset` do (`npp.zs`, which leaves a constant column
/// centred, the same up to rounding).
///
/// ```
/// use braintune_encoding::zscore;
/// use ndarray::array;
///
/// let z = zscore(array![[1.0, 7.0], [3.0, 7.0]].view());
/// assert_eq!(z, array![[-1.0, 0.0], [1.0, 0.0]]);
/// ```
#[must_use]
pub fn zscore<F: linfa::Float + Into<f64>>(x: ArrayView2<'_, F>) -> Array2<F> {
    let mut z = Array2::zeros(x.raw_dim());
    let n = x.nrows() as f64;
    Zip::from(x.axis_iter(Axis(1)))
        .and(z.axis_iter_mut(Axis(1)))
        .for_each(|column, mut out| {
            let Some(&first) = column.first() else {
                return;
            };
            #[allow(clippy::float_cmp)] // a constant is meant bit by bit
            let constant = column.iter().all(|&value| value == first);
            if constant {
                return;
            }
            let mean = column.iter().map(|&value| value.into()).sum::<f64>() / n;
            let squares: f64 = column
                .iter()
                .map(|&value| (value.into() - mean).powi(2))
                .sum();
            let scale = (squares / n).sqrt().recip();
            Zip::from(&mut out).and(&column).for_each(|out, &value| {
                *out = F::cast((value.into() - mean) * scale);
            });
        });
    z
}
