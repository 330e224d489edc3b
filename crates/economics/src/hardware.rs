//! The hardware table: `data/hardware.toml`, read and checked.

use std::fmt;

use serde::Deserialize;

use crate::units::{HashesPerSecond, JoulesPerTerahash, Watts};

/// Everything in the table, as it ships.
pub const TABLE: &str = include_str!("../data/hardware.toml");

/// The power of a whole machine as a multiple of its chip's TDP, at least and at most.
/// A convention of this table, not a measurement.
pub const TDP_BAND: (f64, f64) = (0.7, 1.3);

/// How far a published J/TH may be from watts divided by rate: it was rounded.
const ROUNDING: f64 = 0.02;

/// One machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Maker and model.
    pub name: String,
    /// The kind of machine.
    pub class: Class,
    /// When it came out, with a fraction.
    pub year: f64,
    /// Rate of double SHA-256.
    pub rate: HashesPerSecond,
    /// Power, where anybody says.
    pub power: Option<Power>,
    /// How good the row is.
    pub confidence: Confidence,
    /// Where it was read.
    pub source: String,
    /// A remark for readers; may be empty.
    pub notes: String,
}

/// Power and how it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Power {
    /// Lowest that is claimed.
    pub low: Watts,
    /// Highest that is claimed.
    pub high: Watts,
    /// How it is known.
    pub basis: Basis,
}

/// How watts are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Basis {
    /// Read from a meter.
    Measured,
    /// The maker says so.
    Rated,
    /// The thermal design power of chip or card; the band is [`TDP_BAND`] around it.
    Tdp,
    /// Reckoned from something else, as the watts of a person from a day's food.
    Estimate,
    /// No source says.
    Guess,
}

/// Kinds of machine, in the order in which they took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// A person.
    Hand,
    /// Processors, microcontrollers included.
    Cpu,
    /// Graphics cards.
    Gpu,
    /// Programmable logic.
    Fpga,
    /// Chips that do nothing else.
    Asic,
}

/// How good a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Confidence {
    /// The maker's own page, or measured by the source.
    A,
    /// A catalogue, a seller, a report or an academic list.
    B,
    /// Derived.
    C,
    /// Read where no reader can look it up.
    D,
}

impl Confidence {
    /// From the best to the worst.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// Its meaning, in words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::A => "the maker's own page, or a measurement by the source",
            Self::B => "a catalogue, a seller, a report or an academic list",
            Self::C => {
                "derived: the TDP stands for the watts, a rate of single SHA-256 was halved, or \
                 the watts are an estimate"
            }
            Self::D => {
                "read in a copy or a log that has no address; the page that is named describes the \
                 machine at most"
            }
        }
    }
}

/// Why a table is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HardwareError {
    /// Not TOML, or a row lacks a column.
    #[error("the hardware table cannot be read: {0}")]
    Syntax(#[from] toml::de::Error),
    /// The column is there and says nothing.
    #[error("{0}: a row needs a source, this one is blank")]
    NoSource(String),
    /// A rate, a year or watts that cannot be.
    #[error("{device}: {column} is above 0, got {value}")]
    NotPositive {
        /// Which row.
        device: String,
        /// Which column.
        column: &'static str,
        /// Its text.
        value: f64,
    },
    /// Watts without a word on how they are known, or the other way round.
    #[error("{0}: watts, basis and j_per_th come together or not at all")]
    HalfPower(String),
    /// A published J/TH that its own watts and rate contradict.
    #[error("{device}: {published} J/TH published, but watts / rate is {computed}")]
    Contradiction {
        /// Which row.
        device: String,
        /// As published.
        published: f64,
        /// From the row's watts and rate.
        computed: f64,
    },
}

/// The table that ships.
pub fn devices() -> Vec<Device> {
    parse(TABLE).expect("the shipped table is tested")
}

