//! Solved blocks, from the spool to their burial. No block is lost (I8):
//!
//! - nothing is sent before the spool has it (or has refused it);
//! - every node gets it, and again after 0, 1, 2, 5, then every 10 seconds, until it takes it or
//!   refuses it for good; what was refused for good is not sent again, but to a node that lacks it
//!   for a later block while another node has it in its chain, or that held its parent for invalid;
//! - only a reason of BIP22 that time cannot lift is a refusal, and a word that Core does not have
//!   is one only if the node does not have the block; an error, or an answer that says
//!   neither yes nor no, keeps the block, which is sent again with growing pauses while it can
//!   matter;
//! - a node's "yes" holds while it has the block: it is asked when its tip does not move, when
//!   another tip comes, when it was away, and in the end; `duplicate` is no yes, and the node is
//!   asked where it has the block;
//! - a node that was away, and a block of an earlier run, are asked about first, so that nothing is
//!   sent twice without need;
//! - a block that is sent again goes behind the block of ours that it builds on;
//! - what a node had and is not known to have now is asked for and offered again: after a restart,
//!   when it lacks the parent of a block of ours, and when its chain goes back;
//! - the file stays until the block is 6 deep and 70 minutes old, and into the next run: a node
//!   that crashes may forget what it had accepted since it last wrote to its disk;
//! - a node is asked about a few blocks at a time;
//! - of 64 blocks the oldest with a verdict makes room; while 64 have none, no more are found.
//!   Those of a chain whose beginning no node has, nor we, do not count.

mod doubts;
mod invalid;

use std::collections::VecDeque;
use std::time::Duration;

use midstate_chain::{Hash256, Verdict};

use super::block::{Block, Delivery, Place, Standing, Trouble, pause};
use super::node::Vain;
use super::refusals::{FoundOn, NotTaken, is_for_good};
use super::{Events, NodeNews};
use crate::causes::{self, NO_PARENT};
use crate::limits::{BURIED, KEPT, MAX_BLOCKS, MAX_GONE};
use crate::recurring::Changing;
use crate::rpc::{BlockVerdict, Call, HeaderInfo, RpcError, code};
use crate::spool::SpooledBlock;
use doubts::Parent;

/// Blocks of this run, counted; replayed ones are not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Solved.
    pub found: u64,
    /// Taken, and in the best chain when last seen.
    pub accepted: u64,
    /// Refused for good.
    pub rejected: u64,
    /// Taken, but not or no longer in the best chain: another block won.
    pub overtaken: u64,
}

impl Ledger {
    /// Without a verdict.
    pub fn unresolved(&self) -> u64 {
        self.found - self.accepted - self.rejected - self.overtaken
    }
}

/// The highest block that is 6 deep while a block at `height` is being sought.
pub(super) fn buried_below(height: u32) -> Option<u32> {
    height.checked_sub(BURIED)
}

#[derive(Debug)]
pub(super) struct Blocks {
    /// One per node: whether it is on another chain.
    barred: Vec<bool>,
    blocks: Vec<Block>,
    ledger: Ledger,
    /// The tip of a block of this run that was refused by all since last asked.
    refusal: Option<Hash256>,
    /// One per node: its words that were no verdict.
    told: Vec<Changing>,
    /// One per node: blocks do not reach it, and that has been told.
    away: Vec<bool>,
    /// One per node: when it was last asked about all blocks since it lacked one that it had.
    lost: Vec<Option<Duration>>,
    /// The latest ones that were let go of. The spool may have been read before their files went.
    gone: VecDeque<Hash256>,
    /// A node, and the count of the blocks of earlier runs that were in a chain when it was first
    /// asked for, while they are not told.
    known: Option<(usize, usize)>,
}

impl Blocks {
    pub(super) fn new(nodes: usize) -> Self {
        let (blocks, ledger, gone) = (Vec::new(), Ledger::default(), VecDeque::new());
        let (barred, away) = (vec![false; nodes], vec![false; nodes]);
        let told = vec![Changing::default(); nodes];
        let lost = vec![None; nodes];
        Self { barred, blocks, ledger, refusal: None, told, away, lost, gone, known: None }
    }

