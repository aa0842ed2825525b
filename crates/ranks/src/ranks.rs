//! What a pipeline needs of the processes that it runs beside.

use std::fmt::Debug;

use crate::error::Result;
use crate::shard::Shard;

/// The processes of a job, seen from one of them. Collectives are called by all of them, in the same order.
///
/// Implementers: [`Alone`](crate::Alone), [`ThreadRanks`](crate::ThreadRanks), `MpiRanks` (feature `mpi`).
pub trait Ranks: Debug {
    /// Which of the processes this is, from 0. The first writes what is written once.
    fn rank(&self) -> usize;

    /// How many there are.
    fn n_ranks(&self) -> usize;

    /// What each rank has, in the order of ranks; returns when all are there.
    ///
    /// # Errors
    /// [`RanksError::Gone`](crate::RanksError::Gone) where a rank has ended.
    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>>;

    /// Replaces `values` by their sum over ranks: the same bits on every rank, and in every run of as many ranks.
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather); [`RanksError::Lengths`](crate::RanksError::Lengths).
    fn sum(&self, values: &mut [f32]) -> Result<()>;

    /// Whether this one writes what is written once.
    fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// This rank's share of the job.
    fn shard(&self) -> Shard {
        Shard::new(self.rank(), self.n_ranks())
    }

    /// Returns when all ranks have called it.
    ///
    /// # Errors
    /// As [`all_gather`](Self::all_gather).
    fn barrier(&self) -> Result<()> {
        self.all_gather(&[]).map(|_| ())
    }
}

/// Results of pieces of work, each done by one rank and known to all afterwards, in their order.
///
/// `costs` says how long each piece will take, in any unit; pieces go to ranks so that these are about equally long at
/// work. `work` makes the bytes that stand for a piece's result.
///
/// # Errors
/// The first error of `work` on this rank; what [`Ranks::all_gather`] can cause.
///
/// ```
/// use braintune_ranks::{Alone, RanksError, share_out};
///
/// let squares = share_out(&Alone, &[1.0; 3], |piece| Ok::<_, RanksError>(vec![(piece * piece) as u8]))?;
/// assert_eq!(squares, [[0], [1], [4]]);
/// # Ok::<(), RanksError>(())
/// ```
pub fn share_out<E: From<crate::RanksError>>(
    ranks: &dyn Ranks,
    costs: &[f64],
    mut work: impl FnMut(usize) -> Result<Vec<u8>, E>,
) -> Result<Vec<Vec<u8>>, E> {
    let owners = Shard::owners(costs, ranks.n_ranks());
    let mut mine = Vec::new();
    for (piece, _) in owners
        .iter()
        .enumerate()
        .filter(|&(_, &o)| o == ranks.rank())
    {
        let done = work(piece)?;
        mine.extend((done.len() as u64).to_le_bytes());
        mine.extend(done);
    }
    let all = ranks.all_gather(&mine)?;
    let mut rest: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    Ok(owners
        .iter()
        .map(|&owner| piece_of(&mut rest[owner]))
        .collect())
}

/// The next piece of those that a rank sent.
fn piece_of(rest: &mut &[u8]) -> Vec<u8> {
    const LENGTH: usize = size_of::<u64>();
    let (length, after) = rest.split_at(LENGTH.min(rest.len()));
    let length = length.try_into().map_or(0, u64::from_le_bytes);
    let length = usize::try_from(length)
        .unwrap_or(usize::MAX)
        .min(after.len());
    let (piece, after) = after.split_at(length);
    *rest = after;
    piece.to_vec()
}

/// What a launcher of MPI programs says of this process, through its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Launched {
    /// Which of the processes this is.
    pub rank: usize,
    /// How many were started.
    pub n_ranks: usize,
}

/// Whether an MPI launcher started this process, and as which of how many; `None` for a plain start. Reads what
/// OpenMPI's `mpirun`, MPICH's and Intel's `mpiexec`, and `srun --mpi` set; asks no library.
#[must_use]
pub fn launched() -> Option<Launched> {
    launched_by(|name| std::env::var(name).ok())
}

fn launched_by(get: impl Fn(&str) -> Option<String>) -> Option<Launched> {
    let number = |name: &str| get(name)?.parse::<usize>().ok();
    let of = |rank: &str, n_ranks: &str| {
        Some(Launched {
            rank: number(rank)?,
            n_ranks: number(n_ranks)?,
        })
    };
    of("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")
        .or_else(|| of("PMI_RANK", "PMI_SIZE"))
        // Set for every step of a SLURM job; only with PMIx is it one of MPI.
        .or_else(|| of("PMIX_RANK", "SLURM_STEP_NUM_TASKS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_are_known_by_what_they_set() {
        let of = |set: &'static [(&str, &str)]| {
            launched_by(move |name| {
                let found = set.iter().find(|(other, _)| *other == name)?;
                Some(found.1.to_owned())
            })
        };
        let (rank, n_ranks) = (2, 4);
        let expected = Some(Launched { rank, n_ranks });
        assert_eq!(
            of(&[("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "4")]),
            expected
        );
        assert_eq!(of(&[("PMI_RANK", "2"), ("PMI_SIZE", "4")]), expected);
        let slurm = [("PMIX_RANK", "2"), ("SLURM_STEP_NUM_TASKS", "4")];
        assert_eq!(
            launched_by(|name| slurm.iter().find(|s| s.0 == name).map(|s| s.1.to_owned())),
            expected
        );
        assert_eq!(
            of(&[("SLURM_STEP_NUM_TASKS", "4"), ("SLURM_PROCID", "2")]),
            None
        );
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn bytes_that_were_cut_give_short_pieces_and_no_panic() {
        let mut rest: &[u8] = &[9, 0, 0, 0, 0, 0, 0, 0, 1, 2];
        assert_eq!(piece_of(&mut rest), [1, 2]);
        assert_eq!(piece_of(&mut rest), [0; 0]);
        let mut rest: &[u8] = &[1, 2];
        assert_eq!(piece_of(&mut rest), [0; 0]);
    }
}
