//! What `mpirun` starts: ranks that meet through the system's MPI library.

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use crate::error::{RanksError, Result};
use crate::ranks::Ranks;

/// Bytes, or values, of one message: MPI counts them in 32 bits.
const AT_ONCE: usize = 1 << 26;

/// The processes of `MPI_COMM_WORLD`. Its end is MPI's (`MPI_Finalize`).
pub struct MpiRanks {
    world: SimpleCommunicator,
    _universe: Universe,
}

impl std::fmt::Debug for MpiRanks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MpiRanks")
            .field("rank", &self.rank())
            .field("n_ranks", &self.n_ranks())
            .finish()
    }
}

impl MpiRanks {
    /// Begins MPI. Collectives are to be called from the thread that does; other threads may run beside it.
    ///
    /// # Errors
    /// [`RanksError::Mpi`] where it was begun before, or the library allows no threads beside.
    pub fn begin() -> Result<Self> {
        let problem = |problem: &str| RanksError::Mpi {
            problem: problem.to_owned(),
        };
        let begun = mpi::initialize_with_threading(Threading::Funneled);
        let (universe, threading) = begun.ok_or_else(|| problem("it was begun before"))?;
        if threading < Threading::Funneled {
            return Err(problem(
                "this library allows no threads beside the one that uses it",
            ));
        }
        Ok(Self {
            world: universe.world(),
            _universe: universe,
        })
    }

    /// Ends all ranks of the job at once, whatever they are doing.
    pub fn abort(&self, code: i32) -> ! {
        self.world.abort(code)
    }

    /// The name of this rank's machine.
    #[must_use]
    pub fn host() -> String {
        mpi::environment::processor_name().unwrap_or_default()
    }
}

impl Ranks for MpiRanks {
    fn rank(&self) -> usize {
        usize::try_from(self.world.rank()).unwrap_or_default()
    }

    fn n_ranks(&self) -> usize {
        usize::try_from(self.world.size()).unwrap_or(1)
    }

    fn all_gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut lengths = vec![0_u64; self.n_ranks()];
        self.world
            .all_gather_into(&(mine.len() as u64), &mut lengths);
        // One rank after another: each message holds what one rank has.
        let mut all = Vec::with_capacity(lengths.len());
        for (rank, &length) in lengths.iter().enumerate() {
            let mut bytes = if rank == self.rank() {
                mine.to_vec()
            } else {
                vec![0; usize::try_from(length).unwrap_or_default()]
            };
            let root = self
                .world
                .process_at_rank(i32::try_from(rank).unwrap_or_default());
            for part in bytes.chunks_mut(AT_ONCE) {
                root.broadcast_into(part);
            }
            all.push(bytes);
        }
        Ok(all)
    }

    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let mut lengths = vec![0_u64; self.n_ranks()];
        self.world
            .all_gather_into(&(values.len() as u64), &mut lengths);
        if let Some(rank) = lengths.iter().position(|length| *length != lengths[0]) {
            let [expected, found] =
                [lengths[0], lengths[rank]].map(|n| usize::try_from(n).unwrap_or_default());
            return Err(RanksError::Lengths {
                rank,
                expected,
                found,
            });
        }
        for part in values.chunks_mut(AT_ONCE) {
            let mine = part.to_vec();
            self.world
                .all_reduce_into(&mine[..], part, SystemOperation::sum());
        }
        Ok(())
    }
}
