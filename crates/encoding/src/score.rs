//! Scores of predictions: per column for users, per fold and alpha for cross-validation.
//!
//! All sums are f64. [`CvScore::R2`] and [`CvScore::NegMse`] are himalaya's `r2_score` and
//! `l2_neg_loss`; [`CvScore::SignedSqrtR2`] is what `bootstrap_ridge(use_corr=False)` computes
//! (`HuthLab/deep-fMRI-dataset:encoding/ridge_utils/ridge.py`, eaaa5cd). Held by
//! `tests/it/scores.rs` and `tests/it/reference.rs`.

use ndarray::{Array1, Array2, Array3, ArrayView1, ArrayView2, ArrayView3, Axis, Zip};

use crate::{EncodingError, Result, check};

/// What cross-validation ranks the alphas by. It is computed per fold and voxel on the fold's
/// validation rows, averaged over folds without weights; the alpha with the highest mean wins, the
/// smaller one of equals.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CvScore {
    /// `1 - SS_res / SS_tot`, variance about the fold's own mean. 0 where the fold's responses are
    /// constant, as in himalaya.
    #[default]
    R2,
    /// Minus the mean squared error.
    NegMse,
    /// Pearson correlation. 0 where the responses or the predictions are constant.
    Correlation,
    /// That of `ridge_corr`: `sign(R) sqrt(|R|)` of `R = 1 - var(y - p) / ((1 + var(y)) / 2)`, population
    /// variances. Not a correlation, whatever the reference code calls it.
    SignedSqrtR2,
}

/// Sums over validation rows of one voxel and alpha; what they are depends on the score.
pub(crate) type Sums = [f64; 3];

const LANES: usize = 8;

impl CvScore {
    /// Adds rows to `sums`: predictions `p` of responses `y` whose mean over the fold is `mean`.
    #[inline(always)] // into functions compiled for more than the baseline processor
    #[allow(clippy::inline_always)]
    pub(crate) fn accumulate<T: Copy + Into<f64>>(
        self,
        sums: &mut Sums,
        y: &[T],
        p: &[T],
        mean: f64,
    ) {
        match self {
            Self::Correlation => accumulate(sums, y, p, |y, p| [p, p * p, p * (y - mean)]),
            _ => accumulate(sums, y, p, |y, p| [y - p, (y - p) * (y - p), 0.0]),
        }
    }

    /// The score of a fold from the sums over its rows.
    pub(crate) fn finish(self, sums: &Sums, target: &Target) -> f64 {
        let [first, second, third] = *sums;
        let n = target.n;
        match self {
            Self::R2 if target.sum_squares == 0.0 => 0.0,
            Self::R2 => 1.0 - second / target.sum_squares,
            Self::NegMse => -second / n,
            Self::Correlation => {
                let squares = (second - first * first / n) * target.sum_squares;
                ratio(third, squares)
            }
            Self::SignedSqrtR2 => {
                let residual = second / n - (first / n).powi(2);
                let r2 = 1.0 - residual / f64::midpoint(1.0, target.sum_squares / n);
                r2.signum() * r2.abs().sqrt()
            }
        }
    }
}

/// The responses of one voxel in the validation rows of one fold.
pub(crate) struct Target {
    n: f64,
    pub(crate) mean: f64,
    /// About the mean; exactly 0 for a constant column.
    sum_squares: f64,
}

impl Target {
    pub(crate) fn new<T: Copy + Into<f64>>(y: &[T]) -> Self {
        let n = y.len() as f64;
        let mut sums = [0.0; 3];
        let first = y.first().map_or(0.0, |&y| y.into());
        accumulate(&mut sums, y, y, |y, _| {
            [y - first, (y - first).powi(2), 0.0]
        });
        let [sum, squares, _] = sums;
        Self {
            n,
            mean: first + sum / n,
            sum_squares: (squares - sum * sum / n).max(0.0),
        }
    }
}

