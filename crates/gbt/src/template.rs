//! A block template, from the node's JSON to checked values. Nothing of a template is used before
//! all of it was checked: a bad one leaves the running job running.
//!
//! Rule: an error names the field, what it holds, what was expected, and the cure.
//! [`TemplateError::is_final`] says whether a later template of this node can be any better. `mine`
//! and `doctor` judge by this code alone.
//!
//! Sources: BIP22 (fields), BIP9 (rules), BIP145 (weight, commitment), Core's `rpc/mining.cpp`.

use std::collections::BTreeMap;

use midstate_chain::{Bits, BitsError, Hash256, Target, without_witness, witness_commitment};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::foreign::shown;
use crate::rpc::{object, printable};

/// A block template.
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
    /// Bytes that the node wants in the coinbase's input script (`coinbaseaux`); mostly none.
    pub coinbase_aux: Vec<u8>,
    /// Everything but the coinbase, in block order.
    pub transactions: Vec<Transaction>,
    /// The commitment that the coinbase needs; `None` where SegWit is not active.
    pub witness_commitment: Option<Hash256>,
    /// The weight of a block, coinbase not counted.
    pub weight: Room,
    /// The signature operations of a block (in BIP141 cost), those of the coinbase not counted.
    pub sigops: Room,
    /// For the next long poll; `None` when the node does not offer one.
    pub longpoll_id: Option<String>,
    /// Whether the node checks proposals (BIP23).
    pub can_propose: bool,
}

/// How much of something a block has, and may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// By header and transactions.
    pub used: u64,
    /// By the node's word.
    pub limit: u64,
}

impl Room {
    /// Whether there is room for so much more.
    pub(crate) fn check(self, what: &'static str, more: u64) -> Result<(), TemplateError> {
        let Self { used, limit } = self;
        match used.saturating_add(more) {
            used if used > limit => Err(TemplateError::OverLimit { what, used, limit }),
            _ => Ok(()),
        }
    }
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
    /// Not the object that BIP22 describes.
    #[error("the block template is {0}, expected a JSON object; {CORE}")]
    NoObject(String),
    /// A field that is not there, or null.
    #[error(
        "the block template has no {field} (it is missing or null), expected {expected}; {CORE}"
    )]
    Missing {
        /// Its name.
        field: String,
        /// The expected content.
        expected: &'static str,
    },
    /// A field with a value it cannot have.
    #[error("the block template has {field} {value}, expected {expected}; {CORE}")]
    Field {
        /// Its name.
        field: String,
        /// The content, as JSON.
        value: String,
        /// The expected content.
        expected: &'static str,
    },
    /// `bits` and `target` are two ways to write one number.
    #[error(
        "the block template has target {target:?}, but bits {bits:?} stand for {expected}; {CORE}"
    )]
    Target {
        /// The node's.
        target: String,
        /// The node's.
        bits: String,
        /// Of the bits.
        expected: Target,
    },
    /// A coinbase that the node made, in place of its value.
    #[error(
        "the block template has coinbasetxn (a coinbase that the node made) and no coinbasevalue: \
         midstate makes the coinbase itself, because it pays --address; mine at a node that gives \
         coinbasevalue when it is asked for, as Bitcoin Core does"
    )]
    CoinbaseTransaction,
    /// SegWit is in use, and the rule is not named (btcd).
    #[error(
        "the block template holds SegWit ({0}), but its rules do not name segwit (btcd's templates \
         have no rules at all): the network would refuse a block made of it; mine at a Bitcoin \
         Core node"
    )]
    UnnamedSegwit(&'static str),
    /// Compact bits without a target.
    #[error("the block template's {0}; {CORE}")]
    Bits(#[from] BitsError),
    /// A rule marked `!` changes how blocks are built.
    #[error(
        "this node demands the rule {0:?}, which this version does not know: a block without it \
         would be refused; a newer midstate may know it"
    )]
    UnknownRule(String),
    /// A signet whose blocks need a signature.
    #[error(
        "blocks of this signet must be signed by the holders of its key (challenge {0}), so that \
         no other miner can make one; use testnet4, regtest, or a signet of your own with \
         signetchallenge=51 (OP_TRUE)"
    )]
    SignedSignet(String),
    /// A transaction's bytes do not give what the node states about them.
    #[error(
        "transaction {index} of the block template has {what} {stated}, but its data give {found}; \
         if this lasts, the node is broken, or something in between changes its answers"
    )]
    Transaction {
        /// Place in the list.
        index: usize,
        /// Which statement: `hash`, `txid` or `weight`.
        what: &'static str,
        /// The node's.
        stated: String,
        /// Ours.
        found: String,
    },
    /// The transactions do not give the node's `default_witness_commitment`.
    #[error(
        "the block template commits to the witnesses with {stated}, but they give {found}; if this \
         lasts, the node is broken, or something in between changes its answers"
    )]
    WitnessCommitment {
        /// The node's.
        stated: String,
        /// Ours.
        found: String,
    },
    /// More than a block may hold (I17).
    #[error(
        "a block of this template would have {what} {used}, above the node's limit of {limit}; \
         mine at a node that leaves room for a coinbase, as Bitcoin Core does"
    )]
    OverLimit {
        /// Which limit.
        what: &'static str,
        /// Sum over the block, or over the transactions where they alone are too many.
        used: u64,
        /// The node's limit.
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

/// The cause of most of these errors.
const CORE: &str = "is this Bitcoin Core, with nothing in between that changes its answers?";
/// A coinbase's lock time is its height less one (BIP54), and above this a lock time is a date.
const MAX_HEIGHT: u32 = 500_000_000;

impl TemplateError {
    /// Whether this node's later templates will be no better: what they lack is lacking in the
    /// node's program, its chain or something in between. Transactions come and go.
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Transaction { .. } | Self::WitnessCommitment { .. } | Self::OverLimit { .. }
        )
    }
}

