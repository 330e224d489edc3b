//! From templates to jobs: when to ask for one, whether it is news, and the check before it is
//! hashed.
//!
//! **A template is hashed when the node has said yes to its block**, except at a node that answers
//! too late (see [`Lateness`](crate::Lateness)), or has not answered for some seconds: there the
//! newest template is hashed while it is being checked, and a refusal ends that.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Hash256;
use midstate_failover::Failure;

use super::{Client, Fatal, Given, NodeNews, NodeState, Purpose, blocks};
use crate::causes::refusal_in_words;
use crate::limits::{
    CALL_TIMEOUT, HURRY, MAX_BLOCKS, MAX_JOB_AGE, POLL, RECHECK, REFRESH, SLOW, STANDSTILL,
};
use crate::rpc::{Answer, BlockVerdict, Call, NoAnswer, RpcError};
use crate::{NOT_BEST, Payout, Template, Work};

/// Work whose block the node is checking.
#[derive(Debug)]
pub(super) struct Candidate {
    /// `None` when it is hashed already.
    work: Option<Work>,
    /// Its height and the tip that it builds on.
    height: u32,
    tip: Hash256,
    call: u64,
    asked_at: Duration,
}

impl Candidate {
    pub(super) fn builds_on(&self, tip: Hash256) -> bool {
        self.tip == tip
    }
}

/// A tip that a block of ours was found on, and that should move now.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    tip: Option<Hash256>,
    since: Duration,
    /// Blocks on this tip after which it did not move.
    count: u32,
    /// They are older ones, which the node had or should have had.
    is_for_old: bool,
    /// Why it is mined on again, to be told once it is.
    untold: Option<&'static str>,
}

impl Standstill {
    pub(super) fn begin(&mut self, now: Duration, tip: Hash256) {
        let Self { count, untold, .. } = match self.tip == Some(tip) {
            true => std::mem::take(self),
            false => Self::default(),
        };
        *self = Self { tip: Some(tip), since: now, count, is_for_old: false, untold };
    }

    /// Whether this tip is mined on in spite of a block of ours on it.
    fn is_over(&self, tip: Hash256) -> bool {
        self.tip == Some(tip) && self.count > 0
    }

    /// When the tip is mined on again: soon if the node has said something to the block, and a
    /// little later each time (2, 4, 8 s), as a node that does so may do so for ever.
    fn ends(&self, answered: bool) -> Duration {
        let patience = if answered { STANDSTILL } else { SLOW };
        let patience = patience.saturating_mul(1 << self.count.min(2));
        self.since.saturating_add(patience)
    }
}

/// The trouble of a node that refuses our proposal.
fn refusal(reason: &str) -> String {
    format!("the node would refuse our block: {reason}")
}

impl Client {
    /// A block was answered to. Whatever the answer: how does the node go on?
    pub(super) fn look_after_block(&mut self, now: Duration, index: usize) {
        if self.solved_tip.is_some() && index == self.active {
            self.ask_by(now);
        }
    }

    /// A block of ours builds on this tip: another one would only compete with it. The tip may move
    /// although the block gets no answer.
    pub(super) fn wait_for_tip(&mut self, now: Duration, tip: Hash256) {
        self.solved_tip = Some(tip);
        self.standstill.begin(now, tip);
        self.ask_by(now + HURRY);
    }

    /// Asks the active node for a template at this time at the latest.
    fn ask_by(&mut self, at: Duration) {
        let node = &mut self.nodes[self.active];
        node.wake_at = Some(node.wake_at.map_or(at, |wake_at| wake_at.min(at)));
    }

    /// The node has forgotten blocks of ours, or never had them: those that are on their way come
    /// before a new one beside them. For some seconds, as any block that a tip does not move to.
    pub(super) fn wait_for_ours(&mut self, now: Duration, tip: Hash256) {
        let is_waited_for = self.is_tip(tip) || self.solved_tip == Some(tip);
        if !is_waited_for && self.blocks.is_coming(now, self.active, tip) {
            self.wait_for_tip(now, tip);
            self.standstill.is_for_old = true;
        }
    }

