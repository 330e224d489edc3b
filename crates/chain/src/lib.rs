//! Bitcoin's consensus values as a miner meets them.
//!
//! Everything here is a value or a pure function: no I/O, no clock, no JSON. The layers above
//! (`work`, `stratum`, `gbt`, `pool`) speak about blocks in these types, and only in these. Beside
//! them lives one rule that all who meet strangers share: [`is_printable`].
//!
//! Byte order: a 256-bit hash is kept as the bytes SHA-256 wrote ([`Hash256`]) and printed
//! reversed, as people know it. Read as a number it is little-endian; that is the number a
//! [`Target`] bounds.
#![forbid(unsafe_code)]

mod block;
mod coinbase;
mod hash;
mod header;
mod job;
mod merkle;
mod network;
mod retarget;
mod script;
mod share;
mod target;
mod text;
mod witness;

pub use block::serialize_block;
pub use coinbase::{
    Coinbase, CoinbaseError, CoinbaseParts, TxOut, coinbase_height, coinbase_outputs,
    coinbase_script, with_witness,
};
pub use hash::{Hash256, HashError};
pub use header::{Header, HeaderError};
pub use job::{BIP320_MASK, Job};
pub use merkle::{coinbase_branch, fold_branch, merkle_root, witness_commitment};
pub use network::{Network, NetworkError};
pub use retarget::{RETARGET_INTERVAL, TARGET_SPACING, TARGET_TIMESPAN, retarget};
pub use share::{Share, Verdict};
pub use target::{Bits, BitsError, DifficultyError, Target, U256};
pub use text::is_printable;
pub use witness::without_witness;
