//! The schedule of new coins on mainnet, exact in satoshi, and what halvings ask of price and hash
//! rate.

use midstate_chain::{Network, TARGET_SPACING};

use crate::units::Satoshi;

/// Blocks that ten-minute spacing makes in a day.
pub const BLOCKS_PER_DAY: u32 = 86_400 / TARGET_SPACING;
/// All coins that will ever be: 20,999,999.9769 BTC.
pub const TOTAL: Satoshi = issued_before(u32::MAX);

/// Coins made by the blocks below `height`, fees not counted.
pub const fn issued_before(height: u32) -> Satoshi {
    let interval = Network::Mainnet.halving_interval();
    let (mut issued, mut first) = (0, 0);
    while first < height {
        let subsidy = Network::Mainnet.subsidy(first);
        if subsidy == 0 {
            break;
        }
        let blocks = if height - first < interval { height - first } else { interval };
        issued += subsidy * blocks as u64;
        first += interval;
    }
    Satoshi(issued)
}

/// Coins that blocks from `height` on will make.
pub fn remaining_at(height: u32) -> Satoshi {
    Satoshi(TOTAL.0 - issued_before(height).0)
}

/// Coins that a day of blocks at `height` makes.
pub fn per_day(height: u32) -> Satoshi {
    Satoshi(Network::Mainnet.subsidy(height) * u64::from(BLOCKS_PER_DAY))
}

/// A height where the subsidy halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halving {
    /// First block of the new subsidy.
    pub height: u32,
    /// Subsidy before it.
    pub before: Satoshi,
    /// Subsidy from it on.
    pub after: Satoshi,
}

/// The first halving above `height`; `None` when the subsidy is already zero.
pub fn next_halving(height: u32) -> Option<Halving> {
    let network = Network::Mainnet;
    let interval = network.halving_interval();
    let next = (height / interval).checked_add(1)?.checked_mul(interval)?;
    let (before, after) = (Satoshi(network.subsidy(height)), Satoshi(network.subsidy(next)));
    (before.0 > 0).then_some(Halving { height: next, before, after })
}

/// Estimate of the Unix time of block `height`, ten minutes a block from a known tip.
pub fn time_of(height: u32, tip_height: u32, tip_time: i64) -> i64 {
    tip_time + (i64::from(height) - i64::from(tip_height)) * i64::from(TARGET_SPACING)
}

/// Yearly price growth that keeps revenue per hash flat over `years` with one halving, while the
/// network grows by `hash_growth` a year: `(2 (1 + g)^years)^(1/years) - 1`. Fees are left out.
pub fn break_even_price_growth(hash_growth: f64, years: f64) -> f64 {
    2f64.powf(1.0 / years) * (1.0 + hash_growth) - 1.0
}

/// The inverse: the yearly growth of the network at which revenue per hash stays flat over `years`
/// with one halving, while the price grows by `price_growth` a year.
pub fn implied_hash_growth(price_growth: f64, years: f64) -> f64 {
    (1.0 + price_growth) / 2f64.powf(1.0 / years) - 1.0
}