    pub(super) fn ledger(&self) -> Ledger {
        self.ledger
    }

    pub(super) fn found(
        &mut self,
        now: Duration,
        origin: usize,
        spooled: SpooledBlock,
        events: &mut Events,
    ) {
        self.ledger.found += 1;
        self.make_room(events);
        self.add(now, origin, spooled, None, Delivery::Held);
    }

    /// A block that is here already is the same block: it was found, and written to the spool,
    /// while the spool was being read. It is delivered once, and counts as found in this run.
    pub(super) fn replay(
        &mut self,
        now: Duration,
        origin: usize,
        spooled: SpooledBlock,
        age: Duration,
    ) {
        if self.origin(spooled.hash).is_none() && !self.gone.contains(&spooled.hash) {
            let first = Delivery::Due { at: now, attempt: 0, ask: true };
            self.add(now, origin, spooled, Some(age), first);
        }
    }

    pub(super) fn origin(&self, hash: Hash256) -> Option<usize> {
        self.find(hash).map(|block| block.origin)
    }

    fn find(&self, hash: Hash256) -> Option<&Block> {
        self.blocks.iter().find(|block| block.spooled.hash == hash)
    }

    fn find_mut(&mut self, hash: Hash256) -> Option<&mut Block> {
        self.blocks.iter_mut().find(|block| block.spooled.hash == hash)
    }

    /// Whether a block of ours builds on this one.
    pub(super) fn builds_on(&self, tip: Hash256) -> bool {
        self.blocks.iter().any(|block| block.spooled.prev_hash == tip)
    }

    fn add(
        &mut self,
        found_at: Duration,
        origin: usize,
        spooled: SpooledBlock,
        age: Option<Duration>,
        first: Delivery,
    ) {
        let replayed = age.is_some();
        let kept_until = (found_at + KEPT).saturating_sub(age.unwrap_or_default());
        let hex = spooled.hex.as_str().into();
        let delivery = |&barred: &bool| if barred { Delivery::Barred } else { first.clone() };
        let (deliveries, standing) = (self.barred.iter().map(delivery).collect(), None);
        let (troubles, is_on_disk) = (vec![Trouble::default(); self.barred.len()], replayed);
        let block = Block {
            origin,
            spooled,
            hex,
            found_at,
            kept_until,
            replayed,
            deliveries,
            troubles,
            is_on_disk,
            standing,
        };
        self.blocks.push(block);
    }

    fn let_go(&mut self, hash: Hash256) {
        self.blocks.retain(|block| block.spooled.hash != hash);
        self.gone.truncate(MAX_GONE - 1);
        self.gone.push_front(hash);
    }

    /// The spool has it, or cannot have it: off it goes.
    pub(super) fn release(&mut self, now: Duration, hash: Hash256, is_on_disk: bool) {
        let Some(block) = self.blocks.iter_mut().find(|block| block.spooled.hash == hash) else {
            return;
        };
        block.is_on_disk = is_on_disk;
        for delivery in &mut block.deliveries {
            if *delivery == Delivery::Held {
                *delivery = Delivery::Due { at: now, attempt: 0, ask: false };
            }
        }
    }

    /// The next call that is due.
    pub(super) fn poll_call(
        &mut self,
        now: Duration,
        may_submit: impl Fn(usize) -> bool,
    ) -> Option<(usize, Hash256, Call)> {
        for index in 0..self.blocks.len() {
            for node in 0..self.barred.len() {
                let block = &self.blocks[index];
                if let Delivery::Due { at, attempt, ask } = block.deliveries[node]
                    && at <= now
                    && may_submit(node)
                    && !self.waits_for_others(block, node)
                {
                    let (hash, hex) = (block.spooled.hash, &block.hex);
                    let call = match ask {
                        true => Call::Header(hash),
                        false => Call::Submit { block: hex.clone() },
                    };
                    self.blocks[index].deliveries[node] = Delivery::UnderWay { attempt };
                    return Some((node, hash, call));
                }
            }
        }
        None
    }

