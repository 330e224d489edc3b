//! Lets one block per job through where blocks are a toy. On regtest every second hash is a block:
//! the threads would hand out hundreds of thousands in the millisecond until they are told to stop,
//! and all but the first would compete with each other for the same tip.

use std::sync::{Arc, Mutex, PoisonError};

use midstate_chain::{Job, Network, Share, Target};

/// See the [module](self) page. Where blocks are earnest, everything passes.
#[derive(Default)]
pub(crate) struct Turnstile {
    /// The job whose first block has yet to come.
    open_for: Mutex<Option<Arc<Job>>>,
}

impl Turnstile {
    /// Lets the first block of this job through.
    pub(crate) fn open(&self, job: &Arc<Job>) {
        *self.open_for.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(job));
    }

    /// Whether to hand this share on. Called on hashing threads.
    pub(crate) fn admits(&self, share: &Share) -> bool {
        if !is_toy(&share.job) {
            return true;
        }
        let mut open_for = self.open_for.lock().unwrap_or_else(PoisonError::into_inner);
        open_for.take_if(|job| Arc::ptr_eq(job, &share.job)).is_some()
    }
}

/// Whether every share of this job is a block, and blocks are easier than on any public chain.
fn is_toy(job: &Job) -> bool {
    let easiest = Network::Signet.limit().to_target().unwrap_or(Target::DIFFICULTY_1);
    job.share_target == job.network_target && job.network_target > easiest
}
