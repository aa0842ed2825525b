//! What can go wrong between processes.

/// What can go wrong between processes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RanksError {
    /// Another rank ended before the job did.
    #[error("rank {rank} ended before the job was done: what it said tells why")]
    Gone {
        /// The first that is missing.
        rank: usize,
    },
    /// Ranks called with values of unlike lengths.
    #[error("rank {rank} has {found} values to add up, rank 0 has {expected}")]
    Lengths {
        /// Who differs.
        rank: usize,
        /// Values of rank 0.
        expected: usize,
        /// Its own.
        found: usize,
    },
    /// A share that is none.
    #[error(
        "{found} is no share: expected i/n with i from 1 to n, n at most a million, as 2/8 for the second of eight (with array jobs that are numbered from 0, add 1)"
    )]
    Shard {
        /// What was given.
        found: String,
    },
    /// The MPI library cannot be used.
    #[error("MPI: {problem}")]
    Mpi {
        /// Its own words, or what is missing.
        problem: String,
    },
}

/// `Result` with [`RanksError`].
pub type Result<T, E = RanksError> = std::result::Result<T, E>;
