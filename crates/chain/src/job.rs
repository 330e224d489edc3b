//! A job: everything that is needed to build headers worth hashing, and to judge their hashes.

use crate::{
    Bits, Hash256, Header, Network, Target, coinbase::coinbase_height, merkle::fold_branch,
};

/// The version bits that BIP320 leaves to miners.
pub const BIP320_MASK: u32 = 0x1fff_e000;

/// Work as a pool or a node hands it out. Immutable; shared by threads and by the shares found in
/// it.
///
/// The coinbase is `coinbase_prefix || extranonce1 || extranonce2 || coinbase_suffix`, without
/// witness. A [header-only](Job::is_header_only) job has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The pool's name for it: opaque, not unique. Never compare jobs by it, see
    /// [`same_work`](Self::same_work).
    pub id: String,
    /// Counts the sessions with the pool; a job dies with its session.
    pub session: u64,
    /// The channel of Stratum V2 that it is for, by the pool's number. Within a session it changes
    /// nothing; people are told.
    pub channel: Option<u32>,
    /// Header version as given.
    pub version: u32,
    /// Which bits of the version may be rolled. Bits that are set in `version` are not rolled even
    /// if the mask allows it: pools disagree on what rolling a set bit means.
    pub version_mask: u32,
    /// Hash of the block to build on.
    pub prev_hash: Hash256,
    /// The coinbase up to the extranonce.
    pub coinbase_prefix: Vec<u8>,
    /// The pool's part of the extranonce.
    pub extranonce1: Vec<u8>,
    /// Bytes of extranonce that are ours.
    pub extranonce2_size: usize,
    /// The coinbase after the extranonce.
    pub coinbase_suffix: Vec<u8>,
    /// From the coinbase id to the merkle root. Of a [header-only](Job::is_header_only) job: the
    /// merkle root alone.
    pub branch: Vec<Hash256>,
    /// The network's target in compact form.
    pub bits: Bits,
    /// Earliest time for the header.
    pub time: u32,
    /// Hashes at or below it are sent.
    pub share_target: Target,
    /// Hashes at or below it are blocks.
    pub network_target: Target,
    /// Earlier jobs are void.
    pub clean: bool,
}

impl Job {
    /// The bits of the version that this job may roll.
    pub fn rollable_bits(&self) -> u32 {
        self.version_mask & !self.version
    }

    /// The coinbase without witness, for one extranonce2 (of `extranonce2_size` bytes).
    pub fn coinbase(&self, extranonce2: &[u8]) -> Vec<u8> {
        [&self.coinbase_prefix, &self.extranonce1, extranonce2, &self.coinbase_suffix].concat()
    }

    /// Whether the job came as a merkle root without a coinbase, as on a standard channel of
    /// Stratum V2: nonce, version and time are all that can be searched. `branch` then holds that
    /// root.
    pub fn is_header_only(&self) -> bool {
        // A transaction is never empty.
        self.coinbase_prefix.is_empty()
            && self.coinbase_suffix.is_empty()
            && self.extranonce1.is_empty()
            && self.extranonce2_size == 0
            && self.branch.len() == 1
    }

    /// The merkle root for one extranonce2.
    pub fn merkle_root(&self, extranonce2: &[u8]) -> Hash256 {
        if self.is_header_only() {
            return self.branch[0];
        }
        fold_branch(Hash256::of(&self.coinbase(extranonce2)), &self.branch)
    }

    /// The header for one extranonce2, nonce 0, version and time as given.
    pub fn header(&self, extranonce2: &[u8]) -> Header {
        Header {
            version: self.version,
            prev_hash: self.prev_hash,
            merkle_root: self.merkle_root(extranonce2),
            time: self.time,
            bits: self.bits,
            nonce: 0,
        }
    }

    /// The height that the coinbase states.
    pub fn height(&self) -> Option<u32> {
        coinbase_height(&self.coinbase_prefix)
    }

    /// The target that a hash must meet to be sent: the easier of share and network target, since a
    /// block is sent whatever the pool asks for shares (I7).
    ///
    /// Except where blocks are a [toy](Self::has_toy_blocks): there the pool's difficulty sets the
    /// pace.
    pub fn submit_target(&self) -> Target {
        if self.has_toy_blocks() {
            self.share_target
        } else {
            self.share_target.max(self.network_target)
        }
    }

    /// Whether blocks are easier than on any public chain: on regtest every second hash is one.
    pub fn has_toy_blocks(&self) -> bool {
        let easiest_earnest = Network::Signet.limit().to_target().unwrap_or(Target::DIFFICULTY_1);
        self.network_target > easiest_earnest
    }

    /// The target of a hash that is sent and is a block.
    pub fn block_target(&self) -> Target {
        self.submit_target().min(self.network_target)
    }

    /// Whether both jobs search the same headers (I1). Then the search goes on where it stands, so
    /// that no header is hashed twice. Targets, id and `clean` do not count: they do not enter the
    /// header.
    pub fn same_work(&self, other: &Self) -> bool {
        self.version_mask == other.version_mask && self.same_work_but_versions(other)
    }

    /// As [`same_work`](Self::same_work), whatever may be rolled of the version: then some of the
    /// headers are the same, all of which have the same extranonce2.
    pub fn same_work_but_versions(&self, other: &Self) -> bool {
        let content = |job: &Self| (job.session, job.version, job.prev_hash, job.bits, job.time);
        content(self) == content(other)
            && self.coinbase_prefix == other.coinbase_prefix
            && self.extranonce1 == other.extranonce1
            && self.extranonce2_size == other.extranonce2_size
            && self.coinbase_suffix == other.coinbase_suffix
            && self.branch == other.branch
    }
}
