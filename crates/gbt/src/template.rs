//! A block template, from the node's JSON to checked values. Nothing of a template is used before
//! all of it was checked: a bad one leaves the running job running.
//!
//! Sources: BIP22 (fields), BIP9 (rules), BIP145 (weight, commitment), Core's `rpc/mining.cpp`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use midstate_chain::{Bits, BitsError, Hash256, Target, witness_commitment};
use serde::Deserialize;

use crate::rpc::printable;

/// What a node offers to mine on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Height of the block to find.
    pub height: u32,
    /// Header version.
    pub version: u32,
    /// Version bits that must stay set (`vbrequired`).
    pub required_version_bits: u32,
    /// The tip.
    pub prev_hash: Hash256,
    /// Compact target. On testnet4 it holds for [`time`](Self::time) only (20-minute rule, I12).
    pub bits: Bits,
    /// The target that `bits` stand for.
    pub target: Target,
    /// Header time: the node's clock, and never below its `mintime` (median time, BIP94; I13).
    pub time: u32,
    /// Subsidy and fees, in satoshi.
    pub coinbase_value: u64,
    /// What the node wants in the coinbase's input script (`coinbaseaux`); mostly nothing.
    pub coinbase_aux: Vec<u8>,
    /// Everything but the coinbase, in block order.
    pub transactions: Vec<Transaction>,
    /// What the coinbase has to commit to; `None` where SegWit is not active.
    pub witness_commitment: Option<Hash256>,
    /// Weight that is left for the coinbase.
    pub weight_left: u64,
    /// Signature operations (in BIP141 cost) that are left for the coinbase.
    pub sigops_left: u64,
    /// For the next long poll; `None` when the node does not offer one.
    pub longpoll_id: Option<String>,
    /// Whether the node checks proposals (BIP23).
    pub can_propose: bool,
}

/// A transaction of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// As it stands in the block, witness included.
    pub data: Vec<u8>,
    /// Its id, without witness.
    pub txid: Hash256,
}

/// Why a template cannot be mined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not the JSON that BIP22 describes.
    #[error("the block template cannot be read: {0}")]
    Json(String),
    /// A field with a value it cannot have.
    #[error("the block template has {field} {value:?}, expected {expected}")]
    Field {
        /// Its name.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// Compact bits without a target.
    #[error("the block template's {0}")]
    Bits(#[from] BitsError),
    /// A rule marked `!` changes how blocks are built.
    #[error(
        "this node demands the rule {0:?}, which this version does not know: a block without it \
         would be refused; a newer midstate may know it"
    )]
    UnknownRule(String),
    /// A signet whose blocks need a signature.
    #[error(
        "blocks of this signet must be signed by the holders of its key (challenge {0}), so nobody \
         else can mine on it; use testnet4, regtest, or a signet of your own with \
         signetchallenge=51 (OP_TRUE)"
    )]
    SignedSignet(String),
    /// A transaction's bytes do not hash to its `hash`.
    #[error(
        "transaction {index} of the block template has hash {stated}, but its data give {found}"
    )]
    WitnessId {
        /// Place in the list.
        index: usize,
        /// The node's.
        stated: Hash256,
        /// Ours.
        found: Hash256,
    },
    /// The transactions do not give the node's `default_witness_commitment`.
    #[error("the block template commits to the witnesses with {stated}, but they give {found}")]
    WitnessCommitment {
        /// The node's.
        stated: String,
        /// Ours.
        found: String,
    },
    /// More than a block may hold (I17).
    #[error("the block template's transactions have {what} {used}, above the limit of {limit}")]
    OverLimit {
        /// Which limit.
        what: &'static str,
        /// Sum over the transactions.
        used: u64,
        /// What the node allows.
        limit: u64,
    },
}