#[inline(always)] // as above
#[allow(clippy::inline_always)]
fn accumulate<T: Copy + Into<f64>>(
    sums: &mut Sums,
    y: &[T],
    p: &[T],
    terms: impl Fn(f64, f64) -> Sums,
) {
    let mut lanes = [[0.0; LANES]; 3];
    let (y_chunks, y_rest) = y.as_chunks::<LANES>();
    let (p_chunks, p_rest) = p.as_chunks::<LANES>();
    for (y, p) in y_chunks.iter().zip(p_chunks) {
        for lane in 0..LANES {
            let [a, b, c] = terms(y[lane].into(), p[lane].into());
            lanes[0][lane] += a;
            lanes[1][lane] += b;
            lanes[2][lane] += c;
        }
    }
    for (lane, (&y, &p)) in y_rest.iter().zip(p_rest).enumerate() {
        let [a, b, c] = terms(y.into(), p.into());
        lanes[0][lane] += a;
        lanes[1][lane] += b;
        lanes[2][lane] += c;
    }
    for (sum, lanes) in sums.iter_mut().zip(&lanes) {
        *sum += lanes.iter().sum::<f64>();
    }
}

/// Pearson correlation of each column of `a` with the same column of `b`, both
/// `[n_samples, n_voxels]`; sums in f64; 0 where either column is constant.
///
/// ```
/// use braintune_encoding::pearson_r;
/// use ndarray::array;
///
/// let r = pearson_r(array![[1.0, 1.0], [2.0, 1.0]].view(), array![[5.0, 3.0], [9.0, 4.0]].view())?;
/// assert_eq!(r.to_vec(), [1.0, 0.0]);
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
///
/// # Errors
/// Arrays that do not match or hold nothing, values that are not finite.
pub fn pearson_r(a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>) -> Result<Array1<f32>> {
    per_column(["a", "b"], a, b, |a, b| {
        let (a, b) = (Centred::new(a), Centred::new(b));
        let product = Zip::from(a.column).and(b.column).fold(0.0, |sum, &x, &y| {
            sum + (f64::from(x) - a.mean) * (f64::from(y) - b.mean)
        });
        ratio(product, a.sum_squares * b.sum_squares)
    })
}

/// Coefficient of determination of each column of `y_pred` for the same column of `y_true`, both
/// `[n_samples, n_voxels]`: `1 - SS_res / SS_tot`, variance about the mean of `y_true`; sums in
/// f64; 0 where `y_true` is constant.
///
/// # Errors
/// As [`pearson_r`].
pub fn r2_score(y_true: ArrayView2<'_, f32>, y_pred: ArrayView2<'_, f32>) -> Result<Array1<f32>> {
    per_column(["y_true", "y_pred"], y_true, y_pred, |y, p| {
        let residual = Zip::from(y).and(p).fold(0.0, |sum, &y, &p| {
            sum + (f64::from(y) - f64::from(p)).powi(2)
        });
        let total = Centred::new(y).sum_squares;
        if total == 0.0 {
            0.0
        } else {
            1.0 - residual / total
        }
    })
}

/// The reference code's test score of each column of `y_pred` for the same column of `y_true`, both
/// `[n_samples, n_voxels]`: `sign(R) sqrt(|R|)` of `R = 1 - var(y - p) / ((1 + var(y)) / 2)`, population
/// variances, as [`CvScore::SignedSqrtR2`]. Only to compare with results of that code.
///
/// # Errors
/// As [`pearson_r`].
pub fn signed_sqrt_r2(
    y_true: ArrayView2<'_, f32>,
    y_pred: ArrayView2<'_, f32>,
) -> Result<Array1<f32>> {
    per_column(["y_true", "y_pred"], y_true, y_pred, |y, p| {
        let (y, p): (Vec<f64>, Vec<f64>) = Zip::from(y)
            .and(p)
            .map_collect(|&y, &p| (f64::from(y), f64::from(p)))
            .into_iter()
            .unzip();
        let about = Target::new(&y);
        let mut sums = Sums::default();
        CvScore::SignedSqrtR2.accumulate(&mut sums, &y, &p, about.mean);
        CvScore::SignedSqrtR2.finish(&sums, &about)
    })
}

/// What to measure a prediction of repeats by.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestScore {
    /// [`pearson_r`].
    PearsonR,
    /// [`r2_score`].
    R2,
    /// [`signed_sqrt_r2`].
    SignedSqrtR2,
}

impl TestScore {
    /// Of each column, both arrays `[n_samples, n_voxels]`.
    ///
    /// # Errors
    /// As [`pearson_r`].
    pub fn score(
        self,
        y_true: ArrayView2<'_, f32>,
        y_pred: ArrayView2<'_, f32>,
    ) -> Result<Array1<f32>> {
        match self {
            Self::PearsonR => pearson_r(y_true, y_pred),
            Self::R2 => r2_score(y_true, y_pred),
            Self::SignedSqrtR2 => signed_sqrt_r2(y_true, y_pred),
        }
    }