/// Reads a table and checks every row.
pub fn parse(text: &str) -> Result<Vec<Device>, HardwareError> {
    let file = toml::from_str::<File>(text)?;
    file.device.into_iter().map(Device::try_from).collect()
}

impl Device {
    /// The name without the part in brackets or after a comma.
    pub fn short_name(&self) -> &str {
        self.name.split([',', '(']).next().unwrap_or(&self.name).trim()
    }

    /// J/TH of the lowest and of the highest watts, a TDP's band included.
    pub fn efficiency(&self) -> Option<(JoulesPerTerahash, JoulesPerTerahash)> {
        let Power { low, high, .. } = self.power?.band();
        Some((JoulesPerTerahash::of(low, self.rate), JoulesPerTerahash::of(high, self.rate)))
    }

    /// One J/TH for a plot: the geometric mean of what is claimed, at the TDP where that is all.
    pub fn typical_efficiency(&self) -> Option<JoulesPerTerahash> {
        let Power { low, high, .. } = self.power?;
        Some(JoulesPerTerahash::of(Watts((low.0 * high.0).sqrt()), self.rate))
    }
}

impl Power {
    /// The watts to reckon with: as claimed, or [`TDP_BAND`] around a TDP.
    pub fn band(self) -> Self {
        match self.basis {
            Basis::Tdp => Self { low: self.low * TDP_BAND.0, high: self.high * TDP_BAND.1, ..self },
            _ => self,
        }
    }
}

/// Months in which J/TH halves, from one point `(year, J/TH)` to a later one.
pub fn halving_months(from: (f64, JoulesPerTerahash), to: (f64, JoulesPerTerahash)) -> f64 {
    (to.0 - from.0) * 12.0 / (from.1 / to.1).log2()
}

impl TryFrom<Row> for Device {
    type Error = HardwareError;

    fn try_from(row: Row) -> Result<Self, HardwareError> {
        let positive = |column, value: f64| {
            if value > 0.0 && value.is_finite() {
                return Ok(value);
            }
            Err(HardwareError::NotPositive { device: row.name.clone(), column, value })
        };
        if row.source.trim().is_empty() {
            return Err(HardwareError::NoSource(row.name));
        }
        let rate = HashesPerSecond(positive("hashrate", row.hashrate)?);
        positive("year", row.year)?;
        let power = match (row.watts, row.basis, row.j_per_th) {
            (None, None, None) => None,
            (Some(watts), Some(basis), Some(published)) => {
                let (low, high) = watts.bounds();
                let pairs = [(low, published.bounds().0), (high, published.bounds().1)];
                for (watts, published) in pairs {
                    let watts = Watts(positive("watts", watts)?);
                    let computed = JoulesPerTerahash::of(watts, rate).0;
                    if (computed / published - 1.0).abs() > ROUNDING {
                        let device = row.name;
                        return Err(HardwareError::Contradiction { device, published, computed });
                    }
                }
                Some(Power { low: Watts(low), high: Watts(high), basis })
            }
            _ => return Err(HardwareError::HalfPower(row.name)),
        };
        Ok(Self {
            name: row.name,
            class: row.class,
            year: row.year,
            rate,
            power,
            confidence: row.confidence,
            source: row.source,
            notes: row.notes,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    device: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    class: Class,
    year: f64,
    hashrate: f64,
    watts: Option<Band>,
    basis: Option<Basis>,
    j_per_th: Option<Band>,
    confidence: Confidence,
    source: String,
    #[serde(default)]
    notes: String,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(untagged)]
enum Band {
    One(f64),
    Between(f64, f64),
}

impl Band {
    fn bounds(self) -> (f64, f64) {
        match self {
            Self::One(value) => (value, value),
            Self::Between(low, high) => (low, high),
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hand => "hand",
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Fpga => "fpga",
            Self::Asic => "asic",
        })
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Rated => "rated",
            Self::Tdp => "TDP",
            Self::Estimate => "estimate",
            Self::Guess => "guess",
        })
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        })
    }
}
