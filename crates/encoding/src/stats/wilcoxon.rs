//! Wilcoxon's signed rank test over participants.
//!
//! Zero differences are dropped, equal ones share their mean rank (Wilcoxon 1945). Up to 50
//! differences p is exact: all signs of the ranks at hand are counted, ties included. Above that the
//! normal approximation with its correction for ties, none for continuity.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::{EncodingError, Result};

/// Most differences for which p is exact.
const EXACT: usize = 50;

/// Result of [`wilcoxon_signed_rank`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Wilcoxon {
    /// Differences that are not zero.
    pub n: usize,
    /// Sum of the ranks of positive differences.
    pub rank_sum: f64,
    /// Of differences above 0.
    pub p_greater: f64,
    /// Of differences below 0.
    pub p_less: f64,
    /// Of differences other than 0.
    pub p_two_sided: f64,
}

/// Tests whether differences (one per participant) are centred on 0; p is 1 where all are 0.
///
/// ```
/// use braintune_encoding::wilcoxon_signed_rank;
///
/// // Eight participants, all better: the smallest two-sided p there is.
/// let test = wilcoxon_signed_rank(&[0.1, 0.02, 0.3, 0.04, 0.5, 0.06, 0.7, 0.08])?;
/// assert_eq!(test.p_two_sided, 2.0 / 256.0);
/// assert_eq!((test.n, test.rank_sum), (8, 36.0)); // 1 + 2 + … + 8
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
///
/// # Errors
/// [`EncodingError::NonFinite`] for a difference that is NaN or infinite.
pub fn wilcoxon_signed_rank(differences: &[f64]) -> Result<Wilcoxon> {
    if let Some(row) = differences.iter().position(|d| !d.is_finite()) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "NaN and infinities stay what they are"
        )]
        let value = differences[row] as f32;
        return Err(EncodingError::NonFinite {
            what: "a difference",
            row,
            column: 0,
            value,
        });
    }
    let mut kept: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    kept.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let doubled = doubled_ranks(&kept);
    let positive = kept.iter().zip(&doubled).filter(|(d, _)| **d > 0.0);
    let sum: usize = positive.map(|(_, rank)| rank).sum();
    let (p_greater, p_less) = if kept.len() <= EXACT {
        exact(&doubled, sum)
    } else {
        approximate(&doubled, sum)
    };
    Ok(Wilcoxon {
        n: kept.len(),
        rank_sum: sum as f64 / 2.0,
        p_greater,
        p_less,
        p_two_sided: (2.0 * p_greater.min(p_less)).min(1.0),
    })
}

/// Twice the mean rank of each value; `sorted` by size.
fn doubled_ranks(sorted: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted.len());
    #[allow(clippy::float_cmp)] // ties are equal values
    for tied in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let first = ranks.len() + 1;
        let last = ranks.len() + tied.len();
        ranks.extend(std::iter::repeat_n(first + last, tied.len()));
    }
    ranks
}

/// Tails of the sum of ranks with random signs, at `sum`: at least and at most.
fn exact(doubled: &[usize], sum: usize) -> (f64, f64) {
    let most: usize = doubled.iter().sum();
    let mut probability = vec![0.0_f64; most + 1];
    probability[0] = 1.0;
    for &rank in doubled {
        for at in (0..=most).rev() {
            let with = if at >= rank {
                probability[at - rank]
            } else {
                0.0
            };
            probability[at] = f64::midpoint(probability[at], with);
        }
    }
    let tail = |part: &[f64]| part.iter().sum::<f64>().min(1.0);
    (tail(&probability[sum..]), tail(&probability[..=sum]))
}

fn approximate(doubled: &[usize], sum: usize) -> (f64, f64) {
    let mean = doubled.iter().sum::<usize>() as f64 / 2.0;
    // With ties, too: the variance of random signs is a quarter of the sum of squares.
    let variance = doubled
        .iter()
        .map(|&rank| (rank * rank) as f64)
        .sum::<f64>()
        / 4.0;
    let z = (sum as f64 - mean) / variance.sqrt();
    let normal = Normal::standard();
    (normal.sf(z), normal.cdf(z))
}
