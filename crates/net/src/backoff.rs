//! How long to wait before the next attempt: exponential with full jitter, so that a pool that comes
//! back is not met by all its miners in the same second (S9).

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(1);
const CAP: Duration = Duration::from_secs(60);

/// Grows with every failure until [`reset`](Self::reset).
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure: uniform between nothing and a bound that doubles.
    pub(crate) fn next(&mut self) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(CAP);
        self.failures += 1;
        bound.mul_f64(fastrand::f64())
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
