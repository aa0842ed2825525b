//! What the threads of one fetch share, and the caller's thread, which watches them.
//!
//! Work is done in other threads, so that the caller is asked every tenth of a second whether to go
//! on, even while a server says nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use super::client::{Client, Server};
use super::error::{FetchError, Result};
use super::{Checksum, FetchConfig, FetchEvent, OnFetch};

const TICK: Duration = Duration::from_millis(100);

/// What is done so far: bytes and files there, or files listed.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) bytes: AtomicU64,
    pub(super) files: AtomicUsize,
}

impl Counts {
    pub(super) fn add_bytes(&self, n: u64) {
        self.bytes.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn take_bytes(&self, n: u64) {
        self.bytes.fetch_sub(n, Ordering::Relaxed);
    }

    pub(super) fn add_files(&self, n: usize) {
        self.files.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn files(&self) -> usize {
        self.files.load(Ordering::Relaxed)
    }
}

/// An event on its way to the caller's thread.
#[derive(Debug)]
pub(super) enum Report {
    Waiting(String),
    Retrying(String, String, Duration),
    Fetched(String, Checksum),
    Failed(String, String),
}

impl Report {
    fn event(&self) -> FetchEvent<'_> {
        match self {
            Self::Waiting(name) => FetchEvent::Waiting { name },
            Self::Retrying(name, problem, pause) => FetchEvent::Retrying {
                name,
                problem,
                pause: *pause,
            },
            Self::Fetched(name, checksum) => FetchEvent::Fetched { name, checksum },
            Self::Failed(name, problem) => FetchEvent::Failed { name, problem },
        }
    }
}

/// One fetch: its connections, settings and counts.
pub(super) struct Session<'c> {
    pub(super) config: &'c FetchConfig,
    pub(super) client: Client,
    pub(super) counts: Arc<Counts>,
    reports: Sender<Report>,
}

impl Session<'_> {
    pub(super) fn report(&self, report: Report) {
        let _ = self.reports.send(report); // the watcher stays until the work has ended
    }

    pub(super) fn check_stopped(&self) -> Result<()> {
        if self.client.is_stopped() {
            return Err(FetchError::Cancelled);
        }
        Ok(())
    }

    /// Sleeps in small steps, so that a stop is noticed.
    pub(super) fn pause(&self, pause: Duration) -> Result<()> {
        let mut left = pause;
        while !left.is_zero() {
            self.check_stopped()?;
            let step = left.min(TICK);
            (self.config.sleep)(step);
            left -= step;
        }
        self.check_stopped()
    }
}

/// Runs `work` in another thread, tells `on` what happens and the `state` between, and stops the work
/// when `on` breaks.
pub(super) fn watched<T: Send>(
    config: &FetchConfig,
    server: Server,
    on: &mut OnFetch<'_>,
    state: impl Fn(&Counts) -> FetchEvent<'static>,
    work: impl FnOnce(&Session<'_>) -> Result<T> + Send,
) -> Result<T> {
    let (reports, receiver) = mpsc::channel();
    let session = Session {
        config,
        client: Client::new(config, server)?,
        counts: Arc::default(),
        reports,
    };
    let stop = session.client.stopper();
    let counts = Arc::clone(&session.counts);
    let mut stopped = false;
    let result = thread::scope(|scope| {
        // The session moves there and ends with the work: so does the channel.
        let worker = scope.spawn(move || work(&session));
        loop {
            let report = match receiver.recv_timeout(TICK) {
                Ok(report) => Some(report),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if stopped {
                continue;
            }
            let told = report.is_some_and(|report| on(report.event()).is_break());
            stopped = told || on(state(&counts)).is_break();
            if stopped {
                stop();
            }
        }
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    if stopped {
        return result.map_err(|_| FetchError::Cancelled);
    }
    // So that short work is told once, too. It is done: there is nothing to stop.
    let _ = on(state(&counts));
    result
}
