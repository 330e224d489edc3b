//! The search of one miner of the swarm: how far it is in its present job. Used by the
//! [`Allotment`](crate::Allotment) alone.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_work::{Claim, Cut, Frontier, SearchSpace, Unit};

/// Versions hashed side by side: with more, to prepare a page would cost more than they gain, since
/// a miner of the swarm hashes a few thousand headers at a time.
const MIDSTATES: usize = 8;

/// A search space, and how far it is hashed.
pub(crate) struct Search {
    space: Arc<SearchSpace>,
    frontier: Frontier,
    /// When the work first came.
    since: Duration,
}

impl Search {
    /// The search of `job`. It goes on where `before` stands if that is the same work, so that no
    /// header is hashed twice.
    pub(crate) fn new(now: Duration, job: Arc<Job>, before: Option<Self>) -> Self {
        // The least that can be claimed is one nonce.
        let space = Arc::new(SearchSpace::new(job, Cut::by_hashes(MIDSTATES, 1)));
        let before = before.filter(|own| own.space.job().same_work_but_versions(space.job()));
        let (frontier, since) = match before {
            Some(own) if own.space.job().same_work(space.job()) => (own.frontier, own.since),
            Some(mut own) => (own.frontier.hand_over(&own.space, &space), own.since),
            None => (Frontier::new(&space), now),
        };
        Self { space, frontier, since }
    }

    /// The space, for whoever hashes a part of it.
    pub(crate) fn space(&self) -> &Arc<SearchSpace> {
        &self.space
    }

    /// Takes as many nonces of one page as have `hashes` hashes together; one at least. `None`:
    /// there is nothing to hash.
    pub(crate) fn claim(&mut self, now: Duration, hashes: u64) -> Option<Unit> {
        let elapsed = now.saturating_sub(self.since).as_secs();
        let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
        match self.frontier.claim_many(&self.space, elapsed, hashes) {
            Claim::Unit(unit) => Some(unit),
            Claim::NotYet | Claim::Exhausted => None,
        }
    }

    /// How many hashes one nonce of the next claim has.
    pub(crate) fn hashes_a_nonce(&mut self, now: Duration) -> Option<u64> {
        let elapsed = now.saturating_sub(self.since).as_secs();
        let elapsed = u32::try_from(elapsed).unwrap_or(u32::MAX);
        match self.frontier.peek(&self.space, elapsed) {
            Claim::Unit(unit) => {
                let nonces = unit.nonces.end - unit.nonces.start;
                Some(self.space.hashes(&unit) / nonces.max(1))
            }
            Claim::NotYet | Claim::Exhausted => None,
        }
    }
}
