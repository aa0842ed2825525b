//! Which part of a job this process does.
//!
//! Who does what never changes a result: pieces of work have fixed sizes, each is done whole by one process and kept on
//! disk, and one process puts them together in their order. Held by `tests/it/ranks.rs`.

use braintune_ranks::{Alone, Ranks, Shard};

/// Which part of a job this process does.
#[derive(Debug, Clone, Copy)]
pub enum Split<'a> {
    /// With others at the same time, or alone: pieces are shared out, and the first rank writes the result.
    Ranks(&'a dyn Ranks),
    /// One share of an array job: its pieces are kept for [`Split::Merge`], which writes the result.
    Shard(Shard),
    /// What shares have left is put together; missing pieces are an error.
    Merge,
}

impl Split<'static> {
    /// The whole job by one process.
    #[must_use]
    pub fn whole() -> Self {
        Self::Ranks(&Alone)
    }
}

impl<'a> Split<'a> {
    /// The share that is this process's own; none where pieces are only put together.
    pub(crate) fn shard(self) -> Option<Shard> {
        match self {
            Self::Ranks(ranks) => Some(ranks.shard()),
            Self::Shard(shard) => Some(shard),
            Self::Merge => None,
        }
    }

    /// Those that work at the same time, if there is more than one.
    pub(crate) fn fellows(self) -> Option<&'a dyn Ranks> {
        match self {
            Self::Ranks(ranks) if ranks.n_ranks() > 1 => Some(ranks),
            _ => None,
        }
    }
}
