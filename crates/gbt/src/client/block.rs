//! One solved block: how each node stands to it, and what that comes to.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Verdict};

use crate::causes::{holds_invalid, refusal_in_words};
use crate::limits::{BLOCK_RETRIES, BURIED, MATTERS, STRANDED, VAIN_RETRIES};
use crate::rpc::RpcError;
use crate::spool::SpooledBlock;

/// The words for a block that a node has beside its best chain.
const BESIDE: &str = "inconclusive: stored by the node, but another block came first";

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
    /// Its file stays until then.
    pub(super) kept_until: Duration,
    pub(super) replayed: bool,
    /// One per node.
    pub(super) deliveries: Vec<Delivery>,
    /// One per node.
    pub(super) troubles: Vec<Trouble>,
    /// The spool has its file.
    pub(super) is_on_disk: bool,
    /// The last one reported.
    pub(super) standing: Option<Standing>,
}

/// The reason for which a node has no verdict on a block yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    /// Times that the block was sent in vain, in a row.
    vain: usize,
    /// The node's last words, or why there were none.
    pub(super) words: Option<String>,
    /// The node said that it has the block, and where.
    took: Option<Place>,
    /// It said so, and did not have the block when it was asked: its word is not enough now.
    pub(super) lost: bool,
    /// The node has answered to the block, whatever it said.
    pub(super) heard: bool,
    /// It said last that it lacks the block before this one.
    pub(super) lacks_parent: bool,
    /// So it was asked whether it has that one, which is ours.
    pub(super) asked_for_parent: bool,
    /// Times that it refused the block because it held the block, or its parent, for invalid.
    pub(super) invalid: usize,
    /// It answered with a word that Core does not have: a refusal, unless it has the block.
    pub(super) refusal: Option<String>,
}

impl Trouble {
    /// Where the node has the block, if its word is enough.
    pub(super) fn known_place(&self) -> Option<Place> {
        self.took.filter(|_| !self.lost)
    }
}

/// Where a node that has the block has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In its best chain.
    Chain,
    /// Beside it.
    Beside,
    /// It did not say: a `duplicate` may be in the chain, or beside it.
    Unsaid,
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
    /// The node has it, beside the best chain or it does not say where.
    Stored,
    /// Refused for good.
    Refused(String),
    /// The node is on another chain, and is not asked.
    Barred,
    /// The node never said yes or no, and the block can matter no more.
    Spent,
}

/// How a block stands over all nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Accepted,
    Rejected,
    Overtaken,
    /// A node that said that it has the block does not, or none has ever said yes or no.
    Missing,
}

impl Block {
    /// The node has the block. One that lost it before is asked whether that is so, and one that
    /// does not say where it has the block is asked where.
    pub(super) fn taken(
        &mut self,
        now: Duration,
        node: usize,
        attempt: usize,
        place: Place,
    ) -> Delivery {
        let trouble = &mut self.troubles[node];
        (trouble.lacks_parent, trouble.asked_for_parent) = (false, false);
        match trouble.lost || place == Place::Unsaid {
            true => {
                trouble.took = Some(place);
                Delivery::Due { at: now, attempt: attempt + 1, ask: true }
            }
            false => self.found(node, place),
        }
    }

    /// The node was asked, and has the block.
    pub(super) fn found(&mut self, node: usize, place: Place) -> Delivery {
        let heard = self.troubles[node].heard;
        self.troubles[node] = Trouble { took: Some(place), heard, ..Trouble::default() };
        place.into()
    }

    /// The node was asked, and does not have the block: it is sent again, at once if the node has
    /// lost it only now.
    pub(super) fn resend(&mut self, now: Duration, node: usize, tip: Option<u32>) -> Delivery {
        let trouble = &mut self.troubles[node];
        if trouble.took.take().is_some() {
            let words = "the node said that it has the block, and does not have it";
            trouble.words = Some(words.to_owned());
            if std::mem::replace(&mut trouble.lost, true) {
                return self.send_later(now, node, tip);
            }
        }
        match self.troubles[node].vain {
            0 => Delivery::Due { at: now, attempt: 0, ask: false },
            _ => self.due_later(now, node, tip),
        }
    }

