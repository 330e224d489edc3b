//! The blocks of ours that a node is known to have now, and the order in which it gets the others.

use std::time::Duration;

use midstate_chain::Hash256;

use super::Blocks;
use crate::client::block::{Block, Delivery};
use crate::limits::{LOST_AGAIN, MAX_ASKED};

/// The block before one of ours, at a node that lacks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    /// Ours: it is sent or asked about first, and this one right behind it.
    First,
    /// Ours: the node did not take it, and gets it again after a pause. So does this one.
    Paused,
    /// None of ours, or none that we can bring.
    Elsewhere,
}

impl Blocks {
    /// Asks a node anew about all the blocks it had.
    pub(in crate::client) fn recheck(&mut self, now: Duration, node: usize) {
        self.recheck_those(now, node, |_| true);
    }

    /// The same when the node turns out to lack a block that it had: it may lack any other. Where
    /// that comes again soon, as two nodes in turn may answer there, the highest one tells.
    pub(super) fn recheck_after_loss(&mut self, now: Duration, node: usize) {
        if self.lost[node].is_some_and(|before| now < before + LOST_AGAIN) {
            return self.recheck_after_absence(now, node, u32::MAX);
        }
        self.lost[node] = Some(now);
        self.recheck(now, node);
    }

    /// The same when the node offers work at this height on a tip that is new to it: it has no
    /// block of ours from there on in its chain.
    pub(in crate::client) fn recheck_from(&mut self, now: Duration, node: usize, height: u32) {
        self.recheck_those(now, node, |block| {
            block.spooled.height >= height && block.deliveries[node] == Delivery::Taken
        });
        self.forgive(now, node, height);
    }

    /// The node has gone back, so that its word on the blocks from this height on was no lie: those
    /// that it said to have and had not when it was asked are sent again at once.
    fn forgive(&mut self, now: Duration, node: usize, height: u32) {
        let lost = |block: &&mut Block| block.spooled.height >= height;
        self.blocks.iter_mut().filter(lost).for_each(|block| block.forgive(now, node));
    }

    /// The node has this block: what lacked it there waits no longer.
    pub(in crate::client) fn hurry_on(&mut self, now: Duration, node: usize, tip: Hash256) {
        self.hurry_those(now, node, |block| {
            block.spooled.prev_hash == tip && block.troubles[node].lacks_parent
        });
    }

    /// The node has just taken this block: what builds on it follows, whatever the node said to it
    /// before.
    pub(super) fn follow_up(&mut self, now: Duration, node: usize, hash: Hash256) {
        self.hurry_those(now, node, |block| block.spooled.prev_hash == hash);
    }

    fn hurry_those(&mut self, now: Duration, node: usize, which: impl Fn(&Block) -> bool) {
        for block in self.blocks.iter_mut().filter(|block| which(block)) {
            if let Delivery::Due { at, .. } = &mut block.deliveries[node] {
                *at = now.min(*at);
            }
        }
    }

    /// The same for those that may be let go of, up to a height.
    pub(in crate::client) fn recheck_old(&mut self, now: Duration, node: usize, up_to: u32) {
        let is_old = |block: &Block| block.spooled.height <= up_to && block.is_old(now);
        self.recheck_those(now, node, is_old);
    }

    /// The node has not answered to this block for long: whether it has the block is asked.
    pub(in crate::client) fn ask_about(&mut self, now: Duration, node: usize, hash: Hash256) {
        let mut blocks = self.blocks.iter_mut();
        if let Some(block) = blocks.find(|block| block.spooled.hash == hash)
            && let Delivery::UnderWay { attempt } = block.deliveries[node]
        {
            block.deliveries[node] = Delivery::Due { at: now, attempt, ask: true };
        }
    }

    /// Whether a block of ours on this tip is on its way to the node, or about to be.
    pub(in crate::client) fn is_coming(&self, now: Duration, node: usize, tip: Hash256) -> bool {
        let mut blocks = self.blocks.iter().filter(|block| block.spooled.prev_hash == tip);
        blocks.any(|block| block.deliveries[node] == Delivery::Held || block.is_busy(node, now))
    }

    /// The same for the blocks on a tip, which does not move to them.
    pub(in crate::client) fn recheck_on(&mut self, now: Duration, node: usize, tip: Hash256) {
        self.recheck_those(now, node, |block| block.spooled.prev_hash == tip);
    }

    /// The same when the node has a new tip that is no block of ours: the highest block that it had
    /// tells whether the chain was reorganised under it.
    pub(in crate::client) fn recheck_highest(&mut self, now: Duration, node: usize, tip: Hash256) {
        if self.origin(tip).is_none() {
            self.recheck_after_absence(now, node, u32::MAX);
        }
    }

    /// The same when the node was away and offers work at this height: it may have forgotten the
    /// blocks from there on, and the highest below tells of all others.
    pub(in crate::client) fn recheck_after_absence(
        &mut self,
        now: Duration,
        node: usize,
        height: u32,
    ) {
        let had = |block: &&Block| {
            block.deliveries[node] == Delivery::Taken && block.spooled.height < height
        };
        let highest = self.blocks.iter().filter(had).map(|block| block.spooled.height).max();
        self.recheck_those(now, node, |block| {
            block.spooled.height >= height || Some(block.spooled.height) == highest
        });
        self.forgive(now, node, height);
    }

