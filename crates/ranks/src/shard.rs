//! One share of a job, and who does which of its pieces.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use crate::error::RanksError;

/// A share of a job, `i/n` with `i` from 1 to `n`.
///
/// ```
/// use braintune_ranks::Shard;
///
/// let second: Shard = "2/3".parse()?;
/// assert_eq!((second.index(), second.count()), (1, 3));
/// assert_eq!(second.range(8), 3..6); // of 0..3, 3..6, 6..8
/// assert!("0/3".parse::<Shard>().is_err()); // they are numbered from 1
/// # Ok::<(), braintune_ranks::RanksError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The whole job.
    pub const WHOLE: Self = Self { index: 0, count: 1 };
    /// Shares that a job can have.
    pub const MOST: usize = 1_000_000;

    /// `index` counts from 0; of a rank, say. Numbers beyond the last mean the last.
    pub(crate) fn new(index: usize, count: usize) -> Self {
        let count = count.max(1);
        Self {
            index: index.min(count - 1),
            count,
        }
    }

    /// Which share, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }

    /// How many shares there are.
    #[must_use]
    pub fn count(self) -> usize {
        self.count
    }

    /// Its run of `n` pieces that lie in a row: all runs together are all pieces, and differ by one piece at most.
    #[must_use]
    pub fn range(self, n: usize) -> Range<usize> {
        // The first `n % count` have one more.
        let end = |index: usize| n / self.count * index + index.min(n % self.count);
        end(self.index)..end(self.index + 1)
    }

    /// Which of `n` shares does each piece, for pieces of unlike `costs`: the longest first, each to the share that has
    /// least to do (Graham 1969). The same costs give the same owners everywhere.
    #[must_use]
    pub fn owners(costs: &[f64], n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..costs.len()).collect();
        order.sort_by(|&a, &b| costs[b].total_cmp(&costs[a]));
        let mut loads = vec![0.0; n.max(1)];
        let mut owners = vec![0; costs.len()];
        for piece in order {
            let least = (0..loads.len()).min_by(|&a, &b| f64::total_cmp(&loads[a], &loads[b]));
            let owner = least.unwrap_or(0);
            owners[piece] = owner;
            loads[owner] += costs[piece];
        }
        owners
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl FromStr for Shard {
    type Err = RanksError;

    fn from_str(text: &str) -> Result<Self, RanksError> {
        let numbers = text.split_once('/');
        let parsed =
            numbers.and_then(|(i, n)| Some((i.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
        match parsed {
            Some((i, count)) if (1..=count).contains(&i) && count <= Self::MOST => {
                Ok(Self::new(i - 1, count))
            }
            _ => Err(RanksError::Shard {
                found: format!("{text:?}"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_numbered_from_one_and_read_back() {
        for text in ["1/1", "2/8", "8/8"] {
            let shard: Shard = text.parse().expect("a share");
            assert_eq!(shard.to_string(), text);
        }
        for text in [
            "",
            "1",
            "0/4",
            "5/4",
            "1/0",
            "a/b",
            "-1/4",
            "1/4294967296",
            "1/4/2",
            "1/ 4",
        ] {
            let error = text.parse::<Shard>().expect_err(text).to_string();
            assert!(error.contains("i/n") && error.contains("1 to n"), "{error}");
        }
    }

    #[test]
    fn runs_cover_all_pieces_once() {
        for (n, count) in [(0, 3), (1, 3), (7, 3), (12, 4), (3, 8)] {
            let mut next = 0;
            for index in 0..count {
                let range = Shard::new(index, count).range(n);
                assert_eq!(range.start, next);
                assert!(range.len() <= n.div_ceil(count) && range.len() >= n / count);
                next = range.end;
            }
            assert_eq!(next, n);
        }
    }

    #[test]
    fn the_longest_pieces_are_spread_first() {
        assert_eq!(Shard::owners(&[1.0, 5.0, 4.0, 2.0], 2), [0, 0, 1, 1]);
        assert_eq!(Shard::owners(&[3.0, 3.0, 3.0], 5), [0, 1, 2]);
        assert_eq!(Shard::owners(&[f64::NAN, 1.0], 2).len(), 2);
        assert_eq!(Shard::owners(&[], 2), [0; 0]);
    }
}
