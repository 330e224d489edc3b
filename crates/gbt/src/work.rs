//! Work: a template joined with who is paid. It gives the job to hash, the proposal to have checked
//! first, and the block in the end.
//!
//! The coinbase's input script is: height (BIP34), a push of what the node wants there (BIP22), a
//! push of the tag, a push of the extranonce. As pushes their bytes are data; loose bytes would be
//! counted as opcodes, and an extranonce that happens to hold `OP_CHECKMULTISIG` costs 80 signature
//! operations (that is how mainnet's block at 783426 became invalid).

use std::sync::Arc;

use midstate_chain::{
    BIP320_MASK, Coinbase, CoinbaseError, CoinbaseParts, Hash256, Header, Job, Share, TxOut,
    coinbase_branch, serialize_block, with_witness,
};

use crate::{Template, TemplateError};

/// Bytes of extranonce that the search may turn: never exhausted, so that time is never rolled
/// (I11), and the testnet 20-minute line never crossed (I12).
pub const EXTRANONCE2_SIZE: usize = 8;
/// A tag is pushed with one opcode, and leaves room for height and extranonce in 100 bytes.
pub const MAX_TAG: usize = 75;

/// The payee, and the mark that tells our blocks from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    /// Locking script that gets subsidy and fees.
    pub script: Vec<u8>,
    /// Text for the coinbase; may be empty.
    pub tag: Vec<u8>,
    /// Bytes that tell this miner from others with the same address and tag, who would else search
    /// the very same headers.
    pub extranonce1: Vec<u8>,
    /// Version bits that may be rolled; those the node needs are taken out.
    pub version_mask: u32,
}

/// Something to mine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    job: Arc<Job>,
    template: Template,
}

