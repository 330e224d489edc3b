//! The difficulty adjustment. Source: Core's `pow.cpp`, `CalculateNextWorkRequired`.

use ruint::aliases::U320;

use crate::{Bits, BitsError, Target, U256};

/// Blocks between two adjustments.
pub const RETARGET_INTERVAL: u32 = 2016;
/// Seconds that a period should take: two weeks.
pub const TARGET_TIMESPAN: u32 = 14 * 24 * 60 * 60;
/// Seconds that a block should take.
pub const TARGET_SPACING: u32 = TARGET_TIMESPAN / RETARGET_INTERVAL;

/// The bits of the next period, from those of the old one, the times of its first and its last
/// block (2015 intervals, not 2016: the famous off-by-one) and the chain's easiest target.
///
/// The change is bounded to a factor of 4 either way; the result is rounded to the compact form.
pub fn retarget(
    old: Bits,
    first_time: u32,
    last_time: u32,
    limit: Bits,
) -> Result<Bits, BitsError> {
    let timespan = i64::from(last_time) - i64::from(first_time);
    let (low, high) = (i64::from(TARGET_TIMESPAN / 4), i64::from(TARGET_TIMESPAN * 4));
    let timespan = timespan.clamp(low, high).unsigned_abs();

    // 320 bits: the product of any target with a timespan of 23 bits fits.
    let scaled = U320::from(old.to_target()?.to_number()) * U320::from(timespan)
        / U320::from(TARGET_TIMESPAN);
    let target = Target::from_number(scaled.saturating_to::<U256>());
    Ok(target.min(limit.to_target()?).to_bits())
}