    /// The node did not say yes or no. Whether it has the block is asked first, where that makes
    /// sense.
    pub(super) fn unclear(
        &mut self,
        now: Duration,
        node: usize,
        words: String,
        tip: Option<u32>,
    ) -> Delivery {
        let trouble = &mut self.troubles[node];
        trouble.words = Some(words);
        trouble.vain += 1;
        match self.matters(now, node, tip) {
            true => Delivery::Due { at: now, attempt: self.troubles[node].vain, ask: true },
            false => Delivery::Spent,
        }
    }

    /// The node cannot be asked. Its word counts, unless it was untrue before; else the block goes
    /// there once more.
    pub(super) fn unasked(&mut self, now: Duration, node: usize, tip: Option<u32>) -> Delivery {
        let Trouble { took, lost, .. } = self.troubles[node];
        match took {
            Some(place) if !lost => place.into(),
            Some(_) => self.send_later(now, node, tip),
            None => self.due_later(now, node, tip),
        }
    }

    /// The node has said nothing yet that speaks against it, and it is of this run.
    pub(super) fn is_new(&self, node: usize) -> bool {
        let Trouble { vain, lost, .. } = self.troubles[node];
        !self.replayed && vain == 0 && !lost
    }

    /// The same of one of an earlier run: it was not sent to the node in this one.
    pub(super) fn is_new_at(&self, node: usize) -> bool {
        !self.troubles[node].heard
    }

    /// The node has it, as far as is known.
    pub(super) fn is_had(&self, node: usize) -> bool {
        matches!(self.deliveries[node], Delivery::Taken | Delivery::Stored)
    }

    /// The node is being told or asked about it, or about to be.
    pub(super) fn is_busy(&self, node: usize, now: Duration) -> bool {
        match self.deliveries[node] {
            Delivery::UnderWay { .. } => true,
            Delivery::Due { at, .. } => at <= now,
            _ => false,
        }
    }

    /// Whether the node has yet to say something to it.
    pub(super) fn is_unanswered(&self, node: usize, now: Duration) -> bool {
        match self.deliveries[node] {
            Delivery::Held => true,
            Delivery::Due { .. } | Delivery::UnderWay { .. } => {
                self.is_busy(node, now) || !self.troubles[node].heard
            }
            _ => false,
        }
    }

    /// The block goes to this node once more, right behind the one that it builds on.
    pub(super) fn follow(&mut self, now: Duration, node: usize) -> Delivery {
        self.troubles[node].vain += 1;
        Delivery::Due { at: now, attempt: self.troubles[node].vain, ask: false }
    }

    /// The block goes to this node once more, after a pause that grows.
    pub(super) fn send_later(&mut self, now: Duration, node: usize, tip: Option<u32>) -> Delivery {
        self.troubles[node].vain += 1;
        self.due_later(now, node, tip)
    }

    fn due_later(&self, now: Duration, node: usize, tip: Option<u32>) -> Delivery {
        let attempt = self.troubles[node].vain;
        let pause = VAIN_RETRIES[attempt.clamp(1, VAIN_RETRIES.len()) - 1];
        match self.matters(now, node, tip) {
            true => Delivery::Due { at: now + Duration::from_secs(pause), attempt, ask: false },
            false => Delivery::Spent,
        }
    }

    /// That the node did not have the block although it said so is explained otherwise.
    pub(super) fn forgive(&mut self, now: Duration, node: usize) {
        let trouble = &mut self.troubles[node];
        if std::mem::take(&mut trouble.lost) {
            trouble.vain = 0;
            if let Delivery::Due { at, .. } = &mut self.deliveries[node] {
                *at = now.min(*at);
            }
        }
    }

    /// The node lacks it for a block that builds on it. If it refused it for good, and another node
    /// has it in its chain, it gets it again after a pause: nodes of one chain agree in the end.
    pub(super) fn reconsider(&mut self, now: Duration, node: usize) {
        if matches!(self.deliveries[node], Delivery::Refused(_)) && self.is_elsewhere(node) {
            self.deliveries[node] = self.send_later(now, node, None);
        }
    }