/// A field as it came. `None` where it is missing or null.
type Field<'a> = Option<&'a RawValue>;

/// All fields as they came: what they hold is looked at one by one, so that an error names its
/// field.
#[derive(Deserialize)]
struct Raw<'a> {
    #[serde(borrow)]
    capabilities: Field<'a>,
    #[serde(borrow)]
    version: Field<'a>,
    #[serde(borrow)]
    rules: Field<'a>,
    #[serde(borrow)]
    vbrequired: Field<'a>,
    #[serde(borrow)]
    previousblockhash: Field<'a>,
    #[serde(borrow)]
    transactions: Field<'a>,
    #[serde(borrow)]
    coinbaseaux: Field<'a>,
    #[serde(borrow)]
    coinbasevalue: Field<'a>,
    #[serde(borrow)]
    coinbasetxn: Field<'a>,
    #[serde(borrow)]
    longpollid: Field<'a>,
    #[serde(borrow)]
    target: Field<'a>,
    #[serde(borrow)]
    mintime: Field<'a>,
    #[serde(borrow)]
    sigoplimit: Field<'a>,
    #[serde(borrow)]
    weightlimit: Field<'a>,
    #[serde(borrow)]
    curtime: Field<'a>,
    #[serde(borrow)]
    bits: Field<'a>,
    #[serde(borrow)]
    height: Field<'a>,
    #[serde(borrow)]
    signet_challenge: Field<'a>,
    #[serde(borrow)]
    default_witness_commitment: Field<'a>,
}

#[derive(Deserialize)]
struct RawTransaction<'a> {
    #[serde(borrow)]
    data: Field<'a>,
    #[serde(borrow)]
    txid: Field<'a>,
    #[serde(borrow)]
    hash: Field<'a>,
    #[serde(borrow)]
    sigops: Field<'a>,
    #[serde(borrow)]
    weight: Field<'a>,
}

const TEXT: &str = "text";
const SECONDS: &str = "seconds since 1970 that fit 32 bits";
const COUNT: &str = "a number from 0";
const HASH: &str = "64 hex digits";
const HEX: &str = "an even number of hex digits";

/// Reads a field that must be there.
fn read<'a, T: Deserialize<'a>>(
    name: &str,
    field: Field<'a>,
    expected: &'static str,
) -> Result<T, TemplateError> {
    optional(name, field, expected)?
        .ok_or_else(|| TemplateError::Missing { field: name.to_owned(), expected })
}

/// Reads a field that may be missing.
fn optional<'a, T: Deserialize<'a>>(
    name: &str,
    field: Field<'a>,
    expected: &'static str,
) -> Result<Option<T>, TemplateError> {
    let read = |raw: &'a RawValue| {
        serde_json::from_str(raw.get()).map_err(|_| wrong(name, field, expected))
    };
    field.map(read).transpose()
}

/// A field whose value cannot be.
fn wrong(name: &str, field: Field<'_>, expected: &'static str) -> TemplateError {
    let value = shown(field.map_or("null", RawValue::get));
    TemplateError::Field { field: name.to_owned(), value, expected }
}

