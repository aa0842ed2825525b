//! Ranks that are threads of one process: for several devices of one machine, and for tests.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{RanksError, Result};
use crate::ranks::Ranks;

/// One of several ranks in one process, each for a thread of its own. A rank that is dropped before the others are done
/// makes their next collective an error.
///
/// ```
/// use braintune_ranks::{Ranks, ThreadRanks};
///
/// let sums: Vec<f32> = std::thread::scope(|scope| {
///     let each = ThreadRanks::group(3).into_iter().map(|rank| {
///         scope.spawn(move || {
///             let mut values = [rank.rank() as f32];
///             rank.sum(&mut values).map(|()| values[0])
///         })
///     });
///     let threads: Vec<_> = each.collect();
///     threads.into_iter().map(|thread| thread.join().expect("it runs").expect("they meet")).collect()
/// });
/// assert_eq!(sums, [3.0; 3]); // 0 + 1 + 2
/// ```
#[derive(Debug)]
pub struct ThreadRanks {
    rank: usize,
    meeting: Arc<Meeting>,
}

/// Where all ranks of a group meet.
#[derive(Debug)]
struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// What each has brought to the meeting that is open.
    brought: Vec<Option<Vec<u8>>>,
    /// For each, what was brought to meetings that are over and that it has still to take.
    over: Vec<VecDeque<Arc<Vec<Vec<u8>>>>>,
    gone: Option<usize>,
}

impl ThreadRanks {
    /// `n_ranks` of them, at least one.
    #[must_use]
    pub fn group(n_ranks: usize) -> Vec<Self> {
        let n_ranks = n_ranks.max(1);
        let meeting = Arc::new(Meeting {
            state: Mutex::new(State {
                brought: vec![None; n_ranks],
                over: vec![VecDeque::new(); n_ranks],
                gone: None,
            }),
            changed: Condvar::new(),
        });
        let rank = |rank| Self {
            rank,
            meeting: Arc::clone(&meeting),
        };
        (0..n_ranks).map(rank).collect()
    }

    fn meet(&self, mine: Vec<u8>) -> Result<Arc<Vec<Vec<u8>>>> {
        let mut state = self.state();
        state.brought[self.rank] = Some(mine);
        if state.brought.iter().all(Option::is_some) {
            let all = state.brought.iter_mut().filter_map(Option::take);
            let all = Arc::new(all.collect());
            for over in &mut state.over {
                over.push_back(Arc::clone(&all));
            }
            self.meeting.changed.notify_all();
        }
        loop {
            if let Some(all) = state.over[self.rank].pop_front() {
                return Ok(all);
            }
            if let Some(rank) = state.gone {
                return Err(RanksError::Gone { rank });
            }
            let changed = self.meeting.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.meeting.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ThreadRanks {
    fn drop(&mut self) {
        self.state().gone.get_or_insert(self.rank);
        self.meeting.changed.notify_all();
    }
}

impl Ranks for ThreadRanks {
    fn rank(&self) -> usize {
        self.rank
    }

    fn n_ranks(&self) -> usize {
        self.state().brought.len()
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        Ok(self.meet(mine.to_vec())?.to_vec())
    }

    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let mine = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let all = self.meet(mine)?;
        for (rank, bytes) in all.iter().enumerate() {
            if bytes.len() != all[0].len() {
                let [expected, found] =
                    [&all[0], bytes].map(|bytes| bytes.len() / size_of::<f32>());
                return Err(RanksError::Lengths {
                    rank,
                    expected,
                    found,
                });
            }
        }
        values.fill(0.0);
        for bytes in all.iter() {
            let (theirs, _) = bytes.as_chunks();
            for (value, theirs) in values.iter_mut().zip(theirs) {
                *value += f32::from_le_bytes(*theirs);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)] // small numbers as bytes
mod tests {
    use super::*;

    fn each<T: Send>(n: usize, work: impl Fn(ThreadRanks) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = ThreadRanks::group(n)
                .into_iter()
                .map(|rank| scope.spawn(|| work(rank)))
                .collect();
            let join =
                |thread: std::thread::ScopedJoinHandle<'_, T>| thread.join().expect("it runs");
            threads.into_iter().map(join).collect()
        })
    }

    #[test]
    fn everybody_has_what_everybody_brought() {
        let found = each(4, |rank| {
            let mut all = Vec::new();
            for round in 0..50_u8 {
                all.push(
                    rank.all_gather(&[round, rank.rank() as u8])
                        .expect("they meet"),
                );
            }
            all
        });
        for of_rank in found {
            for (round, all) in of_rank.iter().enumerate() {
                let expected: Vec<Vec<u8>> = (0..4).map(|rank| vec![round as u8, rank]).collect();
                assert_eq!(*all, expected);
            }
        }
    }

    #[test]
    fn sums_are_in_the_order_of_ranks() {
        let values = [1e8_f32, 1.0, -1e8];
        let expected = values.iter().sum::<f32>();
        let found = each(3, |rank| {
            let mut mine = [values[rank.rank()]];
            rank.sum(&mut mine).expect("they meet");
            mine[0]
        });
        assert_eq!(found, [expected; 3]);
    }

    #[test]
    fn a_rank_that_is_gone_is_an_error_to_the_others() {
        let found = each(3, |rank| {
            if rank.rank() == 1 {
                return Ok(());
            }
            rank.barrier()
        });
        assert_eq!(found[0], Err(RanksError::Gone { rank: 1 }));
        assert!(found[2].is_err());
        let lengths = each(2, |rank| rank.sum(&mut vec![0.0; rank.rank() + 1]));
        let expected = RanksError::Lengths {
            rank: 1,
            expected: 1,
            found: 2,
        };
        assert_eq!(lengths, [Err(expected.clone()), Err(expected)]);
    }

    #[test]
    fn pieces_are_shared_out_and_known_to_all() {
        let costs = [3.0, 1.0, 2.0, 2.0, 5.0];
        let found = each(2, |rank| {
            let mut done = Vec::new();
            let all = crate::share_out(&rank, &costs, |piece| {
                done.push(piece);
                Ok::<_, RanksError>(vec![piece as u8; piece])
            });
            (all.expect("they meet"), done)
        });
        let expected: Vec<Vec<u8>> = (0..5).map(|piece| vec![piece as u8; piece]).collect();
        assert!(found.iter().all(|(all, _)| *all == expected));
        let mut done: Vec<usize> = found.iter().flat_map(|(_, done)| done.clone()).collect();
        done.sort_unstable();
        assert_eq!(done, [0, 1, 2, 3, 4]); // each once
        assert!(found.iter().all(|(_, done)| !done.is_empty()));
    }
}
