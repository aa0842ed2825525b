//! The processes that an MPI launcher has started this one among, if one has.

use anyhow::bail;
use braintune::ranks::{Alone, Launched, Ranks, launched};

#[cfg(feature = "mpi")]
use braintune::ranks::MpiRanks;

/// The ranks of this run.
pub(crate) enum Group {
    Alone(Alone),
    #[cfg(feature = "mpi")]
    Mpi(MpiRanks),
}

impl Group {
    /// Meets the others, where a launcher has started more than one.
    ///
    /// # Errors
    /// Several processes, and a build or a command that cannot share work: each would do all of it, in one folder.
    pub(crate) fn begin(shares_work: bool) -> anyhow::Result<Self> {
        let Some(Launched { n_ranks: 2.., .. }) = launched() else {
            return Ok(Self::Alone(Alone));
        };
        if !shares_work {
            bail!(
                "extract, encode, tune and study share their work among processes; start this command without mpirun"
            );
        }
        Self::meet()
    }

    #[cfg(feature = "mpi")]
    fn meet() -> anyhow::Result<Self> {
        Ok(Self::Mpi(MpiRanks::begin()?))
    }

    #[cfg(not(feature = "mpi"))]
    fn meet() -> anyhow::Result<Self> {
        bail!(
            "mpirun has started several processes, and this build of braintune has no MPI: each would do the whole job. Build with --features mpi, or start shares with --shard i/n"
        )
    }

    pub(crate) fn ranks(&self) -> &dyn Ranks {
        match self {
            Self::Alone(alone) => alone,
            #[cfg(feature = "mpi")]
            Self::Mpi(ranks) => ranks,
        }
    }

    /// Ends the whole job where this process cannot go on: the others would wait for it for ever.
    pub(crate) fn abort(&self, code: u8) {
        match self {
            Self::Alone(_) => {
                let _ = code;
            }
            #[cfg(feature = "mpi")]
            Self::Mpi(ranks) => ranks.abort(i32::from(code)),
        }
    }
}

/// What messages of this process begin with: nothing for the first, or only one.
pub(crate) fn prefix() -> String {
    match launched() {
        Some(Launched {
            rank: rank @ 1.., ..
        }) => format!("rank {rank}: "),
        _ => String::new(),
    }
}

/// Whether this process speaks for all of its job.
pub(crate) fn is_first() -> bool {
    prefix().is_empty()
}
