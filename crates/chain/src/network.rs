//! The chains that midstate mines on and their constants. Source: Core's `kernel/chainparams.cpp`.

use std::fmt;
use std::str::FromStr;

use crate::{Bits, Hash256, Header};

/// A Bitcoin network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// The chain with money on it; a CPU earns nothing there.
    Mainnet,
    /// BIP94.
    Testnet4,
    /// BIP325.
    Signet,
    /// Private, at 2 hashes a block.
    Regtest,
}

impl Network {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Mainnet, Self::Testnet4, Self::Signet, Self::Regtest];

    /// The name that Core uses for `-chain`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mainnet => "main",
            Self::Testnet4 => "testnet4",
            Self::Signet => "signet",
            Self::Regtest => "regtest",
        }
    }

    /// The easiest target that a block may have.
    pub const fn limit(self) -> Bits {
        Bits::from_consensus(match self {
            Self::Mainnet | Self::Testnet4 => 0x1d00_ffff,
            Self::Signet => 0x1e03_77ae,
            Self::Regtest => 0x207f_ffff,
        })
    }

    /// Blocks between two halvings.
    pub const fn halving_interval(self) -> u32 {
        match self {
            Self::Regtest => 150,
            _ => 210_000,
        }
    }

    /// New coins in a block, in satoshi, fees not counted.
    pub const fn subsidy(self, height: u32) -> u64 {
        match 5_000_000_000u64.checked_shr(height / self.halving_interval()) {
            Some(subsidy) => subsidy,
            None => 0,
        }
    }

    /// The header of block 0.
    pub fn genesis(self) -> Header {
        let (time, nonce) = match self {
            Self::Mainnet => (1_231_006_505, 2_083_236_893),
            Self::Testnet4 => (1_714_777_860, 393_743_547),
            Self::Signet => (1_598_918_400, 52_613_770),
            Self::Regtest => (1_296_688_602, 2),
        };
        let merkle_root = match self {
            Self::Testnet4 => TESTNET4_GENESIS_ROOT,
            _ => GENESIS_ROOT,
        };
        Header {
            version: 1,
            prev_hash: Hash256::ZERO,
            merkle_root: merkle_root.parse().expect("the constants are 64 hex digits"),
            time,
            bits: self.limit(),
            nonce,
        }
    }
}

const GENESIS_ROOT: &str = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b";
const TESTNET4_GENESIS_ROOT: &str =
    "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e";

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is not that of a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A chain that is going away.
    #[error(
        "chain {0:?} is testnet3, which Bitcoin Core has deprecated and midstate does not mine on: \
         use testnet4 (bitcoind -testnet4), signet or regtest"
    )]
    Testnet3(String),
    /// Anything else; the name is cut, as it may come from anybody.
    #[error("unknown chain {0:?}, expected main, testnet4, signet or regtest")]
    Unknown(String),
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(name: &str) -> Result<Self, NetworkError> {
        const SHOWN: usize = 40;
        if matches!(name, "test" | "testnet" | "testnet3") {
            return Err(NetworkError::Testnet3(name.to_owned()));
        }
        let found = Self::ALL.into_iter().find(|network| network.name() == name);
        found.ok_or_else(|| NetworkError::Unknown(name.chars().take(SHOWN).collect()))
    }
}
