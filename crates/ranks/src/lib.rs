//! Processes that do one job together, and shares of jobs whose processes never meet.
//!
//! [`Ranks`] is what a pipeline needs of its fellows: who it is, how many they are, and collectives. [`Alone`] is the
//! usual single process, [`ThreadRanks`] are threads of one process, `MpiRanks` (feature `mpi`) what `mpirun` starts.
//! A [`Shard`] is one share of an array job. Who does what never changes what comes out: pieces of work have fixed
//! sizes, and are put together in their order.

mod alone;
mod error;
#[cfg(feature = "mpi")]
mod mpi_ranks;
mod ranks;
mod shard;
mod threads;

pub use alone::Alone;
pub use error::{RanksError, Result};
#[cfg(feature = "mpi")]
pub use mpi_ranks::MpiRanks;
pub use ranks::{Launched, Ranks, launched, share_out};
pub use shard::Shard;
pub use threads::ThreadRanks;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