    /// Whether the node refused it for a reason that the user of the node can lift.
    pub(super) fn is_held_invalid(&self, node: usize) -> bool {
        matches!(&self.deliveries[node], Delivery::Refused(reason) if holds_invalid(reason))
    }

    /// The same of any node: the verdict may change.
    pub(super) fn may_be_reconsidered(&self) -> bool {
        (0..self.deliveries.len()).any(|node| self.is_held_invalid(node))
    }

    /// Whether the blocks that build on it wait for it at this node. They do not where the node has
    /// said neither yes nor no to it, and may have it.
    pub(super) fn comes_first(&self, node: usize) -> bool {
        let Trouble { vain, lost, lacks_parent, .. } = self.troubles[node];
        match self.deliveries[node] {
            Delivery::Held | Delivery::UnderWay { .. } => true,
            Delivery::Due { .. } => vain == 0 || lost || lacks_parent,
            _ => false,
        }
    }

    /// Whether the node has said for a while that it lacks the block before this one.
    pub(super) fn is_stranded(&self, node: usize) -> bool {
        let Trouble { lacks_parent, vain, .. } = self.troubles[node];
        lacks_parent && vain >= STRANDED
    }

    /// Whether it was found so long ago that the node has written it to its disk.
    pub(super) fn is_old(&self, now: Duration) -> bool {
        now >= self.kept_until
    }

    /// Whether another node has it in its best chain, as far as is known.
    pub(super) fn is_elsewhere(&self, node: usize) -> bool {
        let mut others = self.troubles.iter().enumerate().filter(|&(other, _)| other != node);
        others.any(|(_, trouble)| trouble.took == Some(Place::Chain))
    }

    /// Whether the block may still come into this node's chain: some hours long, and until others
    /// have buried its place. A chain that another node has may come to this one at any depth.
    fn matters(&self, now: Duration, node: usize, tip: Option<u32>) -> bool {
        let is_passed = tip.is_some_and(|tip| self.spooled.height + BURIED <= tip + 1);
        (!is_passed || self.is_elsewhere(node)) && now < self.found_at + MATTERS
    }

    /// Whether the node may still say something that counts.
    pub(super) fn is_open(&self) -> bool {
        self.deliveries.iter().any(Delivery::is_open)
    }

    /// Whether there is nothing to be waited for in the end: the block has a verdict, and nothing
    /// that was begun for it is under way. A node that is down is not waited for once another has
    /// the block.
    pub(super) fn is_settled(&self) -> bool {
        let is_judged = match self.standing {
            None => false,
            Some(Standing::Missing) => !self.is_open(),
            Some(_) => true,
        };
        is_judged && !self.deliveries.iter().any(Delivery::is_begun)
    }

    /// The node whose words tell best why it has no verdict: the one that gave its job, if that has
    /// said something.
    pub(super) fn witness(&self) -> usize {
        let nodes = std::iter::once(self.origin).chain(0..self.deliveries.len());
        nodes.into_iter().find(|&node| self.words_of(node).is_some()).unwrap_or(self.origin)
    }

    /// Why this node has given no verdict, for people.
    pub(super) fn why_unresolved(&self, node: usize) -> String {
        let place = match self.is_on_disk {
            true => "it stays in the spool",
            false => "it is not in the spool, and thus lost",
        };
        let words = self.words_of(node);
        format!("{}; {place}", words.as_deref().unwrap_or("the node has not answered"))
    }

    /// Why the node's tip does not move to it.
    pub(super) fn why_not_tip(&self, node: usize) -> String {
        let unsaid = match self.troubles[node].took {
            Some(_) => "it says that it has the block, and its tip does not move to it",
            None => "it has not answered; is it overloaded, or short of RPC threads?",
        };
        self.words_of(node).unwrap_or_else(|| unsaid.to_owned())
    }