/// Why a template and a payout do not make work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WorkError {
    /// The tag cannot be pushed.
    #[error("a coinbase tag has at most {MAX_TAG} bytes, got {0}; shorten it")]
    LongTag(usize),
    /// The node's addition is too long, whatever the tag.
    #[error(
        "the node wants {0} bytes of its own in the coinbase (coinbaseaux), and a coinbase script \
         has at most 100 bytes with height and extranonce: mine at a node that adds less; Bitcoin \
         Core adds none"
    )]
    LongAux(usize),
    /// Tag and extranonce are too long together.
    #[error(transparent)]
    Coinbase(#[from] CoinbaseError),
    /// The node left no room for a coinbase (I17).
    #[error(transparent)]
    NoRoom(#[from] TemplateError),
}

impl WorkError {
    /// Whether this node's later templates will be no better (see [`TemplateError::is_final`]).
    pub fn is_final(&self) -> bool {
        match self {
            Self::LongTag(_) | Self::LongAux(_) | Self::Coinbase(_) => true,
            Self::NoRoom(error) => error.is_final(),
        }
    }
}

impl Work {
    /// Joins them. `id` names the job; `clean` says that earlier jobs are void.
    pub fn new(
        template: Template,
        payout: &Payout,
        id: String,
        clean: bool,
    ) -> Result<Self, WorkError> {
        let parts = coinbase(&template, payout)?;
        let ids: Vec<Hash256> = template.transactions.iter().map(|tx| tx.txid).collect();
        let job = Job {
            id,
            session: 0,
            channel: None,
            version: template.version,
            version_mask: payout.version_mask & BIP320_MASK & !template.required_version_bits,
            prev_hash: template.prev_hash,
            coinbase_prefix: parts.prefix,
            extranonce1: payout.extranonce1.clone(),
            extranonce2_size: EXTRANONCE2_SIZE,
            coinbase_suffix: parts.suffix,
            branch: coinbase_branch(&ids),
            bits: template.bits,
            time: template.time,
            // Shares are not counted here: a share is a block.
            share_target: template.target,
            network_target: template.target,
            clean,
        };
        Ok(Self { job: Arc::new(job), template })
    }

    /// Whether they make work: the error is [`new`](Self::new)'s.
    pub fn check(template: &Template, payout: &Payout) -> Result<(), WorkError> {
        coinbase(template, payout).map(drop)
    }

    /// The job that the threads hash.
    pub fn job(&self) -> &Arc<Job> {
        &self.job
    }

    /// The template that it was made from.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// The block before its proof of work, in hex: what `getblocktemplate` checks in proposal mode.
    pub fn proposal(&self) -> String {
        let extranonce2 = [0; EXTRANONCE2_SIZE];
        hex::encode(self.assemble(&self.job.header(&extranonce2), &extranonce2))
    }

    /// The block that a share of this work's job solves.
    pub fn block(&self, share: &Share) -> Vec<u8> {
        self.assemble(&share.header(), &share.extranonce2)
    }

    fn assemble(&self, header: &Header, extranonce2: &[u8]) -> Vec<u8> {
        let mut coinbase = self.job.coinbase(extranonce2);
        if self.template.witness_commitment.is_some() {
            coinbase = with_witness(&coinbase).expect("a coinbase is longer than 8 bytes");
        }
        let others: Vec<&[u8]> =
            self.template.transactions.iter().map(|tx| tx.data.as_slice()).collect();
        serialize_block(header, &coinbase, &others)
    }
}

fn coinbase(template: &Template, payout: &Payout) -> Result<CoinbaseParts, WorkError> {
    let extranonce_size = payout.extranonce1.len() + EXTRANONCE2_SIZE;
    let output = TxOut { value: template.coinbase_value, script: payout.script.clone() };
    let outputs = [output];
    let build = |tag: &[u8]| {
        let tail = script_tail(&template.coinbase_aux, tag, extranonce_size)?;
        let coinbase = Coinbase {
            height: template.height,
            tag: &tail,
            extranonce_size,
            outputs: &outputs,
            witness_commitment: template.witness_commitment,
        };
        Ok::<_, WorkError>(coinbase.build()?)
    };
    let parts = build(&payout.tag).map_err(|error| match build(&[]) {
        Err(_) => WorkError::LongAux(template.coinbase_aux.len()),
        Ok(_) => error,
    })?;
    check_room(template, payout, parts.prefix.len() + extranonce_size + parts.suffix.len())?;
    Ok(parts)
}

/// The input script behind the height, up to the extranonce.
fn script_tail(aux: &[u8], tag: &[u8], extranonce_size: usize) -> Result<Vec<u8>, WorkError> {
    if tag.len() > MAX_TAG {
        return Err(WorkError::LongTag(tag.len()));
    }
    let mut tail = Vec::with_capacity(aux.len() + tag.len() + 4);
    for data in [aux, tag].into_iter().filter(|data| !data.is_empty()) {
        push_length(&mut tail, data.len());
        tail.extend(data);
    }
    push_length(&mut tail, extranonce_size);
    Ok(tail)
}

/// The start of a push. Beyond 255 bytes it would have another form; but then the script is above
/// 100 bytes, and refused for that.
fn push_length(script: &mut Vec<u8>, len: usize) {
    const OP_PUSHDATA1: u8 = 0x4c;
    if len >= usize::from(OP_PUSHDATA1) {
        script.push(OP_PUSHDATA1);
    }
    script.push(len.min(255) as u8);
}

/// Core leaves room for 400 signature operations and at least 2000 units of weight; other template
/// makers may not.
fn check_room(template: &Template, payout: &Payout, coinbase_len: usize) -> Result<(), WorkError> {
    // The witness: marker, flag, item count, length and 32 bytes, each counted once.
    let weight = 4 * coinbase_len as u64 + 36;
    template.weight.check("weight", weight)?;
    template.sigops.check("signature operations", sigop_cost(&payout.script))?;
    Ok(())
}

/// Of the scripts that an [`Address`](crate::Address) gives, only p2pkh holds a signature operation
/// in the open; in an output it costs 4 (BIP141).
fn sigop_cost(script: &[u8]) -> u64 {
    const OP_CHECKSIG: u8 = 0xac;
    if script.len() == 25 && script.last() == Some(&OP_CHECKSIG) { 4 } else { 0 }
}
