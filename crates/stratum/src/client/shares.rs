//! The book of shares: who waits, who was sent, how each ended (I6, I7, I9).
//!
//! A share is in exactly one place at any time: the queue, the unanswered ones, or an emitted
//! verdict. That is the whole proof that none is lost and none counted twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use midstate_chain::{Share, Verdict};

use super::handshake::Handshake;
use super::jobs::Jobs;
use super::output::Output;
use crate::advice::{Cause, Circumstances, advice};
use crate::message::Answer;
use crate::rules::{self, Bucket, Recent, Trust, Withheld};
use crate::{ClientEvent, CloseReason, Limits, ShareOutcome, Submission};

/// Shares without a verdict.
#[derive(Debug)]
pub(super) struct Shares {
    user: String,
    /// Not sent on this connection: before authorization, and after a disconnection.
    queue: VecDeque<Found>,
    /// By the id of their request. Ids grow, so the first is the oldest.
    unanswered: BTreeMap<u64, Sent>,
    recent: Recent,
    pace: Bucket,
    outbox: usize,
    answer: Duration,
    /// Answers "unauthorized" in a row.
    strikes: u32,
    trust: Trust,
    /// Why to leave the pool, by its last answer.
    distrust: Option<CloseReason>,
    limits: Limits,
}

#[derive(Debug)]
struct Found {
    share: Share,
    is_block: bool,
    /// When it was sent on an earlier connection; the pool may have it.
    sent_before: Option<Duration>,
}

#[derive(Debug)]
struct Sent {
    found: Found,
    at: Duration,
}

impl Found {
    /// Since when it waits for an answer that is given up one day. While there is no connection, a
    /// block is not: it can still be sent again, and a lost one cannot be made good. Toys, of which
    /// there are many, are not worth the places that they take.
    fn waits_since(&self) -> Option<Duration> {
        let is_kept = self.is_block && !self.share.job.has_toy_blocks();
        self.sent_before.filter(|_| !is_kept)
    }
}

impl Shares {
    pub(super) fn new(user: &str, limits: &Limits) -> Self {
        Self {
            user: user.to_owned(),
            queue: VecDeque::new(),
            unanswered: BTreeMap::new(),
            recent: Recent::new(limits.outbox),
            pace: Bucket::new(limits.share_rate, f64::from(limits.share_rate)),
            outbox: limits.outbox.max(1),
            answer: limits.answer,
            strikes: 0,
            trust: Trust::default(),
            distrust: None,
            limits: limits.clone(),
        }
    }

    /// A connection begins.
    pub(super) fn connected(&mut self, now: Duration) {
        self.trust.start(now);
        self.distrust = None;
    }

    /// Why to leave the pool, by what it answered last.
    pub(super) fn take_distrust(&mut self) -> Option<CloseReason> {
        self.distrust.take()
    }

    /// Why to leave the pool: it answers nothing.
    pub(super) fn silence(&self, now: Duration) -> Option<CloseReason> {
        let (oldest, waiting) = self.oldest_unanswered();
        self.trust.silence(now, oldest, waiting, &self.limits)
    }

    /// When [`silence`](Self::silence) has lasted too long.
    pub(super) fn silence_deadline(&self) -> Option<Duration> {
        let (oldest, waiting) = self.oldest_unanswered();
        self.trust.deadline(oldest, waiting, &self.limits)
    }

    fn oldest_unanswered(&self) -> (Option<Duration>, usize) {
        (self.unanswered.values().next().map(|sent| sent.at), self.unanswered.len())
    }

    pub(super) fn pending(&self) -> usize {
        self.queue.len() + self.unanswered.len()
    }

    /// Judges a share and takes it into the queue, or ends it here.
    pub(super) fn take(&mut self, now: Duration, share: Share, jobs: &Jobs, out: &mut Output) {
        match self.judge(now, &share, jobs) {
            Ok(is_block) => {
                if self.pending() >= self.outbox {
                    self.make_room(out);
                }
                self.recent.insert(&share.job, share.hash, |job| jobs.has_headers_of(job));
                self.queue.push_back(Found { share, is_block, sent_before: None });
            }
            Err(why) => settle(out, share, why, Duration::ZERO),
        }
    }

