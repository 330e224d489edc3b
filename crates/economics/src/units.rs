//! Units in the types, and how a person reads them. Thin on purpose: a newtype over `f64` for each
//! unit that the formulas mix up easily, not a framework of dimensions.

use std::fmt;

use serde::Deserialize;

macro_rules! units {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub f64);

        impl std::ops::Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }

        impl std::ops::Div for $name {
            type Output = f64;
            fn div(self, other: Self) -> f64 {
                self.0 / other.0
            }
        }
    )+};
}

units! {
    /// Double SHA-256 of headers, per second.
    HashesPerSecond;
    /// Energy for 10^12 hashes; the same number as watts per TH/s.
    JoulesPerTerahash;
    /// Power.
    Watts;
    /// Time.
    Seconds;
    /// Energy.
    Joules;
    /// United States dollars.
    Dollars;
    /// Price of electricity.
    DollarsPerKwh;
    /// Price of electricity, or what a miner takes in for it.
    DollarsPerMwh;
    /// Hashprice: what 1 TH/s takes in over a day, before power.
    DollarsPerTerahashDay;
    /// Bitcoin as an expectation or a rate; exact amounts are [`Satoshi`].
    Btc;
}

/// An exact amount of bitcoin: 10^-8 of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Satoshi(pub u64);

/// Seconds in a day.
pub const DAY: f64 = 86_400.0;
/// Seconds in a Julian year.
pub const YEAR: f64 = 365.25 * DAY;
/// Hours in the year of power contracts.
pub const HOURS_PER_YEAR: f64 = 8_760.0;

impl HashesPerSecond {
    /// From TH/s.
    pub const fn from_tera(tera: f64) -> Self {
        Self(tera * 1e12)
    }

    /// In TH/s.
    pub fn tera(self) -> f64 {
        self.0 / 1e12
    }

    /// From EH/s.
    pub const fn from_exa(exa: f64) -> Self {
        Self(exa * 1e18)
    }

    /// In EH/s.
    pub fn exa(self) -> f64 {
        self.0 / 1e18
    }

    /// The power that the rate takes at this efficiency.
    pub fn power(self, efficiency: JoulesPerTerahash) -> Watts {
        Watts(self.tera() * efficiency.0)
    }
}

impl JoulesPerTerahash {
    /// From a device's power and rate, both at the same boundary.
    pub fn of(power: Watts, rate: HashesPerSecond) -> Self {
        Self(power.0 / rate.tera())
    }

    /// The rate that this power buys.
    pub fn rate(self, power: Watts) -> HashesPerSecond {
        HashesPerSecond::from_tera(power.0 / self.0)
    }

    /// Energy of so many hashes.
    pub fn energy(self, hashes: f64) -> Joules {
        Joules(self.0 * hashes / 1e12)
    }
}

impl Watts {
    /// In gigawatts.
    pub fn giga(self) -> f64 {
        self.0 / 1e9
    }

    /// From megawatts.
    pub const fn from_mega(mega: f64) -> Self {
        Self(mega * 1e6)
    }

    /// In megawatts.
    pub fn mega(self) -> f64 {
        self.0 / 1e6
    }
}

impl Joules {
    /// In kilowatt-hours.
    pub fn kwh(self) -> f64 {
        self.0 / 3.6e6
    }

    /// Its price.
    pub fn cost(self, price: DollarsPerKwh) -> Dollars {
        Dollars(self.kwh() * price.0)
    }
}

impl DollarsPerKwh {
    /// In US cents.
    pub fn cents(self) -> f64 {
        self.0 * 100.0
    }

    /// The same price by the megawatt-hour.
    pub fn per_mwh(self) -> DollarsPerMwh {
        DollarsPerMwh(self.0 * 1e3)
    }
}

impl DollarsPerMwh {
    /// The same price by the kilowatt-hour.
    pub fn per_kwh(self) -> DollarsPerKwh {
        DollarsPerKwh(self.0 / 1e3)
    }
}

