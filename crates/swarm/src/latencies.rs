//! Many times in little memory: counts by size, in steps of 3 % or of 12 %, from which any quantile
//! can be told.

use std::collections::BTreeMap;
use std::time::Duration;

/// Steps from one power of two to the next.
const STEPS: u32 = 32;

/// The fine steps of a coarse one are this power of two.
const COARSE: u32 = 2;

/// Counts of times by their size. No larger than the number of different sizes, of which there are
/// some two thousand at most, five hundred where they are coarse.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Latencies {
    /// The fine steps of one of ours, as a power of two.
    grain: u32,
    counts: BTreeMap<u16, u64>,
    count: u64,
    max: Duration,
}

impl Latencies {
    /// Steps of 12 %, for a miner: ten thousand of them are in one program.
    pub fn coarse() -> Self {
        Self { grain: COARSE, ..Self::default() }
    }

    /// One more.
    pub fn record(&mut self, time: Duration) {
        *self.counts.entry(bucket(time) >> self.grain).or_default() += 1;
        self.count += 1;
        self.max = self.max.max(time);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, exact.
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The time that this part of all does not exceed, at most a step too long: 0.5 is the median.
    /// Zero if there are none.
    pub fn quantile(&self, part: f64) -> Duration {
        let rank = (part * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (&bucket, &count) in &self.counts {
            seen += count;
            if seen >= rank {
                let last = (bucket << self.grain) + ((1 << self.grain) - 1);
                return upper_end(last).min(self.max);
            }
        }
        self.max
    }
}

/// The number of the step that a time is in. Below 32 µs each microsecond is one.
fn bucket(time: Duration) -> u16 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if micros < u64::from(STEPS) {
        return micros as u16;
    }
    let power = micros.ilog2();
    let step = (micros >> (power - STEPS.ilog2())) - u64::from(STEPS);
    ((power - STEPS.ilog2() + 1) * STEPS + step as u32) as u16
}

/// The longest time of a step.
fn upper_end(bucket: u16) -> Duration {
    let (octave, step) = (u32::from(bucket) / STEPS, u64::from(bucket) % u64::from(STEPS));
    let micros = match octave {
        0 => step,
        _ => {
            let width = 1u64 << (octave - 1);
            (u64::from(STEPS) + step) * width + (width - 1)
        }
    };
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_3_percent_too_long_and_the_longest_is_exact() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.99), Duration::ZERO);
        (1..=1000).for_each(|ms| latencies.record(Duration::from_millis(ms)));
        for (part, exact) in [(0.5, 500.0), (0.99, 990.0), (0.001, 1.0)] {
            let told = latencies.quantile(part).as_secs_f64() * 1e3;
            assert!((exact..=exact * 1.033).contains(&told), "{part}: {told}");
        }
        assert_eq!((latencies.max(), latencies.count()), (Duration::from_secs(1), 1000));
        assert_eq!(latencies.quantile(1.0), latencies.max());
    }

    #[test]
    fn coarse_steps_take_a_quarter_of_the_memory_and_are_at_most_12_percent_too_long() {
        let [mut fine, mut coarse] = [Latencies::default(), Latencies::coarse()];
        for micros in 1..60_000 {
            fine.record(Duration::from_micros(micros));
            coarse.record(Duration::from_micros(micros));
        }
        assert_eq!(coarse.counts.len(), fine.counts.len().div_ceil(4));
        for part in [0.001, 0.01, 0.5, 0.99] {
            let exact = 59_999.0 * part;
            let told = coarse.quantile(part).as_micros() as f64;
            assert!((exact.floor()..=exact * 1.125 + 1.0).contains(&told), "{part}: {told}");
        }
        assert_eq!(coarse.quantile(1.0), coarse.max());
    }

    #[test]
    fn every_time_is_within_its_step_and_steps_follow_each_other() {
        let mut last = 0;
        for micros in 0..5000 {
            let bucket = bucket(Duration::from_micros(micros));
            assert!(bucket == last || bucket == last + 1, "{micros}");
            last = bucket;
        }
        for micros in (0..5000).chain((0..40).map(|power| 1 << power)) {
            let time = Duration::from_micros(micros);
            let end = upper_end(bucket(time));
            assert!(time <= end && end.as_micros() as f64 <= micros as f64 * 1.033, "{micros}");
        }
        // The longest that there is has a step, too.
        assert!(u32::from(bucket(Duration::MAX)) < 64 * STEPS);
    }
}