    /// When the next block goes to a node.
    pub(super) fn due_at(&self, node: usize) -> Option<Duration> {
        let due = |block: &Block| match block.deliveries[node] {
            Delivery::Due { at, .. } if !self.waits_for_others(block, node) => Some(at),
            _ => None,
        };
        self.blocks.iter().filter_map(due).min()
    }

    fn of_this_run(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(|block| !block.replayed)
    }

    /// Rule 16: a node that gives easy work and never buries a block fills neither our memory nor
    /// the disk. The oldest block with a verdict makes room for a new one.
    fn make_room(&mut self, events: &mut Events) {
        if self.of_this_run().count() < MAX_BLOCKS || self.let_go_of_the_oldest(events) {
            return;
        }
        let is_spent = |block: &&Block| {
            block.standing.is_some() && !block.is_open() || self.is_stranded(block)
        };
        let spent = self.of_this_run().find(is_spent);
        if let Some((hash, node)) = spent.map(|block| (block.spooled.hash, block.origin)) {
            self.let_go(hash);
            events.push(node, NodeNews::Unspool { hash, refused: true });
        }
    }

    fn judged(&self) -> impl Iterator<Item = &Block> {
        let is_judged = |standing: Standing| standing != Standing::Missing;
        self.blocks.iter().filter(move |block| block.standing.is_some_and(is_judged))
    }

    /// Lets go of the oldest block with a verdict, if there is one.
    fn let_go_of_the_oldest(&mut self, events: &mut Events) -> bool {
        let oldest = self.judged().next().map(|block| {
            (block.spooled.hash, block.origin, block.standing == Some(Standing::Rejected))
        });
        if let Some((hash, node, refused)) = oldest {
            self.let_go(hash);
            events.push(node, NodeNews::Unspool { hash, refused });
        }
        oldest.is_some()
    }

    /// So many blocks of this run have no verdict that no more may be found: none is ever lost.
    pub(super) fn is_full(&self) -> bool {
        let is_unjudged = |block: &&Block| match block.standing {
            _ if self.is_stranded(block) => false,
            None => true,
            Some(standing) => standing == Standing::Missing && block.is_open(),
        };
        self.of_this_run().filter(is_unjudged).count() >= MAX_BLOCKS
    }

    /// The node cannot be reached: what was due there is due later, when it is asked again.
    pub(super) fn postpone(
        &mut self,
        now: Duration,
        Vain { until, error }: &Vain,
        node: usize,
        events: &mut Events,
    ) {
        for block in &mut self.blocks {
            if let Delivery::Due { at, attempt, ask } = &mut block.deliveries[node]
                && *at <= now
            {
                // Once for all blocks, until one arrives. The node may have one that it is only to
                // be asked about.
                if *attempt == 0 && !*ask && !std::mem::replace(&mut self.away[node], true) {
                    events.push(node, NodeNews::Warning(block.spooled.not_arrived(error)));
                }
                *attempt += 1;
                *at = (now + pause(*attempt)).max(*until);
                block.troubles[node].words = Some(error.to_string());
            }
        }
    }

    /// The node is on another chain: no block of ours is for it.
    pub(super) fn bar(&mut self, node: usize) {
        self.barred[node] = true;
        for block in &mut self.blocks {
            if !block.is_had(node) {
                block.deliveries[node] = Delivery::Barred;
            }
        }
    }

    /// It is on ours again. It may have had them before.
    pub(super) fn unbar(&mut self, now: Duration, node: usize) {
        self.barred[node] = false;
        for block in &mut self.blocks {
            if block.deliveries[node] == Delivery::Barred {
                block.deliveries[node] = Delivery::Due { at: now, attempt: 0, ask: true };
            }
        }
    }

    /// Whether nothing is to be waited for in the end.
    pub(super) fn is_settled(&self) -> bool {
        self.of_this_run().all(Block::is_settled)
    }

    pub(super) fn take_refusal(&mut self) -> Option<Hash256> {
        self.refusal.take()
    }

    /// The work of which this block was found, if that was in this run.
    pub(super) fn found_on(&self, node: usize, hash: Hash256) -> Option<FoundOn> {
        // One that the node refused before, and got again, is no other block that it does not take.
        let is_news = |block: &&Block| !block.replayed && block.troubles[node].invalid == 0;
        let block = self.find(hash).filter(is_news)?;
        Some(FoundOn { tip: block.spooled.prev_hash, node: block.origin, at: block.found_at })
    }

