//! Blocks that a node does not take, in a row, and the consequences.
//!
//! **Rule: a node that takes none of our blocks is not mined at while another one is there.** Its
//! words do not matter, nor whether it refuses a block, says yes to it and does not have it, or
//! says nothing: only a block that it takes ends the row. After [`REFUSED`] blocks in a row the
//! user is told once, and the node counts as one that fails; after one, if another node has that
//! block in its chain, as further blocks would only compete with it. Where there is no other node,
//! mining goes on after pauses that grow.
//!
//! A refused block says something about the tip, too: the same tip is not mined on for some
//! seconds, as on regtest the next block is a millisecond away. Another tip is mined on at once.

use std::time::Duration;

use midstate_chain::Hash256;
use midstate_failover::Failure;

use super::{Client, Given, NodeNews};
use crate::causes;
use crate::limits::{POLL, REFUSED, REFUSED_PAUSES};
use crate::rpc::{BlockVerdict, RpcError, code};

/// The parent of the block is invalid by now. That may be luck: somebody has taken the tip back.
const TIP_TAKEN_BACK: &str = "bad-prevblk";

/// The row at one node.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    count: u32,
    /// The warning about it, once the row is long enough.
    told: Option<String>,
    /// It said yes to a block, and no template of another tip has come since.
    has_promised: bool,
    /// Its work is not hashed for a while.
    rest: Option<Rest>,
    /// The tip and the words of a refusal that counts if the node still gives work on that tip.
    on_trial: Option<(Hash256, String)>,
}

impl Refusals {
    /// That the node takes no block, once that was told.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.told.as_deref()
    }
}

/// A block of ours that a node's tip does not move to.
#[derive(Debug)]
pub(super) struct NotTaken {
    pub(super) words: String,
    /// It was refused, and is in the row.
    pub(super) is_counted: bool,
    /// Another node has it in its chain.
    pub(super) is_elsewhere: bool,
}

/// The work of which a block of ours was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundOn {
    pub(super) tip: Hash256,
    /// The node that gave it.
    pub(super) node: usize,
    pub(super) at: Duration,
}

/// Work of a node that is not hashed before a time.
#[derive(Debug, Clone, Copy)]
struct Rest {
    /// `None`: all work of the node.
    tip: Option<Hash256>,
    until: Duration,
}

impl Rest {
    fn is_on(self, tip: Hash256) -> bool {
        self.tip.is_none_or(|it| it == tip)
    }
}

/// The words of a refusal that is for good. After a word that Core does not have, the node is asked
/// first whether it has the block.
pub(super) fn is_for_good(verdict: &Result<BlockVerdict, RpcError>) -> Option<&str> {
    match verdict {
        Ok(BlockVerdict::Refused(reason)) if !causes::may_pass(reason) => {
            causes::cause(reason).map(|_| reason.as_str())
        }
        Err(RpcError::Node { code: code::DESERIALIZATION, message }) => Some(message),
        _ => None,
    }
}

impl Client {
    /// The node has refused a block of ours for good. One that was found before the last rest
    /// ended, and was refused only now, is no reason for another.
    pub(super) fn handle_refused(&mut self, now: Duration, index: usize, why: &str, on: FoundOn) {
        match why == TIP_TAKEN_BACK {
            true => self.nodes[index].refusals.on_trial = Some((on.tip, why.to_owned())),
            false => {
                self.takes_none(index, &in_words(why), false);
                if on.node == index || index != self.active {
                    self.leave(now, index);
                }
            }
        }
        let refusals = &mut self.nodes[index].refusals;
        if refusals.rest.is_some_and(|rest| rest.is_on(on.tip) && on.at < rest.until) {
            return;
        }
        let (tip, pause) = match refusals.count.checked_sub(REFUSED) {
            None => (Some(on.tip), POLL),
            Some(more) => {
                let pause = REFUSED_PAUSES[(more as usize).min(REFUSED_PAUSES.len() - 1)];
                (None, Duration::from_secs(pause))
            }
        };
        refusals.rest = Some(Rest { tip, until: now + pause });
    }

