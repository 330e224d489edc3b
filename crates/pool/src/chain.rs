//! A regtest chain in memory: from Core's own genesis block, blocks hold a coinbase only. A fresh
//! `bitcoind -regtest` would take every block of it, in order, unless the difficulty was changed:
//! on regtest it never does.

use std::time::Duration;

use midstate_chain::{
    BIP320_MASK, Bits, BitsError, Coinbase, CoinbaseError, Hash256, Header, Job, Network, Target,
    TxOut, witness_commitment,
};
use sha2::{Digest, Sha256};

use crate::pool::{CHANNEL_EXTRANONCE_SIZE, EXTRANONCE_SIZE, MAX_FUTURE, PoolTemplate};

/// Version bits of BIP9, none signalled.
const VERSION: u32 = 0x2000_0000;

/// A chain of blocks, genesis not included.
#[derive(Debug, Clone)]
pub struct RegtestChain {
    tag: Vec<u8>,
    genesis: Header,
    blocks: Vec<Block>,
    /// Of the next block.
    bits: Bits,
}

/// A block of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Distance from genesis.
    pub height: u32,
    /// Its header.
    pub header: Header,
    /// Its hash.
    pub hash: Hash256,
    /// The whole block as nodes exchange it.
    pub raw: Vec<u8>,
}

/// Why a block does not extend the chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// It builds on another block than the tip.
    #[error("the block builds on {0}, which is not the tip {1}")]
    NotOnTip(Hash256, Hash256),
    /// Its time is not above the median of the last eleven.
    #[error("the block's time {0} is not above the median of the last 11 blocks, {1}")]
    TooOld(u32, u32),
    /// Its time is too far ahead.
    #[error("the block's time {0} is more than two hours ahead of {1}")]
    TooNew(u32, u64),
    /// Its bits stand for no target, or for one that is too easy.
    #[error("the block's bits {0} are easier than {1}, or no target")]
    Easy(Bits, Bits),
    /// Its hash misses the target.
    #[error("the hash {0} does not meet the target of the block's bits")]
    HighHash(Hash256),
}

impl RegtestChain {
    /// A new chain; `tag` goes into every coinbase.
    ///
    /// # Errors
    /// When the tag leaves no room in the coinbase's 100 bytes.
    pub fn new(tag: Vec<u8>) -> Result<Self, CoinbaseError> {
        let chain = Self {
            tag,
            genesis: Network::Regtest.genesis(),
            blocks: Vec::new(),
            bits: Network::Regtest.limit(),
        };
        // The height takes most room at its largest.
        chain.coinbase(u32::MAX).map(|_| chain)
    }

    /// The blocks, from height 1.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Height of the tip; 0 is genesis.
    pub fn height(&self) -> u32 {
        self.blocks.len() as u32
    }

    /// Blocks are to be as hard as these bits say, from the next template on.
    ///
    /// # Errors
    /// When the bits stand for no target.
    pub fn set_bits(&mut self, bits: Bits) -> Result<(), BitsError> {
        bits.to_target()?;
        self.bits = bits;
        Ok(())
    }

    /// How hard the next block is.
    pub fn target(&self) -> Target {
        self.bits.to_target().expect("regtest's limit and all that came after it are targets")
    }

    /// The block to mine next.
    pub fn template(&self, now: Duration) -> PoolTemplate {
        let height = self.height() + 1;
        let min_time = self.median_time_past() + 1;
        let parts = self.coinbase(height).expect("new() tried the largest height");
        let bits = self.bits;
        let target = self.target();
        PoolTemplate {
            job: Job {
                id: String::new(),
                session: 0,
                channel: None,
                version: VERSION,
                version_mask: BIP320_MASK,
                prev_hash: self.tip_hash(),
                coinbase_prefix: parts.prefix,
                extranonce1: Vec::new(),
                extranonce2_size: CHANNEL_EXTRANONCE_SIZE,
                coinbase_suffix: parts.suffix,
                branch: Vec::new(),
                bits,
                time: u32::try_from(now.as_secs()).unwrap_or(u32::MAX).max(min_time),
                share_target: Target::DIFFICULTY_1,
                network_target: target,
                clean: true,
            },
            height,
            min_time,
            transactions: Vec::new(),
        }
    }

    /// Puts a block on top.
    ///
    /// # Errors
    /// Says which rule the block breaks; the chain stays as it is.
    pub fn accept(
        &mut self,
        now: Duration,
        header: Header,
        raw: Vec<u8>,
    ) -> Result<&Block, BlockError> {
        let (tip, median) = (self.tip_hash(), self.median_time_past());
        let hash = header.hash();
        let latest = now.as_secs() + u64::from(MAX_FUTURE);
        if header.prev_hash != tip {
            return Err(BlockError::NotOnTip(header.prev_hash, tip));
        }
        if header.time <= median {
            return Err(BlockError::TooOld(header.time, median));
        }
        if u64::from(header.time) > latest {
            return Err(BlockError::TooNew(header.time, now.as_secs()));
        }
        // Harder than necessary it may be: the difficulty may fall while a block is searched.
        let target = header.bits.to_target().ok().filter(|target| *target <= self.target());
        let target = target.ok_or(BlockError::Easy(header.bits, self.bits))?;
        if !target.is_met_by(&hash) {
            return Err(BlockError::HighHash(hash));
        }
        self.blocks.push(Block { height: self.height() + 1, header, hash, raw });
        Ok(self.blocks.last().expect("a block was pushed just now"))
    }

    fn tip_hash(&self) -> Hash256 {
        self.blocks.last().map_or_else(|| self.genesis.hash(), |block| block.hash)
    }

    /// Median time of the last eleven headers (Core's `GetMedianTimePast`).
    fn median_time_past(&self) -> u32 {
        let recent = self.blocks.iter().rev().map(|block| block.header.time);
        let mut times: Vec<u32> = recent.chain([self.genesis.time]).take(11).collect();
        times.sort_unstable();
        times[times.len() / 2]
    }

    fn coinbase(&self, height: u32) -> Result<midstate_chain::CoinbaseParts, CoinbaseError> {
        // Anyone can spend it (a witness script of OP_TRUE): the coins are for lessons.
        let mut script = vec![0x00, 0x20];
        script.extend(Sha256::digest([0x51]));
        let value = Network::Regtest.subsidy(height);
        Coinbase {
            height,
            tag: &self.tag,
            extranonce_size: EXTRANONCE_SIZE,
            outputs: &[TxOut { value, script }],
            witness_commitment: Some(witness_commitment(&[])),
        }
        .build()
    }
}