    /// Whether the wait for older blocks of ours is over, as the node has them beside its chain or
    /// refuses them.
    fn waits_in_vain(&self, now: Duration) -> bool {
        let for_old = self.solved_tip.filter(|_| self.standstill.is_for_old);
        for_old.is_some_and(|tip| !self.blocks.has_on(now, self.active, tip))
    }

    /// A question about a block was answered.
    pub(super) fn look_after_question(&mut self, now: Duration, index: usize) {
        if index == self.active && self.waits_in_vain(now) {
            self.ask_by(now);
        }
    }

    /// A template tells which of our blocks the node can have: none on the template's height or
    /// above. Those that it had are asked for, and those that waited for its tip are sent.
    fn look_for_ours(&mut self, now: Duration, index: usize, template: &Template) {
        let tip = template.prev_hash;
        let node = &mut self.nodes[index];
        let is_new = node.tip.replace(tip) != Some(tip);
        node.height = template.height.checked_sub(1);
        if std::mem::take(&mut node.doubtful) {
            self.blocks.recheck_after_absence(now, index, template.height);
            // It was away, and could not move.
            if index == self.active && self.solved_tip == Some(tip) {
                self.standstill.begin(now, tip);
            }
        } else if is_new {
            self.blocks.recheck_from(now, index, template.height);
        }
        if is_new {
            self.blocks.hurry_on(now, index, tip);
        }
        let at = (tip, template.height);
        self.blocks.offer_again(now, index, at, is_new, &mut self.events);
        self.look_at_refusals(now, index, tip, is_new);
    }

    /// Whether our block on this tip has come to nothing: the node has had it for a while, and
    /// still offers templates beside it.
    fn stands_still(&self, now: Duration, tip: Hash256) -> bool {
        let answered = !self.blocks.is_unanswered(now, self.active, tip);
        self.solved_tip == Some(tip) && now >= self.standstill.ends(answered)
    }

    /// The tip is mined on again.
    fn end_standstill(&mut self, now: Duration, tip: Hash256) {
        let reason = match self.blocks.is_unanswered(now, self.active, tip) {
            false => "our block does not become the node's tip",
            true => "the node has not answered to our block yet",
        };
        let why = self.blocks.why_not_on(self.active, tip);
        // It may have said yes. Does it have the block?
        self.blocks.recheck_on(now, self.active, tip);
        self.solved_tip = None;
        self.standstill.count += 1;
        let is_told = why.is_some_and(|why| self.handle_not_taken(now, tip, &why));
        // What was told of the node there says that its work is mined no more, or after pauses.
        self.standstill.untold = (self.standstill.count == 1 && !is_told).then_some(reason);
    }

    /// Tells that a tip is mined on again, if that is to be told: not before the node has taken the
    /// proposal, as it may refuse it.
    fn tell_standstill(&mut self, tip: Hash256) {
        let untold = self.standstill.untold.take_if(|_| self.standstill.tip == Some(tip));
        if let Some(reason) = untold {
            let words =
                format!("{reason}: it still offers work on the block before it; mining that work");
            self.events.push(self.active, NodeNews::Warning(words));
        }
    }

    /// Uses a template, but not before the node has said which chain it is from.
    pub(super) fn receive_template(
        &mut self,
        now: Duration,
        index: usize,
        outcome: Result<Answer, RpcError>,
    ) {
        match outcome {
            Ok(answer) if self.nodes[index].doubted => self.nodes[index].held = Some(answer),
            outcome => self.handle_template(now, index, outcome),
        }
    }

