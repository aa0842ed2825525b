//! Models from the HuggingFace hub and files of ds003020 from `OpenNeuro`, over HTTPS.
//!
//! A plan first ([`HubModel::plan`], [`Ds003020Files::plan`]): which files, how large, which are there
//! already. Then [`Plan::run`]: several files at a time, each into a hidden `.partial` beside its
//! place, resumed where an earlier run was interrupted, compared with size and checksum, renamed when
//! it is whole. Models go into the cache of `huggingface_hub`, where [`crate::model::resolve`] finds
//! them. What a server says is data: names, sizes and lengths are checked before anything is written.
//!
//! ```
//! use braintune::fetch::{HubModel, human_size};
//!
//! let cache = std::path::Path::new("hub");
//! let model = HubModel::new("facebook/wav2vec2-base", cache)?.with_revision("main")?;
//! assert_eq!(model.folder(), cache.join("models--facebook--wav2vec2-base"));
//! assert!(HubModel::new("../outside", cache).is_err());
//! assert_eq!(human_size(377_607_901), "377.6 MB");
//! # Ok::<(), braintune::fetch::FetchError>(())
//! ```
//!
//! Held by `tests/it/fetch_*.rs`, against a server that drops, stalls and lies.

mod checksum;
mod client;
mod download;
mod error;
mod event;
mod hub;
mod hub_cache;
mod lock;
mod names;
mod openneuro;
mod partial;
mod plan;
mod proxy;
mod retry;
mod s3;
mod session;
mod there;

use std::time::Duration;

pub use checksum::Checksum;
pub use client::Token;
pub use error::{FetchError, Result};
pub use event::{FetchEvent, OnFetch};
pub use hub::HubModel;
pub use openneuro::{Ds003020Files, Missing};
pub use plan::{Fetched, Plan, PlannedFile};

/// How files are fetched: how many at a time, and how patiently.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FetchConfig {
    /// Files at a time (4).
    pub jobs: usize,
    /// Tries in a row that bring less than 1 MiB before a file is given up (6).
    pub attempts: u32,
    /// Longest wait for a connection (20 s).
    pub connect_timeout: Duration,
    /// Longest wait for an answer, or for the next bytes of one (60 s).
    pub stall_timeout: Duration,
    /// Pause before the second try (1 s); it doubles with each further one, a random half of it is left out.
    pub first_pause: Duration,
    /// Longest pause (2 min). A server that asks for a longer one ends the fetch.
    pub longest_pause: Duration,
    /// What pauses: [`std::thread::sleep`], called for a tenth of a second at a time.
    pub sleep: fn(Duration),
}

impl Default for FetchConfig {
    fn default() -> Self {
        Self {
            jobs: 4,
            attempts: 6,
            connect_timeout: Duration::from_secs(20),
            stall_timeout: Duration::from_mins(1),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(2),
            sleep: std::thread::sleep,
        }
    }
}

/// A number of bytes as people read it: powers of 1000, as disks are sold.
#[must_use]
pub fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}