    /// Whether a share is to be sent; if so, whether it is a block. A hash that is one goes out
    /// whatever happened to its job, to our rates and to the pool: pools look for a block before
    /// they look for staleness, and a lost block cannot be made good. Toys keep to the rates: it is
    /// the pool that says what a block is, and it may say so of every second hash.
    fn judge(&mut self, now: Duration, share: &Share, jobs: &Jobs) -> Result<bool, Withheld> {
        rules::check(share)?;
        let is_block = share.is_block();
        if is_block && !share.job.has_toy_blocks() {
            return Ok(true);
        }
        if !is_block {
            self.judge_share(share, jobs)?;
        }
        if self.pending() >= self.outbox {
            return Err(Withheld::Backlog);
        }
        if !self.pace.take(now) {
            return Err(Withheld::Rate);
        }
        Ok(is_block)
    }

    /// The limits on shares that are no blocks.
    fn judge_share(&self, share: &Share, jobs: &Jobs) -> Result<(), Withheld> {
        if !share.meets_share_target() {
            return Err(Withheld::TooEasy);
        }
        if !jobs.is_live(&share.job) {
            return Err(Withheld::Void);
        }
        if self.recent.contains(&share.hash) {
            return Err(Withheld::Duplicate);
        }
        if !jobs.target_of(&share.job).is_met_by(&share.hash) {
            return Err(Withheld::Outgrown);
        }
        Ok(())
    }

    /// Sends all that waits. Only for a connection that is subscribed and authorized.
    pub(super) fn flush(
        &mut self,
        now: Duration,
        handshake: &Handshake,
        jobs: &Jobs,
        out: &mut Output,
    ) {
        for found in std::mem::take(&mut self.queue) {
            // Judged anew: job and mask may have changed while it waited.
            let (job, can_express) = (&found.share.job, jobs.can_express(&found.share));
            // The pool agreed to its bits once, and is about to say whether it still does.
            let asking = !can_express && handshake.is_asking_to_roll();
            let was_sent = found.sent_before.is_some();
            let counts = if was_sent { jobs.is_ours(job) } else { jobs.is_live(job) };
            if asking && counts && !found.is_block {
                self.queue.push_back(found);
                continue;
            }
            // A block does not wait. Whoever reads it has read our question before, and without its
            // bits would put another header together.
            let rolling = asking || handshake.is_rolling();
            let fate = match (was_sent, found.is_block) {
                (true, _) if !jobs.is_ours(job) => Err(Withheld::SessionLost),
                (true, false) if !can_express => Err(Withheld::BitsLost),
                (true, _) => Ok(()),
                (false, true) => Ok(()),
                (false, false) if !jobs.is_live(job) => Err(Withheld::Void),
                (false, false) if !can_express => Err(Withheld::Unrollable),
                (false, false) => Ok(()),
            };
            match fate {
                Ok(()) => self.send(now, found, rolling, jobs, out),
                Err(why) => settle(out, found.share, why, Duration::ZERO),
            }
        }
    }

    /// `rolling`: the version was negotiated, or is being, so that a sixth parameter is due.
    fn send(&mut self, now: Duration, found: Found, rolling: bool, jobs: &Jobs, out: &mut Output) {
        let id = out.next_id();
        let line = self.submit_line(id, &found.share, rolling, jobs.version_mask());
        out.send_share(id, line, found.is_block);
        self.unanswered.insert(id, Sent { found, at: now });
        self.trust.sent(now);
    }

    fn submit_line(&self, id: u64, share: &Share, rolling: bool, mask: u32) -> Vec<u8> {
        // The mask that holds now, since the pool joins the bits with that one. Bits beyond it that
        // a block rolled are told all the same: some pools only OR them.
        let rolled = share.version ^ share.job.version;
        Submission {
            worker: self.user.clone(),
            job_id: share.job.id.clone(),
            extranonce2: share.extranonce2.clone(),
            time: share.time,
            nonce: share.nonce,
            version_bits: rolling.then_some(share.version & (mask | rolled)),
        }
        .to_line(id)
    }