    pub(super) fn handle_template(
        &mut self,
        now: Duration,
        index: usize,
        outcome: Result<Answer, RpcError>,
    ) {
        let parsed = outcome
            .and_then(|answer| answer.raw_result().map(|result| Template::parse(result.get())));
        let template = match parsed {
            Ok(Ok(template)) => template,
            Ok(Err(error)) if error.is_final() => {
                return self.refuse(now, index, Fatal::Unusable(error.to_string()));
            }
            Ok(Err(error)) => return self.lose(now, index, &error.to_string(), None),
            Err(error) => return self.lose(now, index, &error.to_string(), Some(&error)),
        };
        // Work that cannot be made is none, and the node does not count as one that serves.
        if let Err(error) = Work::check(&template, &self.payout(index)) {
            return match error.is_final() {
                true => self.refuse(now, index, Fatal::Unusable(error.to_string())),
                false => self.lose(now, index, &error.to_string(), None),
            };
        }
        self.nodes[index].is_silent = false;
        self.look_for_ours(now, index, &template);
        self.blocks.built_upon(now, index, template.prev_hash, &mut self.events);
        if self.finishing {
            return;
        }
        if index != self.active && self.nodes[index].fails_checks && template.can_propose {
            self.nodes[index].wake_at = Some(now + RECHECK);
            return self.check(now, index, template);
        }
        if self.is_behind(index, &template) {
            self.stays_behind(now, index);
        } else {
            self.nodes[index].behind = 0;
            self.failover.job(index);
            if index != self.active {
                self.serves(now, index);
            }
        }
        self.choose(now);
        if index != self.active {
            let node = &mut self.nodes[index];
            (node.failures, node.wake_at) = (0, Some(now + RECHECK));
            return;
        }
        self.tell_shrunk(now, &template);
        self.wait_for_ours(now, template.prev_hash);
        self.plan_next(now, &template);
        let is_for_none = self.solved_tip == Some(template.prev_hash) && self.waits_in_vain(now);
        let stands_still = !is_for_none && self.stands_still(now, template.prev_hash);
        if stands_still {
            self.end_standstill(now, template.prev_hash);
        }
        if is_for_none || stands_still || self.is_news(&template) {
            self.propose(now, template);
        } else if self.candidate.is_none() {
            // The job at hand is right.
            self.nodes[index].failures = 0;
            self.serves(now, index);
        }
    }

    /// Says that the active node's chain has fallen back, once that is no matter of seconds.
    fn tell_shrunk(&mut self, now: Duration, template: &Template) {
        let Some(lost) = self.nodes[self.active].shrank(now, template.height) else { return };
        let words = format!(
            "the node's chain is {lost} {} shorter than it was: the node has forgotten them, or \
             somebody has invalidated them (reconsiderblock takes that back); midstate mines on \
             its tip at height {}",
            if lost == 1 { "block" } else { "blocks" },
            template.height.saturating_sub(1)
        );
        self.events.push(self.active, NodeNews::Warning(words));
    }

    /// The node gives work, as far as is known: of the one that is mined at, a template that is
    /// hashed. A template whose block it refuses to check is no work.
    fn serves(&mut self, now: Duration, index: usize) {
        if self.nodes[index].answered() {
            self.report(index, NodeState::Connected, None);
        }
        self.failover.healthy(now, index);
    }

    /// Whether a node that came back has not heard yet of the block that another node builds on:
    /// its work would be for nothing.
    fn is_behind(&self, index: usize, template: &Template) -> bool {
        let is_served = self.failover.active() == Some(self.active) && index != self.active;
        is_served && self.tip_height().is_some_and(|height| template.height <= height)
    }

    /// The node's work would be for nothing. One that stays so is not returned to.
    fn stays_behind(&mut self, now: Duration, index: usize) {
        let node = &mut self.nodes[index];
        node.behind += 1;
        if node.behind > 1 {
            self.failover.failed(now, index, Failure::Passing);
        }
    }

