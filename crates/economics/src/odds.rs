//! How long until a block, and how sure of it. Finding a hash has no memory: the number found in a
//! time is Poisson, the wait is exponential.

use midstate_chain::{TARGET_SPACING, Target};

use crate::statistics::poisson_at_most;
use crate::units::{HashesPerSecond, Seconds};

/// Standard deviations within which a normal distribution has 95 % of its mass.
pub const SIGMAS_AT_95: f64 = 1.96;

/// The rate at which a network of this target finds a block every ten minutes.
pub fn network_rate(target: Target) -> HashesPerSecond {
    HashesPerSecond(target.expected_hashes_f64() / f64::from(TARGET_SPACING))
}

/// Mean wait for one hash that meets `target`. The median is 0.69 of it.
pub fn mean_wait(target: Target, rate: HashesPerSecond) -> Seconds {
    Seconds(target.expected_hashes_f64() / rate.0)
}

/// The wait that is not exceeded with probability `confidence` (in 0..1): `-ln(1 - p)` times the
/// mean, so 3.0 times for 95 %.
pub fn wait_at_confidence(mean: Seconds, confidence: f64) -> Seconds {
    mean * -(-confidence).ln_1p()
}

/// How many blocks are expected in `time`.
pub fn expected_blocks(target: Target, rate: HashesPerSecond, time: Seconds) -> f64 {
    time / mean_wait(target, rate)
}

/// How far the number of blocks, and with it the income, may lie from its mean 95 times in 100,
/// either way, where `expected` are expected: as a fraction of the mean. The number is Poisson,
/// whose variance is its mean, so that one standard deviation is `1 / sqrt(expected)` of the mean;
/// 95 % of a normal distribution, which a Poisson one with a mean of thirty or more resembles, lie
/// within 1.96 of them (W. Feller, An Introduction to Probability Theory and Its Applications,
/// volume 1, chapters VI.5 and VII.5). With few blocks it is above 1: nothing is sure then.
pub fn spread_at_95(expected: f64) -> f64 {
    SIGMAS_AT_95 / expected.sqrt()
}

/// The number of blocks after which luck has evened out to `share` of the mean, 95 times in 100:
/// [`spread_at_95`] the other way round.
pub fn blocks_until_spread(share: f64) -> f64 {
    (SIGMAS_AT_95 / share).powi(2)
}

/// Probability of one block or more where `expected` are expected: `1 - e^-expected`.
pub fn at_least_one(expected: f64) -> f64 {
    -(-expected).exp_m1()
}

/// Probability of `count` or fewer where `expected` are expected.
pub fn at_most(count: u64, expected: f64) -> f64 {
    poisson_at_most(count, expected)
}

/// Two-sided p-value of having needed `tries` for `found` hits that each come with probability
/// `chance`: how often luck alone is at least as far from the mean, in either direction.
pub fn luck_p_value(found: u64, tries: u64, chance: f64) -> f64 {
    let expected = tries as f64 * chance;
    // `tries` ended with a hit: at least `found` came in `tries`, fewer in one try less.
    let quick = 1.0 - poisson_at_most(found.saturating_sub(1), expected);
    let slow = poisson_at_most(found.saturating_sub(1), (tries as f64 - 1.0).max(0.0) * chance);
    (2.0 * quick.min(slow)).min(1.0)
}
