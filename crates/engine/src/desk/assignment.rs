//! A job on the desk: what there is to hash of it, and how far the search is.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midstate_chain::Job;
use midstate_work::{Claim, Cut, Frontier, SearchSpace, Unit};

/// One job being searched by all workers.
pub(super) struct Assignment {
    pub(super) space: SearchSpace,
    pub(super) search: Arc<Search>,
}

/// How far the search of a job is; outlives the assignment when the same work is sent again.
pub(super) struct Search {
    frontier: Mutex<Frontier>,
    /// Seconds since the work first came.
    elapsed: AtomicU32,
}

impl Assignment {
    /// With what was handed out of `before` left out, where it is the same work.
    pub(super) fn new(job: Arc<Job>, cut: Cut, before: Option<&Self>) -> Self {
        let space = SearchSpace::new(job, cut);
        let before = before.filter(|before| before.space.job().same_work_but_versions(space.job()));
        let search = match before {
            Some(before) if before.space.job().same_work(space.job()) => Arc::clone(&before.search),
            Some(Self { space: own, search }) => {
                let frontier = search.frontier().hand_over(own, &space);
                let elapsed = search.seconds().into();
                Arc::new(Search { frontier: Mutex::new(frontier), elapsed })
            }
            None => {
                let frontier = Mutex::new(Frontier::new(&space));
                Arc::new(Search { frontier, elapsed: AtomicU32::new(0) })
            }
        };
        Self { space, search }
    }

    /// The next claim.
    pub(super) fn peek(&self) -> Claim {
        self.search.frontier().peek(&self.space, self.search.seconds())
    }

    /// Takes units of `hashes` hashes together, or one.
    pub(super) fn claim(&self, hashes: u64) -> Claim {
        self.search.frontier().claim_many(&self.space, self.search.seconds(), hashes)
    }

    /// Takes back what was not hashed.
    pub(super) fn give_back(&self, unit: Unit) {
        self.search.frontier().give_back(&self.space, unit);
    }

    /// A step of the search for pairs, if it is due.
    pub(super) fn look_for_a_pair(&self) {
        let Some(mut search) = self.search.frontier().lend_search(&self.space) else { return };
        let found = search.step(&self.space);
        self.search.frontier().return_search(search, found);
    }
}

impl Search {
    /// It never becomes less.
    pub(super) fn set_elapsed(&self, seconds: u32) {
        self.elapsed.fetch_max(seconds, Ordering::Relaxed);
    }

    fn seconds(&self) -> u32 {
        self.elapsed.load(Ordering::Relaxed)
    }

    /// Held for a claim and no longer. A panic elsewhere cannot leave it half changed: claims do
    /// not panic.
    fn frontier(&self) -> MutexGuard<'_, Frontier> {
        self.frontier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
