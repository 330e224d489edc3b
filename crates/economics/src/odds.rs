//! How long until a block, and how sure of it. Finding a hash has no memory: the number found in a
//! time is Poisson, the wait is exponential.

use midstate_chain::{TARGET_SPACING, Target};

use crate::statistics::poisson_at_most;
use crate::units::{HashesPerSecond, Seconds};

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
