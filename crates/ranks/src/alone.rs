//! One process with nobody beside it.

use crate::error::Result;
use crate::ranks::Ranks;

/// The only rank there is.
///
/// ```
/// use braintune_ranks::{Alone, Ranks};
///
/// let mut values = [1.0, 2.0];
/// Alone.sum(&mut values)?;
/// assert_eq!((values, Alone.n_ranks()), ([1.0, 2.0], 1));
/// # Ok::<(), braintune_ranks::RanksError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alone;

impl Ranks for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn n_ranks(&self) -> usize {
        1
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(vec![mine.to_vec()])
    }

    fn sum(&self, _values: &mut [f32]) -> Result<()> {
        Ok(())
    }
}