    /// Why a tip does not move to a block of this run at this node, and whether another node has
    /// such a block in its chain.
    pub(super) fn why_not_on(&self, node: usize, tip: Hash256) -> Option<NotTaken> {
        let is_it = |block: &&Block| {
            block.spooled.prev_hash == tip && block.standing != Some(Standing::Rejected)
        };
        let on_tip = || self.of_this_run().filter(is_it);
        let is_refused = |block: &Block| matches!(block.deliveries[node], Delivery::Refused(_));
        on_tip().last().map(|block| NotTaken {
            words: block.why_not_tip(node),
            is_counted: on_tip().any(is_refused),
            is_elsewhere: on_tip().any(|block| block.is_elsewhere(node)),
        })
    }

    /// `submitblock` was answered, or not.
    pub(super) fn handle_submitted(
        &mut self,
        now: Duration,
        node: usize,
        hash: Hash256,
        verdict: Result<BlockVerdict, RpcError>,
        tip: Option<u32>,
        events: &mut Events,
    ) {
        let lacks_parent = verdict == Ok(BlockVerdict::Refused(NO_PARENT.to_owned()));
        let parent = match lacks_parent {
            true => self.brings_parent(now, node, hash),
            false => Parent::Elsewhere,
        };
        let refusal = is_for_good(&verdict).map(str::to_owned);
        let Some(block) = self.blocks.iter_mut().find(|block| block.spooled.hash == hash) else {
            return;
        };
        let Delivery::UnderWay { attempt } = block.deliveries[node] else { return };
        self.away[node] &= verdict.is_err();
        if !matches!(verdict, Err(RpcError::Unreachable(_))) {
            block.troubles[node].heard = true;
        }
        let mut told = None;
        block.deliveries[node] = match verdict {
            Ok(BlockVerdict::Accepted) => block.taken(now, node, attempt, Place::Chain),
            Ok(BlockVerdict::Duplicate) => block.taken(now, node, attempt, Place::Unsaid),
            Ok(BlockVerdict::Inconclusive) => block.taken(now, node, attempt, Place::Beside),
            Ok(BlockVerdict::Refused(reason)) if causes::may_pass(&reason) => {
                let words = format!("the node says {}", causes::refusal_in_words(&reason));
                block.troubles[node].words = Some(words.clone());
                match parent {
                    Parent::First => block.follow(now, node),
                    Parent::Paused => block.send_later(now, node, tip),
                    Parent::Elsewhere => {
                        told = Some(words);
                        block.send_later(now, node, tip)
                    }
                }
            }
            Ok(BlockVerdict::Refused(reason)) if causes::cause(&reason).is_none() => {
                block.troubles[node].refusal = Some(reason);
                Delivery::Due { at: now, attempt, ask: true }
            }
            Ok(BlockVerdict::Refused(reason)) => {
                block.troubles[node].invalid += usize::from(causes::holds_invalid(&reason));
                Delivery::Refused(reason)
            }
            Err(RpcError::Node { code: code::DESERIALIZATION, message }) => {
                Delivery::Refused(message)
            }
            Ok(BlockVerdict::Unknown(text)) => {
                let words = format!("the node answers {text}, which says neither yes nor no");
                told = Some(words.clone());
                block.unclear(now, node, words, tip)
            }
            Err(error) if !error.may_pass() => {
                told = Some(error.to_string());
                block.unclear(now, node, error.to_string(), tip)
            }
            Err(error) => {
                block.troubles[node].words = Some(error.to_string());
                if attempt == 0 && !std::mem::replace(&mut self.away[node], true) {
                    events.push(node, NodeNews::Warning(block.spooled.not_answered(&error)));
                }
                let attempt = attempt + 1;
                Delivery::Due { at: now + pause(attempt), attempt, ask: false }
            }
        };
        let (is_kept, is_taken) = (block.is_open(), block.deliveries[node] == Delivery::Taken);
        match told {
            Some(words) => self.tell(now, node, hash, words, is_kept, events),
            None if is_taken => {
                self.told[node].is_over();
                self.follow_up(now, node, hash);
            }
            None => {}
        }
        self.settle(now, hash, events);
        if let Some(why) = refusal {
            self.tell_refusal(now, node, hash, &why, events);
        }
    }