fn read_hash(name: &str, field: Field<'_>) -> Result<Hash256, TemplateError> {
    let text: String = read(name, field, HASH)?;
    text.parse().map_err(|_| wrong(name, field, HASH))
}

impl Template {
    /// From the result of `getblocktemplate`.
    pub fn parse(json: &str) -> Result<Self, TemplateError> {
        let raw: Raw<'_> = object(json).ok_or_else(|| TemplateError::NoObject(shown(json)))?;
        let (bits, target) = read_target(&raw)?;
        let version: i32 = read("version", raw.version, "a signed 32-bit number")?;
        if raw.coinbasetxn.is_some() && raw.coinbasevalue.is_none() {
            return Err(TemplateError::CoinbaseTransaction);
        }
        let coins = "satoshi, at most 21 million coins";
        let coinbase_value: u64 = read("coinbasevalue", raw.coinbasevalue, coins)?;
        if coinbase_value > MAX_MONEY {
            return Err(wrong("coinbasevalue", raw.coinbasevalue, coins));
        }
        let heights = "a height from 1 to 500000000";
        let height: u32 = read("height", raw.height, heights)?;
        if !(1..=MAX_HEIGHT).contains(&height) {
            return Err(wrong("height", raw.height, heights));
        }
        let time: u32 = read("curtime", raw.curtime, SECONDS)?;
        let min_time = optional("mintime", raw.mintime, SECONDS)?.unwrap_or(0);

        let segwit = check_rules(&raw)?;
        let list: Vec<&RawValue> = read("transactions", raw.transactions, "a list")?;
        let listed = list.into_iter().enumerate().map(|(index, raw)| transaction(index, raw));
        let listed = listed.collect::<Result<Vec<_>, _>>()?;
        if !segwit && listed.iter().any(|listed| listed.witness_id != listed.transaction.txid) {
            return Err(TemplateError::UnnamedSegwit("transactions with witnesses"));
        }
        let (weight, sigops) = room(&raw, &listed, segwit)?;
        let witness_ids: Vec<_> = listed.iter().map(|listed| listed.witness_id).collect();
        let capabilities: Option<Vec<String>> =
            optional("capabilities", raw.capabilities, "a list of texts")?;

        Ok(Self {
            height,
            version: version.cast_unsigned(),
            required_version_bits: optional("vbrequired", raw.vbrequired, "32 bits, as a number")?
                .unwrap_or(0),
            prev_hash: read_hash("previousblockhash", raw.previousblockhash)?,
            bits,
            target,
            time: time.max(min_time),
            coinbase_value,
            coinbase_aux: aux(raw.coinbaseaux)?,
            witness_commitment: segwit.then(|| commitment(&raw, &witness_ids)).transpose()?,
            transactions: listed.into_iter().map(|listed| listed.transaction).collect(),
            weight,
            sigops,
            longpoll_id: optional("longpollid", raw.longpollid, TEXT)?,
            can_propose: capabilities.unwrap_or_default().iter().any(|name| name == "proposal"),
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

/// The two ways in which a template states its target must agree.
fn read_target(raw: &Raw<'_>) -> Result<(Bits, Target), TemplateError> {
    const DIGITS: &str = "8 hex digits";
    let bits: String = read("bits", raw.bits, DIGITS)?;
    // Digits only: `from_str_radix` takes a sign, too.
    let is_hex = bits.len() == 8 && bits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(&bits, 16).ok().filter(|_| is_hex);
    let compact = Bits::from_consensus(number.ok_or_else(|| wrong("bits", raw.bits, DIGITS))?);
    let target = compact.to_target()?;
    let stated: String = read("target", raw.target, HASH)?;
    if !stated.eq_ignore_ascii_case(&target.to_string()) {
        return Err(TemplateError::Target { target: shown(&stated), bits, expected: target });
    }
    Ok((compact, target))
}

/// Whether SegWit is active; an error when a rule is in force that we do not keep.
fn check_rules(raw: &Raw<'_>) -> Result<bool, TemplateError> {
    let rules: Option<Vec<String>> = optional("rules", raw.rules, "a list of texts")?;
    let mut segwit = false;
    for rule in rules.unwrap_or_default() {
        let name = rule.strip_prefix('!').unwrap_or(&rule);
        if rule.starts_with('!') && !KNOWN_RULES.contains(&name) {
            return Err(TemplateError::UnknownRule(printable(name)));
        }
        segwit |= name == "segwit";
    }
    let challenge: Option<String> = optional("signet_challenge", raw.signet_challenge, TEXT)?;
    if let Some(challenge) = challenge.filter(|challenge| challenge != OPEN_CHALLENGE) {
        return Err(TemplateError::SignedSignet(printable(&challenge)));
    }
    if !segwit && raw.default_witness_commitment.is_some() {
        return Err(TemplateError::UnnamedSegwit("default_witness_commitment"));
    }
    Ok(segwit)
}

/// The values one after the other, without their names: only they count (BIP22). Sorted by name,
/// so that two templates can be compared.
fn aux(field: Field<'_>) -> Result<Vec<u8>, TemplateError> {
    let expected = "an object of texts, each with an even number of hex digits";
    let values: Option<BTreeMap<String, String>> = optional("coinbaseaux", field, expected)?;
    let values = values.unwrap_or_default();
    let bytes = values
        .values()
        .map(|value| hex::decode(value).map_err(|_| wrong("coinbaseaux", field, expected)));
    Ok(bytes.collect::<Result<Vec<_>, _>>()?.concat())
}

/// A transaction, and the sums that it goes into.
struct Listed {
    transaction: Transaction,
    /// The hash of its bytes.
    witness_id: Hash256,
    weight: u64,
    sigops: u64,
}

/// Reads a transaction. What the node states about it must be what its bytes give.
fn transaction(index: usize, raw: &RawValue) -> Result<Listed, TemplateError> {
    let name = |field: &str| format!("transaction {index} with {field}");
    let fields: RawTransaction<'_> = object(raw.get()).ok_or_else(|| {
        let (field, value) = (format!("transaction {index}"), shown(raw.get()));
        TemplateError::Field { field, value, expected: "a JSON object" }
    })?;
    let data: String = read(&name("data"), fields.data, HEX)?;
    let data = hex::decode(data).map_err(|_| wrong(&name("data"), fields.data, HEX))?;
    let is = |what, stated: String, found: String| match stated == found {
        true => Ok(()),
        false => Err(TemplateError::Transaction { index, what, stated, found }),
    };

    let (stated, witness_id) = (read_hash(&name("hash"), fields.hash)?, Hash256::of(&data));
    is("hash", stated.to_string(), witness_id.to_string())?;
    let plain =
        without_witness(&data).ok_or_else(|| wrong(&name("data"), fields.data, "a transaction"))?;
    let txid = Hash256::of(&plain);
    is("txid", read_hash(&name("txid"), fields.txid)?.to_string(), txid.to_string())?;
    let weight = 3 * plain.len() as u64 + data.len() as u64;
    let stated: u64 = read(&name("weight"), fields.weight, COUNT)?;
    is("weight", stated.to_string(), weight.to_string())?;
    let sigops = read(&name("sigops"), fields.sigops, COUNT)?;
    drop(plain);
    Ok(Listed { transaction: Transaction { data, txid }, witness_id, weight, sigops })
}

/// Weight and signature operations without the coinbase.
fn room(raw: &Raw<'_>, listed: &[Listed], segwit: bool) -> Result<(Room, Room), TemplateError> {
    let used = listed.iter().map(|listed| listed.weight).fold(HEADER_WEIGHT, u64::saturating_add);
    let limit = optional("weightlimit", raw.weightlimit, COUNT)?.unwrap_or(DEFAULT_WEIGHT_LIMIT);
    let weight = Room { used, limit };
    weight.check("weight", 0)?;
    let scale = if segwit { 1 } else { SIGOP_SCALE };
    let scaled = |count: u64| count.saturating_mul(scale);
    let used = scaled(listed.iter().map(|listed| listed.sigops).fold(0, u64::saturating_add));
    let sigops = Room { used, limit: scaled(read("sigoplimit", raw.sigoplimit, COUNT)?) };
    sigops.check("signature operations", 0)?;
    Ok((weight, sigops))
}

/// The commitment to all witnesses, recomputed; it must be the node's.
fn commitment(raw: &Raw<'_>, witness_ids: &[Hash256]) -> Result<Hash256, TemplateError> {
    let commitment = witness_commitment(witness_ids);
    let name = "default_witness_commitment";
    let stated: Option<String> = optional(name, raw.default_witness_commitment, HEX)?;
    if let Some(stated) = stated {
        let found = format!("{COMMITMENT_HEAD}{}", hex::encode(commitment.as_bytes()));
        if !stated.eq_ignore_ascii_case(&found) {
            return Err(TemplateError::WitnessCommitment { stated: printable(&stated), found });
        }
    }
    Ok(commitment)
}