impl DollarsPerTerahashDay {
    /// From dollars per PH/s and day, as it is quoted.
    pub const fn per_petahash(dollars: f64) -> Self {
        Self(dollars / 1e3)
    }

    /// In dollars per PH/s and day.
    pub fn petahash(self) -> f64 {
        self.0 * 1e3
    }
}

impl Seconds {
    /// In days.
    pub fn days(self) -> f64 {
        self.0 / DAY
    }

    /// In Julian years.
    pub fn years(self) -> f64 {
        self.0 / YEAR
    }
}

impl Satoshi {
    /// As a real number of bitcoin.
    pub fn btc(self) -> Btc {
        Btc(self.0 as f64 / 1e8)
    }
}

/// Three significant digits with an SI prefix: `1.36 G`, `950 M`, `7.75 µ`; an exponent below the
/// smallest prefix.
pub fn si(value: f64) -> String {
    const PREFIXES: [(f64, &str); 13] = [
        (1e24, "Y"),
        (1e21, "Z"),
        (1e18, "E"),
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
        (1e-12, "p"),
    ];
    let fits = |&&(scale, _): &&(f64, &str)| value.abs() >= scale * 0.999_5;
    match PREFIXES.iter().find(fits) {
        Some(&(scale, prefix)) => format!("{} {prefix}", significant(value / scale)),
        None if value == 0.0 => "0 ".to_owned(),
        None => format!("{value:.2e} "),
    }
}

/// Three significant digits, thousands grouped, an exponent where digits would not be read:
/// `9.50`, `36,800`, `9.42e18`.
pub fn significant(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e9).contains(&size) {
        format!("{value:.2e}")
    } else {
        let digits = |size: f64| size.log10().floor() as i32;
        // Rounding first: it may carry, as in 999.6.
        let step = 10f64.powi(digits(size) - 2);
        let rounded = (value / step).round() * step;
        grouped(rounded, (2 - digits(rounded.abs() * (1.0 + 1e-12))).max(0) as usize)
    }
}

/// A number with its thousands grouped by commas: `1,234,567.89`.
pub fn grouped(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::new();
    if value.is_sign_negative() && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit)) {
        out.push('-');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

impl fmt::Display for HashesPerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}H/s", si(self.0)))
    }
}

impl fmt::Display for JoulesPerTerahash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} J/TH", significant(self.0)))
    }
}

impl fmt::Display for Watts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}W", si(self.0)))
    }
}

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0.0 { "-" } else { "" };
        let size = self.0.abs();
        let text = match size {
            0.0 => "$0".to_owned(),
            _ if size >= 1e12 => format!("{sign}${size:.2e}"),
            _ if size >= 1e9 => format!("{sign}${} billion", significant(size / 1e9)),
            _ if size >= 1e6 => format!("{sign}${} million", significant(size / 1e6)),
            _ if size >= 1e3 => format!("{sign}${}", grouped(size, 0)),
            _ if size >= 0.01 => format!("{sign}${size:.2}"),
            _ => format!("{sign}${}", significant(size)),
        };
        f.pad(&text)
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, years) = (self.0, self.years());
        let text = match seconds {
            _ if !seconds.is_finite() => "never".to_owned(),
            _ if years >= 1e12 => format!("{years:.2e} years"),
            _ if years >= 1e9 => format!("{} billion years", significant(years / 1e9)),
            _ if years >= 1e6 => format!("{} million years", significant(years / 1e6)),
            _ if years >= 2.0 => format!("{} years", significant(years)),
            _ if seconds >= 2.0 * DAY => format!("{} days", significant(seconds / DAY)),
            _ if seconds >= 7_200.0 => format!("{} hours", significant(seconds / 3_600.0)),
            _ if seconds >= 120.0 => format!("{} minutes", significant(seconds / 60.0)),
            _ if seconds >= 1.0 => format!("{} seconds", significant(seconds)),
            _ => format!("{}s", si(seconds)),
        };
        f.pad(&text)
    }
}

impl fmt::Display for Satoshi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:08}", grouped((self.0 / 100_000_000) as f64, 0), self.0 % 100_000_000))
    }
}