    /// Mean over single repeats `[n_repeats, n_samples, n_voxels]` of each one's score, `[n_voxels]`.
    /// Against [the mean of the repeats](mean_of_repeats), which has less noise, scores are higher.
    ///
    /// # Errors
    /// As [`pearson_r`]; no repeat.
    pub fn score_single_repeats(
        self,
        repeats: ArrayView3<'_, f32>,
        y_pred: ArrayView2<'_, f32>,
    ) -> Result<Array1<f32>> {
        let mut total = Array1::<f64>::zeros(y_pred.ncols());
        for repeat in repeats.outer_iter() {
            total += &self.score(repeat, y_pred)?.mapv(f64::from);
        }
        let n = repeats.len_of(Axis(0));
        if n == 0 {
            return Err(EncodingError::Repeats {
                n_repeats: n,
                n_trs: repeats.len_of(Axis(1)),
            });
        }
        #[allow(clippy::cast_possible_truncation)] // scores are f32 by contract
        Ok(total.mapv(|sum| (sum / n as f64) as f32))
    }
}

/// Repeats of one stimulus, `[n_trs, n_voxels]` each, as the `[n_repeats, n_trs, n_voxels]` that ceilings
/// and scores take.
///
/// # Errors
/// [`EncodingError::UnequalRepeats`] names the first repeat of another length or with other voxels;
/// [`EncodingError::Repeats`] for none.
pub fn stack_repeats(repeats: &[ArrayView2<'_, f32>]) -> Result<Array3<f32>> {
    let shape = |x: &ArrayView2<'_, f32>| [x.nrows(), x.ncols()];
    let expected = repeats.first().map_or([0, 0], shape);
    if let Some(repeat) = repeats.iter().position(|x| shape(x) != expected) {
        return Err(EncodingError::UnequalRepeats {
            repeat,
            shape: shape(&repeats[repeat]),
            expected,
        });
    }
    ndarray::stack(Axis(0), repeats).map_err(|_| EncodingError::Repeats {
        n_repeats: repeats.len(),
        n_trs: expected[0],
    })
}

/// Mean of repeats `[n_repeats, n_samples, n_voxels]`, summed in f64: `[n_samples, n_voxels]`.
#[must_use]
pub fn mean_of_repeats(repeats: ArrayView3<'_, f32>) -> Array2<f32> {
    let n = repeats.len_of(Axis(0)) as f64;
    #[allow(clippy::cast_possible_truncation)] // responses are f32 by contract
    repeats.map_axis(Axis(0), |values| {
        (values.iter().map(|&x| f64::from(x)).sum::<f64>() / n) as f32
    })
}

/// Values less their mean.
pub(crate) fn centred(values: Vec<f64>) -> Vec<f64> {
    let values = Array1::from(values);
    let mean = values.mean().unwrap_or(0.0);
    (values - mean).to_vec()
}

struct Centred<'a> {
    column: ArrayView1<'a, f32>,
    mean: f64,
    /// Exactly 0 for a constant column.
    sum_squares: f64,
}

impl<'a> Centred<'a> {
    fn new(column: ArrayView1<'a, f32>) -> Self {
        #[allow(clippy::float_cmp)] // a constant is meant bit by bit
        let constant = column.iter().all(|value| *value == column[0]);
        let mean = column.iter().map(|&x| f64::from(x)).sum::<f64>() / column.len() as f64;
        let squares = column.iter().map(|&x| (f64::from(x) - mean).powi(2));
        Self {
            column,
            mean,
            sum_squares: if constant { 0.0 } else { squares.sum() },
        }
    }
}

/// `product / sqrt(squares)`, 0 where that is no number.
pub(crate) fn ratio(product: f64, squares: f64) -> f64 {
    if squares > 0.0 {
        (product / squares.sqrt()).clamp(-1.0, 1.0)
    } else {
        0.0
    }
}

fn per_column(
    names: [&'static str; 2],
    a: ArrayView2<'_, f32>,
    b: ArrayView2<'_, f32>,
    score: impl Fn(ArrayView1<'_, f32>, ArrayView1<'_, f32>) -> f64,
) -> Result<Array1<f32>> {
    check::pair(names, a, b)?;
    #[allow(clippy::cast_possible_truncation)] // the result is f32 by contract
    let scores = a
        .columns()
        .into_iter()
        .zip(b.columns())
        .map(|(a, b)| score(a, b) as f32);
    Ok(scores.collect())
}
