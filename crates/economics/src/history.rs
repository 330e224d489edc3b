//! The difficulty of mainnet, period by period: `data/difficulty.csv`, taken from real headers, and
//! `data/retargets-2025.csv`, the targets that followed.

use midstate_chain::{Bits, TARGET_SPACING, TARGET_TIMESPAN, Target};

use crate::calendar::Date;
use crate::hardware::{self, Device};
use crate::odds::network_rate;
use crate::units::{HashesPerSecond, JoulesPerTerahash, Watts};

/// The first block of a period of 2016.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retarget {
    /// Its height.
    pub height: u32,
    /// Its time, Unix seconds.
    pub time: u32,
    /// The target of its period.
    pub target: Target,
    /// Whether the time is that of the block's header. After January 2025 only the targets are
    /// known, and the time follows from them; see [`retargets`].
    pub is_from_header: bool,
}

impl Retarget {
    /// When, as a year with a fraction.
    pub fn year(&self) -> f64 {
        self.date().fractional_year()
    }

    /// The day.
    pub fn date(&self) -> Date {
        Date::from_unix(i64::from(self.time))
    }

    /// The next period's first block, from its target alone. A retarget multiplies the target by
    /// the time of 2015 intervals over two weeks, so the ratio of two targets says how long those
    /// took; the one interval that it does not see is taken to be ten minutes. Over the periods
    /// here the sum is right within hours.
    fn then(&self, (height, target): (u32, Target)) -> Self {
        let seen = f64::from(TARGET_TIMESPAN) * self.target.difficulty() / target.difficulty();
        let time = self.time + (seen + f64::from(TARGET_SPACING)).round() as u32;
        Self { height, time, target, is_from_header: false }
    }
}

/// Every period from the first block to height 935,424 (February 2026), oldest first. Up to height
/// 878,976 (January 2025) each is a real header's; of the later ones the targets are real, and the
/// times follow from them by the rule of the retarget.
pub fn retargets() -> impl Iterator<Item = Retarget> {
    let headers = include_str!("../data/difficulty.csv").lines().skip(1).filter_map(|row| {
        let mut columns = row.split(',');
        let height = columns.next()?.parse().ok()?;
        let time = columns.next()?.parse().ok()?;
        let target = target(columns.next()?)?;
        Some(Retarget { height, time, target, is_from_header: true })
    });
    let last = headers.clone().last();
    let later = include_str!("../data/retargets-2025.csv").lines().skip(1).filter_map(|row| {
        let (height, bits) = row.split_once(',')?;
        Some((height.parse().ok()?, target(bits)?))
    });
    let later = later.scan(last, |before, next| {
        let retarget = before.as_ref()?.then(next);
        *before = Some(retarget);
        Some(retarget)
    });
    headers.chain(later)
}

/// A retarget and the difficulty that it set, as a multiple of the one before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The first block of the new difficulty.
    pub at: Retarget,
    /// New difficulty / old.
    pub factor: f64,
}

/// Every retarget that changed the difficulty, oldest first.
pub fn changes() -> Vec<Change> {
    let all: Vec<_> = retargets().collect();
    let change = |pair: &[Retarget]| {
        let factor = pair[1].target.difficulty() / pair[0].target.difficulty();
        (factor != 1.0).then_some(Change { at: pair[1], factor })
    };
    all.windows(2).filter_map(change).collect()
}

/// The network at the start of a year.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Year {
    /// Which.
    pub year: i32,
    /// Its rate, by the difficulty of the year's first period.
    pub rate: HashesPerSecond,
    /// J/TH of the best machine of the hardware table that was out by then.
    pub best: JoulesPerTerahash,
    /// The network's power if all of it were such machines: a lower bound.
    pub least: Watts,
}

/// The network at the start of each year for which the hardware table knows a machine.
pub fn power_by_year() -> Vec<Year> {
    let devices = hardware::devices();
    let best_until = |year: f64| {
        let out = devices.iter().filter(|device| device.year <= year);
        let known = out.filter_map(Device::typical_efficiency).map(|efficiency| efficiency.0);
        known.min_by(f64::total_cmp).map(JoulesPerTerahash)
    };
    let mut years: Vec<Year> = Vec::new();
    for period in retargets() {
        let year = period.date().year;
        if years.last().is_some_and(|last| last.year == year) {
            continue;
        }
        let rate = network_rate(period.target);
        let row = best_until(period.year()).map(|best| {
            let least = rate.power(best);
            Year { year, rate, best, least }
        });
        years.extend(row);
    }
    years
}

fn target(bits: &str) -> Option<Target> {
    let bits = u32::from_str_radix(bits, 16).ok()?;
    Bits::from_consensus(bits).to_target().ok()
}
