//! Adds up the time spent hashing, as the engine tells when it begins and ends. A hash rate is
//! hashes divided by that time: waits for a job or for the last answers, pauses, and rests for a
//! sensor or for `--max-hashrate` are none of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// See the [module](self) page.
pub(crate) struct Stopwatch {
    begun: Instant,
    time: Mutex<Time>,
}

#[derive(Default)]
struct Time {
    /// Of the stretches that have ended.
    total: Duration,
    /// When the present stretch began.
    since: Option<Duration>,
}

impl Stopwatch {
    /// Nothing is hashed yet.
    pub(crate) fn start() -> Self {
        Self { begun: Instant::now(), time: Mutex::default() }
    }

    /// From now on the threads hash, or do not. Called on hashing threads.
    pub(crate) fn note(&self, is_hashing: bool) {
        let mut time = self.time();
        time.note(self.begun.elapsed(), is_hashing);
    }

    /// The time spent hashing until now.
    pub(crate) fn total(&self) -> Duration {
        let time = self.time();
        time.total_at(self.begun.elapsed())
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Time {
    fn note(&mut self, now: Duration, is_hashing: bool) {
        self.total = self.total_at(now);
        self.since = is_hashing.then_some(now);
    }

    fn total_at(&self, now: Duration) -> Duration {
        self.total + self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_spent_hashing_counts() {
        let at = Duration::from_secs;
        let mut time = Time::default();
        // Waits 5 s for a job, hashes 10 s, rests 60 s, hashes 10 s, waits 10 s for answers.
        for (second, is_hashing) in [(5, true), (15, false), (75, true)] {
            time.note(at(second), is_hashing);
        }
        assert_eq!(time.total_at(at(80)), at(15), "the present stretch counts");
        time.note(at(85), false);
        assert_eq!(time.total_at(at(95)), at(20));
    }
}
