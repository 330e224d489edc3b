//! A site with a tenant and miners, hour by hour over a list of power prices: the tenant comes
//! first, the rest mines while an hour of mining pays more than the power, and is switched off
//! above.

use crate::hashprice::break_even;
use crate::units::{
    Dollars, DollarsPerKwh, DollarsPerMwh, DollarsPerTerahashDay, JoulesPerTerahash,
};

/// The site.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Power of the connection, MW.
    pub megawatts: f64,
    /// Power that the tenant draws in every hour, MW; at most `megawatts`.
    pub hosted: f64,
    /// The tenant's price for it, power included.
    pub rent: DollarsPerMwh,
    /// Efficiency of the miners.
    pub efficiency: JoulesPerTerahash,
    /// Revenue of the miners.
    pub hashprice: DollarsPerTerahashDay,
    /// Watts at the meter for each watt at the miners.
    pub pue: f64,
    /// Power bought ahead at this price: unused hours are sold back at the hour's price. `None`:
    /// all power is bought by the hour.
    pub bought_ahead: Option<DollarsPerMwh>,
}

/// The sums over all hours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// Hours in the list.
    pub hours: usize,
    /// Hours in which the miners ran.
    pub mined_hours: usize,
    /// Energy to the tenant, MWh.
    pub hosted_mwh: f64,
    /// Energy to the miners, MWh.
    pub mined_mwh: f64,
    /// Energy that the miners left, MWh.
    pub curtailed_mwh: f64,
    /// Energy that was paid for, MWh: all of it where it was bought ahead, else what was used.
    pub bought_mwh: f64,
    /// From the tenant.
    pub rent: Dollars,
    /// From mining.
    pub mining: Dollars,
    /// From power bought ahead and sold back.
    pub credits: Dollars,
    /// For all power.
    pub power: Dollars,
    /// Profit of the same hours if the miners had never switched off.
    pub profit_always_on: Dollars,
}

/// Why a list of prices cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PricesError {
    /// A line is neither a number nor a row with a number in its last column.
    #[error("line {line}: expected a price in $/MWh in the last column, got {text:?}")]
    NotANumber {
        /// Counted from 1.
        line: usize,
        /// The text that stands there.
        text: String,
    },
    /// No hours.
    #[error("no prices: expected one row an hour, the price in $/MWh in the last column")]
    Empty,
}

/// Reads a CSV with one row an hour and the price in $/MWh (which may be negative) in the last
/// column. A first row that holds no number is a heading; empty lines are skipped.
pub fn parse_prices(csv: &str) -> Result<Vec<DollarsPerMwh>, PricesError> {
    let mut prices = Vec::new();
    for (index, row) in csv.lines().enumerate().filter(|(_, row)| !row.trim().is_empty()) {
        let cell = row.rsplit(',').next().unwrap_or(row).trim();
        match cell.parse::<f64>() {
            Ok(price) if price.is_finite() => prices.push(DollarsPerMwh(price)),
            _ if index == 0 => {}
            _ => {
                return Err(PricesError::NotANumber { line: index + 1, text: cell.to_owned() });
            }
        }
    }
    if prices.is_empty() { Err(PricesError::Empty) } else { Ok(prices) }
}

impl Plan {
    /// The price of an hour above which the miners are switched off.
    pub fn break_even(&self) -> DollarsPerKwh {
        break_even(self.hashprice, self.efficiency, self.pue)
    }

    /// Runs through the hours.
    pub fn run(&self, prices: &[DollarsPerMwh]) -> Outcome {
        let limit = self.break_even().per_mwh();
        let free = self.megawatts - self.hosted;
        let mined = || prices.iter().filter(|price| **price <= limit);
        let curtailed = || prices.iter().filter(|price| **price > limit);
        let sum = |prices: &mut dyn Iterator<Item = &DollarsPerMwh>| {
            prices.map(|price| price.0).sum::<f64>()
        };

        let hours = prices.len() as f64;
        let mined_mwh = free * mined().count() as f64;
        let curtailed_mwh = free * curtailed().count() as f64;
        let hosted_mwh = self.hosted * hours;
        let rent = self.rent.0 * hosted_mwh;
        let mining = limit.0 * mined_mwh;

        let all_prices = sum(&mut prices.iter());
        let used_mwh = hosted_mwh + mined_mwh;
        let (bought_mwh, power, credits, power_always_on) = match self.bought_ahead {
            Some(ahead) => {
                let power = ahead.0 * self.megawatts * hours;
                (used_mwh + curtailed_mwh, power, free * sum(&mut curtailed()), power)
            }
            None => {
                let power = self.hosted * all_prices + free * sum(&mut mined());
                (used_mwh, power, 0.0, self.megawatts * all_prices)
            }
        };
        Outcome {
            hours: prices.len(),
            mined_hours: mined().count(),
            hosted_mwh,
            mined_mwh,
            curtailed_mwh,
            bought_mwh,
            rent: Dollars(rent),
            mining: Dollars(mining),
            credits: Dollars(credits),
            power: Dollars(power),
            profit_always_on: Dollars(rent + limit.0 * free * hours - power_always_on),
        }
    }
}

impl Outcome {
    /// Everything taken in, less power.
    pub fn profit(&self) -> Dollars {
        Dollars(self.rent.0 + self.mining.0 + self.credits.0 - self.power.0)
    }

    /// Credits for each megawatt-hour that was not used.
    pub fn credit_per_mwh(&self) -> DollarsPerMwh {
        DollarsPerMwh(self.credits.0 / self.curtailed_mwh)
    }
}
