//! The miners at the pool, what happens to them, and their shares.

use std::net::SocketAddr;

use midstate_chain::{Hash256, Header, Verdict};
use midstate_stratum::Reject;

/// A session: a Stratum connection, or a [seat](crate::Pool::seat).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) u32);

impl SessionId {
    /// Counts sessions from 1.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// One worker of one connection. Miners are told apart by their session; the name is a label that
/// several may carry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Miner {
    /// The connection.
    pub session: SessionId,
    /// The name it gave.
    pub worker: String,
    /// Whether it belongs to the program that runs the pool.
    pub is_host: bool,
    /// Whether it has a [seat](crate::Pool::seat), and no Stratum connection.
    pub is_device: bool,
}

/// An event at the pool.
#[derive(Debug, Clone)]
pub enum EmbeddedPoolEvent {
    /// A miner was let in.
    Joined {
        /// The miner.
        miner: Miner,
        /// Where it connected from.
        from: SocketAddr,
    },
    /// A miner's connection has ended.
    Left {
        /// The miner.
        miner: Miner,
        /// Where it was connected from.
        from: SocketAddr,
        /// Its shares by this connection.
        stats: WorkerStats,
    },
    /// A share was judged.
    Share {
        /// The miner that sent it.
        miner: Miner,
        /// The header's hash, if there was a header to hash.
        hash: Option<Hash256>,
        /// The hashes that it stands for; 0 if it was refused.
        work: u64,
        /// `None` if it was accepted.
        rejected: Option<Reject>,
    },
    /// An accepted share was a block.
    Block {
        /// The miner that found it.
        miner: Miner,
        /// Its height.
        height: u32,
        /// Its header.
        header: Header,
        /// The whole block, witness included.
        raw: Vec<u8>,
    },
    /// The node behind a [`PacedPool`](crate::PacedPool) does not have a block in its chain: the
    /// block does not count, or not any more.
    Unchained {
        /// The miner that found it.
        miner: Miner,
        /// Its height.
        height: u32,
        /// Its hash.
        hash: Hash256,
        /// The node's verdict, which is not that it accepts the block.
        verdict: Verdict,
        /// The node's words.
        reason: Option<String>,
        /// Whether it was told as a [`Block`](Self::Block) before.
        has_counted: bool,
    },
    /// The difficulty of blocks has followed the rate of all sessions; see
    /// [`RegtestPool::with_pace`](crate::RegtestPool::with_pace).
    Retarget {
        /// The new one.
        difficulty: f64,
        /// The one before.
        before: f64,
        /// Of the first block that is to be that hard.
        height: u32,
        /// Why it came now.
        reason: RetargetReason,
    },
    /// A miner was turned away: every place is taken.
    Full {
        /// How many places there are.
        places: usize,
        /// Where it connected from.
        from: SocketAddr,
    },
    /// The session broke the protocol beyond repair: close its connection.
    Close {
        /// The session.
        session: SessionId,
        /// Why, for a log.
        reason: String,
    },
}

/// Why the difficulty of blocks has changed when it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetargetReason {
    /// The blocks of the period were found.
    Blocks,
    /// They were not found for several times the planned time.
    Time,
}

/// Shares of a worker: all its sessions together, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WorkerStats {
    /// Shares that were blocks.
    pub blocks: u64,
    /// Shares that were accepted, blocks included.
    pub accepted: u64,
    /// Shares that were refused.
    pub rejected: u64,
    /// The hashes that the accepted shares stand for: by their targets, not by what anybody says.
    pub work: u64,
}

impl EmbeddedPoolEvent {
    /// The miner that it is about.
    pub fn miner_mut(&mut self) -> Option<&mut Miner> {
        match self {
            Self::Joined { miner, .. }
            | Self::Left { miner, .. }
            | Self::Share { miner, .. }
            | Self::Block { miner, .. }
            | Self::Unchained { miner, .. } => Some(miner),
            Self::Retarget { .. } | Self::Full { .. } | Self::Close { .. } => None,
        }
    }
}

impl Miner {
    /// The line of the standings that its shares count in.
    pub fn label(&self) -> Label {
        let &Self { ref worker, is_host, is_device, .. } = self;
        Label { worker: worker.clone(), is_host, is_device }
    }
}

/// A line of the standings: all sessions with the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The name.
    pub worker: String,
    /// Whether these sessions belong to the program that runs the pool.
    pub is_host: bool,
    /// Whether these sessions have [seats](crate::Pool::seat).
    pub is_device: bool,
}

impl WorkerStats {
    pub(crate) fn add(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.work = self.work.saturating_add(other.work);
    }

    pub(crate) fn count_block(&mut self, counts: bool) {
        self.blocks = match counts {
            true => self.blocks + 1,
            false => self.blocks.saturating_sub(1),
        };
    }
}
