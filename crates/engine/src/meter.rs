//! The hash meter: rates over sliding windows, from counts that are read now and then. Fed and read
//! by whoever shows rates; `now` is the time since any fixed start.
//!
//! A hash rate is hashes divided by the time spent hashing. Pauses, waits and the rests that a
//! limit asks for do not lower it; [`RateMeter::overall`] is the rate with all of them in it.

use std::collections::VecDeque;
use std::time::Duration;

/// Turns readings of a growing count into rates.
#[derive(Debug, Clone)]
pub struct RateMeter {
    /// Oldest first; the first one is at or before the start of the longest window.
    readings: VecDeque<Reading>,
    longest: Duration,
}

/// A reading at one instant.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The instant.
    pub now: Duration,
    /// The time spent hashing until then.
    pub busy: Duration,
    /// The count.
    pub count: u64,
}

impl RateMeter {
    /// A meter for windows up to `longest`, that starts with this reading.
    pub fn new(longest: Duration, first: Reading) -> Self {
        Self { readings: VecDeque::from([first]), longest }
    }

    /// Takes a reading. Readings out of order are ignored.
    pub fn record(&mut self, reading: Reading) {
        if self.readings.back().is_some_and(|last| reading.now <= last.now) {
            return;
        }
        self.readings.push_back(reading);
        let start = reading.now.saturating_sub(self.longest);
        while self.readings.get(1).is_some_and(|reading| reading.now <= start) {
            self.readings.pop_front();
        }
    }

    /// Counts per second of hashing over the last `window`, or since the start where that is later.
    /// `None` before the second reading, and where nothing was hashed in that time.
    pub fn rate(&self, window: Duration) -> Option<f64> {
        let (from, to) = self.ends(window)?;
        per_second(from.count..to.count, to.busy.checked_sub(from.busy)?)
    }

    /// Counts per second of all time over the last `window`. `None` before the second reading.
    pub fn overall(&self, window: Duration) -> Option<f64> {
        let (from, to) = self.ends(window)?;
        per_second(from.count..to.count, to.now - from.now)
    }

    /// The first and the last reading of the window.
    fn ends(&self, window: Duration) -> Option<(&Reading, &Reading)> {
        let to = self.readings.back()?;
        let start = to.now.saturating_sub(window);
        // The last reading at or before the start of the window, else the oldest.
        let from = self.readings.partition_point(|reading| reading.now <= start).saturating_sub(1);
        Some((self.readings.get(from)?, to))
    }
}

fn per_second(counts: std::ops::Range<u64>, time: Duration) -> Option<f64> {
    let count = counts.end - counts.start;
    (!time.is_zero()).then(|| count as f64 / time.as_secs_f64())
}
