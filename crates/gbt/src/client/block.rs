//! One solved block: how each node stands to it, and what that comes to.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Verdict};

use crate::limits::{BLOCK_RETRIES, MAX_UNCLEAR};
use crate::rpc::RpcError;
use crate::spool::SpooledBlock;

/// A verdict on a block, for the `block` event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockOutcome {
    /// The block.
    pub hash: Hash256,
    /// Its height.
    pub height: u32,
    /// Accepted: a node took it. Rejected: every node refused it for good. Unresolved: no node said
    /// either, or it is stored beside the best chain.
    pub verdict: Verdict,
    /// The verdict reported before, if this one replaces it.
    pub was: Option<Verdict>,
    /// The node's words, for anything but a plain acceptance.
    pub reason: Option<String>,
    /// From finding it to the verdict.
    pub latency: Duration,
    /// Found by an earlier run.
    pub replayed: bool,
}

#[derive(Debug)]
pub(super) struct Block {
    /// The node that gave its job, or that named the chain whose spool it comes from.
    pub(super) origin: usize,
    pub(super) spooled: SpooledBlock,
    pub(super) hex: Arc<str>,
    pub(super) found_at: Duration,
    pub(super) replayed: bool,
    /// One per node.
    pub(super) deliveries: Vec<Delivery>,
    /// One per node: its last answer that said neither yes nor no, and how many of them there were.
    pub(super) unclear: Vec<(u32, String)>,
    /// The last one reported.
    pub(super) standing: Option<Standing>,
}

/// How one node and one block stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The spool is not written yet.
    Held,
    /// To be sent, or asked about.
    Due { at: Duration, attempt: usize, ask: bool },
    /// No answer yet.
    UnderWay { attempt: usize },
    /// The node has it, in the best chain when last seen.
    Taken,
    /// The node has it, beside the best chain.
    Stored,
    /// Refused for good.
    Refused(String),
    /// The node is on another chain, and is not asked.
    Barred,
}

/// How a block stands over all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Accepted,
    Rejected,
    Overtaken,
}

impl Block {
    pub(super) fn is_due(&self, node: usize) -> bool {
        matches!(self.deliveries[node], Delivery::Due { .. })
    }

    pub(super) fn is_given_up(&self, node: usize) -> bool {
        self.unclear[node].0 > MAX_UNCLEAR
    }

    pub(super) fn give_up(&self, node: usize) -> Delivery {
        let text = &self.unclear[node].1;
        Delivery::Refused(format!("the node answers {text}, and does not have the block"))
    }

    /// The node does not have it: it forgot the block, or its answer meant no.
    pub(super) fn resend(&self, now: Duration, node: usize, attempt: usize) -> Delivery {
        match self.unclear[node].0 {
            0 => Delivery::Due { at: now, attempt: 0, ask: false },
            _ if self.is_given_up(node) => self.give_up(node),
            _ => Delivery::Due { at: now + pause(attempt), attempt, ask: false },
        }
    }

    /// How it stands, the node that says so, and the node's words. `None` while a node that may
    /// take it has not answered, and no other has.
    pub(super) fn judge(&self) -> Option<(Standing, usize, Option<String>)> {
        let deliveries = || self.deliveries.iter();
        if let Some(node) = deliveries().position(|delivery| *delivery == Delivery::Taken) {
            return Some((Standing::Accepted, node, None));
        }
        let closed = |delivery: &Delivery| {
            matches!(delivery, Delivery::Stored | Delivery::Refused(_) | Delivery::Barred)
        };
        if !deliveries().all(closed) {
            return None;
        }
        if let Some(node) = deliveries().position(|delivery| *delivery == Delivery::Stored) {
            let reason = match self.standing {
                Some(Standing::Accepted) => {
                    "no longer in the best chain: a reorganisation took another branch"
                }
                _ => "inconclusive: stored by the node, but another block came first",
            };
            return Some((Standing::Overtaken, node, Some(reason.to_owned())));
        }
        deliveries().enumerate().find_map(|(node, delivery)| match delivery {
            Delivery::Refused(reason) => Some((Standing::Rejected, node, Some(reason.clone()))),
            _ => None,
        })
    }

    pub(super) fn outcome(
        &self,
        verdict: Verdict,
        was: Option<Verdict>,
        reason: Option<String>,
        latency: Duration,
    ) -> BlockOutcome {
        let (hash, height) = (self.spooled.hash, self.spooled.height);
        let replayed = self.replayed;
        BlockOutcome { hash, height, verdict, was, reason, latency, replayed }
    }
}

impl SpooledBlock {
    pub(super) fn not_arrived(&self, error: &RpcError) -> String {
        let hash = self.hash;
        format!("block {hash} has not reached the node: {error}")
    }
}

impl From<Standing> for Verdict {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Accepted => Self::Accepted,
            Standing::Rejected => Self::Rejected,
            Standing::Overtaken => Self::Unresolved,
        }
    }
}

pub(super) fn pause(attempt: usize) -> Duration {
    Duration::from_secs(BLOCK_RETRIES[attempt.min(BLOCK_RETRIES.len() - 1)])
}
