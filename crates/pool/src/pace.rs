//! The block difficulty of a chain that is to keep a pace: it follows the counted rate of all
//! sessions, as Bitcoin's follows that of the world. Decides alone; used by the
//! [pool](crate::Pool).
//!
//! Bitcoin counts the time of 2,016 blocks. A few blocks would say little, since a single wait is
//! as long as chance wants it; the shares of the same time say it more than tenfold. Otherwise the
//! rule is Bitcoin's: a change every so many blocks, by a factor of four at most.
//!
//! The first difficulty is a guess, from the rate that one machine has shown for a moment. So it is
//! an easy one, and periods are short until a change was not held back by that factor.

use std::time::Duration;

use midstate_chain::{Network, Target};

/// The largest step, Bitcoin's.
const STEP: f64 = 4.0;
/// A period without its blocks ends after so many times the planned time, while the difficulty is
/// a guess; else after [`STEP`] times.
const GUESS_PATIENCE: f64 = 2.0;
/// The first block is easier by this factor than what the measured rate asks for: a machine that
/// is busy when it serves a class may have a tenth of that.
const EASE: f64 = 5.0;

/// The pace of a chain.
#[derive(Debug, Clone, PartialEq)]
pub struct PaceConfig {
    /// Seconds between two blocks, on average.
    pub seconds: f64,
    /// Blocks from one change of the difficulty to the next.
    pub blocks: u32,
    /// The same at the beginning, until the difficulty has found the rate.
    pub first_blocks: u32,
    /// It never gets below, though nobody may be there.
    pub easiest: f64,
}

impl PaceConfig {
    /// A block every so many seconds; the difficulty follows every six, and at first every two. The
    /// easiest block is as hard as signet's: so it is no
    /// [toy](midstate_chain::Job::has_toy_blocks), and miners can tell it from a share.
    pub fn new(seconds: f64) -> Self {
        Self { seconds, blocks: 6, first_blocks: 2, easiest: least_earnest_difficulty() }
    }

    /// A difficulty to begin with, where a machine was measured at so many hashes a second.
    pub fn first_difficulty(&self, hps: f64) -> f64 {
        hps * self.seconds / Target::HASHES_AT_DIFFICULTY_1 / EASE
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
    /// It was not counted yet, or not all of it.
    is_guess: bool,
    /// When the period began, and all since then: blocks, and the difficulties of all shares.
    since: Duration,
    blocks: u32,
    work: f64,
}

impl Pace {
    /// Its first period begins with the first share: nobody has mined before.
    pub(crate) fn new(config: PaceConfig, difficulty: f64) -> Self {
        Self { config, difficulty, is_guess: true, since: Duration::MAX, blocks: 0, work: 0.0 }
    }

    /// A share of this difficulty was accepted. The first of all starts the clock: how long it took
    /// is not known.
    pub(crate) fn record_share(&mut self, now: Duration, difficulty: f64) {
        if self.since == Duration::MAX {
            self.since = now;
        } else {
            self.work += difficulty;
        }
    }

    /// A block was found. The new difficulty, if it is time for one.
    pub(crate) fn record_block(&mut self, now: Duration) -> Option<f64> {
        self.since = self.since.min(now);
        self.blocks += 1;
        (self.blocks >= self.period()).then(|| self.retarget(now))
    }

    /// The blocks of the present period.
    fn period(&self) -> u32 {
        if self.is_guess { self.config.first_blocks } else { self.config.blocks }
    }

    /// When a period ends in any case: after several times the planned time its outcome is known.
    pub(crate) fn poll_timeout(&self) -> Duration {
        let planned = self.config.seconds * f64::from(self.period());
        let patience = if self.is_guess { GUESS_PATIENCE } else { STEP };
        self.since.saturating_add(Duration::from_secs_f64(patience * planned))
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
        let was_held_back = self.difficulty != ideal && self.difficulty != self.config.easiest;
        self.is_guess &= was_held_back;
        (self.since, self.blocks, self.work) = (now, 0, 0.0);
        self.difficulty
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vardiff::{Vardiff, VardiffConfig};

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(1000.0 + seconds)
    }

