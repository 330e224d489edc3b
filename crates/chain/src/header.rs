//! The 80-byte block header: parse, build, hash, print. Layout: Core's `primitives/block.h`.

use std::fmt;
use std::str::FromStr;

use midstate_sha256d::{Midstate, Tail};

use crate::{Bits, Hash256};

/// A block header. On the wire all numbers are little-endian, in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Version bits (BIP9, BIP320); Core reads them as signed, the bits are the same.
    pub version: u32,
    /// Hash of the block before.
    pub prev_hash: Hash256,
    /// Root of the tree over the transaction ids.
    pub merkle_root: Hash256,
    /// Seconds since 1970.
    pub time: u32,
    /// The target in compact form.
    pub bits: Bits,
    /// The number that miners turn.
    pub nonce: u32,
}

/// Why some bytes or a text are not a header.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// Not 80 bytes.
    #[error("a block header is 80 bytes (160 hex digits), got {0} bytes")]
    Length(usize),
    /// Not hex.
    #[error("a block header is 160 hex digits: {0}")]
    Hex(#[from] hex::FromHexError),
}

impl Header {
    /// Length of a header in bytes.
    pub const LEN: usize = 80;

    /// From the 80 bytes that are hashed.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let hash = |at: usize| {
            let mut hash = [0; 32];
            hash.copy_from_slice(&bytes[at..at + 32]);
            Hash256::from_bytes(hash)
        };
        Self {
            version: word(0),
            prev_hash: hash(4),
            merkle_root: hash(36),
            time: word(68),
            bits: Bits::from_consensus(word(72)),
            nonce: word(76),
        }
    }

    /// The 80 bytes that are hashed.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&self.version.to_le_bytes());
        bytes[4..36].copy_from_slice(self.prev_hash.as_bytes());
        bytes[36..68].copy_from_slice(self.merkle_root.as_bytes());
        bytes[68..72].copy_from_slice(&self.time.to_le_bytes());
        bytes[72..76].copy_from_slice(&self.bits.to_consensus().to_le_bytes());
        bytes[76..].copy_from_slice(&self.nonce.to_le_bytes());
        bytes
    }

    /// The block hash.
    pub fn hash(&self) -> Hash256 {
        Hash256::of(&self.to_bytes())
    }

    /// SHA-256 state after the first 64 bytes: version, previous hash, 28 bytes of merkle root.
    pub fn midstate(&self) -> Midstate {
        let bytes = self.to_bytes();
        let mut block = [0; 64];
        block.copy_from_slice(&bytes[..64]);
        Midstate::of(&block)
    }

    /// The 12 bytes between the midstate and the nonce: end of the merkle root, time, bits.
    pub fn tail(&self) -> Tail {
        let bytes = self.to_bytes();
        let mut tail = [0; 12];
        tail.copy_from_slice(&bytes[64..76]);
        Tail::from_bytes(tail)
    }
}

impl fmt::Display for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_bytes()))
    }
}

impl FromStr for Header {
    type Err = HeaderError;

    fn from_str(text: &str) -> Result<Self, HeaderError> {
        let bytes = hex::decode(text)?;
        let bytes: &[u8; Self::LEN] =
            bytes.as_slice().try_into().map_err(|_| HeaderError::Length(bytes.len()))?;
        Ok(Self::from_bytes(bytes))
    }
}