    /// Tells that one node refuses a block that is still another one's to take, or was taken there.
    fn tell_refusal(
        &mut self,
        now: Duration,
        node: usize,
        hash: Hash256,
        why: &str,
        events: &mut Events,
    ) {
        let Some(standing) = self.find(hash).map(|block| block.standing) else { return };
        // The verdict has been told.
        if standing != Some(Standing::Rejected) && self.told[node].is_news(now, why) {
            let others = match standing {
                Some(Standing::Accepted) => "another node has it",
                _ => "another node may take it",
            };
            let words = causes::refusal_in_words(why);
            let words = format!("the node refuses block {hash}: {words}; {others}");
            events.push(node, NodeNews::Warning(words));
        }
    }

    /// Tells a node's word that is no verdict.
    fn tell(
        &mut self,
        now: Duration,
        node: usize,
        hash: Hash256,
        words: String,
        is_kept: bool,
        events: &mut Events,
    ) {
        if self.told[node].is_news(now, &words) {
            let next = match is_kept {
                true => "it is kept, and sent again with growing pauses",
                false => "it is kept, and not sent again in this run: it is too old to matter",
            };
            let message = format!("block {hash} has no verdict: {words}; {next}");
            events.push(node, NodeNews::Warning(message));
        }
    }

    /// A template of the node builds on this block: the node has it, whatever answer is on its way,
    /// late or lost. So the verdict on a block comes before the next job, and it is not sent
    /// again.
    pub(super) fn built_upon(
        &mut self,
        now: Duration,
        node: usize,
        hash: Hash256,
        events: &mut Events,
    ) {
        if let Some(block) = self.blocks.iter_mut().find(|block| block.spooled.hash == hash) {
            block.deliveries[node] = block.found(node, Place::Chain);
            self.settle(now, hash, events);
        }
    }

    /// `getblockheader` was answered: `None` when the node does not know the block. The word with
    /// which the node refused it, if that is certain now.
    pub(super) fn handle_header(
        &mut self,
        now: Duration,
        node: usize,
        hash: Hash256,
        header: Result<Option<HeaderInfo>, RpcError>,
        tip: Option<u32>,
        events: &mut Events,
    ) -> Option<String> {
        let block = self.blocks.iter_mut().find(|block| block.spooled.hash == hash)?;
        let Delivery::UnderWay { attempt } = block.deliveries[node] else { return None };
        // With the header alone the node lacks what we have.
        let known = header.map(|info| info.filter(|info| info.transactions > 0));
        let buried = |confirmations: i64| confirmations >= i64::from(BURIED);
        let lost = tip.is_some_and(|tip| block.spooled.height + BURIED <= tip + 1);
        let had = block.troubles[node].known_place();
        let may_go = block.is_old(now);
        // The chain was reorganised, or the node forgot some of it.
        let is_lost = match &known {
            Ok(Some(info)) => info.confirmations < 1 && had == Some(Place::Chain),
            Ok(None) => had.is_some(),
            Err(_) => false,
        };
        let refusal = match &known {
            Ok(Some(_)) => None,
            Err(error) if error.may_pass() => None,
            Ok(None) | Err(_) => block.troubles[node].refusal.take(),
        };
        let mut done = false;
        block.deliveries[node] = match known {
            _ if let Some(reason) = &refusal => Delivery::Refused(reason.clone()),
            Ok(Some(info)) if info.confirmations >= 1 => {
                done = may_go && buried(info.confirmations);
                block.found(node, Place::Chain)
            }
            Ok(Some(_)) => {
                done = may_go && lost && !block.is_elsewhere(node);
                block.found(node, Place::Beside)
            }
            Ok(None) => block.resend(now, node, tip),
            // It cannot even be asked.
            Err(ref error) if !error.may_pass() => block.unasked(now, node, tip),
            Err(_) => {
                let attempt = attempt + 1;
                Delivery::Due { at: now + pause(attempt), attempt, ask: true }
            }
        };
        self.settle(now, hash, events);
        if is_lost {
            self.recheck_after_loss(now, node);
        }
        if done {
            self.let_go(hash);
            events.push(node, NodeNews::Unspool { hash, refused: false });
        }
        if let Some(why) = &refusal {
            self.tell_refusal(now, node, hash, why, events);
        }
        refusal
    }