    /// The pool answered request `id`. `false` if that is no share of ours.
    pub(super) fn answered(
        &mut self,
        now: Duration,
        id: u64,
        answer: &Answer,
        jobs: &mut Jobs,
        out: &mut Output,
    ) -> bool {
        // A share that was not sent yet has no answer.
        if out.has_share(id) {
            return false;
        }
        let Some(Sent { found, at }) = self.unanswered.remove(&id) else { return false };
        let Found { share, sent_before, .. } = found;
        let latency = now.saturating_sub(at);
        let Err(refusal) = answer.accepted() else {
            self.strikes = 0;
            self.trust.accepted(now);
            let outcome = ShareOutcome::new(share, Verdict::Accepted, None);
            out.emit(ClientEvent::Verdict(ShareOutcome { latency, ..outcome }));
            return true;
        };
        let cause = Cause::of(&refusal);
        let is_unauthorized = matches!(cause, Cause::Unauthorized | Cause::NotSubscribed);
        self.strikes = if is_unauthorized { self.strikes + 1 } else { 0 };
        let may_be_too_easy = matches!(cause, Cause::LowDifficulty | Cause::Unsaid);
        let raised = may_be_too_easy && jobs.refused_as_too_easy(&share);
        // The pool took it on the first connection and its answer was lost with that (I9).
        let is_known = sent_before.is_some() && cause == Cause::Duplicate;
        let replaced = jobs.replaced_ago(now, &share.job);
        if !is_known {
            let code = || refusal.code.map(|code| format!("code {code}"));
            let words = refusal.reason.clone().or_else(code).unwrap_or("no reason given".into());
            let words = out.clean(&words);
            self.distrust = self.trust.refused(now, cause, replaced, &words, &self.limits);
        }
        let verdict = if is_known { Verdict::Accepted } else { Verdict::Rejected };
        let of = Circumstances { raised, is_known, is_replaced: replaced.is_some() };
        out.emit(ClientEvent::Verdict(ShareOutcome {
            share,
            verdict,
            code: refusal.code,
            advice: advice(cause, of),
            reason: refusal.reason.map(|reason| out.clean(&reason)),
            latency,
        }));
        true
    }

    /// Answers "unauthorized" in a row.
    pub(super) fn strikes(&self) -> u32 {
        self.strikes
    }

    /// The connection is gone. What has no answer waits, in the order it was sent, for the session
    /// to come back.
    pub(super) fn disconnected(&mut self, out: &Output) {
        self.strikes = 0;
        let unanswered = std::mem::take(&mut self.unanswered);
        for (id, Sent { found, at }) in unanswered.into_iter().rev() {
            // The pool cannot have a line that was not written.
            let sent_before = if out.has_share(id) { found.sent_before } else { Some(at) };
            self.queue.push_front(Found { sent_before, ..found });
        }
    }

    /// When the next share that was sent is given up.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let on_this_connection = self.unanswered.values().next().map(|sent| sent.at);
        let before = self.queue.iter().filter_map(Found::waits_since).min();
        on_this_connection.into_iter().chain(before).min().map(|since| since + self.answer)
    }

    /// Gives up the shares whose answer is overdue.
    pub(super) fn expire(&mut self, now: Duration, out: &mut Output) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        for found in std::mem::take(&mut self.queue) {
            match found.waits_since() {
                Some(since) if since + self.answer <= now => {
                    settle(out, found.share, Withheld::NoAnswer, now.saturating_sub(since));
                }
                _ => self.queue.push_back(found),
            }
        }
        while let Some(oldest) = self.unanswered.first_entry()
            && oldest.get().at + self.answer <= now
        {
            let (id, Sent { found, at }) = oldest.remove_entry();
            out.withdraw(id);
            settle(out, found.share, Withheld::NoAnswer, now.saturating_sub(at));
        }
    }

    /// Nothing will be sent any more.
    pub(super) fn finish(&mut self, out: &mut Output) {
        self.disconnected(out);
        for found in self.queue.drain(..) {
            settle(out, found.share, Withheld::Finished, Duration::ZERO);
        }
    }

    /// Ends a share that comes after the end.
    pub(super) fn refuse_late(&self, share: Share, out: &mut Output) {
        settle(out, share, Withheld::Finished, Duration::ZERO);
    }

    /// A block must go out, and memory has an end: the oldest share makes way, a block only if
    /// there is nothing else.
    fn make_room(&mut self, out: &mut Output) {
        let sent = |(&id, _): (&u64, &Sent)| id;
        let sent_share = self.unanswered.iter().find(|(_, sent)| !sent.found.is_block).map(sent);
        let waiting_share = self.queue.iter().position(|found| !found.is_block);
        let sent_block = self.unanswered.iter().next().map(sent);
        let displaced = match (sent_share, waiting_share, sent_block) {
            (Some(id), _, _) | (None, None, Some(id)) => {
                out.withdraw(id);
                self.unanswered.remove(&id).map(|sent| sent.found)
            }
            (None, Some(at), _) => self.queue.remove(at),
            (None, None, None) => self.queue.pop_front(),
        };
        if let Some(found) = displaced {
            settle(out, found.share, Withheld::Displaced, Duration::ZERO);
        }
    }
}

fn settle(out: &mut Output, share: Share, why: Withheld, latency: Duration) {
    out.emit(ClientEvent::Verdict(why.end(share, latency)));
}