    fn words_of(&self, node: usize) -> Option<String> {
        let words = match &self.deliveries[node] {
            Delivery::Barred => "the node is on another chain",
            Delivery::Stored => BESIDE,
            Delivery::Refused(reason) => {
                let reason = refusal_in_words(reason);
                return Some(format!("the node refuses it: {reason}"));
            }
            _ => return self.troubles[node].words.clone(),
        };
        Some(words.to_owned())
    }

    /// How it stands, the node that says so, and the node's words. `None` while a node that may
    /// take it has not answered, and no other has.
    pub(super) fn judge(&self) -> Option<(Standing, usize, Option<String>)> {
        let deliveries = || self.deliveries.iter();
        if let Some(node) = deliveries().position(|delivery| *delivery == Delivery::Taken) {
            return Some((Standing::Accepted, node, None));
        }
        let missing =
            |node: usize| Some((Standing::Missing, node, Some(self.why_unresolved(node))));
        // One node's word does not count against that of another, which is only asked once more,
        // unless that one cannot be asked.
        let is_asked = |(delivery, trouble): (&Delivery, &Trouble)| {
            delivery.is_begun() && trouble.known_place() == Some(Place::Chain)
        };
        let is_being_asked = deliveries().zip(&self.troubles).any(is_asked);
        let is_taken_back = self.standing == Some(Standing::Accepted)
            && deliveries().any(|delivery| *delivery == Delivery::Stored)
            && !is_being_asked;
        if self.is_open() && !is_taken_back {
            let node = self.troubles.iter().position(|trouble| trouble.lost);
            // The first verdict waits for another node that is answering to the block just now.
            let is_awaited = self.standing.is_none()
                && deliveries().zip(&self.troubles).any(|(it, at)| it.is_begun() && !at.lost);
            return missing(node.filter(|_| !is_being_asked && !is_awaited)?);
        }
        if let Some(node) = deliveries().position(|delivery| *delivery == Delivery::Stored) {
            let reason = match self.standing {
                _ if self.troubles[node].took == Some(Place::Unsaid) => {
                    "duplicate: stored by the node, which does not say whether in its best chain"
                }
                Some(Standing::Accepted) => {
                    "no longer in the best chain: a reorganisation took another branch"
                }
                _ => BESIDE,
            };
            return Some((Standing::Overtaken, node, Some(reason.to_owned())));
        }
        if let Some(node) = deliveries().position(|delivery| *delivery == Delivery::Spent) {
            return missing(node);
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

    /// It was sent. Whether it has arrived is known, or it is not.
    pub(super) fn not_answered(&self, error: &RpcError) -> String {
        let hash = self.hash;
        match error {
            RpcError::Unreachable(why) if why.may_have_arrived() => {
                format!("no verdict on block {hash}, which the node may have: {why}")
            }
            RpcError::Foreign(foreign) if foreign.may_have_arrived() => {
                format!("no verdict on block {hash}, which the node may have: {foreign}")
            }
            RpcError::Unreachable(_) | RpcError::Foreign(_) => self.not_arrived(error),
            _ => format!("the node did not take block {hash}: {error}"),
        }
    }
}

impl Delivery {
    /// Whether the node may still say something that counts.
    pub(super) fn is_open(&self) -> bool {
        matches!(self, Self::Held | Self::Due { .. } | Self::UnderWay { .. })
    }

    /// Whether it is being told or asked, or about to be, and has not failed to answer.
    pub(super) fn is_begun(&self) -> bool {
        matches!(self, Self::UnderWay { .. } | Self::Due { attempt: 0, .. })
    }
}

impl From<Place> for Delivery {
    fn from(place: Place) -> Self {
        match place {
            Place::Chain => Self::Taken,
            Place::Beside | Place::Unsaid => Self::Stored,
        }
    }
}

impl From<Standing> for Verdict {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Accepted => Self::Accepted,
            Standing::Rejected => Self::Rejected,
            Standing::Overtaken | Standing::Missing => Self::Unresolved,
        }
    }
}

pub(super) fn pause(attempt: usize) -> Duration {
    Duration::from_secs(BLOCK_RETRIES[attempt.min(BLOCK_RETRIES.len() - 1)])
}
