//! Pools: what a share of blocks says, and what joining one changes.

use crate::odds::at_most;
use crate::statistics::{normal_two_sided, share_deviation, sigmas_between, wilson_interval};

/// Blocks that a pool found among all blocks of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// By the pool.
    pub found: u64,
    /// By everybody.
    pub blocks: u64,
}

impl Share {
    /// The share as a fraction, rounded to whole blocks.
    pub fn of(fraction: f64, blocks: u64) -> Self {
        Self { found: (fraction * blocks as f64).round() as u64, blocks }
    }

    /// As a fraction.
    pub fn fraction(self) -> f64 {
        self.found as f64 / self.blocks as f64
    }

    /// Standard deviation of the fraction.
    pub fn deviation(self) -> f64 {
        share_deviation(self.fraction(), self.blocks)
    }

    /// 95 % interval of the share of hash rate behind it.
    pub fn interval(self) -> (f64, f64) {
        wilson_interval(self.found, self.blocks, 1.96)
    }
}

/// A change between two times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// In standard deviations; negative for a fall.
    pub sigmas: f64,
    /// How often luck alone gives a change as large, either way.
    pub p_value: f64,
}

/// Whether a change of share is more than luck; `None` when neither share shows any spread to
/// measure it by, that is when each is none or all of the blocks.
pub fn change(before: Share, after: Share) -> Option<Change> {
    if before.deviation() == 0.0 && after.deviation() == 0.0 {
        return None;
    }
    let sigmas =
        sigmas_between((before.fraction(), before.blocks), (after.fraction(), after.blocks));
    Some(Change { sigmas, p_value: normal_two_sided(sigmas) })
}

/// Income over a time in which `expected` blocks are expected: alone, or in a pool that pays by
/// shares. The mean is the same but for the fee; what a pool sells is a smaller spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Income {
    /// Mean number of blocks.
    pub expected: f64,
    /// Chance of no income at all.
    pub dry: f64,
    /// Standard deviation of the income, as a share of its mean; `None` when the mean is zero.
    pub spread: Option<f64>,
}

/// Income alone.
pub fn solo(expected: f64) -> Income {
    Income { expected, dry: at_most(0, expected), spread: relative_spread(expected) }
}

/// Income in a pool that finds `pool_expected` blocks in the time and takes `fee`. Its spread is
/// the pool's luck; a pool that pays for each share whatever it finds (FPPS) has none.
pub fn pooled(expected: f64, pool_expected: f64, fee: f64) -> Income {
    Income {
        expected: expected * (1.0 - fee),
        dry: at_most(0, pool_expected),
        spread: relative_spread(pool_expected).filter(|_| fee < 1.0),
    }
}

/// Standard deviation of a Poisson count as a share of its mean.
fn relative_spread(mean: f64) -> Option<f64> {
    (mean > 0.0).then(|| 1.0 / mean.sqrt())
}
