//! The intake between the hashing threads and mining: it turns away shares that no pool could take,
//! before they fill a queue. Called on hashing threads; mining tells it of jobs and verdicts.

use std::sync::Arc;

use midstate_chain::{Job, Share};

use super::backlog::Backlog;
use super::toy_blocks::ToyBlocks;

/// See the [module](self) page.
pub(super) struct Intake {
    toy_blocks: ToyBlocks,
    backlog: Backlog,
}

impl Intake {
    /// Where blocks are a toy, it lets no more than `blocks` of them through. Shares wait for the
    /// answers of so many channels.
    pub(super) fn new(blocks: Option<u64>, channels: usize) -> Self {
        Self { toy_blocks: ToyBlocks::new(blocks), backlog: Backlog::new(channels) }
    }

    /// Whether to hand this share on. Called on hashing threads.
    pub(super) fn admits(&self, share: &Share) -> bool {
        self.toy_blocks.admits(share) && self.backlog.admits(share)
    }

    /// This job is hashed from now on.
    pub(super) fn open(&self, job: &Arc<Job>) {
        self.toy_blocks.open(job);
    }

    /// A share that was admitted got its verdict.
    pub(super) fn settled(&self) {
        self.backlog.settled();
    }

    /// A block that was admitted is not in the chain, or no longer: another may pass for it.
    pub(super) fn take_back(&self) {
        self.toy_blocks.take_back();
    }

    /// A block that was taken back is in the chain after all.
    pub(super) fn give_back(&self) {
        self.toy_blocks.give_back();
    }

    /// Shares turned away since the last call: found, and throttled.
    pub(super) fn take_turned_away(&self) -> u64 {
        self.backlog.take_turned_away()
    }
}