    fn recheck_those(&mut self, at: Duration, node: usize, which: impl Fn(&Block) -> bool) {
        for block in self.blocks.iter_mut().filter(|block| block.is_had(node)) {
            if which(block) {
                block.deliveries[node] = Delivery::Due { at, attempt: 0, ask: true };
            }
        }
    }

    /// Whether the node has a block of ours on this tip, or is about to get it.
    pub(in crate::client) fn has_on(&self, now: Duration, node: usize, tip: Hash256) -> bool {
        let mut blocks = self.blocks.iter().filter(|block| block.spooled.prev_hash == tip);
        self.is_coming(now, node, tip)
            || blocks.any(|block| block.deliveries[node] == Delivery::Taken)
    }

    /// Whether a block that is sent again has to wait until the node has the block of ours before
    /// it, without which it cannot take this one, or a question for the answers to others. A new
    /// block never waits. The time does not count, so that no block is due and waits all the same.
    pub(super) fn waits_for_others(&self, block: &Block, node: usize) -> bool {
        match block.deliveries[node] {
            Delivery::Due { ask: true, .. } => {
                let is_under_way =
                    |it: &&Block| matches!(it.deliveries[node], Delivery::UnderWay { .. });
                self.blocks.iter().filter(is_under_way).count() >= MAX_ASKED
            }
            Delivery::Due { ask: false, .. } if !block.is_new(node) => {
                self.find(block.spooled.prev_hash).is_some_and(|it| it.comes_first(node))
            }
            _ => false,
        }
    }

    /// Whether no node can take the block: each lacks the block before it, or before one of ours
    /// that it builds on, and has said so for a while. We do not have that one, either.
    pub(super) fn is_stranded(&self, block: &Block) -> bool {
        let is_open = |&node: &usize| block.deliveries[node].is_open();
        let mut open = (0..self.barred.len()).filter(is_open).peekable();
        open.peek().is_some() && open.all(|node| self.first_missing(block, node).is_stranded(node))
    }

    /// The oldest block of ours below this one that the node does not have.
    fn first_missing<'a>(&'a self, block: &'a Block, node: usize) -> &'a Block {
        let below = |block: &&Block| {
            let below = self.find(block.spooled.prev_hash)?;
            below.deliveries[node].is_open().then_some(below)
        };
        std::iter::successors(Some(block), below).last().expect("the block itself")
    }

    /// The node lacks the block before this one: how that one stands there. If the node said that
    /// it has it, it is asked whether it still does, and once more after each pause.
    pub(super) fn brings_parent(&mut self, now: Duration, node: usize, hash: Hash256) -> Parent {
        let Some(block) = self.find_mut(hash) else { return Parent::Elsewhere };
        let (prev_hash, trouble) = (block.spooled.prev_hash, &mut block.troubles[node]);
        trouble.lacks_parent = true;
        let was_asked = std::mem::take(&mut trouble.asked_for_parent);
        let Some(parent) = self.find_mut(prev_hash) else { return Parent::Elsewhere };
        parent.reconsider(now, node);
        if !parent.is_had(node) {
            let parent = match (parent.comes_first(node), parent.deliveries[node].is_open()) {
                (true, _) => Parent::First,
                (false, true) => Parent::Paused,
                (false, false) => Parent::Elsewhere,
            };
            self.hurry_first(now, node, hash);
            return parent;
        }
        if !was_asked {
            parent.deliveries[node] = Delivery::Due { at: now, attempt: 0, ask: true };
            self.find_mut(hash).expect("it is there").troubles[node].asked_for_parent = true;
        }
        if was_asked { Parent::Elsewhere } else { Parent::First }
    }

    /// A node may take a block now that it did not take for a while: each new block whose chain it
    /// lacks is the occasion to try the first of that chain again, so that its pauses, which grow
    /// to minutes, keep no standby behind.
    fn hurry_first(&mut self, now: Duration, node: usize, hash: Hash256) {
        let Some(block) = self.find(hash).filter(|block| block.is_new(node)) else { return };
        let first = self.first_missing(block, node).spooled.hash;
        if first != hash
            && let Some(first) = self.find_mut(first)
            && let Delivery::Due { at, .. } = &mut first.deliveries[node]
        {
            *at = now.min(*at);
        }
    }

    /// The node is back: what waited for it waits no longer.
    pub(in crate::client) fn hurry(&mut self, now: Duration, node: usize) {
        self.hurry_those(now, node, |_| true);
    }

    /// Whether this node has yet to say something to a block of ours on this tip.
    pub(in crate::client) fn is_unanswered(
        &self,
        now: Duration,
        node: usize,
        tip: Hash256,
    ) -> bool {
        let mut blocks = self.blocks.iter().filter(|block| block.spooled.prev_hash == tip);
        blocks.any(|block| block.is_unanswered(node, now))
    }
}