    /// One whose difficulty has found the rate, and whose next period begins.
    fn pace_of_six(difficulty: f64) -> Pace {
        let mut pace = Pace::new(PaceConfig::new(15.0), difficulty);
        assert_eq!(pace.poll_timeout(), Duration::MAX, "nobody has begun");
        pace.record_share(at(-30.0), 0.0);
        pace.record_share(at(0.0), difficulty * 2.0);
        pace.record_block(at(0.0));
        assert_eq!(pace.record_block(at(0.0)), Some(difficulty));
        pace
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
        let mut pace = pace_of_six(0.1);
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
        let mut pace = pace_of_six(8.0);
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
        let mut pace = pace_of_six(1.0);
        (0..5).for_each(|_| assert_eq!(pace.record_block(at(0.0)), None));
        assert_eq!(pace.record_block(at(0.0)), Some(4.0));
    }

    /// From 0 to 1 (xorshift64*).
    fn chance(seed: &mut u64) -> f64 {
        *seed ^= *seed >> 12;
        *seed ^= *seed << 25;
        *seed ^= *seed >> 27;
        ((seed.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// A machine of this rate at a pool whose blocks begin that hard: when it finds each of ten
    /// blocks, and the difficulty behind the last one. Its shares follow its rate.
    fn ten_blocks(hps: f64, difficulty: f64, seed: &mut u64) -> ([f64; 10], f64) {
        let mut pace = Pace::new(PaceConfig::new(15.0), difficulty);
        let (mut now, mut found, mut times) = (at(0.0), 0, [0.0; 10]);
        let mut vardiff = Vardiff::new(VardiffConfig::default(), now);
        while found < times.len() {
            let share = vardiff.difficulty().min(pace.difficulty);
            let wait = -chance(seed).ln() * share * Target::HASHES_AT_DIFFICULTY_1 / hps;
            let next = now + Duration::from_secs_f64(wait);
            let due = vardiff.poll_timeout().min(pace.poll_timeout());
            now = next.min(due);
            if due < next {
                vardiff.handle_timeout(now);
                pace.handle_timeout(now);
                continue;
            }
            let is_block = chance(seed) < share / pace.difficulty;
            vardiff.record(now, share);
            pace.record_share(now, share);
            if is_block {
                times[found] = (now - at(0.0)).as_secs_f64();
                found += 1;
                pace.record_block(now);
            }
        }
        (times, pace.difficulty)
    }

    #[test]
    fn a_machine_that_is_slower_than_measured_finds_a_block_soon_and_the_pace_within_a_few() {
        let (measured, mut seed) = (40e6, 1);
        let first = PaceConfig::new(15.0).first_difficulty(measured);
        for slower in [1.0, 4.0, 12.0] {
            let mut runs: Vec<_> =
                (0..400).map(|_| ten_blocks(measured / slower, first, &mut seed)).collect();
            let mean = runs.iter().map(|(times, _)| times[0]).sum::<f64>() / 400.0;
            assert!(mean < 45.0, "{slower} times slower: the first block after {mean} s");
            let ten = runs.iter().map(|(times, _)| times[9]).sum::<f64>() / 400.0;
            assert!(ten < 240.0, "{slower} times slower: ten blocks in {ten} s");
            let wait = |difficulty| difficulty * Target::HASHES_AT_DIFFICULTY_1 * slower / measured;
            runs.sort_by(|(_, a), (_, b)| a.total_cmp(b));
            let tenths = [runs[40].1, runs[200].1, runs[360].1].map(wait);
            let [low, median, high] = tenths;
            assert!((10.0..22.0).contains(&median), "{slower} times slower: {tenths:?}");
            assert!(low > 4.0 && high < 40.0, "{slower} times slower: {tenths:?}");
        }
    }
}
