//! The coinbase transaction: built in two parts with room for an extranonce between them.
//!
//! Rules kept: BIP34 (height first in the input script), BIP141 (commitment to the witnesses, a
//! reserved witness of 32 zeros), BIP54 (lock time = height - 1, sequence not final, so that no two
//! coinbases can be equal), and Core's bound of 2 to 100 bytes on the input script.

use std::ops::Range;

use crate::Hash256;
use crate::script::{height_push, push_compact_size, read_height_push, take_compact_size};

/// The parts of a coinbase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coinbase<'a> {
    /// Height of the block.
    pub height: u32,
    /// Bytes after the height, for people to read; may be empty.
    pub tag: &'a [u8],
    /// Bytes to leave between the parts: extranonce1 and extranonce2 together.
    pub extranonce_size: usize,
    /// The payments.
    pub outputs: &'a [TxOut],
    /// Commitment to the witness ids (BIP141), as the last output; `None` before segwit.
    pub witness_commitment: Option<Hash256>,
}

/// One output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxOut {
    /// Amount in satoshi.
    pub value: u64,
    /// The locking script.
    pub script: Vec<u8>,
}

/// A coinbase without its extranonce, in the form that is hashed for the transaction id (no
/// witness): `prefix || extranonce || suffix`. Stratum's `coinb1` and `coinb2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoinbaseParts {
    /// Everything before the extranonce.
    pub prefix: Vec<u8>,
    /// Everything after it.
    pub suffix: Vec<u8>,
}

/// Why a coinbase cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoinbaseError {
    /// Consensus allows 100 bytes of input script.
    #[error(
        "a coinbase script has at most 100 bytes; height, what the node adds, tag and extranonce \
         take {0}: shorten the tag"
    )]
    ScriptTooLong(usize),
}

const VERSION: u32 = 2;
const SEQUENCE: u32 = 0xffff_fffe;
const MAX_SCRIPT: usize = 100;

impl Coinbase<'_> {
    /// Lays the transaction out around its extranonce.
    pub fn build(&self) -> Result<CoinbaseParts, CoinbaseError> {
        let mut script = height_push(self.height);
        script.extend(self.tag);
        // Heights 1 to 16 push one byte only, and a script of one byte is refused (bad-cb-length).
        if script.len() + self.extranonce_size < 2 {
            script.push(0);
        }
        let script_len = script.len() + self.extranonce_size;
        if script_len > MAX_SCRIPT {
            return Err(CoinbaseError::ScriptTooLong(script_len));
        }

        let mut prefix = VERSION.to_le_bytes().to_vec();
        prefix.push(1);
        prefix.extend([0; 32]);
        prefix.extend([0xff; 4]);
        push_compact_size(&mut prefix, script_len);
        prefix.extend(script);

        let mut suffix = SEQUENCE.to_le_bytes().to_vec();
        let commitment = self.witness_commitment.map(|root| {
            let mut script = vec![0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
            script.extend(root.as_bytes());
            TxOut { value: 0, script }
        });
        push_compact_size(&mut suffix, self.outputs.len() + usize::from(commitment.is_some()));
        for output in self.outputs.iter().chain(&commitment) {
            suffix.extend(output.value.to_le_bytes());
            push_compact_size(&mut suffix, output.script.len());
            suffix.extend(&output.script);
        }
        suffix.extend(self.height.saturating_sub(1).to_le_bytes());
        Ok(CoinbaseParts { prefix, suffix })
    }
}

/// A coinbase as it stands in a block (BIP144): marker, flag and the reserved witness put around
/// the form without witness. `None` if `coinbase` is too short to be a transaction.
pub fn with_witness(coinbase: &[u8]) -> Option<Vec<u8>> {
    let body_len = coinbase.len().checked_sub(4)?;
    let (version, rest) = coinbase.split_at_checked(4)?;
    let (body, lock_time) = rest.split_at_checked(body_len.checked_sub(4)?)?;
    let mut full = version.to_vec();
    full.extend([0x00, 0x01]);
    full.extend(body);
    full.extend([0x01, 0x20]);
    full.extend([0; 32]);
    full.extend(lock_time);
    Some(full)
}

/// Where the input script of a coinbase without witness lies. `None` if its bytes are not those of
/// a transaction of one input, as far as to the end of that script.
pub fn coinbase_script(coinbase: &[u8]) -> Option<Range<usize>> {
    let mut rest = coinbase;
    rest.split_off(..4)?; // version
    let (1, _outpoint) = (take_compact_size(&mut rest)?, rest.split_off(..36)?) else {
        return None;
    };
    let script_len = take_compact_size(&mut rest)?;
    let script_at = coinbase.len() - rest.len();
    rest.split_off(..script_len)?;
    Some(script_at..script_at + script_len)
}

/// The payments of a coinbase without witness. `None` if it is no transaction of one input
/// from its first byte to its last.
pub fn coinbase_outputs(coinbase: &[u8]) -> Option<Vec<TxOut>> {
    let mut rest = &coinbase[coinbase_script(coinbase)?.end..];
    rest.split_off(..4)?; // sequence
    let count = take_compact_size(&mut rest)?;
    let mut outputs = Vec::new();
    for _ in 0..count {
        let value = u64::from_le_bytes(*rest.split_off(..8)?.first_chunk()?);
        let script_len = take_compact_size(&mut rest)?;
        outputs.push(TxOut { value, script: rest.split_off(..script_len)?.to_vec() });
    }
    rest.split_off(..4)?; // lock time
    rest.is_empty().then_some(outputs)
}

/// The height that a coinbase states (BIP34), read from its first bytes (`coinb1` is enough).
/// `None` when they are not a coinbase with a minimal height.
pub fn coinbase_height(prefix: &[u8]) -> Option<u32> {
    // Version, one input, the outpoint of nothing, script length (below 0xfd by consensus).
    let script_at = 4 + 1 + 36 + 1;
    read_height_push(prefix.get(script_at..)?)
}
