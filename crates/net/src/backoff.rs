//! How long to wait before the next attempt: exponential with full jitter, so that a pool that
//! comes back is not met by all its miners in the same second (S9). A pause that does not grow is
//! somebody's wish, and is kept.

use std::time::Duration;

use crate::LinkLimits;

/// Grows with every failure until [`reset`](Self::reset).
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(limits: &LinkLimits) -> Self {
        Self { first: limits.backoff_first, cap: limits.backoff_cap, failures: 0 }
    }

    /// The wait after one more failure: uniform between nothing and a bound that doubles.
    pub(crate) fn next(&mut self) -> Duration {
        let part = if self.first < self.cap { fastrand::f64() } else { 1.0 };
        let wait = self.bound().mul_f64(part);
        self.failures += 1;
        wait
    }

    /// The same, but at least half of that bound. After a session, not a mere attempt: the pool is
    /// there, and hanging up must not become a game that it can play many times a second.
    pub(crate) fn next_after_session(&mut self) -> Duration {
        let least = self.bound() / 2;
        self.next().div_f64(2.0).saturating_add(least).min(self.cap)
    }

    /// All is well again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    fn bound(&self) -> Duration {
        self.first.saturating_mul(1 << self.failures.min(16)).min(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s9_the_bound_doubles_to_its_cap_and_starts_again() {
        let mut backoff = Backoff::new(&LinkLimits::default());
        let mut bounds = Vec::new();
        for _ in 0..9 {
            let bound = backoff.bound();
            bounds.push(bound.as_secs());
            assert!(backoff.next() <= bound);
        }
        assert_eq!(bounds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        backoff.reset();
        assert_eq!(backoff.bound().as_secs(), 1);
    }

    #[test]
    fn u1_a_pause_that_was_asked_for_is_kept() {
        let pause = Duration::from_secs(30);
        let limits =
            LinkLimits { backoff_first: pause, backoff_cap: pause, ..LinkLimits::default() };
        let mut backoff = Backoff::new(&limits);
        assert_eq!([(); 3].map(|()| backoff.next()), [pause; 3]);
    }

    #[test]
    fn s9_the_jitter_is_full() {
        let waits: Vec<_> =
            (0..1000).map(|_| Backoff::new(&LinkLimits::default()).next().as_secs_f64()).collect();
        let below = |bound| waits.iter().filter(|&&wait| wait < bound).count();
        assert!(below(0.1) > 50 && below(0.9) < 950, "{} {}", below(0.1), below(0.9));
    }
}
