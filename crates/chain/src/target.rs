//! Targets, their compact form and difficulty, in exact 256-bit integers. Sources: Core's
//! `arith_uint256.cpp` (compact form), BIP22 and the pools' difficulty-1 target.

use std::fmt;

use crate::Hash256;

/// An unsigned 256-bit integer.
pub type U256 = ruint::aliases::U256;

/// A 256-bit bound: a hash, read as a little-endian number, meets it when it is not above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target(U256);

/// A target in the header's compact form: one byte of exponent (base 256), a sign bit that no valid
/// target sets, 23 bits of mantissa.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bits(u32);

/// Why a compact target bounds no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BitsError {
    /// The mantissa, shifted by the exponent, is zero.
    #[error("bits {0:08x} stand for a target of zero, which no hash can meet")]
    Zero(u32),
    /// The sign bit is set.
    #[error("bits {0:08x} stand for a negative target")]
    Negative(u32),
    /// The number needs more than 256 bits.
    #[error("bits {0:08x} stand for a target above 256 bits")]
    Overflow(u32),
}

/// Why a number is not a difficulty.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum DifficultyError {
    /// Zero, negative, infinite or not a number.
    #[error("a difficulty is a finite number above 0, got {0}")]
    NotPositive(f64),
    /// Its target is below one.
    #[error("difficulty {0:e} is above 2.7e67, where no hash but zero can meet it")]
    TooHigh(f64),
}

impl Target {
    /// Difficulty 1: 0x00000000FFFF0000.. (`bits` 1d00ffff), the unit of pools and of Core.
    pub const DIFFICULTY_1: Self = Self(U256::from_limbs([0, 0, 0, 0xffff_0000]));
    /// Hashes until one meets [`DIFFICULTY_1`](Self::DIFFICULTY_1), on average: 4.295 billion. A
    /// share of difficulty d stands for d times as many.
    pub const HASHES_AT_DIFFICULTY_1: f64 = Self::DIFFICULTY_1.expected_hashes_f64();
    /// The bound that every hash meets.
    pub const MAX: Self = Self(U256::MAX);

    /// From a number.
    pub const fn from_number(number: U256) -> Self {
        Self(number)
    }

    /// As a number.
    pub const fn to_number(self) -> U256 {
        self.0
    }

    /// As 32 little-endian bytes, the order in which a hash is compared.
    pub fn to_le_bytes(self) -> [u8; 32] {
        self.0.to_le_bytes()
    }

    /// Whether `hash` is at or below this target.
    pub fn is_met_by(&self, hash: &Hash256) -> bool {
        U256::from_le_bytes(*hash.as_bytes()) <= self.0
    }

    /// The largest target at which finding a hash is `difficulty` times as hard as at difficulty 1:
    /// `floor(DIFFICULTY_1 / difficulty)`, exact, and 2^256 - 1 when that is larger.
    pub fn from_difficulty(difficulty: f64) -> Result<Self, DifficultyError> {
        if !(difficulty.is_finite() && difficulty > 0.0) {
            return Err(DifficultyError::NotPositive(difficulty));
        }
        // Below 2^-33 the quotient exceeds 256 bits.
        if difficulty < 1.0 / (1u64 << 33) as f64 {
            return Ok(Self::MAX);
        }
        // A normal double is exactly mantissa * 2^exponent.
        let raw = difficulty.to_bits();
        let mantissa = U512::from((raw & ((1 << 52) - 1)) | 1 << 52);
        let exponent = (raw >> 52) as i32 - 1075;
        let one = U512::from(Self::DIFFICULTY_1.0);
        let quotient = if exponent < 0 {
            (one << exponent.unsigned_abs() as usize) / mantissa
        } else {
            (one >> exponent as usize) / mantissa
        };
        let target = quotient.saturating_to::<U256>();
        if target.is_zero() {
            return Err(DifficultyError::TooHigh(difficulty));
        }
        Ok(Self(target))
    }

    /// How many times harder than difficulty 1 (infinite for a target of zero).
    pub fn difficulty(self) -> f64 {
        to_f64(Self::DIFFICULTY_1.0) / to_f64(self.0)
    }

    /// Expected number of hashes until one meets the target: `floor(2^256 / (target + 1))`, exact
    /// (Core's `GetBlockProof`). A target of zero would need 2^256, which is cut to 2^256 - 1.
    pub fn expected_hashes(self) -> U256 {
        match self.0.checked_add(U256::ONE) {
            // 2^256 does not fit, and 2^256 = !target + (target + 1).
            Some(above) => (!self.0 / above).saturating_add(U256::ONE),
            None => U256::ONE,
        }
    }

    /// [`expected_hashes`](Self::expected_hashes) as a real number, fraction kept.
    pub const fn expected_hashes_f64(self) -> f64 {
        const TWO_TO_128: f64 = TWO_TO_64 * TWO_TO_64;
        TWO_TO_128 * TWO_TO_128 / (to_f64(self.0) + 1.0)
    }

    /// The nearest compact form that is not easier.
    pub fn to_bits(self) -> Bits {
        let mut size = self.0.byte_len() as u32;
        let mut mantissa = if size <= 3 {
            self.0.as_limbs()[0] << (8 * (3 - size))
        } else {
            (self.0 >> (8 * (size - 3)) as usize).as_limbs()[0]
        } as u32;
        // The top mantissa bit is the sign: move it out of the way.
        if mantissa & 0x0080_0000 != 0 {
            mantissa >>= 8;
            size += 1;
        }
        Bits(size << 24 | mantissa)
    }
}

impl Bits {
    /// From the number in the header.
    pub const fn from_consensus(bits: u32) -> Self {
        Self(bits)
    }

    /// The number in the header.
    pub const fn to_consensus(self) -> u32 {
        self.0
    }

    /// The target it stands for.
    pub fn to_target(self) -> Result<Target, BitsError> {
        let size = self.0 >> 24;
        let mantissa = self.0 & 0x007f_ffff;
        let (value, used_bytes) = match size {
            0..=3 => (U256::from(mantissa >> (8 * (3 - size))), 0),
            // The bytes of the number: the mantissa's own, then the zeros after it.
            _ => {
                let mantissa_bytes = mantissa.checked_ilog2().unwrap_or(0) / 8 + 1;
                (U256::from(mantissa), size - 3 + mantissa_bytes)
            }
        };
        if value.is_zero() {
            return Err(BitsError::Zero(self.0));
        }
        if self.0 & 0x0080_0000 != 0 {
            return Err(BitsError::Negative(self.0));
        }
        if used_bytes > 32 {
            return Err(BitsError::Overflow(self.0));
        }
        let shift = 8 * size.saturating_sub(3) as usize;
        Ok(Target(value << shift))
    }
}

/// `powi` is not const.
const TWO_TO_64: f64 = (1u128 << 64) as f64;

type U512 = ruint::aliases::U512;

/// The nearest double, to within one unit in the last place.
const fn to_f64(number: U256) -> f64 {
    let [lowest, low, high, highest] = *number.as_limbs();
    let number = highest as f64 * TWO_TO_64 + high as f64;
    (number * TWO_TO_64 + low as f64) * TWO_TO_64 + lowest as f64
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:064x}", self.0)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

impl fmt::Display for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

impl fmt::Debug for Bits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bits({self})")
    }
}
