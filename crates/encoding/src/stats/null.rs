//! Correlations when predictions have nothing to do with responses, by moving predictions in time.
//!
//! Within each story the prediction's TRs are put in another order that keeps neighbours together:
//! blocks in random order on a circle turned by a random angle, or the circle turned alone. All
//! voxels see the same orders, so the maximum over voxels and means over voxels have null
//! distributions too. Memory holds the orders and correlations of a few voxels at a time, never
//! permutations times voxels.

use ndarray::{Array1, ArrayView1, ArrayView2};
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{
    lanes::{Correlated, LANES, Lanes},
    p_value,
    region::{Gathered, Region},
};
use crate::{EncodingError, Result, check};

/// Voxels whose correlations under all orders are held at a time: 8 MB for 1,000 orders.
const GROUP: usize = 1024;
/// Correlations that differ by less are equal: the same products, summed in another order.
pub(super) const SLACK: f64 = 1e-12;

/// How the null distribution is made. Lengths are in TRs.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullScheme {
    /// Blocks of this length in random order, within stories.
    BlockPermutation {
        /// Length of a block ([`suggest_block_length`](crate::suggest_block_length)).
        block_len: usize,
    },
    /// Circular shifts within stories, by no less than this in either direction.
    CircularShift {
        /// Least shift; a few autocorrelation times.
        min_shift: usize,
    },
}

/// Orders of TRs under the null hypothesis, and the largest correlations seen under each.
///
/// ```
/// use braintune_encoding::{CorrelationNull, NullScheme};
/// use ndarray::Array2;
///
/// let y = Array2::from_shape_fn((200, 2), |(t, v)| ((t * t * (v + 3)) as f32 * 0.37).sin());
/// let mut prediction = y.clone();
/// prediction.column_mut(1).fill(1.0); // predicts nothing
/// let scheme = NullScheme::BlockPermutation { block_len: 5 };
/// let mut null = CorrelationNull::new(&[200], scheme, 99, 0)?;
/// let test = null.test(y.view(), prediction.view())?;
/// assert_eq!(test.p_greater.to_vec(), [0.01, 1.0]);
/// assert_eq!(null.fwe(test.r.view()).to_vec(), [0.01, 1.0]);
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CorrelationNull {
    /// Row of the prediction that each row of the responses meets, per permutation.
    orders: Vec<Vec<u32>>,
    n_rows: usize,
    /// Largest correlation of any voxel so far, per permutation.
    maxima: Vec<f64>,
}

/// Correlations of voxels and their p values, `[n_voxels]` each.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CorrelationTest {
    /// Pearson correlation; 0 for a constant column.
    pub r: Array1<f64>,
    /// Of correlations above 0.
    pub p_greater: Array1<f64>,
    /// Of correlations other than 0.
    pub p_two_sided: Array1<f64>,
}

/// A mean correlation over voxels and its p values.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct MeanCorrelationTest {
    /// The mean.
    pub mean_r: f64,
    /// Of a mean above 0.
    pub p_greater: f64,
    /// Of a mean other than 0.
    pub p_two_sided: f64,
}

