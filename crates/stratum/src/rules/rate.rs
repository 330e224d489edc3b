//! Two ways to bound how often something happens, in the caller's time.

use std::collections::VecDeque;
use std::time::Duration;

/// A token bucket: a steady rate with bursts.
#[derive(Debug)]
pub struct Bucket {
    tokens: f64,
    burst: f64,
    per_second: f64,
    filled_at: Duration,
}

impl Bucket {
    /// `burst` at once, then `per_second`.
    pub fn new(burst: u32, per_second: f64) -> Self {
        let burst = f64::from(burst);
        Self { tokens: burst, burst, per_second, filled_at: Duration::ZERO }
    }

    /// Whether one more is allowed now.
    pub fn take(&mut self, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.burst);
        self.filled_at = self.filled_at.max(now);
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }
}

/// Counts what happened within a sliding window, exactly, up to a limit.
#[derive(Debug)]
pub struct Window {
    times: VecDeque<Duration>,
    limit: usize,
    within: Duration,
}

impl Window {
    /// Counts up to `limit` within that time.
    pub fn new(limit: usize, within: Duration) -> Self {
        Self { times: VecDeque::new(), limit, within }
    }

    /// Notes one more and says how many there were in the window, itself included. Beyond the limit
    /// nothing is noted, so that a flood does not move the window along.
    pub fn count(&mut self, now: Duration) -> usize {
        while self.times.front().is_some_and(|&time| now.saturating_sub(time) > self.within) {
            self.times.pop_front();
        }
        if self.times.len() < self.limit {
            self.times.push_back(now);
            self.times.len()
        } else {
            self.limit + 1
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.times.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_bucket_allows_a_burst_then_its_rate() {
        let mut bucket = Bucket::new(2, 0.1);
        let start = seconds(1000);
        assert!(bucket.take(start) && bucket.take(start));
        assert!(!bucket.take(start));
        assert!(!bucket.take(start + seconds(9)));
        assert!(bucket.take(start + seconds(10)));
        assert!(!bucket.take(start + seconds(10)));
        // A clock that steps back gives nothing away.
        assert!(!bucket.take(seconds(0)));
        assert!(!bucket.take(start + seconds(10)));
    }

    #[test]
    fn a_window_counts_exactly() {
        let mut window = Window::new(3, seconds(600));
        assert_eq!([0, 1, 2].map(|at| window.count(seconds(at))), [1, 2, 3]);
        assert_eq!(window.count(seconds(600)), 4);
        assert_eq!(window.count(seconds(601)), 3, "the first has left, 600 s are still inside");
        assert_eq!(window.count(seconds(602)), 3);
        assert_eq!(window.count(seconds(602)), 4);
    }
}
