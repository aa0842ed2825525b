//! What a fetch tells while it runs.

use std::ops::ControlFlow;
use std::time::Duration;

use super::Checksum;

/// One step forward, or the same state again: there is an event at least every tenth of a second.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum FetchEvent<'a> {
    /// Lists of files are read.
    Listing {
        /// Files on the lists so far.
        n_files: usize,
    },
    /// Files that are there already are compared with the server's checksums.
    Comparing {
        /// Bytes that are compared.
        bytes_done: u64,
        /// Bytes to compare.
        bytes_total: u64,
    },
    /// Files arrive.
    Fetching {
        /// Bytes that are there, of all files of the plan.
        bytes_done: u64,
        /// Bytes of all files of the plan.
        bytes_total: u64,
        /// Files that are whole.
        files_done: usize,
        /// Files of the plan.
        n_files: usize,
    },
    /// Another process is fetching the same file; this one waits for it.
    Waiting {
        /// The file.
        name: &'a str,
    },
    /// A try failed, there will be another one.
    Retrying {
        /// The file or list.
        name: &'a str,
        /// What was wrong.
        problem: &'a str,
        /// Time until the next try.
        pause: Duration,
    },
    /// A file is whole and in its place.
    Fetched {
        /// The file.
        name: &'a str,
        /// What it was compared with.
        checksum: &'a Checksum,
    },
    /// A file was given up; the others go on.
    Failed {
        /// The file.
        name: &'a str,
        /// Why.
        problem: &'a str,
    },
}

/// Called at every event; `Break` stops the fetch with [`FetchError::Cancelled`](super::FetchError::Cancelled),
/// and what has arrived is kept.
pub type OnFetch<'a> = dyn FnMut(FetchEvent<'_>) -> ControlFlow<()> + 'a;
