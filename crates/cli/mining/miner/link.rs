//! The part of a [`Miner`] that handles its link: jobs, verdicts, connections, remarks.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Job, Share, Target, U256, Verdict};
use midstate_economics::units::YEAR;
use midstate_net::{Happened, LinkEvent};

use super::{Action, Miner, Work};
use crate::mining::BlockJudge;
use crate::mining::event::{BlockEvent, Event, JobEvent, PoolEvent, RemarkEvent, ShareEvent};
use crate::mining::judged::Word;
use crate::mining::notice::Notice;

/// No hash meets it.
const NO_BLOCK: Target = Target::from_number(U256::ONE);

impl Miner {
    /// Something happened on the link.
    pub(in crate::mining) fn handle_link(&mut self, now: Duration, event: LinkEvent) {
        let LinkEvent { url, listed, protocol, what } = event;
        let listed = listed.map(|pool| pool.to_string());
        match what {
            Happened::State { state, reason } => {
                self.connections.note(now, &url, state);
                let url = url.to_string();
                let event = PoolEvent { url, protocol, state, reason, listed };
                self.tell_event(Event::Pool(event));
            }
            Happened::Job { job, clean, beside } => {
                let event = JobEvent { clean, listed, ..JobEvent::new(&url, protocol, &job) };
                let job = match self.plan.block_judge {
                    // No share is a block by its header.
                    BlockJudge::Pool => {
                        Arc::new(Job { network_target: NO_BLOCK, ..(*job).clone() })
                    }
                    BlockJudge::Header | BlockJudge::Node => job,
                };
                let work = Work { job, pool: url, protocol, since: now };
                self.handle_job(now, work, beside, event);
            }
            Happened::ChannelEnded { channel } => {
                self.works.remove(channel);
                self.header = None;
                self.act(Action::Leave(channel));
            }
            Happened::Pause => {
                self.works.rest();
                self.header = None;
                self.act(Action::Hash(None));
            }
            Happened::Verdict(outcome) => {
                self.books.record_outcome(&outcome);
                self.intake.settled();
                let advice = outcome.advice;
                let event = ShareEvent { listed, ..ShareEvent::new(&url, protocol, &outcome) };
                self.tell_verdict(now, &outcome.share, event);
                let (hash, verdict) = (outcome.share.hash, outcome.verdict);
                let correction = self.judged.pool_says(hash, verdict);
                self.correct(&url, &hash, correction);
                self.notice(advice.map(|advice| Notice::Advice { server: url, advice }));
            }
            Happened::Revised { hash, height, was, verdict, reason } => {
                self.revise(was, verdict);
                let block = BlockEvent::revised(&url, &hash, height, [was, verdict], reason);
                self.tell_event(Event::Block(BlockEvent { listed, ..block }));
            }
            Happened::Remark(remark) => {
                let event = RemarkEvent { pool: url.to_string(), remark, listed };
                let due = self.remarks.say(now, event);
                self.tell_remarks(due);
            }
        }
        self.look_at_goals(now);
    }

    /// The node behind the pool of this program has judged a block.
    pub(in crate::mining) fn handle_judged(
        &mut self,
        now: Duration,
        node: &Arc<str>,
        hash: Hash256,
        word: Word,
    ) {
        let correction = self.judged.node_says(hash, word);
        self.correct(node, &hash, correction);
        self.look_at_goals(now);
    }

    /// The node behind the pool has judged a block of ours, which its header does not tell from a
    /// share.
    pub(in crate::mining) fn handle_own_block(
        &mut self,
        now: Duration,
        node: &Arc<str>,
        hash: Hash256,
        word: Word,
    ) {
        if !self.judged.knows(hash) {
            self.judged.found(hash);
            self.judged.pool_says(hash, Verdict::Unresolved);
            self.books.blocks.record(Verdict::Unresolved);
        }
        let Some((was, word)) = self.judged.node_says(hash, word) else { return };
        self.books.blocks.revise(was, word.verdict);
        let Word { verdict, height, reason } = word;
        let block = BlockEvent::of_our_pool(node, &hash, height, [was, verdict], reason);
        self.tell_event(Event::Block(block));
        self.look_at_goals(now);
    }

    /// The node's word replaces the pool's.
    fn correct(&mut self, by: &str, hash: &Hash256, correction: Option<(Verdict, Word)>) {
        if let Some((was, Word { verdict, height, reason })) = correction {
            self.revise(was, verdict);
            let block = BlockEvent::revised(by, hash, height, [was, verdict], reason);
            self.tell_event(Event::Block(block));
        }
    }

    fn revise(&mut self, was: Verdict, verdict: Verdict) {
        self.books.blocks.revise(was, verdict);
        match (was == Verdict::Accepted, verdict == Verdict::Accepted) {
            (true, false) => self.intake.take_back(),
            (false, true) => self.intake.give_back(),
            _ => {}
        }
    }

    fn handle_job(&mut self, now: Duration, work: Work, beside: bool, event: JobEvent) {
        let job = Arc::clone(&work.job);
        self.intake.open(&job);
        self.act(match beside {
            false => Action::Hash(Some(Arc::clone(&job))),
            true => Action::HashBeside(Arc::clone(&job)),
        });
        self.header = None;
        self.works.put(work, beside);
        if let Some(event) = self.flood.job(now, event) {
            self.tell_event(Event::Job(event));
        }
        self.tell_odds(&job);
    }

    /// The honest word to whoever mines for a block that will not come.
    fn tell_odds(&mut self, job: &Job) {
        let (solo, rate) = (job.share_target == job.network_target, self.plan.rig.rate);
        let seconds = job.network_target.expected_hashes_f64() / rate;
        if solo && seconds > YEAR && !std::mem::replace(&mut self.odds_told, true) {
            self.notice([Notice::Odds { rate, seconds }]);
        }
    }

    fn tell_verdict(&mut self, now: Duration, share: &Share, event: ShareEvent) {
        let verdict = event.verdict;
        if event.block {
            // The place of an overdue one is free already.
            match (self.overdue.settled(&share.hash), verdict == Verdict::Accepted) {
                (false, false) => self.intake.take_back(),
                (true, true) => self.intake.give_back(),
                _ => {}
            }
        }
        if verdict == Verdict::Throttled {
            self.throttled.shares += 1;
            if event.block {
                self.throttled.blocks += 1;
                self.books.blocks.record(verdict);
            }
            return;
        }
        // A block that is no toy is rare, and always told.
        let is_rare = event.block && !share.job.has_toy_blocks();
        let is_told = verdict == Verdict::Accepted || is_rare || self.flood.admits_share(now);
        let block = event.block.then(|| {
            let effort = self.books.record_block(share, verdict, now, self.counts.hashes);
            BlockEvent::first(&event, share.job.height(), effort)
        });
        if !is_told {
            return;
        }
        self.tell_event(Event::Share(event));
        if let Some(block) = block {
            self.tell_event(Event::Block(block));
        }
    }
}
