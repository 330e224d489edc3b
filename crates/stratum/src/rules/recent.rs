//! The shares of late, by their hashes.

use std::collections::{HashSet, VecDeque};

use midstate_chain::Hash256;

/// The hashes of the last shares, to tell when a search ran over the same headers again.
#[derive(Debug)]
pub struct Recent {
    order: VecDeque<Hash256>,
    set: HashSet<Hash256>,
    limit: usize,
}

impl Recent {
    /// Remembers the last `limit` hashes.
    pub fn new(limit: usize) -> Self {
        Self { order: VecDeque::new(), set: HashSet::new(), limit }
    }

    /// Whether the hash was among them.
    pub fn contains(&self, hash: &Hash256) -> bool {
        self.set.contains(hash)
    }

    /// Remembers one more; the oldest makes way.
    pub fn insert(&mut self, hash: Hash256) {
        if self.set.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.set.remove(&oldest);
        }
    }
}
