//! Income and cost of hashing. Revenue is hashprice: dollars for 1 TH/s over a day.

use midstate_chain::{TARGET_SPACING, Target};

use crate::supply::BLOCKS_PER_DAY;
use crate::units::{
    Btc, DAY, Dollars, DollarsPerKwh, DollarsPerMwh, DollarsPerTerahashDay, HOURS_PER_YEAR,
    HashesPerSecond, JoulesPerTerahash, Watts,
};

/// `reward * 144 * price / network`, with the reward of a block, fees included.
pub fn hashprice(reward: Btc, price: Dollars, network: HashesPerSecond) -> DollarsPerTerahashDay {
    DollarsPerTerahashDay(reward.0 * f64::from(BLOCKS_PER_DAY) * price.0 / network.tera())
}

/// The same from the target: what counts between two retargets, when blocks do not come every ten
/// minutes. A hash earns `reward * price / expected hashes`, however many others are hashing.
pub fn hashprice_at(reward: Btc, price: Dollars, target: Target) -> DollarsPerTerahashDay {
    DollarsPerTerahashDay(reward.0 * price.0 / target.expected_hashes_f64() * 1e12 * DAY)
}

/// The price of a bitcoin that a hashprice stands for, if the block reward were `reward`; `None`
/// when a block brings nothing.
pub fn implied_price(
    hashprice: DollarsPerTerahashDay,
    network: HashesPerSecond,
    reward: Btc,
) -> Option<Dollars> {
    let coins = reward.0 * f64::from(BLOCKS_PER_DAY);
    (coins > 0.0).then(|| Dollars(hashprice.0 * network.tera() / coins))
}

/// Hashprice after the network has lost `exit` of its rate and the next retarget has passed.
pub fn after_exit(hashprice: DollarsPerTerahashDay, exit: f64) -> DollarsPerTerahashDay {
    hashprice * (1.0 / (1.0 - exit))
}

/// The income of a megawatt-hour: `h * 10^6 / (24 * J/TH)`.
pub fn revenue_per_mwh(
    hashprice: DollarsPerTerahashDay,
    efficiency: JoulesPerTerahash,
) -> DollarsPerMwh {
    DollarsPerMwh(hashprice.0 * 1e6 / (24.0 * efficiency.0))
}

/// The income of a megawatt over a year of 8,760 hours.
pub fn revenue_per_mw_year(
    hashprice: DollarsPerTerahashDay,
    efficiency: JoulesPerTerahash,
) -> Dollars {
    Dollars(revenue_per_mwh(hashprice, efficiency).0 * HOURS_PER_YEAR)
}

/// The power price at which mining neither earns nor loses, with `pue` watts at the meter for each
/// watt at the machine.
pub fn break_even(
    hashprice: DollarsPerTerahashDay,
    efficiency: JoulesPerTerahash,
    pue: f64,
) -> DollarsPerKwh {
    DollarsPerKwh(revenue_per_mwh(hashprice, efficiency).per_kwh().0 / pue)
}

/// The power price that a stated cost per EH/s and day stands for at an efficiency.
pub fn implied_power_price(
    cost_per_exahash_day: Dollars,
    efficiency: JoulesPerTerahash,
) -> DollarsPerMwh {
    let mwh_per_day = HashesPerSecond::from_exa(1.0).power(efficiency).mega() * 24.0;
    DollarsPerMwh(cost_per_exahash_day.0 / mwh_per_day)
}

/// Running machines, as their owner's books see them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation {
    /// All machines together.
    pub rate: HashesPerSecond,
    /// Their power draw.
    pub power: Watts,
    /// Price of electricity at the meter.
    pub electricity: DollarsPerKwh,
    /// Watts at the meter for each watt at the machine; 1 for a machine in a room.
    pub pue: f64,
    /// Share of the revenue that the pool keeps.
    pub pool_fee: f64,
    /// Share of the time that the machines run.
    pub uptime: f64,
}

impl Operation {
    /// Taken in, a day.
    pub fn revenue_per_day(&self, hashprice: DollarsPerTerahashDay) -> Dollars {
        Dollars(self.rate.tera() * hashprice.0 * (1.0 - self.pool_fee) * self.uptime)
    }

    /// Paid for power, a day.
    pub fn power_per_day(&self) -> Dollars {
        let kwh = self.power.0 / 1e3 * 24.0 * self.pue * self.uptime;
        Dollars(kwh * self.electricity.0)
    }

    /// The profit of a day.
    pub fn profit_per_day(&self, hashprice: DollarsPerTerahashDay) -> Dollars {
        Dollars(self.revenue_per_day(hashprice).0 - self.power_per_day().0)
    }

    /// Days until the profit has paid `cost`; `None` when there is no profit.
    pub fn payback_days(&self, cost: Dollars, hashprice: DollarsPerTerahashDay) -> Option<f64> {
        let profit = self.profit_per_day(hashprice).0;
        (profit > 0.0).then(|| cost.0 / profit)
    }
}

/// The rate at which a network earns exactly its power: `$/day / (0.024 * J/TH * $/kWh)` in TH/s.
/// More capacity than this does not make more coins: it divides the same reward.
pub fn equilibrium_rate(
    revenue_per_day: Dollars,
    efficiency: JoulesPerTerahash,
    electricity: DollarsPerKwh,
) -> HashesPerSecond {
    HashesPerSecond::from_tera(revenue_per_day.0 / (0.024 * efficiency.0 * electricity.0))
}

/// Mean time between blocks while the rate is `rate` and the difficulty that of `target`.
pub fn block_interval(target: Target, rate: HashesPerSecond) -> f64 {
    target.expected_hashes_f64() / rate.0
}

/// Mean time between blocks over a period after which the difficulty changes by `factor`.
pub fn interval_before_change(factor: f64) -> f64 {
    f64::from(TARGET_SPACING) / factor
}