impl CorrelationNull {
    /// `n_permutations` random orders of the TRs of stories of these lengths.
    ///
    /// # Errors
    /// [`EncodingError::Blocks`] where no story holds two blocks (or a shift both ways),
    /// [`EncodingError::TooFewDraws`] for no permutations.
    pub fn new(
        story_lengths: &[usize],
        scheme: NullScheme,
        n_permutations: usize,
        seed: u64,
    ) -> Result<Self> {
        let (NullScheme::BlockPermutation { block_len: least }
        | NullScheme::CircularShift { min_shift: least }) = scheme;
        let longest = story_lengths.iter().copied().max().unwrap_or(0);
        if least == 0 || least > longest / 2 || u32::try_from(longest).is_err() {
            return Err(EncodingError::Blocks {
                block_len: least,
                n_trs: longest,
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let draw = |_| {
            let mut order = Vec::with_capacity(story_lengths.iter().sum());
            for &n in story_lengths {
                let start = order.len();
                let story = match scheme {
                    NullScheme::BlockPermutation { block_len } => blocks(n, block_len, &mut rng),
                    NullScheme::CircularShift { min_shift } => shifted(n, min_shift, &mut rng),
                };
                order.extend(story.into_iter().map(|row| start + row));
            }
            order
        };
        Self::from_orders((0..n_permutations).map(draw).collect())
    }

    /// From orders made elsewhere: for each permutation the row of the prediction that each row of
    /// the responses meets.
    ///
    /// # Errors
    /// [`EncodingError::TooFewDraws`] for none, [`EncodingError::Order`] for one that is no order of rows.
    pub fn from_orders(orders: Vec<Vec<usize>>) -> Result<Self> {
        let (got, least) = (0, 1);
        let none = EncodingError::TooFewDraws { got, least };
        let n_rows = orders.first().ok_or(none)?.len();
        let checked = orders.into_iter().enumerate().map(|(permutation, order)| {
            let mut seen = vec![false; n_rows];
            for &row in &order {
                if row >= n_rows || std::mem::replace(&mut seen[row], true) {
                    return Err(EncodingError::Order { permutation, row });
                }
            }
            if order.len() != n_rows {
                let row = order.len();
                return Err(EncodingError::Order { permutation, row });
            }
            let narrow = |row| u32::try_from(row).unwrap_or(u32::MAX);
            Ok(order.into_iter().map(narrow).collect())
        });
        let orders: Vec<Vec<u32>> = checked.collect::<Result<_>>()?;
        Ok(Self {
            maxima: vec![f64::NEG_INFINITY; orders.len()],
            n_rows,
            orders,
        })
    }

    /// Tests voxels, `y` and `prediction` `[n_trs, n_voxels]`; may be called for one range of voxels
    /// after another.
    ///
    /// # Errors
    /// Arrays that do not match each other or the stories, values that are not finite.
    pub fn test(
        &mut self,
        y: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
    ) -> Result<CorrelationTest> {
        self.test_and(y, prediction, |_, _, _| ())
    }

    /// As [`test`](Self::test); `also` gets what [`groups`](Self::groups) gives.
    pub(super) fn test_and(
        &mut self,
        y: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
        mut also: impl FnMut(usize, usize, &[Correlated]),
    ) -> Result<CorrelationTest> {
        let n = self.orders.len();
        let mut tests = Vec::with_capacity(y.ncols());
        let mut maxima = std::mem::take(&mut self.maxima);
        let done = self.groups(y, prediction, |first, n_voxels, group| {
            let counts: Vec<_> = group.par_iter().map(Counts::new).collect();
            let each = group.iter().zip(&counts);
            let each = each.flat_map(|(lanes, counts)| {
                (0..LANES).map(|lane| {
                    let [greater, larger] = [counts.greater[lane], counts.larger[lane]];
                    [lanes.r[lane], p_value(greater, n), p_value(larger, n)]
                })
            });
            tests.extend(each.take(n_voxels));
            for (place, lanes) in group.iter().enumerate() {
                let used = LANES.min(n_voxels - place * LANES);
                for (max, null) in maxima.iter_mut().zip(&lanes.null) {
                    *max = null[..used].iter().fold(*max, |max, &null| max.max(null));
                }
            }
            also(first, n_voxels, group);
        });
        self.maxima = maxima;
        done?;
        let column = |i: usize| tests.iter().map(|test| test[i]).collect();
        Ok(CorrelationTest {
            r: column(0),
            p_greater: column(1),
            p_two_sided: column(2),
        })
    }

    /// Correlations of all voxels, [`GROUP`] of them at a time and in their order: `each` gets the
    /// first voxel, how many there are and their lanes.
    pub(super) fn groups(
        &self,
        y: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
        mut each: impl FnMut(usize, usize, &[Correlated]),
    ) -> Result<()> {
        self.check(y, prediction)?;
        for first in (0..y.ncols()).step_by(GROUP) {
            let end = y.ncols().min(first + GROUP);
            let starts: Vec<usize> = (first..end).step_by(LANES).collect();
            let group: Vec<Correlated> = starts
                .par_iter()
                .map(|&start| {
                    let voxels = start..end.min(start + LANES);
                    Lanes::new(y, prediction, voxels).correlated(&self.orders)
                })
                .collect();
            each(first, end - first, &group);
        }
        Ok(())
    }

    /// Without orders: correlations only.
    pub(super) fn without_orders(n_rows: usize) -> Self {
        Self {
            orders: Vec::new(),
            n_rows,
            maxima: Vec::new(),
        }
    }

    /// Rows of the stories together.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Orders there are.
    pub(super) fn n_permutations(&self) -> usize {
        self.orders.len()
    }

    /// p values of correlations above 0 that hold for all voxels together: how often the largest
    /// correlation of any voxel tested so far reaches `r` (Nichols & Holmes 2002). `[n_voxels]`.
    #[must_use]
    pub fn fwe(&self, r: ArrayView1<'_, f64>) -> Array1<f64> {
        let mut maxima = self.maxima.clone();
        maxima.sort_unstable_by(f64::total_cmp);
        let p = |&r: &f64| {
            let below = maxima.partition_point(|&max| max < r - SLACK);
            p_value(maxima.len() - below, maxima.len())
        };
        r.iter().map(p).collect()
    }

    /// Tests the mean correlation over all voxels given (a region), with the same permutations.
    ///
    /// # Errors
    /// As [`test`](Self::test).
    pub fn test_mean(
        &self,
        y: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
    ) -> Result<MeanCorrelationTest> {
        let region = Region::new(0..y.ncols());
        let mut sums = Gathered::new(&region, self);
        self.groups(y, prediction, |first, n_voxels, group| {
            sums.add(&region, first, n_voxels, 0, group);
        })?;
        let [p_greater, p_two_sided] = sums.p_values();
        Ok(MeanCorrelationTest {
            mean_r: sums.mean_r(),
            p_greater,
            p_two_sided,
        })
    }

    fn check(&self, y: ArrayView2<'_, f32>, prediction: ArrayView2<'_, f32>) -> Result<()> {
        check::pair(["y", "prediction"], y, prediction)?;
        let shapes = [[y.nrows(), y.ncols()], [self.n_rows, 0]];
        check::rows(["y", "stories"], shapes)
    }
}

/// Permutations whose correlation reaches that of the data, by lane.
struct Counts {
    greater: [usize; LANES],
    larger: [usize; LANES],
}

impl Counts {
    fn new(lanes: &Correlated) -> Self {
        let mut counts = Self {
            greater: [0; LANES],
            larger: [0; LANES],
        };
        for null in &lanes.null {
            for lane in 0..LANES {
                let (null, r) = (null[lane], lanes.r[lane]);
                counts.greater[lane] += usize::from(null >= r - SLACK);
                counts.larger[lane] += usize::from(null.abs() >= r.abs() - SLACK);
            }
        }
        counts
    }
}

/// Blocks in random order, the rest as a short one among them, then turned.
fn blocks(n: usize, block_len: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut starts: Vec<usize> = (0..n).step_by(block_len).collect();
    starts.shuffle(rng);
    let turn = rng.random_range(0..n.max(1));
    starts
        .into_iter()
        .flat_map(|start| start..n.min(start + block_len))
        .map(|row| (row + turn) % n)
        .collect()
}

/// Shifted by at least `min_shift` both ways, or as it is where the story is too short for that.
fn shifted(n: usize, min_shift: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let shift = if min_shift <= n / 2 {
        rng.random_range(min_shift..=n - min_shift)
    } else {
        0
    };
    (0..n).map(|row| (row + shift) % n).collect()
}
