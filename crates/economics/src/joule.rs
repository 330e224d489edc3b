//! Where a joule goes in a CPU and in an ASIC (`data/joule.toml`), and what that makes of the gap
//! between the two.

use serde::Deserialize;

use crate::calendar::Date;
use crate::inputs::date;
use crate::physics::OPERATIONS;
use crate::units::{Joules, JoulesPerTerahash};

/// The energy of a piece of work in a machine, part by part.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spending {
    /// The kind of machine.
    pub machine: String,
    /// The whole that the parts add up to.
    pub of: String,
    /// The unit of the parts.
    pub unit: String,
    /// Whether the parts are an estimate; measured or simulated by the source otherwise.
    pub estimate: bool,
    /// From first to last.
    pub parts: Vec<Part>,
    /// When the source said so.
    #[serde(deserialize_with = "date")]
    pub date: Date,
    /// The source.
    pub source: String,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The purpose of the part.
    pub name: String,
    /// How much.
    pub amount: f64,
    /// Whether that is what the machine is there for.
    #[serde(default)]
    pub useful: bool,
}

impl Spending {
    /// All parts together.
    pub fn whole(&self) -> f64 {
        self.parts.iter().map(|part| part.amount).sum()
    }

    /// The useful share of the whole.
    pub fn useful_share(&self) -> f64 {
        let useful = self.parts.iter().filter(|part| part.useful).map(|part| part.amount);
        useful.sum::<f64>() / self.whole()
    }
}

/// The CPU's, then the ASIC's.
pub fn spendings() -> [Spending; 2] {
    #[derive(Deserialize)]
    struct File {
        spending: [Spending; 2],
    }
    let file: Result<File, _> = toml::from_str(include_str!("../data/joule.toml"));
    file.expect("the shipped file is tested").spending
}

/// The sum of two 32-bit numbers and nothing else, at 45 nm and 0.9 V (Horowitz 2014).
pub const ADDITION: Joules = Joules(0.1e-12);

/// Energy of one of the 32-bit operations of a hash, everything included.
pub fn operation(efficiency: JoulesPerTerahash) -> Joules {
    Joules(efficiency.energy(1.0).0 / OPERATIONS as f64)
}

/// The gap between two machines as two factors, with a bare addition of a known chip in between.
///
/// An estimate: the machines' chips are younger than the one whose addition was published, so a
/// part of the second factor belongs to both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// From the addition to the operation of the worse machine: all that it does besides.
    pub besides: f64,
    /// From the operation of the better machine to the addition: smaller transistors, less voltage.
    pub transistors: f64,
}

impl Gap {
    /// Between a worse and a better machine.
    pub fn between(worse: JoulesPerTerahash, better: JoulesPerTerahash) -> Self {
        Self {
            besides: operation(worse).0 / ADDITION.0,
            transistors: ADDITION.0 / operation(better).0,
        }
    }
}
