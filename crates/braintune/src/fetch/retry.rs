//! Tries of one file or list: how many, and the pauses between.

use std::hash::{BuildHasher, RandomState};

use super::error::{Failure, FetchError, Result};
use super::session::{Report, Session};

/// Tries that failed in a row.
pub(super) struct Tries<'s> {
    session: &'s Session<'s>,
    name: &'s str,
    failed: u32,
}

impl<'s> Tries<'s> {
    pub(super) fn new(session: &'s Session<'s>, name: &'s str) -> Self {
        Self {
            session,
            name,
            failed: 0,
        }
    }

    /// The last try got somewhere: the count begins anew.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
    }

    /// Waits for the next try, as long as the server asks for or longer each time; an error if there is
    /// to be none, which says how many bytes are `kept`.
    pub(super) fn again(&mut self, failure: Failure, kept: u64) -> Result<()> {
        let (problem, after) = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Again { problem, after } => (problem, after),
        };
        let config = self.session.config;
        self.failed += 1;
        if self.failed >= config.attempts {
            return Err(FetchError::GaveUp {
                name: self.name.to_owned(),
                attempts: self.failed,
                problem,
                kept,
            });
        }
        if let Some(pause) = after.filter(|pause| *pause > config.longest_pause) {
            return Err(FetchError::Later {
                name: self.name.to_owned(),
                pause,
                problem,
            });
        }
        let doubled = config
            .first_pause
            .saturating_mul(1 << (self.failed - 1).min(16))
            .min(config.longest_pause);
        // Clients that failed together must not come back together.
        let jittered = doubled.mul_f64(1.0 - random_unit() / 2.0);
        let pause = after.unwrap_or_default().max(jittered);
        tracing::debug!(name = self.name, problem, ?pause, "another try");
        let (name, problem) = (self.name.to_owned(), problem);
        self.session.report(Report::Retrying(name, problem, pause));
        self.session.pause(pause)
    }
}

/// `ask` until it succeeds.
pub(super) fn retried<T>(
    session: &Session<'_>,
    name: &str,
    mut ask: impl FnMut() -> Result<T, Failure>,
) -> Result<T> {
    let mut tries = Tries::new(session, name);
    loop {
        match ask() {
            Ok(value) => return Ok(value),
            Err(failure) => tries.again(failure, 0)?,
        }
    }
}

/// A random number from 0 to 1. The standard library's hash keys are random enough for a pause.
fn random_unit() -> f64 {
    RandomState::new().hash_one(0_u8) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::random_unit;

    #[test]
    fn pauses_differ_and_stay_in_their_range() {
        let units: Vec<f64> = (0..20).map(|_| random_unit()).collect();
        assert!(units.iter().all(|unit| (0.0..=1.0).contains(unit)));
        assert!(units.iter().any(|unit| (unit - units[0]).abs() > 1e-6));
    }
}