    /// Blocks that no node has judged stay in the spool for the next run.
    pub(super) fn abandon(&mut self, events: &mut Events) {
        self.tell_known(events);
        let is_unjudged = |block: &Block| {
            block.standing.is_none() || block.replayed && block.standing == Some(Standing::Missing)
        };
        let (mut replayed, mut first) = (0, None);
        for block in self.blocks.drain(..).filter(is_unjudged) {
            let node = block.witness();
            let reason = block.why_unresolved(node);
            if block.replayed {
                replayed += 1;
                first.get_or_insert((node, reason));
                continue;
            }
            let outcome = block.outcome(Verdict::Unresolved, None, Some(reason), Duration::ZERO);
            events.push(node, NodeNews::Block(outcome));
        }
        if let Some((node, reason)) = first {
            let words = match replayed {
                1 => format!("a block of an earlier run has no verdict: {reason}"),
                _ => format!("{replayed} blocks of earlier runs have no verdict; of one: {reason}"),
            };
            events.push(node, NodeNews::Warning(words));
        }
    }

    fn settle(&mut self, now: Duration, hash: Hash256, events: &mut Events) {
        self.judge(now, hash, events);
        // Those of earlier runs count, too: the spool does not grow from run to run.
        while self.judged().count() > MAX_BLOCKS {
            self.let_go_of_the_oldest(events);
        }
        let is_asked = |block: &Block| {
            block.replayed
                && block.standing.is_none()
                && block.deliveries.iter().any(Delivery::is_begun)
        };
        if !self.blocks.iter().any(is_asked) {
            self.tell_known(events);
        }
    }

    /// Tells how many blocks of earlier runs were in the chain all along.
    fn tell_known(&mut self, events: &mut Events) {
        if let Some((node, count)) = self.known.take() {
            events.push(node, NodeNews::Known(count));
        }
    }

    /// Reports how the block stands, if that changed, and lets go of one that is refused.
    fn judge(&mut self, now: Duration, hash: Hash256, events: &mut Events) {
        let Some(block) = self.blocks.iter_mut().find(|block| block.spooled.hash == hash) else {
            return;
        };
        let Some((standing, node, reason)) = block.judge() else { return };
        let old = block.standing.replace(standing);
        if old == Some(standing) {
            return;
        }
        if !block.replayed {
            if let Some(old) = old {
                self.ledger.count(old, -1);
            }
            self.ledger.count(standing, 1);
        }
        // Of those of earlier runs the end tells, all at once.
        if block.replayed && standing == Standing::Missing {
            return;
        }
        // What the node has had all along is no news, one by one.
        if block.replayed && standing == Standing::Accepted && block.is_new_at(node) {
            self.known.get_or_insert((node, 0)).1 += 1;
            return;
        }
        let latency = now.saturating_sub(block.found_at);
        let was = old.map(Verdict::from);
        let outcome = block.outcome(standing.into(), was, reason, latency);
        events.push(node, NodeNews::Block(outcome));
        if standing == Standing::Rejected {
            let is_final = !block.may_be_reconsidered();
            if !block.replayed {
                self.refusal = Some(block.spooled.prev_hash);
            }
            if is_final {
                self.let_go(hash);
                events.push(node, NodeNews::Unspool { hash, refused: true });
            }
        }
    }
}

impl Ledger {
    fn count(&mut self, standing: Standing, by: i64) {
        let count = match standing {
            Standing::Accepted => &mut self.accepted,
            Standing::Rejected => &mut self.rejected,
            Standing::Overtaken => &mut self.overtaken,
            Standing::Missing => return,
        };
        *count = count.saturating_add_signed(by);
    }
}
