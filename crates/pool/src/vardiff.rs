//! The share difficulty of one session, which follows its rate: a share every few seconds, whether
//! a telephone hashes or a rack of ASICs. Decides alone, from the shares and the clock that it is
//! given; the [pool](crate::Pool) hands out what it says.
//!
//! It looks at the shares since it last looked. Shares that come much too fast change it at once,
//! shares that do not come at all soon, everything else after half a minute. A step is a factor of
//! 16 at most, so that one odd moment of a network leads nowhere near. Difficulties are powers of
//! two, but for one that a miner [suggests](Vardiff::suggest): so chance alone seldom changes one.

use std::time::Duration;

/// Shares after which it looks, if they came too fast.
const BURST: u32 = 8;
/// What is too fast: so many shares within this many times the wanted time between two.
const BURST_INTERVALS: f64 = 2.0;
/// Without any share it looks after this many times the wanted time between two.
const SILENCE_INTERVALS: f64 = 5.0;
/// Else it looks after so many.
const INTERVALS: f64 = 7.5;
/// A change is made where the difficulty is off by more than this factor.
const TOLERANCE: f64 = 2.0;
/// The largest step.
const STEP: f64 = 16.0;
/// Shares that come in one moment of the network took this long at least.
const MOMENT: f64 = 0.1;

/// What a session's difficulty is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct VardiffConfig {
    /// Seconds between two shares, on average.
    pub seconds: f64,
    /// Difficulty of the first job, unless the miner suggests another one.
    pub first: f64,
    /// It never gets below.
    pub easiest: f64,
    /// It never gets above.
    pub hardest: f64,
}

impl Default for VardiffConfig {
    /// A share every 4 seconds from 16 kH/s to a petahash a second. It begins where a telephone is:
    /// whatever is faster says so within a second.
    fn default() -> Self {
        let power = |exponent| 2f64.powi(exponent);
        Self { seconds: 4.0, first: power(-14), easiest: power(-16), hardest: power(20) }
    }
}

/// See the [module](self) page.
#[derive(Debug)]
pub(crate) struct Vardiff {
    config: VardiffConfig,
    difficulty: f64,
    /// Since it last looked.
    all: Count,
    /// The newest of them, [`BURST`] at most: a miner may become faster at any time.
    newest: Count,
}

/// Shares since a moment: how many, and their difficulties together.
#[derive(Debug, Clone, Copy)]
struct Count {
    since: Duration,
    shares: u32,
    work: f64,
}

impl Count {
    fn new(since: Duration) -> Self {
        Self { since, shares: 0, work: 0.0 }
    }

    fn record(&mut self, difficulty: f64) {
        self.shares += 1;
        self.work += difficulty;
    }

    fn seconds(&self, now: Duration) -> f64 {
        now.saturating_sub(self.since).as_secs_f64()
    }
}

impl Vardiff {
    pub(crate) fn new(config: VardiffConfig, now: Duration) -> Self {
        let difficulty = config.first;
        Self { config, difficulty, all: Count::new(now), newest: Count::new(now) }
    }

    /// What the next job should ask for.
    pub(crate) fn difficulty(&self) -> f64 {
        self.difficulty
    }

    /// The miner wishes for another one. It is the difficulty from now on, within the bounds, until
    /// the shares say something else.
    pub(crate) fn suggest(&mut self, now: Duration, difficulty: f64) {
        self.difficulty = difficulty.clamp(self.config.easiest, self.config.hardest);
        self.begin(now);
    }

