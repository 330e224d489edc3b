//! Mine with a megawatt, or rent it to somebody else's computers? Net present value of both, for
//! one megawatt at the meter, over the same years.

use crate::hashprice::revenue_per_mw_year;
use crate::units::{
    Dollars, DollarsPerKwh, DollarsPerTerahashDay, HOURS_PER_YEAR, JoulesPerTerahash,
};

/// A hosting contract, for one megawatt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contract {
    /// Rent for a year.
    pub per_mw_year: Dollars,
    /// Share of the rent that is left after costs; near 1 where the tenant pays the power.
    pub margin: f64,
    /// Years.
    pub term: u32,
    /// The price of the building and its cooling.
    pub capex: Dollars,
    /// Chance that the tenant stops paying, in any one year. There is no way back to mining: the
    /// machines are sold and the hall is rebuilt.
    pub default_risk: f64,
}

/// Mining with the same megawatt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mine {
    /// Efficiency of the machines at the meter.
    pub efficiency: JoulesPerTerahash,
    /// Price of power.
    pub electricity: DollarsPerKwh,
    /// Revenue of a TH/s in the first year.
    pub hashprice: DollarsPerTerahashDay,
    /// By what share hashprice falls in a year.
    pub decline: f64,
    /// The price of machines and hall.
    pub capex: Dollars,
}

impl Contract {
    /// Rent of `contract` dollars in all, over `years`, for `megawatts`.
    pub fn rent_per_mw_year(contract: Dollars, years: f64, megawatts: f64) -> Dollars {
        Dollars(contract.0 / years / megawatts)
    }

    /// Cash of year 1, 2, .. as expected, defaults counted.
    pub fn cash(&self) -> impl Iterator<Item = Dollars> {
        let Self { per_mw_year, margin, default_risk, .. } = *self;
        (1..=self.term)
            .map(move |year| per_mw_year * margin * (1.0 - default_risk).powi(year as i32))
    }

    /// Net present value at a discount rate.
    pub fn present_value(&self, discount: f64) -> Dollars {
        present_value(self.capex, self.cash(), discount)
    }
}

impl Mine {
    /// Cash of year 1, 2, .. `years`. A year that would lose money is not mined.
    pub fn cash(&self, years: u32) -> impl Iterator<Item = Dollars> {
        let power = self.electricity.per_mwh().0 * HOURS_PER_YEAR;
        let first = revenue_per_mw_year(self.hashprice, self.efficiency).0;
        let decline = self.decline;
        (0..years)
            .map(move |year| Dollars((first * (1.0 - decline).powi(year as i32) - power).max(0.0)))
    }

    /// Net present value over `years` at a discount rate.
    pub fn present_value(&self, years: u32, discount: f64) -> Dollars {
        present_value(self.capex, self.cash(years), discount)
    }
}

/// `-capex + sum of cash_y / (1 + discount)^y`, the first cash after one year.
fn present_value(capex: Dollars, cash: impl Iterator<Item = Dollars>, discount: f64) -> Dollars {
    let discounted = cash.zip(1..).map(|(cash, year)| cash.0 / (1.0 + discount).powi(year));
    Dollars(discounted.sum::<f64>() - capex.0)
}
