//! A 256-bit double-SHA-256 digest and how it is written. Used by everyone who names a block or a
//! transaction.

use std::fmt;
use std::str::FromStr;

use midstate_sha256d::sha256d;

/// A double-SHA-256 digest in the order SHA-256 wrote it (Core's "internal" order).
///
/// [`Display`](fmt::Display) and [`FromStr`] use the reversed hex that explorers and RPC show.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hash256([u8; 32]);

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hex digits, got {0:?}")]
pub struct HashError(String);

impl Hash256 {
    /// The hash before the first block, and the witness id of a coinbase.
    pub const ZERO: Self = Self([0; 32]);

    /// Double SHA-256 of `data`.
    pub fn of(data: &[u8]) -> Self {
        Self(sha256d(data))
    }

    /// From the bytes in internal order.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes in internal order; as a number they are little-endian.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash256({self})")
    }
}

impl FromStr for Hash256 {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HashError(text.to_owned()))?;
        bytes.reverse();
        Ok(Self(bytes))
    }
}