    /// A share of this difficulty was accepted.
    pub(crate) fn record(&mut self, now: Duration, difficulty: f64) {
        self.all.record(difficulty);
        self.newest.record(difficulty);
        if self.newest.shares >= BURST {
            if self.newest.seconds(now) <= BURST_INTERVALS * self.config.seconds {
                return self.look(now, self.newest);
            }
            self.newest = Count::new(now);
        }
        self.handle_timeout(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(crate) fn poll_timeout(&self) -> Duration {
        let intervals = if self.all.shares == 0 { SILENCE_INTERVALS } else { INTERVALS };
        self.all.since + Duration::from_secs_f64(intervals * self.config.seconds)
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        if now >= self.poll_timeout() {
            self.look(now, self.all);
        }
    }

    /// Changes the difficulty, if these shares say that it is far off.
    fn look(&mut self, now: Duration, count: Count) {
        // Of a session without shares all that is known is that it did less than one.
        let work = if count.shares == 0 { self.difficulty / 2.0 } else { count.work };
        let ideal = work / count.seconds(now).max(MOMENT) * self.config.seconds;
        let ratio = (ideal / self.difficulty).clamp(1.0 / STEP, STEP);
        if !(1.0 / TOLERANCE..=TOLERANCE).contains(&ratio) {
            let (easiest, hardest) = (self.config.easiest, self.config.hardest);
            self.difficulty = power_of_two(self.difficulty * ratio).clamp(easiest, hardest);
        }
        self.begin(now);
    }

    fn begin(&mut self, now: Duration) {
        (self.all, self.newest) = (Count::new(now), Count::new(now));
    }
}

/// The nearest one.
fn power_of_two(number: f64) -> f64 {
    number.log2().round().exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASHES: f64 = midstate_chain::Target::HASHES_AT_DIFFICULTY_1;

    /// A miner that finds shares at its rate, by the same chances every time.
    struct Miner {
        vardiff: Vardiff,
        now: Duration,
        seed: u64,
    }

    impl Miner {
        fn new(config: VardiffConfig) -> Self {
            let now = Duration::from_secs(1);
            Self { vardiff: Vardiff::new(config, now), now, seed: 1 }
        }

        /// From 0 to 1 (xorshift64*).
        fn chance(&mut self) -> f64 {
            self.seed ^= self.seed >> 12;
            self.seed ^= self.seed << 25;
            self.seed ^= self.seed >> 27;
            let high = self.seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11;
            (high as f64 + 0.5) / (1u64 << 53) as f64
        }

        /// Mines for that long; how many shares it found. It goes on with the old difficulty for 50
        /// ms, or 500 shares: no line takes more.
        fn mine(&mut self, hps: f64, seconds: f64) -> u32 {
            let (end, mut shares) = (self.now + Duration::from_secs_f64(seconds), 0);
            let mut known = self.vardiff.difficulty();
            let (mut changed, mut late) = (self.now, 0);
            loop {
                let mean = (known * HASHES / hps).min(1e6);
                let next = self.now + Duration::from_secs_f64(-self.chance().ln() * mean);
                let due = self.vardiff.poll_timeout();
                self.now = next.min(due).min(end);
                if self.now == end {
                    return shares;
                }
                if self.now == next {
                    shares += 1;
                    late += 1;
                    self.vardiff.record(self.now, known);
                } else {
                    self.vardiff.handle_timeout(self.now);
                }
                if self.vardiff.difficulty() == known {
                    (changed, late) = (self.now, 0);
                } else if late > 500 || self.now - changed > Duration::from_millis(50) {
                    known = self.vardiff.difficulty();
                }
            }
        }
    }

    #[test]
    fn eight_shares_in_two_wanted_times_are_too_fast_and_in_three_they_are_not() {
        for (between, is_too_fast) in [(1.0, true), (1.2, false)] {
            let config = VardiffConfig { first: 1.0, ..VardiffConfig::default() };
            let mut vardiff = Vardiff::new(config, Duration::ZERO);
            for nth in 1..=8 {
                vardiff.record(Duration::from_secs_f64(f64::from(nth) * between), 1.0);
            }
            assert_eq!(vardiff.difficulty() > 1.0, is_too_fast, "a share each {between} s");
        }
    }

    #[test]
    fn every_rate_has_a_share_every_few_seconds_within_half_a_minute() {
        for hps in [50e3, 1e6, 6e6, 40e6, 1e9, 500e9, 1.2e12, 500e12] {
            let mut miner = Miner::new(VardiffConfig::default());
            miner.mine(hps, 30.0);
            let seconds = miner.vardiff.difficulty() * HASHES / hps;
            assert!((1.0..12.0).contains(&seconds), "{hps:e} H/s: a share in {seconds} s");
            let shares = miner.mine(hps, 600.0);
            assert!((75..400).contains(&shares), "{hps:e} H/s: {shares} shares in ten minutes");
        }
    }

    #[test]
    fn a_rate_that_changes_is_followed_up_and_down() {
        let mut miner = Miner::new(VardiffConfig::default());
        for hps in [1e9, 1e5, 1e12, 1e6] {
            // A session without a share for 20 s gets a sixteenth at most.
            let shares = miner.mine(hps, 240.0);
            assert!(shares < 10_000, "{hps:e} H/s: {shares} shares before it was noticed");
            let seconds = miner.vardiff.difficulty() * HASHES / hps;
            assert!((1.0..12.0).contains(&seconds), "{hps:e} H/s: a share in {seconds} s");
        }
    }

    #[test]
    fn a_step_is_clamped_and_so_is_the_difficulty() {
        let config = VardiffConfig { first: 1.0, easiest: 0.5, hardest: 64.0, seconds: 4.0 };
        let mut vardiff = Vardiff::new(config, Duration::ZERO);
        (0..8).for_each(|_| vardiff.record(Duration::from_millis(1), 1.0));
        assert_eq!(vardiff.difficulty(), 16.0);
        (0..8).for_each(|_| vardiff.record(Duration::from_millis(2), 16.0));
        assert_eq!(vardiff.difficulty(), 64.0);
        let mut now = Duration::ZERO;
        for expected in [8.0, 1.0, 0.5, 0.5] {
            now = vardiff.poll_timeout();
            vardiff.handle_timeout(now - Duration::from_nanos(1));
            vardiff.handle_timeout(now);
            assert_eq!(vardiff.difficulty(), expected);
        }
        // A clock that goes back is no rate.
        vardiff.record(now - Duration::from_secs(9), 0.5);
        assert_eq!(vardiff.difficulty(), 0.5);
    }

    #[test]
    fn what_a_miner_suggests_holds_until_its_shares_say_otherwise() {
        let mut vardiff = Vardiff::new(VardiffConfig::default(), Duration::ZERO);
        vardiff.suggest(Duration::ZERO, 1000.0);
        assert_eq!(vardiff.difficulty(), 1000.0);
        for second in (4..=60).step_by(4) {
            vardiff.record(Duration::from_secs(second), 1000.0);
        }
        assert_eq!(vardiff.difficulty(), 1000.0, "a share every four seconds: it was right");
        for (suggested, got) in [(1e-30, 2f64.powi(-16)), (1e30, 2f64.powi(20))] {
            vardiff.suggest(Duration::from_secs(60), suggested);
            assert_eq!(vardiff.difficulty(), got);
        }
        vardiff.handle_timeout(vardiff.poll_timeout());
        assert_eq!(vardiff.difficulty(), 2f64.powi(17));
    }
}