/// Rules that change how a block is built, and that we keep. Rules without `!` bind the choice of
/// transactions only, and that choice is the node's.
const KNOWN_RULES: [&str; 2] = ["segwit", "signet"];
/// The script `OP_TRUE`, in hex: a signet that anyone can mine.
const OPEN_CHALLENGE: &str = "51";
/// BIP141's commitment output: `OP_RETURN`, push of 36 bytes, the header `aa21a9ed`.
const COMMITMENT_HEAD: &str = "6a24aa21a9ed";
/// All coins that will ever exist, in satoshi.
const MAX_MONEY: u64 = 21_000_000 * 100_000_000;
const DEFAULT_WEIGHT_LIMIT: u64 = 4_000_000;
/// Header and transaction count (at most 5 bytes) count four times.
const HEADER_WEIGHT: u64 = 4 * (80 + 5);
/// Before SegWit is active, Core gives signature operations unscaled.
const SIGOP_SCALE: u64 = 4;

#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(default, borrow)]
    capabilities: Vec<Cow<'a, str>>,
    version: i64,
    #[serde(default, borrow)]
    rules: Vec<Cow<'a, str>>,
    #[serde(default)]
    vbrequired: u32,
    #[serde(borrow)]
    previousblockhash: Cow<'a, str>,
    #[serde(borrow)]
    transactions: Vec<RawTransaction<'a>>,
    /// Only the values count (BIP22). Sorted by name, so that two templates can be compared.
    #[serde(default)]
    coinbaseaux: BTreeMap<String, String>,
    coinbasevalue: u64,
    #[serde(default, borrow)]
    longpollid: Option<Cow<'a, str>>,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(default)]
    mintime: u32,
    sigoplimit: u64,
    weightlimit: Option<u64>,
    curtime: u32,
    #[serde(borrow)]
    bits: Cow<'a, str>,
    height: u32,
    #[serde(default, borrow)]
    signet_challenge: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    default_witness_commitment: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct RawTransaction<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    txid: Cow<'a, str>,
    #[serde(borrow)]
    hash: Cow<'a, str>,
    sigops: u64,
    weight: u64,
}

impl Template {
    /// From the result of `getblocktemplate`.
    pub fn parse(json: &str) -> Result<Self, TemplateError> {
        let raw: Raw<'_> =
            serde_json::from_str(json).map_err(|error| TemplateError::Json(error.to_string()))?;
        let segwit = check_rules(&raw)?;

        let bits = u32::from_str_radix(&raw.bits, 16)
            .map(Bits::from_consensus)
            .map_err(|_| field("bits", &raw.bits, "8 hex digits"))?;
        let target = bits.to_target()?;
        if !raw.target.eq_ignore_ascii_case(&target.to_string()) {
            return Err(field("target", &raw.target, "the target that its bits stand for"));
        }
        let version = i32::try_from(raw.version)
            .map_err(|_| field("version", &raw.version.to_string(), "a signed 32-bit number"))?;
        if raw.coinbasevalue > MAX_MONEY {
            let value = raw.coinbasevalue.to_string();
            return Err(field("coinbasevalue", &value, "at most 21 million coins"));
        }
        if raw.height == 0 {
            return Err(field("height", "0", "a height after the genesis block"));
        }

        let transactions =
            raw.transactions.iter().enumerate().map(transaction).collect::<Result<Vec<_>, _>>()?;
        let weight = raw.transactions.iter().map(|tx| tx.weight).fold(0, u64::saturating_add);
        let sigops = raw.transactions.iter().map(|tx| tx.sigops).fold(0, u64::saturating_add);
        let weight_left = left(
            "weight",
            weight.saturating_add(HEADER_WEIGHT),
            raw.weightlimit.unwrap_or(DEFAULT_WEIGHT_LIMIT),
        )?;
        let scale = if segwit { 1 } else { SIGOP_SCALE };
        let sigops_left = left("sigops", sigops, raw.sigoplimit)?.saturating_mul(scale);

        Ok(Self {
            height: raw.height,
            version: version.cast_unsigned(),
            required_version_bits: raw.vbrequired,
            prev_hash: hash("previousblockhash", &raw.previousblockhash)?,
            bits,
            target,
            time: raw.curtime.max(raw.mintime),
            coinbase_value: raw.coinbasevalue,
            coinbase_aux: aux(&raw.coinbaseaux)?,
            witness_commitment: segwit.then(|| commitment(&raw, &transactions)).transpose()?,
            transactions: transactions.into_iter().map(|(transaction, _)| transaction).collect(),
            weight_left,
            sigops_left,
            longpoll_id: raw.longpollid.map(Cow::into_owned),
            can_propose: raw.capabilities.iter().any(|capability| capability == "proposal"),
        })
    }

