//! `mining.notify`: a job on the wire, both ways (S4).
//!
//! `[job id, previous hash, coinb1, coinb2, [branch], version, bits, time, clean]`, all in hex. The
//! previous hash is in header order with the bytes of each 4-byte word swapped; the numbers are
//! big-endian; the branch is in header order.

use midstate_chain::{Bits, BitsError, Hash256, Job, Target, is_printable};
use serde_json::{Value, json};

use crate::message::{hex_bytes, hex_into, hex_u32};
use crate::{Limits, sanitize};

/// A job as a pool announced it, checked, not yet joined with the session's extranonce.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notify {
    pub(crate) id: String,
    pub(crate) prev_hash: Hash256,
    pub(crate) coinbase_prefix: Vec<u8>,
    pub(crate) coinbase_suffix: Vec<u8>,
    pub(crate) branch: Vec<Hash256>,
    pub(crate) version: u32,
    pub(crate) bits: Bits,
    pub(crate) network_target: Target,
    pub(crate) time: u32,
    /// `false` if the pool left it out.
    pub(crate) clean: bool,
}

/// Why an announcement is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotifyError {
    #[error("expected 9 parameters, got {0}")]
    Count(usize),
    #[error("{field}: expected {expected}, got {got}")]
    Field { field: &'static str, expected: &'static str, got: String },
    #[error("{what} of {got}, the limit is {limit}")]
    Limit { what: &'static str, got: usize, limit: usize },
    #[error(transparent)]
    Bits(#[from] BitsError),
}

impl Notify {
    /// Reads and checks the parameters of a `mining.notify`.
    ///
    /// Taken with a smile: numbers without padding, a number as job id, `clean` as 0 or 1, as the
    /// last of too many parameters, or missing.
    pub(crate) fn from_params(params: &[Value], limits: &Limits) -> Result<Self, NotifyError> {
        let [id, prev_hash, prefix, suffix, branch, version, bits, time, rest @ ..] = params else {
            return Err(NotifyError::Count(params.len()));
        };
        let bits = Bits::from_consensus(number("bits", bits)?);
        let coinbase_prefix = bytes("coinb1", prefix)?;
        let coinbase_suffix = bytes("coinb2", suffix)?;
        // With room for the largest extranonce, so that a session can change its own at will.
        let coinbase = [&coinbase_prefix, &coinbase_suffix].map(Vec::len).iter().sum::<usize>();
        let extranonce = limits.extranonce1 + limits.extranonce2;
        within("a coinbase in bytes", coinbase, limits.coinbase.saturating_sub(extranonce))?;
        Ok(Self {
            id: job_id(id, limits)?,
            prev_hash: swapped(hash("previous hash", prev_hash)?),
            coinbase_prefix,
            coinbase_suffix,
            branch: merkle_branch(branch, limits)?,
            version: number("version", version)?,
            bits,
            network_target: bits.to_target()?,
            time: number("time", time)?,
            clean: is_clean(rest),
        })
    }
}

/// The parameters that announce `job`. Its extranonce, mask and targets are the connection's.
pub(crate) fn to_params(job: &Job) -> Value {
    json!([
        job.id,
        const_hex::encode(swapped(job.prev_hash).as_bytes()),
        const_hex::encode(&job.coinbase_prefix),
        const_hex::encode(&job.coinbase_suffix),
        job.branch.iter().map(|hash| const_hex::encode(hash.as_bytes())).collect::<Vec<_>>(),
        format!("{:08x}", job.version),
        format!("{:08x}", job.bits.to_consensus()),
        format!("{:08x}", job.time),
        job.clean,
    ])
}

/// Opaque, but it goes back to the pool in a line of ours and to people's terminals.
fn job_id(value: &Value, limits: &Limits) -> Result<String, NotifyError> {
    let id = match value {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        other => return Err(wrong("job id", "a text", other)),
    };
    if id.is_empty() || !id.chars().all(is_printable) {
        return Err(wrong("job id", "printable characters", value));
    }
    within("a job id in bytes", json!(id).to_string().len() - 2, limits.job_id)?;
    Ok(id)
}

fn merkle_branch(value: &Value, limits: &Limits) -> Result<Vec<Hash256>, NotifyError> {
    let Value::Array(hashes) = value else {
        return Err(wrong("branch", "an array of hashes", value));
    };
    within("a merkle branch in hashes", hashes.len(), limits.branches)?;
    hashes.iter().map(|value| hash("branch", value)).collect()
}

fn hash(field: &'static str, value: &Value) -> Result<Hash256, NotifyError> {
    let mut bytes = [0; 32];
    match value.as_str().and_then(|text| hex_into(text, &mut bytes)) {
        Some(()) => Ok(Hash256::from_bytes(bytes)),
        None => Err(wrong(field, "64 hex digits", value)),
    }
}

fn bytes(field: &'static str, value: &Value) -> Result<Vec<u8>, NotifyError> {
    let decoded = value.as_str().and_then(hex_bytes);
    decoded.ok_or_else(|| wrong(field, "an even number of hex digits", value))
}

fn number(field: &'static str, value: &Value) -> Result<u32, NotifyError> {
    let number = value.as_str().and_then(hex_u32);
    number.ok_or_else(|| wrong(field, "up to 8 hex digits", value))
}

/// The last boolean among the parameters from the ninth on (ESP-Miner reads the last one), or a 0
/// or 1 in its place.
fn is_clean(rest: &[Value]) -> bool {
    let as_number = || rest.first().and_then(Value::as_u64) == Some(1);
    rest.iter().rev().find_map(Value::as_bool).unwrap_or_else(as_number)
}

fn within(what: &'static str, got: usize, limit: usize) -> Result<(), NotifyError> {
    if got > limit { Err(NotifyError::Limit { what, got, limit }) } else { Ok(()) }
}

fn wrong(field: &'static str, expected: &'static str, got: &Value) -> NotifyError {
    const SHOWN: usize = 24;
    let got = match got {
        Value::String(text) => format!("{:?} ({} bytes)", sanitize(text, SHOWN), text.len()),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".into(),
        scalar => sanitize(&scalar.to_string(), SHOWN),
    };
    NotifyError::Field { field, expected, got }
}

/// Swaps the bytes of each 4-byte word, which is its own inverse.
fn swapped(hash: Hash256) -> Hash256 {
    let mut bytes = *hash.as_bytes();
    bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    Hash256::from_bytes(bytes)
}
