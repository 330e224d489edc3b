//! The difficulty of mainnet, period by period: `data/difficulty.csv`, taken from real headers.

use midstate_chain::{Bits, Target};

use crate::calendar::Date;

/// The first block of a period of 2016.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retarget {
    /// Its height.
    pub height: u32,
    /// Its time, Unix seconds.
    pub time: u32,
    /// The target of its period.
    pub target: Target,
}

impl Retarget {
    /// When, as a year with a fraction.
    pub fn year(&self) -> f64 {
        Date::from_unix(i64::from(self.time)).fractional_year()
    }
}

/// Every period from the first block to height 878,976, oldest first.
pub fn retargets() -> impl Iterator<Item = Retarget> {
    include_str!("../data/difficulty.csv").lines().skip(1).filter_map(|row| {
        let mut columns = row.split(',');
        let height = columns.next()?.parse().ok()?;
        let time = columns.next()?.parse().ok()?;
        let bits = u32::from_str_radix(columns.next()?, 16).ok()?;
        let target = Bits::from_consensus(bits).to_target().ok()?;
        Some(Retarget { height, time, target })
    })
}