    /// When to ask for the next template, and how to be told sooner.
    fn plan_next(&mut self, now: Duration, template: &Template) {
        let passed_over = self.look_at_waiting(now, template);
        let waits = self.nodes[self.active].waiting.longpoll.is_some() && !passed_over;
        let pause = match waits {
            _ if self.solved_tip == Some(template.prev_hash) => HURRY,
            true => REFRESH,
            false => POLL,
        };
        self.nodes[self.active].wake_at = Some(now + pause);
    }

    /// Whether a template deserves a job of its own.
    fn is_news(&self, new: &Template) -> bool {
        if self.solved_tip == Some(new.prev_hash) {
            return false;
        }
        // The node refused the last one, which may be the newest work: this one has to be checked.
        if self.candidate.is_none() && self.nodes[self.active].refused_for.is_some() {
            return true;
        }
        let newest = self.candidate.as_ref().and_then(|candidate| candidate.work.as_ref());
        let Some(old) = newest.or(self.newest_work()).map(Work::template) else { return true };
        let head = |t: &Template| (t.height, t.version, t.prev_hash, t.bits, t.coinbase_value);
        head(old) != head(new)
            || old.coinbase_aux != new.coinbase_aux
            || old.transactions.len() != new.transactions.len()
            || old.transactions.iter().zip(&new.transactions).any(|(old, new)| old.txid != new.txid)
            || new.time >= old.time.saturating_add(MAX_JOB_AGE)
    }

    fn payout(&self, node: usize) -> Payout {
        Payout {
            script: self.nodes[node].script.clone(),
            tag: self.config.tag.clone(),
            extranonce1: self.config.extranonce1.clone(),
            version_mask: self.config.version_mask,
        }
    }

    /// Has the template's block checked.
    fn propose(&mut self, now: Duration, template: Template) {
        // One at a time.
        if self.drop_candidate() {
            self.nodes[self.active].lateness.overtaken();
        }
        self.nodes[self.active].lateness.template(template.prev_hash);
        self.solved_tip = None;
        let clean = !self.is_tip(template.prev_hash);
        let payout = self.payout(self.active);
        let id = format!("{:x}", self.jobs);
        self.jobs += 1;
        let can_propose = template.can_propose;
        let work = match Work::new(template, &payout, id, clean) {
            Ok(work) => work,
            Err(error) => return self.lose(now, self.active, &error.to_string(), None),
        };
        if !can_propose {
            return self.adopt(now, self.active, work);
        }
        let call = Call::Proposal { block: work.proposal().into() };
        let call = self.call(now, self.active, call, Purpose::Proposal, CALL_TIMEOUT);
        let (height, tip) = (work.template().height, work.template().prev_hash);
        self.candidate = Some(Candidate { work: Some(work), height, tip, call, asked_at: now });
        if self.nodes[self.active].lateness.is_slow() {
            self.mine_meanwhile(now);
        }
    }

    /// Asks a node that gives no work for the sake of its proposals whether it takes one now.
    fn check(&mut self, now: Duration, index: usize, template: Template) {
        match Work::new(template, &self.payout(index), "check".to_owned(), true) {
            Ok(work) => {
                let call = Call::Proposal { block: work.proposal().into() };
                self.call(now, index, call, Purpose::Check, CALL_TIMEOUT);
            }
            Err(error) => self.lose(now, index, &error.to_string(), None),
        }
    }

    pub(super) fn handle_check(
        &mut self,
        now: Duration,
        index: usize,
        verdict: Result<BlockVerdict, RpcError>,
    ) {
        let node = &mut self.nodes[index];
        match verdict {
            Ok(BlockVerdict::Refused(reason)) if reason == NOT_BEST => {}
            Ok(BlockVerdict::Refused(reason)) => {
                node.refused_for = Some(refusal(&refusal_in_words(&reason)))
            }
            // It is mined at unchecked where it does not say yes or no.
            Ok(_) | Err(RpcError::Node { .. } | RpcError::Malformed(_)) => {
                (node.fails_checks, node.refused_for, node.failures) = (false, None, 0);
                self.failover.job(index);
                self.serves(now, index);
            }
            Err(error) => self.lose(now, index, &error.to_string(), Some(&error)),
        }
    }

