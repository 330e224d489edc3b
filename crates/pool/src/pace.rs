//! The block difficulty of a chain that is to keep a pace: it follows the counted rate of all
//! sessions, as Bitcoin's follows that of the world. Decides alone; used by the
//! [pool](crate::Pool).
//!
//! Bitcoin counts the time of 2,016 blocks. A few blocks would say little, since a single wait is
//! as long as chance wants it; the shares of the same time say it more than tenfold. Otherwise the
//! rule is Bitcoin's: a change every so many blocks, by a factor of four at most.

use std::time::Duration;

use midstate_chain::{Network, Target};

/// The largest step, Bitcoin's.
const STEP: f64 = 4.0;

/// The pace of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct PaceConfig {
    /// Seconds between two blocks, on average.
    pub seconds: f64,
    /// Blocks from one change of the difficulty to the next.
    pub blocks: u32,
    /// It never gets below, though nobody may be there.
    pub easiest: f64,
}

impl PaceConfig {
    /// A block every so many seconds; the difficulty follows every six. The easiest block is as
    /// hard as signet's: so it is no [toy](midstate_chain::Job::has_toy_blocks), and miners can
    /// tell it from a share.
    pub fn new(seconds: f64) -> Self {
        Self { seconds, blocks: 6, easiest: least_earnest_difficulty() }
    }
}

/// The least difficulty of blocks that are no [toys](midstate_chain::Job::has_toy_blocks).
pub fn least_earnest_difficulty() -> f64 {
    Network::Signet.limit().to_target().unwrap_or(Target::DIFFICULTY_1).difficulty()
}

/// See the [module](self) page.
#[derive(Debug)]
pub(crate) struct Pace {
    config: PaceConfig,
    difficulty: f64,
    /// When the period began, and all since then: blocks, and the difficulties of all shares.
    since: Duration,
    blocks: u32,
    work: f64,
}

impl Pace {
    /// Its first period begins with the first share: nobody has mined before.
    pub(crate) fn new(config: PaceConfig, difficulty: f64) -> Self {
        Self { config, difficulty, since: Duration::MAX, blocks: 0, work: 0.0 }
    }

    /// A share of this difficulty was accepted.
    pub(crate) fn record_share(&mut self, now: Duration, difficulty: f64) {
        self.since = self.since.min(now);
        self.work += difficulty;
    }

    /// A block was found. The new difficulty, if it is time for one.
    pub(crate) fn record_block(&mut self, now: Duration) -> Option<f64> {
        self.since = self.since.min(now);
        self.blocks += 1;
        (self.blocks >= self.config.blocks).then(|| self.retarget(now))
    }

    /// When a period ends in any case: after [`STEP`] times the planned time its outcome is known.
    pub(crate) fn poll_timeout(&self) -> Duration {
        let planned = self.config.seconds * f64::from(self.config.blocks);
        self.since.saturating_add(Duration::from_secs_f64(STEP * planned))
    }

    /// Time has passed. The new difficulty, if the period has ended.
    pub(crate) fn handle_timeout(&mut self, now: Duration) -> Option<f64> {
        (now >= self.poll_timeout()).then(|| self.retarget(now))
    }

    fn retarget(&mut self, now: Duration) -> f64 {
        let elapsed = now.saturating_sub(self.since).as_secs_f64();
        let ideal = self.work / elapsed * self.config.seconds;
        // The first of a moment's blocks: 0 / 0 is no rate.
        let ideal = if ideal.is_nan() { f64::INFINITY } else { ideal };
        let easiest = self.config.easiest.max(self.difficulty / STEP);
        self.difficulty = ideal.clamp(easiest, (self.difficulty * STEP).max(easiest));
        (self.since, self.blocks, self.work) = (now, 0, 0.0);
        self.difficulty
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(1000.0 + seconds)
    }

    /// A class of this rate (difficulty a second) mines a period of six blocks: the new difficulty.
    fn period(pace: &mut Pace, from: f64, seconds: f64, rate: f64) -> f64 {
        let mut end = None;
        for block in 1..=6 {
            let now = at(from + seconds / 6.0 * f64::from(block));
            pace.record_share(now, rate * seconds / 6.0);
            assert_eq!(end, None, "not before the sixth block");
            end = pace.record_block(now);
        }
        end.expect("the sixth block ends the period")
    }

    #[test]
    fn the_difficulty_follows_the_rate_of_the_class_and_not_its_luck() {
        let mut pace = Pace::new(PaceConfig::new(15.0), 0.1);
        pace.record_share(at(0.0), 0.0);
        // Ten times as many as before: clamped, then there, however lucky the blocks are.
        assert_eq!(period(&mut pace, 0.0, 9.0, 0.1), 0.4);
        let there = period(&mut pace, 9.0, 40.0, 0.1);
        assert!((there - 1.5).abs() < 1e-9, "{there}");
        let same = period(&mut pace, 49.0, 300.0, 0.1);
        assert!((same - 1.5).abs() < 1e-9, "{same}");
        let half = period(&mut pace, 349.0, 90.0, 0.05);
        assert!((half - 0.75).abs() < 1e-9, "the phones have left: {half}");
        assert_eq!(period(&mut pace, 439.0, 90.0, 0.0), 0.75 / 4.0);
    }

    #[test]
    fn a_class_that_has_left_does_not_leave_an_endless_block_behind() {
        let mut pace = Pace::new(PaceConfig::new(15.0), 8.0);
        assert_eq!(pace.poll_timeout(), Duration::MAX, "nobody has begun");
        pace.record_share(at(0.0), 0.5);
        assert_eq!(pace.poll_timeout(), at(360.0));
        assert_eq!(pace.handle_timeout(at(359.0)), None);
        assert_eq!(pace.handle_timeout(at(360.0)), Some(2.0));
        assert_eq!(pace.handle_timeout(at(720.0)), Some(0.5));
        let later = (1..20).map(|period| at(720.0 + 360.0 * f64::from(period)));
        let easiest = later.map(|now| pace.handle_timeout(now));
        assert_eq!(easiest.last().unwrap(), Some(least_earnest_difficulty()));
    }

    #[test]
    fn blocks_of_one_moment_raise_the_difficulty_by_the_largest_step() {
        let mut pace = Pace::new(PaceConfig::new(15.0), 1.0);
        (0..5).for_each(|_| assert_eq!(pace.record_block(at(0.0)), None));
        assert_eq!(pace.record_block(at(0.0)), Some(4.0));
    }
}
