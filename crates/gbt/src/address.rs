//! A payout address, from text to output script, checked against the chain it is meant for.
//!
//! Base58 (p2pkh, p2sh) and SegWit addresses (BIP173, BIP350). The `bitcoin` crate would do this
//! too, but brings libsecp256k1 and with it a C compiler for every user; `bech32` and `bs58` bring
//! nothing. The `bitcoin` crate is the judge in the tests.

use std::str::FromStr;

use midstate_chain::{Hash256, Network};

/// An address that can be paid. Its checksum and length were right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    script: Vec<u8>,
    chains: &'static [Network],
}

/// Why an address cannot be paid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither form could be read.
    #[error(
        "{text:?} is no Bitcoin address ({reason}); expected base58 (1.., 3.., m.., n.., 2..) or \
         bech32 (bc1.., tb1.., bcrt1..), copied whole"
    )]
    Malformed {
        /// The text as given.
        text: String,
        /// The decoder's words.
        reason: String,
    },
    /// SegWit programs of a version or length that no rule gives a meaning yet: anyone could spend
    /// them.
    #[error(
        "{0:?} is a SegWit address of a kind that has no rules yet: coins sent there are anyone's; \
         use a p2wpkh, p2wsh or p2tr address"
    )]
    Unspendable(String),
    /// Right, but for another chain.
    #[error(
        "address {text:?} is for {}, not for {chain}; {}",
        names(.chains),
        cure(*.chain)
    )]
    WrongChain {
        /// The text as given.
        text: String,
        /// Where the address can be paid.
        chains: &'static [Network],
        /// Where it was to be paid.
        chain: Network,
    },
}

impl Address {
    /// The locking script, if the address belongs to `chain`.
    pub fn script_for(&self, chain: Network) -> Result<&[u8], AddressError> {
        if !self.chains.contains(&chain) {
            let (text, chains) = (self.text.clone(), self.chains);
            return Err(AddressError::WrongChain { text, chains, chain });
        }
        Ok(&self.script)
    }

    /// The chains on which the address means the same: test chains share their prefixes.
    pub fn chains(&self) -> &'static [Network] {
        self.chains
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match bech32::segwit::decode(text) {
            Ok((prefix, version, program)) => {
                let chains = segwit_chains(&prefix.to_lowercase()).ok_or_else(|| {
                    malformed(text, format!("prefix {prefix:?} belongs to no known chain"))
                })?;
                let version = version.to_u8();
                if !matches!((version, program.len()), (0, _) | (1, 32)) {
                    return Err(AddressError::Unspendable(text.to_owned()));
                }
                let opcode = if version == 0 { OP_0 } else { OP_1 };
                let script = [&[opcode, program.len() as u8], &program[..]].concat();
                Ok(Self { text: text.to_owned(), script, chains })
            }
            // Every SegWit prefix ends in "1" after lower-case letters; none of them starts base58
            // text of a p2pkh or p2sh length, so one error is enough.
            Err(error) if looks_like_segwit(text) => Err(malformed(text, deepest(&error))),
            Err(_) => base58(text),
        }
    }
}

const OP_0: u8 = 0x00;
const OP_1: u8 = 0x51;
const OP_DUP: u8 = 0x76;
const OP_HASH160: u8 = 0xa9;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_CHECKSIG: u8 = 0xac;
const HASH160_LEN: u8 = 20;

const BASE58_TEST_CHAINS: &[Network] = &[Network::Testnet4, Network::Signet, Network::Regtest];

/// Prefixes from Core's `kernel/chainparams.cpp`.
fn segwit_chains(prefix: &str) -> Option<&'static [Network]> {
    match prefix {
        "bc" => Some(&[Network::Mainnet]),
        "tb" => Some(&[Network::Testnet4, Network::Signet]),
        "bcrt" => Some(&[Network::Regtest]),
        _ => None,
    }
}

fn looks_like_segwit(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    ["bc1", "tb1", "bcrt1"].iter().any(|prefix| lower.starts_with(prefix))
}

/// One version byte, 20 bytes of hash, 4 bytes of checksum.
fn base58(text: &str) -> Result<Address, AddressError> {
    let bytes =
        bs58::decode(text).into_vec().map_err(|error| malformed(text, error.to_string()))?;
    let (&[version, ref hash @ ..], checksum) = bytes
        .split_last_chunk::<4>()
        .and_then(|(payload, sum)| Some((<&[u8; 21]>::try_from(payload).ok()?, sum)))
        .ok_or_else(|| malformed(text, format!("{} bytes, expected 25", bytes.len())))?;
    if Hash256::of(&bytes[..21]).as_bytes()[..4] != checksum[..] {
        return Err(malformed(text, "wrong checksum".to_owned()));
    }
    let pay_to_key_hash = || {
        let head = [OP_DUP, OP_HASH160, HASH160_LEN];
        [&head, &hash[..], &[OP_EQUALVERIFY, OP_CHECKSIG]].concat()
    };
    let pay_to_script_hash = || [&[OP_HASH160, HASH160_LEN], &hash[..], &[OP_EQUAL]].concat();
    let (script, chains): (Vec<u8>, &[Network]) = match version {
        0 => (pay_to_key_hash(), &[Network::Mainnet]),
        5 => (pay_to_script_hash(), &[Network::Mainnet]),
        111 => (pay_to_key_hash(), BASE58_TEST_CHAINS),
        196 => (pay_to_script_hash(), BASE58_TEST_CHAINS),
        _ => return Err(malformed(text, format!("unknown version byte {version}"))),
    };
    Ok(Address { text: text.to_owned(), script, chains })
}

/// The words of the cause behind all causes: the first one says no more than that decoding failed.
fn deepest(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().unwrap_or(error).to_string()
}

fn malformed(text: &str, reason: String) -> AddressError {
    AddressError::Malformed { text: text.to_owned(), reason }
}

fn names(chains: &[Network]) -> String {
    chains.iter().map(|chain| chain.name()).collect::<Vec<_>>().join(" or ")
}

fn cure(chain: Network) -> &'static str {
    match chain {
        Network::Mainnet => "give an address that starts with bc1, 1 or 3",
        Network::Testnet4 | Network::Signet => "give an address that starts with tb1, m, n or 2",
        Network::Regtest => "give an address that starts with bcrt1, m, n or 2",
    }
}
