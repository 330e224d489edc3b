//! How far hashing is from the floor that thermodynamics sets, and how many operations it takes.
//!
//! The floor is a choice of model (what has to be erased?), so there are three and all are shown.

use crate::units::{Joules, JoulesPerTerahash};

/// Boltzmann's constant, J/K, exact by the definition of the kelvin.
pub const BOLTZMANN: f64 = 1.380_649e-23;
/// The temperature at which the floor is stated, kelvin.
pub const ROOM: f64 = 300.0;

/// AND gates in one SHA-256 compression, by the "Bristol" circuit (Tillich and Smart).
pub const AND_GATES: u64 = 22_573;
/// All its gates: AND, XOR and INV.
pub const ALL_GATES: u64 = 135_073;
/// Compressions in a double SHA-256 of a header once its midstate is known.
pub const COMPRESSIONS: u64 = 2;

/// The bits that a hash is thought to erase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erased {
    /// The 256 bits of the last result: all that a reversible machine would have to forget.
    OutputBits,
    /// One bit for each AND gate; XOR and NOT can be undone.
    AndGates,
    /// One bit for each gate of any kind: the ordinary way to build logic.
    AllGates,
}

impl Erased {
    /// From the lowest floor to the highest.
    pub const ALL: [Self; 3] = [Self::OutputBits, Self::AndGates, Self::AllGates];

    /// Bits for a hash.
    pub fn bits(self) -> u64 {
        match self {
            Self::OutputBits => 256,
            Self::AndGates => COMPRESSIONS * AND_GATES,
            Self::AllGates => COMPRESSIONS * ALL_GATES,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::OutputBits => "erase only the 256 output bits",
            Self::AndGates => "erase a bit at every AND gate",
            Self::AllGates => "erase a bit at every gate",
        }
    }

    /// Landauer's floor at `kelvin`: `bits * k * T * ln 2` for each hash.
    pub fn floor(self, kelvin: f64) -> JoulesPerTerahash {
        JoulesPerTerahash(self.bits() as f64 * landauer(kelvin).0 * 1e12)
    }
}

/// Least energy to erase one bit: `k * T * ln 2` (Landauer 1961).
pub fn landauer(kelvin: f64) -> Joules {
    Joules(BOLTZMANN * kelvin * std::f64::consts::LN_2)
}

/// 32-bit operations in one try at a header, counted as Marc Bevand's hdminer does: rotations and
/// bit-select are one each; 60 of the first hash do not see the nonce, 7 of the second are not
/// needed.
pub const OPERATIONS: u64 = (SCHEDULE_OPERATIONS + ROUND_OPERATIONS + 8) * COMPRESSIONS - 60 - 7;
/// Of them, the message schedule of one compression: 48 words, 13 operations each.
pub const SCHEDULE_OPERATIONS: u64 = 48 * 13;
const ROUND_OPERATIONS: u64 = 64 * 20;

/// Full SHA-256 compressions that a try costs when everything is left out that can be (Naik 2013).
pub const NAIK: f64 = 1.8624;

/// Rate of a machine that starts `operations_per_second` 32-bit operations: a roof, not a promise.
pub fn roofline(operations_per_second: f64) -> f64 {
    operations_per_second / OPERATIONS as f64
}

/// Share of the operations that sharing the first message schedule between `headers` headers saves
/// (AsicBoost, Hanke 2016).
pub fn shared_schedule_saving(headers: u32) -> f64 {
    SCHEDULE_OPERATIONS as f64 / OPERATIONS as f64 * (1.0 - 1.0 / f64::from(headers))
}
