//! Lets one block per job through where blocks are a toy. On regtest every second hash is a block:
//! the threads would hand out hundreds of thousands in the millisecond until they are told to stop,
//! and all but the first would compete with each other for the same tip.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midstate_chain::{Job, Share};

/// See the [module](self) page. Where blocks are earnest, everything passes.
pub(crate) struct ToyBlocks(Mutex<Gate>);

struct Gate {
    /// The job whose first block has yet to come.
    open_for: Option<Arc<Job>>,
    /// Blocks that may still pass: who asks for ten gets ten, though the eleventh is found before
    /// the verdict on the tenth is known. Without a goal there is no end.
    left: Option<u64>,
}

impl ToyBlocks {
    /// Lets no more than `goal` blocks through, less those that came to nothing.
    pub(crate) fn new(goal: Option<u64>) -> Self {
        Self(Mutex::new(Gate { open_for: None, left: goal }))
    }

    /// Lets the first block of this job through.
    pub(crate) fn open(&self, job: &Arc<Job>) {
        self.gate().open_for = Some(Arc::clone(job));
    }

    /// Whether to hand this share on. Called on hashing threads.
    pub(crate) fn admits(&self, share: &Share) -> bool {
        if !is_toy(&share.job) {
            return true;
        }
        let mut gate = self.gate();
        if gate.left == Some(0) {
            return false;
        }
        let admitted = gate.open_for.take_if(|job| Arc::ptr_eq(job, &share.job)).is_some();
        if admitted && let Some(left) = &mut gate.left {
            *left -= 1;
        }
        admitted
    }

    /// A block that was let through is not in the chain, or no longer: another may pass for it.
    pub(crate) fn take_back(&self) {
        if let Some(left) = &mut self.gate().left {
            *left += 1;
        }
    }

    /// A block that was taken back is in the chain after all.
    pub(crate) fn give_back(&self) {
        if let Some(left) = &mut self.gate().left {
            *left = left.saturating_sub(1);
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether every share of this job is a block, and blocks are easier than on any public chain.
fn is_toy(job: &Job) -> bool {
    job.share_target == job.network_target && job.has_toy_blocks()
}