    /// How far the node's clock is from `unix_now`, in seconds, if that deserves a warning (I13):
    /// blocks more than two hours ahead are refused by everyone.
    pub fn clock_skew(&self, unix_now: u64) -> Option<i64> {
        const TOLERATED: i64 = 120;
        let skew = i64::from(self.time) - i64::try_from(unix_now).ok()?;
        (skew.abs() > TOLERATED).then_some(skew)
    }
}

/// Whether SegWit is active; an error when a rule is in force that we do not keep.
fn check_rules(raw: &Raw<'_>) -> Result<bool, TemplateError> {
    let mut segwit = false;
    for rule in &raw.rules {
        let name = rule.strip_prefix('!').unwrap_or(rule);
        if rule.starts_with('!') && !KNOWN_RULES.contains(&name) {
            return Err(TemplateError::UnknownRule(printable(name)));
        }
        segwit |= name == "segwit";
    }
    match &raw.signet_challenge {
        Some(challenge) if challenge != OPEN_CHALLENGE => {
            Err(TemplateError::SignedSignet(printable(challenge)))
        }
        _ => Ok(segwit),
    }
}

/// The values one after the other, without their names.
fn aux(values: &BTreeMap<String, String>) -> Result<Vec<u8>, TemplateError> {
    let bytes = values.values().map(|value| {
        hex::decode(value).map_err(|_| field("coinbaseaux", value, "an even number of hex digits"))
    });
    Ok(bytes.collect::<Result<Vec<_>, _>>()?.concat())
}

/// A transaction and its witness id, which is the hash of its bytes.
fn transaction(
    (index, raw): (usize, &RawTransaction<'_>),
) -> Result<(Transaction, Hash256), TemplateError> {
    let data = hex::decode(raw.data.as_bytes())
        .map_err(|_| field("transaction data", &raw.data, "an even number of hex digits"))?;
    let stated = hash("transaction hash", &raw.hash)?;
    let found = Hash256::of(&data);
    if stated != found {
        return Err(TemplateError::WitnessId { index, stated, found });
    }
    Ok((Transaction { data, txid: hash("transaction txid", &raw.txid)? }, found))
}

/// The commitment to all witnesses, recomputed; it must be the node's.
fn commitment(
    raw: &Raw<'_>,
    transactions: &[(Transaction, Hash256)],
) -> Result<Hash256, TemplateError> {
    let witness_ids: Vec<_> = transactions.iter().map(|&(_, witness_id)| witness_id).collect();
    let commitment = witness_commitment(&witness_ids);
    if let Some(stated) = &raw.default_witness_commitment {
        let found = format!("{COMMITMENT_HEAD}{}", hex::encode(commitment.as_bytes()));
        if !stated.eq_ignore_ascii_case(&found) {
            return Err(TemplateError::WitnessCommitment { stated: printable(stated), found });
        }
    }
    Ok(commitment)
}

fn left(what: &'static str, used: u64, limit: u64) -> Result<u64, TemplateError> {
    limit.checked_sub(used).ok_or(TemplateError::OverLimit { what, used, limit })
}

fn hash(name: &'static str, text: &str) -> Result<Hash256, TemplateError> {
    text.parse().map_err(|_| field(name, text, "64 hex digits"))
}

fn field(field: &'static str, value: &str, expected: &'static str) -> TemplateError {
    TemplateError::Field { field, value: printable(value), expected }
}
