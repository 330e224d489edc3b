//! The hash meter: rates over sliding windows, from counts that are read now and then. Fed and read
//! by whoever shows rates; `now` is the time since any fixed start.

use std::collections::VecDeque;
use std::time::Duration;

/// Turns readings of a growing count into rates.
#[derive(Debug, Clone)]
pub struct Meter {
    /// (time, count), oldest first; the first one is at or before the start of the longest window.
    readings: VecDeque<(Duration, u64)>,
    longest: Duration,
}

impl Meter {
    /// A meter for windows up to `longest`, starting at `now` with `count`.
    pub fn new(longest: Duration, now: Duration, count: u64) -> Self {
        Self { readings: VecDeque::from([(now, count)]), longest }
    }

    /// Takes a reading. Readings out of order are ignored.
    pub fn record(&mut self, now: Duration, count: u64) {
        if self.readings.back().is_some_and(|&(last, _)| now <= last) {
            return;
        }
        self.readings.push_back((now, count));
        let start = now.saturating_sub(self.longest);
        while self.readings.get(1).is_some_and(|&(at, _)| at <= start) {
            self.readings.pop_front();
        }
    }

    /// Counts per second over the last `window`, or since the start where that is later. `None`
    /// before the second reading.
    pub fn rate(&self, window: Duration) -> Option<f64> {
        let &(now, count) = self.readings.back()?;
        let start = now.saturating_sub(window);
        // The last reading at or before the start of the window, else the oldest.
        let from = self.readings.partition_point(|&(at, _)| at <= start).saturating_sub(1);
        let &(then, earlier) = self.readings.get(from)?;
        let seconds = now.checked_sub(then)?.as_secs_f64();
        (seconds > 0.0).then(|| (count - earlier) as f64 / seconds)
    }
}