    /// The node has said yes to a block of ours. One that gives the work has yet to build on it.
    pub(super) fn handle_accepted(&mut self, index: usize) {
        self.nodes[index].refusals.has_promised = true;
        if index != self.active {
            self.takes_blocks(index);
        }
    }

    /// The node's template is on this tip, which may be another one than before.
    pub(super) fn look_at_refusals(
        &mut self,
        now: Duration,
        index: usize,
        tip: Hash256,
        has_moved: bool,
    ) {
        let refusals = &mut self.nodes[index].refusals;
        let on_trial = refusals.on_trial.take().filter(|(refused_on, _)| *refused_on == tip);
        if has_moved && (refusals.has_promised || self.blocks.origin(tip).is_some()) {
            self.takes_blocks(index);
        }
        if let Some((_, why)) = on_trial {
            self.takes_none(index, &in_words(&why), false);
            self.leave(now, index);
        }
    }

    /// The tip of the node that gives the work has not moved to our block on it. Returns whether
    /// the user knows that the node takes no block.
    pub(super) fn handle_not_taken(&mut self, now: Duration, tip: Hash256, why: &NotTaken) -> bool {
        if why.is_elsewhere {
            // Until the other node gives work.
            let rest = Rest { tip: Some(tip), until: now + POLL };
            self.nodes[self.active].refusals.rest = Some(rest);
        }
        if why.is_elsewhere || !why.is_counted {
            self.takes_none(self.active, &why.words, why.is_elsewhere);
            self.leave(now, self.active);
        }
        self.nodes[self.active].refusals.told.is_some()
    }

    fn takes_blocks(&mut self, index: usize) {
        self.nodes[index].refusals = Refusals::default();
        self.failover.accepted(index);
    }

    /// The node has not taken a block of ours.
    fn takes_none(&mut self, index: usize, words: &str, is_elsewhere: bool) {
        let is_alone = self.nodes.len() == 1;
        let refusals = &mut self.nodes[index].refusals;
        refusals.has_promised = false;
        refusals.count += 1;
        if refusals.count < REFUSED && !is_elsewhere {
            return;
        }
        if refusals.told.is_none() {
            let then = match index == self.active {
                true if is_alone => {
                    "no other node is on the list; the pauses before our next blocks grow"
                }
                true => "it counts as a node that fails",
                false => "the other nodes get our blocks all the same",
            };
            let what = match is_elsewhere {
                true => "the node does not take our block, which another node has".to_owned(),
                false => format!("the node took none of our last {REFUSED} blocks"),
            };
            let trouble = format!("{what}; its last words: {words}");
            self.events.push(index, NodeNews::Warning(format!("{trouble}; {then}")));
            refusals.told = Some(trouble);
        }
    }

    /// A node of which it was told that it takes no block counts as one that fails.
    fn leave(&mut self, now: Duration, index: usize) {
        if self.nodes[index].refusals.told.is_some() && self.failover.is_wanted(index) {
            let how = match index == self.active {
                true => Failure::Worthless,
                // It is not returned to while it goes on so.
                false => Failure::Passing,
            };
            self.failover.failed(now, index, how);
            // It goes on to give work, which is better than none.
            self.nodes[index].wake_at = Some(now);
        }
    }

    /// When the newest work may be handed out.
    pub(super) fn offer_at(&self) -> Duration {
        let rest = self.works.last().and_then(|Given { node, work }| {
            let rest = self.nodes[*node].refusals.rest;
            rest.filter(|rest| rest.is_on(work.template().prev_hash))
        });
        rest.map_or(self.pace_until, |rest| self.pace_until.max(rest.until))
    }
}

/// The node's reason with a likely cause.
fn in_words(why: &str) -> String {
    match causes::cause(why) {
        Some(_) => causes::refusal_in_words(why),
        None => format!(
            "{why}; likely cause: the node judges blocks by other rules than those of its \
             templates, or something between us changes blocks on their way"
        ),
    }
}