    /// When the answer to the proposal is waited for no longer.
    pub(super) fn slow_proposal_at(&self) -> Option<Duration> {
        let candidate = self.candidate.as_ref()?;
        let is_refused = self.nodes[self.active].refused_for.is_some();
        (candidate.work.is_some() && !is_refused).then(|| candidate.asked_at + SLOW)
    }

    pub(super) fn look_after_proposal(&mut self, now: Duration) {
        if self.slow_proposal_at().is_some_and(|at| at <= now) {
            self.nodes[self.active].lateness.slow();
            self.mine_meanwhile(now);
        }
    }

    /// Makes the candidate the work to hash while the node checks it, if it took our last one.
    fn mine_meanwhile(&mut self, now: Duration) {
        let node = &mut self.nodes[self.active];
        if node.refused_for.is_some() {
            return;
        }
        let Some(work) = self.candidate.as_mut().and_then(|it| it.work.take()) else { return };
        if !std::mem::replace(&mut node.lateness_told, true) {
            let words = format!(
                "the node checks our blocks too slowly: its answers come after {} s, or when the \
                 tip has moved; its newest template is mined while it is being checked",
                SLOW.as_secs()
            );
            self.events.push(self.active, NodeNews::Warning(words));
        }
        self.adopt(now, self.active, work);
    }

    pub(super) fn handle_proposal(
        &mut self,
        now: Duration,
        index: usize,
        id: u64,
        verdict: Result<BlockVerdict, RpcError>,
    ) {
        let Some(candidate) = self.candidate.take_if(|candidate| candidate.call == id) else {
            return;
        };
        let node = &mut self.nodes[index];
        let is_not_best = verdict == Ok(BlockVerdict::Refused(NOT_BEST.to_owned()));
        // The tip moved while we asked, or so it seems.
        if is_not_best && !node.lateness.contradicts() {
            node.lateness.not_best(candidate.tip);
            let next = if node.lateness.is_slow() { now + HURRY } else { now };
            node.wake_at = Some(node.wake_at.map_or(next, |at| at.min(next)));
            return;
        }
        if !is_not_best && verdict.is_ok() && now < candidate.asked_at + SLOW {
            node.lateness.in_time();
        }
        match verdict {
            Ok(BlockVerdict::Refused(reason)) => {
                self.handle_refusal(now, index, &candidate, &refusal_in_words(&reason));
            }
            Ok(BlockVerdict::Unknown(text)) => {
                self.mine_unchecked(now, index, candidate, format!("the node says {text}"));
            }
            Ok(_) => {
                node.unchecked.is_over();
                if let Some(work) = candidate.work {
                    self.adopt(now, index, work);
                }
            }
            Err(error @ (RpcError::Node { .. } | RpcError::Malformed(_))) => {
                self.mine_unchecked(now, index, candidate, error.to_string());
            }
            // It is hashed all the same, and the next template tells whether the node is there.
            Err(RpcError::Unreachable(NoAnswer::TimedOut(_))) if candidate.work.is_none() => {}
            Err(error) => {
                node.fails_checks = true;
                self.lose(now, index, &error.to_string(), Some(&error));
            }
        }
    }

    fn handle_refusal(&mut self, now: Duration, index: usize, candidate: &Candidate, reason: &str) {
        let Candidate { work, height, tip, .. } = candidate;
        if work.is_none() || !self.is_tip(*tip) {
            self.held = false;
            self.events.push(index, NodeNews::Pause);
        }
        let trouble = refusal(reason);
        if self.nodes[index].refusals_told.is_news(now, &trouble) {
            let words = format!(
                "the node would refuse our block at height {height}: {reason}; not mining it"
            );
            self.events.push(index, NodeNews::Warning(words));
        }
        self.nodes[index].refused_for = Some(trouble);
        self.nodes[index].fails_checks = true;
        self.failover.failed(now, index, Failure::Passing);
        self.nodes[index].wake_at = Some(now + POLL);
    }

