//! A plain encoding model, independent of the workspace's: z-score, delays, one penalty, f64.

use ndarray::{Array1, Array2, ArrayView1, Axis, concatenate, s};

/// Each column with mean 0 and variance 1.
pub(crate) fn zscored(mut x: Array2<f64>) -> Array2<f64> {
    x -= &x.mean_axis(Axis(0)).unwrap();
    x /= &x.std_axis(Axis(0), 0.0);
    x
}

/// Columns of `x` 1 to 4 rows late, zeros above.
pub(crate) fn delayed(x: &Array2<f64>) -> Array2<f64> {
    let shifted = |delay: usize| {
        let mut shifted = Array2::zeros(x.dim());
        let n = x.nrows() - delay;
        shifted
            .slice_mut(s![delay.., ..])
            .assign(&x.slice(s![..n, ..]));
        shifted
    };
    let blocks: Vec<_> = (1..=4).map(shifted).collect();
    let views: Vec<_> = blocks.iter().map(Array2::view).collect();
    concatenate(Axis(1), &views).unwrap()
}

/// Weights `[n_features, n_voxels]` of a ridge regression, by Gaussian elimination of the normal
/// equations, which a positive penalty keeps away from zero pivots.
pub(crate) fn ridge(x: &Array2<f64>, y: &Array2<f64>, penalty: f64) -> Array2<f64> {
    let mut a = x.t().dot(x) + Array2::<f64>::eye(x.ncols()) * penalty;
    let mut b = x.t().dot(y);
    let n = a.nrows();
    for k in 0..n {
        let (pivot, target) = (
            a.row(k).to_owned() / a[[k, k]],
            b.row(k).to_owned() / a[[k, k]],
        );
        for i in (0..n).filter(|&i| i != k) {
            let factor = a[[i, k]];
            a.row_mut(i).scaled_add(-factor, &pivot);
            b.row_mut(i).scaled_add(-factor, &target);
        }
        a.row_mut(k).assign(&pivot);
        b.row_mut(k).assign(&target);
    }
    b
}

/// Pearson correlation of each column.
pub(crate) fn correlations(a: &Array2<f64>, b: &Array2<f64>) -> Array1<f64> {
    let pairs = a.columns().into_iter().zip(b.columns());
    pairs.map(|(a, b)| correlation(a, b)).collect()
}

fn correlation(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> f64 {
    let a = &a - a.mean().unwrap();
    let b = &b - b.mean().unwrap();
    a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt()
}
