//! The shares of late, by their hashes.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use midstate_chain::{Hash256, Job};

/// The hashes of the last shares, to tell when a search ran over the same headers again. A share
/// is forgotten with its job: another one of a job that is void is stale, whether it is new or not.
#[derive(Debug)]
pub struct Recent {
    /// The oldest first.
    order: VecDeque<(Arc<Job>, Hash256)>,
    set: HashSet<Hash256>,
    limit: usize,
}

impl Recent {
    /// Remembers the last `limit` hashes, or fewer.
    pub fn new(limit: usize) -> Self {
        Self { order: VecDeque::new(), set: HashSet::new(), limit }
    }

    /// Whether the hash is among them.
    pub fn contains(&self, hash: &Hash256) -> bool {
        self.set.contains(hash)
    }

    /// Remembers one more; the oldest makes way, and so do those whose jobs are void. Jobs become
    /// void in the order of their age, or nearly so.
    pub fn insert(&mut self, job: &Arc<Job>, hash: Hash256, is_live: impl Fn(&Arc<Job>) -> bool) {
        while let Some((oldest, _)) = self.order.front()
            && (self.order.len() >= self.limit || !is_live(oldest))
            && let Some((_, hash)) = self.order.pop_front()
        {
            self.set.remove(&hash);
        }
        if self.set.insert(hash) {
            self.order.push_back((Arc::clone(job), hash));
        }
    }
}