    /// The node does not say whether our block is right. Each reason is told once.
    fn mine_unchecked(
        &mut self,
        now: Duration,
        index: usize,
        Candidate { work, height, .. }: Candidate,
        reason: String,
    ) {
        if self.nodes[index].unchecked.is_news(now, &reason) {
            let words = format!(
                "our block at height {height} could not be checked ({reason}); mining it unchecked"
            );
            self.events.push(index, NodeNews::Warning(words));
        }
        if let Some(work) = work {
            self.adopt(now, index, work);
        }
    }

    /// Makes this the work to hash, now or when the block interval has passed.
    fn adopt(&mut self, now: Duration, node: usize, work: Work) {
        let giver = &mut self.nodes[node];
        (giver.refused_for, giver.fails_checks, giver.failures) = (None, false, 0);
        giver.refusals_told.is_over();
        self.serves(now, node);
        self.works.retain(|old| Arc::strong_count(old.work.job()) > 1);
        if let Some(height) = blocks::buried_below(work.template().height) {
            self.blocks.recheck_old(now, node, height);
        }
        if work.job().clean {
            self.blocks.recheck_highest(now, node, work.template().prev_hash);
        }
        self.works.push(Given { node, work });
        self.held = true;
        self.offer(now);
    }

    /// Hands out the newest work when it is time, unless a block of ours is already on its way to
    /// the same tip, or too many are on their way.
    pub(super) fn offer(&mut self, now: Duration) {
        if !self.held || now < self.offer_at() {
            return;
        }
        if self.blocks.is_full() {
            return self.tell_full();
        }
        self.full_told = false;
        self.held = false;
        let Some(Given { node, work }) = self.works.last() else { return };
        let template = work.template();
        let tip = template.prev_hash;
        if self.solved_tip == Some(tip) {
            return;
        }
        // It is from a time when the node had forgotten a block of ours on this tip.
        if !self.standstill.is_over(tip) && self.blocks.has_on(now, self.active, tip) {
            self.wait_for_tip(now, tip);
            self.standstill.is_for_old = true;
            return self.ask_by(now);
        }
        let node = *node;
        let what = NodeNews::Job {
            job: Arc::clone(work.job()),
            height: template.height,
            transactions: template.transactions.len(),
            value: template.coinbase_value,
        };
        self.tell_standstill(tip);
        self.events.push(node, what);
    }

    fn tell_full(&mut self) {
        if !std::mem::replace(&mut self.full_told, true) {
            let words = format!(
                "{MAX_BLOCKS} blocks of ours have no verdict: hashing pauses while it is so"
            );
            self.events.push(self.active, NodeNews::Pause);
            self.events.push(self.active, NodeNews::Warning(words));
        }
    }

    /// Drops the question about an older template, which is of no use any more. `true` if there was
    /// one.
    pub(super) fn drop_candidate(&mut self) -> bool {
        let Some(Candidate { call, .. }) = self.candidate.take() else { return false };
        self.withdraw(call);
        true
    }

    /// Height of a node's tip, as far as is known; of a node that is asked for no work, that of the
    /// node that gives it. What a node had before it may have been restarted is not known.
    pub(super) fn tip_height_at(&self, index: usize) -> Option<u32> {
        let node = &self.nodes[index];
        match node.height {
            None if !self.failover.is_wanted(index) => self.nodes[self.active].height,
            height => height,
        }
    }

    /// Height of the tip we build on.
    pub(super) fn tip_height(&self) -> Option<u32> {
        self.newest_work().map(|work| work.template().height - 1)
    }
}
