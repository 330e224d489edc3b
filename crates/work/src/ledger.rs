//! The books on shares and blocks. What was found and has no verdict is unresolved, so that the
//! books add up at every instant (I9) as long as each find gets one verdict at most, which is for
//! the caller to see to.

use midstate_chain::Verdict;

/// Counts of shares. `found = accepted + rejected + stale + throttled + unresolved`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ledger {
    found: u64,
    accepted: u64,
    rejected: u64,
    stale: u64,
    throttled: u64,
}

impl Ledger {
    /// A share was found.
    pub fn record_found(&mut self) {
        self.found += 1;
    }

    /// A share that was found got its verdict, its only one.
    pub fn record_verdict(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Accepted => self.accepted += 1,
            Verdict::Rejected => self.rejected += 1,
            Verdict::Stale => self.stale += 1,
            Verdict::Throttled => self.throttled += 1,
            Verdict::Unresolved => {}
        }
    }

    /// Shares found.
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Shares that the pool took.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Shares that the pool refused.
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Shares whose job was void before they were sent.
    pub fn stale(&self) -> u64 {
        self.stale
    }

    /// Shares held back by our own rate limit.
    pub fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Shares without a verdict: on their way, or never answered.
    pub fn unresolved(&self) -> u64 {
        self.found - self.accepted - self.rejected - self.stale - self.throttled
    }
}

/// Counts of blocks, judged as shares are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockLedger {
    /// Hashes that met the network's target.
    pub found: u64,
    /// Taken by the pool or the node.
    pub accepted: u64,
    /// Refused by the pool or the node.
    pub rejected: u64,
}

impl BlockLedger {
    /// Books a block-grade share with its verdict.
    pub fn record(&mut self, verdict: Verdict) {
        self.found += 1;
        match verdict {
            Verdict::Accepted => self.accepted += 1,
            Verdict::Rejected => self.rejected += 1,
            Verdict::Stale | Verdict::Throttled | Verdict::Unresolved => {}
        }
    }

    /// A booked block got another verdict: the best chain took it up, or left it.
    pub fn revise(&mut self, was: Verdict, verdict: Verdict) {
        match was {
            Verdict::Accepted => self.accepted -= 1,
            Verdict::Rejected => self.rejected -= 1,
            Verdict::Stale | Verdict::Throttled | Verdict::Unresolved => {}
        }
        self.found -= 1;
        self.record(verdict);
    }
}
